//! The full report: what the file is, where its bytes are, what fills it, and what to do about it.
//!
//! | file | what is in it |
//! |---|---|
//! | [`file`](mod@file) | the file itself |
//! | [`space`] | classes of bytes that add up to its size |
//! | [`keys`] | one pass over all keys, from which the next five come |
//! | [`mvcc`], [`resources`] | records by state and by resource |
//! | [`sort`] | the order of resources |
//! | [`homes`] | tenants and namespaces |
//! | [`top`] | the largest objects |
//! | [`fragmentation`] | free runs, leaf fill, order of leaves, one index |
//! | [`copy_advice`] | advice on copies: each figure is what the command beside it gives back |
//! | [`gains`] | what each cure would give back |
//! | [`timeline`] | records over the revisions |
//! | [`retention`] | what history costs, and which time it covers |
//! | [`leases`] | leases and their keys |
//! | [`advice`], `advise` | what to do, ranked |
//! | [`histogram`], [`share`] | arithmetic |
//!
//! Everything here is a plain struct that serialises, the same whatever the number of threads; docs/report.md
//! explains each figure, docs/schema describes each field.

pub mod advice;
mod advise;
pub mod copy_advice;
pub mod file;
pub mod fragmentation;
pub mod gains;
pub mod histogram;
pub mod homes;
pub mod keys;
pub mod leases;
pub mod mvcc;
pub mod resources;
pub mod retention;
pub mod share;
pub mod sort;
pub mod space;
pub mod timeline;
pub mod top;

use serde::Serialize;

use crate::bolt::Db;
use crate::bolt::bucket::{Bucket, BucketId, BucketRoot, path_of};
use crate::etcd::HexId;
use crate::etcd::schema::State;
use crate::etcd::trailer::Trailer;
use crate::filter::Filter;
use crate::input::named::Named;
use crate::owner::Owner;
use crate::rewrite::guard::Refusal;
use crate::scan::Scan;
use crate::scan::health::Health;
use crate::scan::tally::Tally;
use crate::text::ByteText;

use advice::Advice;
use file::FileInfo;
use fragmentation::Fragmentation;
use gains::{Copies, Gains};
use homes::{NamespaceUse, TenantUse};
use leases::LeasesUse;
use mvcc::Mvcc;
use resources::ResourceUse;
use retention::Retention;
use space::Space;
use timeline::TimelineReport;
use top::TopObject;

/// What the file is, where its bytes are, and what to do.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Analysis {
    /// What the file is.
    pub file: FileInfo,
    /// Every byte, by class.
    pub space: Space,
    /// Whether anything is wrong with the file, and how much.
    pub health: Health,
    /// Every bucket, in the order of the tree.
    pub buckets: Vec<BucketUse>,
    /// Records by state; `null` for a file that isn't etcd's.
    pub mvcc: Option<Mvcc>,
    /// What each cure would give back.
    pub gains: Gains,
    /// The API resources that have records, by `disk_bytes` descending, then group and name, or by `--sort`; empty for a file
    /// that isn't etcd's.
    pub resources: Vec<ResourceUse>,
    /// Clusters that share the file, by `disk_bytes` descending, then name, `null` first; empty where there is only one.
    pub tenants: Vec<TenantUse>,
    /// Namespaces, by `disk_bytes` descending, then tenant and name, `null` first; empty for a file that isn't etcd's.
    pub namespaces: Vec<NamespaceUse>,
    /// The keys of three rankings, each once: at most `--top` places by live bytes, by history bytes and by revisions; equals
    /// in the order of keys. Keys of 0 bytes are not ranked, nor are those of one record by revisions. Rows are in the order
    /// of the first ranking that a key is in.
    pub top_objects: Vec<TopObject>,
    /// How scattered the file is.
    pub fragmentation: Fragmentation,
    /// Records over the revisions; `null` for a file that isn't etcd's.
    pub timeline: Option<TimelineReport>,
    /// What history costs, and which time it covers; `null` for a file that isn't etcd's.
    pub retention: Option<Retention>,
    /// Leases, and what is attached to them; `null` for a file that isn't etcd's.
    pub leases: Option<LeasesUse>,
    /// Raised alarms, in the order of the bucket.
    pub alarms: Vec<AlarmInfo>,
    /// Authentication; `null` for a file that isn't etcd's.
    pub auth: Option<Auth>,
    /// What to do, most important first.
    pub advice: Vec<Advice>,
    /// Whose the file is.
    #[serde(skip)]
    pub owner: Owner,
    /// The file, for commands about it.
    #[serde(skip)]
    pub named: Named,
}

/// One bucket.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct BucketUse {
    /// Its path: `outer/inner` for a bucket within another; empty for the root bucket. Of outer names, 256 bytes at most:
    /// those beyond give way to one `…`.
    pub name: ByteText,
    /// Entries that could be read, buckets among them.
    pub entries: u64,
    /// Bytes of its own pages; for an inline bucket, of its entry in the bucket around it.
    pub disk_bytes: u64,
    /// Whether it has no page of its own: it is in a leaf of the bucket around it.
    pub inline: bool,
    /// Its counter.
    pub sequence: u64,
    /// Levels of its tree: 1 for a leaf alone, 0 where nothing could be read.
    pub height: u32,
    /// Branches; overflow pages are not counted.
    pub branch_nodes: u64,
    /// Leaves; overflow pages are not counted. An inline bucket has one.
    pub leaf_nodes: u64,
}

/// A raised alarm.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct AlarmInfo {
    /// The id of the member that raised it, in hexadecimal digits.
    pub member_id: HexId,
    #[cfg_attr(test, schemars(extend("enum" = ["NONE", "NOSPACE", "CORRUPT", "UNKNOWN"])))]
    /// etcd's name for it: `UNKNOWN` for one that this version does not know.
    pub alarm: &'static str,
    /// What it means; for people.
    pub meaning: &'static str,
}

/// Authentication.
#[derive(Clone, Copy, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Auth {
    /// Whether authentication is on.
    pub enabled: bool,
    /// Number of users.
    pub users: u64,
    /// Number of roles.
    pub roles: u64,
}

/// What a report is made of, beside the file.
#[derive(Clone, Debug)]
pub struct AnalyzeRequest<'r> {
    /// The file.
    pub named: &'r Named,
    /// What follows the db in its file.
    pub trailer: Trailer,
    /// Whether the file was read without a lock.
    pub read_without_lock: bool,
    /// What to narrow the tables to.
    pub filter: Filter,
    /// How many objects to name by each measure.
    pub top: usize,
    /// Why a full db may not be compacted and disarmed where it is: [`copy_advice::cure_refused`].
    pub cure_refused: Option<Refusal>,
}

/// Makes the report of a file that was scanned.
pub fn analyze(db: &Db, state: &State<'_>, scan: &Scan<'_>, request: &AnalyzeRequest<'_>) -> Analysis {
    let space = Space::of(db, scan);
    let buckets = buckets(scan);
    let key_disk =
        scan.key_bucket.and_then(|id| buckets.get(id.0 as usize)).map_or(0, |bucket| bucket.disk_bytes);
    let sums = || keys::sum_up(scan, &request.filter, request.top, key_disk);
    let steady = copy_advice::also_steady(&request.named.path, state);
    let (copies, sums) = rayon::join(|| Copies::of(db, scan, steady), sums);
    let is_etcd = scan.key_bucket.is_some();
    let mvcc = is_etcd.then(|| Mvcc::of(state, scan, sums.states));
    let mut analysis = Analysis {
        file: FileInfo::of(&request.named.path, db, state, request.trailer),
        health: Health::of(db, state, scan, request.trailer),
        fragmentation: Fragmentation::of(scan, &space),
        space,
        buckets,
        retention: mvcc.as_ref().map(|mvcc| Retention::of(mvcc, &sums.witnesses, &scan.gaps)),
        mvcc,
        gains: copies.as_ref().map(Copies::gains).unwrap_or_default(),
        timeline: is_etcd.then(|| TimelineReport::of(&sums.timelines, scan.keyspace.bins())),
        leases: is_etcd.then(|| LeasesUse::of(state, &sums.leases, request.top)),
        resources: sums.resources,
        tenants: sums.tenants,
        namespaces: sums.namespaces,
        top_objects: sums.top_objects,
        alarms: state.alarms.iter().map(AlarmInfo::from).collect(),
        auth: is_etcd.then_some(Auth {
            enabled: state.auth_enabled,
            users: state.auth_users,
            roles: state.auth_roles,
        }),
        advice: Vec::new(),
        owner: Owner::of(db).at(&request.named.path),
        named: request.named.clone(),
    };
    analysis.advice = advise::advise(&analysis, request, copies.as_ref());
    analysis
}

/// Every bucket, in the order of the tree.
pub fn buckets(scan: &Scan<'_>) -> Vec<BucketUse> {
    let use_of = |(bucket, (id, tally)): (&Bucket<'_>, (BucketId, &Tally))| {
        let entry = crate::bolt::format::ELEMENT_SIZE as u64 + bucket.name.len() as u64;
        let (inline, disk_bytes) = match bucket.root {
            BucketRoot::Page(_) => (false, tally.page_bytes),
            BucketRoot::Inline(page) => {
                let header = crate::bolt::format::BUCKET_HEADER_SIZE as u64;
                (true, entry + header + page.bytes().len() as u64)
            }
        };
        BucketUse {
            name: ByteText(path_of(&scan.buckets, id)),
            entries: tally.entries,
            disk_bytes,
            inline,
            sequence: bucket.sequence,
            height: tally.height,
            branch_nodes: tally.branches,
            leaf_nodes: tally.leaves + tally.inline_leaves,
        }
    };
    let ids = (0..).map(BucketId);
    scan.buckets.iter().zip(ids.zip(&scan.tallies)).map(use_of).collect()
}

impl From<&crate::etcd::schema::Alarm> for AlarmInfo {
    fn from(alarm: &crate::etcd::schema::Alarm) -> Self {
        let meaning = match alarm.name() {
            "NOSPACE" => {
                "the quota was passed: etcd refuses writes until space is made and the alarm is disarmed"
            }
            "CORRUPT" => "members were found to differ: etcd refuses all requests but reads of the alarm",
            _ => "not known to this program",
        };
        Self { member_id: HexId(alarm.member_id), alarm: alarm.name(), meaning }
    }
}
