//! etcd's buckets besides `key`: what the member knows of itself, of its cluster, of leases, alarms and users.
//!
//! Sources: `server/storage/schema/{bucket,cindex,confstate,membership,alarm,auth,lease,version}.go`,
//! `server/storage/mvcc/store.go`.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use prost::Message;
use serde::Deserialize;
use serde::de::{Deserializer, SeqAccess, Visitor};

use crate::bolt::Db;
use crate::bolt::bucket::Bucket;
use crate::bolt::entries::{End, for_each_entry, outermost_entry, top_level};
use crate::member::ConfState;

use super::hex_id::HexId;
use super::known_revisions::current_revision;
use super::revision::{RecordKey, Revision};

/// The bucket of the records.
pub const KEY_BUCKET: &[u8] = b"key";
/// The bucket of the consistent index, term, compaction marks and storage version.
pub const META_BUCKET: &[u8] = b"meta";
/// The bucket of the leases.
pub const LEASE_BUCKET: &[u8] = b"lease";

/// The buckets of etcd's files (`server/storage/schema/bucket.go`).
pub const ETCD_BUCKETS: [&[u8]; 10] = [
    b"alarm",
    b"auth",
    b"authRoles",
    b"authUsers",
    b"cluster",
    KEY_BUCKET,
    LEASE_BUCKET,
    b"members",
    b"members_removed",
    META_BUCKET,
];

/// In the meta bucket: the revision to which a compaction was begun.
pub const SCHEDULED_COMPACT: &[u8] = b"scheduledCompactRev";
/// In the meta bucket: the revision to which a compaction was finished.
pub const FINISHED_COMPACT: &[u8] = b"finishedCompactRev";

/// A longer `confState` is not read: each of its values takes much more memory than room, and seven members take 200 bytes.
const MAX_CONF_STATE: usize = 64 << 10;

/// URLs of a member that are kept: etcd's members have one or two.
const MAX_URLS: usize = 64;

/// What the small buckets of an etcd file say. Entries that can't be decoded are counted, and left out.
#[derive(Debug, Default)]
pub struct State<'a> {
    /// The `key` bucket, where there is one.
    pub key_bucket: Option<Bucket<'a>>,
    /// Whether there is a `meta` bucket.
    pub has_meta_bucket: bool,
    /// `consistent_index`: the last raft entry that was applied to this file.
    pub consistent_index: Option<u64>,
    /// `term`: the raft term of that entry.
    pub term: Option<u64>,
    /// `confState`: who votes, as etcd's own JSON.
    pub conf_state: Option<serde_json::Value>,
    /// Whether there is a `confState`, readable or not.
    pub has_conf_state: bool,
    /// `storageVersion`, from etcd 3.6 on.
    pub storage_version: Option<String>,
    /// `scheduledCompactRev`: a compaction to it was begun.
    pub scheduled_compact_revision: Option<i64>,
    /// `finishedCompactRev`: a compaction to it was finished.
    pub finished_compact_revision: Option<i64>,
    /// `clusterVersion`: the version that all members speak.
    pub cluster_version: Option<String>,
    /// Members of the cluster.
    pub members: Arc<[Member]>,
    /// Number of members removed.
    pub members_removed: u64,
    /// Leases, in the order of their ids.
    pub leases: Vec<Lease>,
    pub alarms: Vec<Alarm>,
    /// Whether authentication is on.
    pub auth_enabled: bool,
    pub auth_users: u64,
    pub auth_roles: u64,
    /// Entries that could not be decoded, as (bucket, how many).
    pub undecodable: Vec<(&'static str, u64)>,
}

/// The minor version of a cluster that speaks this version, such as `3.5.0`.
pub fn minor_of(version: &str) -> Option<u32> {
    let mut parts = version.split('.');
    (parts.next() == Some("3")).then_some(())?;
    parts.next()?.parse().ok()
}

/// A member, as the `members` bucket has it.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize, serde::Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Member {
    /// Its id, in hexadecimal digits.
    pub id: HexId,
    /// Its name; empty until it was started once.
    #[serde(default)]
    pub name: String,
    /// The first 64 of the URLs where other members find it; `null` where none are stored.
    #[serde(rename(deserialize = "peerURLs"), default, deserialize_with = "first_urls")]
    pub peer_urls: Option<Vec<String>>,
    /// The first 64 of the URLs where clients find it; `null` where none are stored.
    #[serde(rename(deserialize = "clientURLs"), default, deserialize_with = "first_urls")]
    pub client_urls: Option<Vec<String>>,
    /// Whether it is a learner, which does not vote.
    #[serde(rename(deserialize = "isLearner"), default)]
    pub is_learner: bool,
}

/// The first [`MAX_URLS`] of a list, whatever its length; `null` as etcd's Go writes a list that is empty.
fn first_urls<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Vec<String>>, D::Error> {
    struct FirstUrls;
    impl<'de> Visitor<'de> for FirstUrls {
        type Value = Option<Vec<String>>;

        fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
            formatter.write_str("a list of URLs")
        }

        fn visit_unit<E>(self) -> Result<Self::Value, E> {
            Ok(None)
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
            let mut urls = Vec::new();
            while let Some(url) = list.next_element()? {
                if urls.len() < MAX_URLS {
                    urls.push(url);
                }
            }
            Ok(Some(urls))
        }
    }
    deserializer.deserialize_any(FirstUrls)
}

#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub struct Lease {
    #[prost(int64, tag = "1")]
    pub id: i64,
    /// The time to live that was granted, in seconds.
    #[prost(int64, tag = "2")]
    pub ttl: i64,
    /// What was left of it at the last checkpoint, in seconds; 0 where none was made.
    #[prost(int64, tag = "3")]
    pub remaining_ttl: i64,
}

/// A raised alarm (`api/etcdserverpb/rpc.proto`, `AlarmMember`).
#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub struct Alarm {
    /// The member that raised it.
    #[prost(uint64, tag = "1")]
    pub member_id: u64,
    /// 1 for NOSPACE, 2 for CORRUPT.
    #[prost(int32, tag = "2")]
    pub alarm: i32,
}

#[derive(Clone, PartialEq, Eq, Message)]
pub struct User {
    /// The name, which is the key, too.
    #[prost(bytes = "vec", tag = "1")]
    pub name: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    pub password: Vec<u8>,
    #[prost(string, repeated, tag = "3")]
    pub roles: Vec<String>,
    /// How the user was added.
    #[prost(message, optional, tag = "4")]
    pub options: Option<UserOptions>,
}

/// How a user was added (`UserAddOptions`).
#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub struct UserOptions {
    /// Without a password: by certificate only.
    #[prost(bool, tag = "1")]
    pub no_password: bool,
}

#[derive(Clone, PartialEq, Eq, Message)]
pub struct Role {
    /// The name, which is the key, too.
    #[prost(bytes = "vec", tag = "1")]
    pub name: Vec<u8>,
    /// What it may do.
    #[prost(message, repeated, tag = "2")]
    pub permissions: Vec<Permission>,
}

/// What a role may do with which keys.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct Permission {
    /// 0 to read, 1 to write, 2 for both.
    #[prost(int32, tag = "1")]
    pub kind: i32,
    /// The key, or the first one.
    #[prost(bytes = "vec", tag = "2")]
    pub key: Vec<u8>,
    /// The end of the range, if it is one.
    #[prost(bytes = "vec", tag = "3")]
    pub range_end: Vec<u8>,
}

impl Member {
    /// What a member of the bucket means that raft does not know.
    ///
    /// etcd up to 3.5 takes members from its v2 store, etcd 3.6 from this bucket (`server/etcdserver/api/membership/cluster.go`,
    /// `Recover`), and 3.5.26 mends it (etcd's issues 13196 and 20967).
    pub fn unknown_to_raft_text(&self) -> String {
        let name = if self.name.is_empty() { "without a name" } else { &self.name };
        format!(
            "Member {:x} ({name}) is in the bucket `members`, and no voter or learner of confState: etcd 3.6 takes it for a \
             member again. Start etcd 3.5.26 or a later 3.5, which removes it, before any 3.6",
            self.id
        )
    }
}

impl Alarm {
    /// etcd's name for the alarm.
    pub fn name(&self) -> &'static str {
        match self.alarm {
            0 => "NONE",
            1 => "NOSPACE",
            2 => "CORRUPT",
            _ => "UNKNOWN",
        }
    }
}

impl<'a> State<'a> {
    /// Reads the small buckets. Damage is passed over: [`crate::check`] reports it.
    pub fn read(db: &'a Db) -> Self {
        let mut state = Self::default();
        let mut seen = BTreeSet::new();
        // in a damaged root a name may come many times: the first counts, as in a scan
        for bucket in top_level(db).into_iter().filter(|bucket| seen.insert(bucket.name)) {
            state.read_bucket(db, bucket);
        }
        state.leases.sort_by_key(|lease| lease.id.cast_unsigned());
        if state.key_bucket.is_none() {
            // somebody else's file, whose buckets happen to have these names
            return Self::default();
        }
        state
    }

    fn read_bucket(&mut self, db: &'a Db, bucket: Bucket<'a>) {
        match bucket.name {
            KEY_BUCKET => self.key_bucket = Some(bucket),
            META_BUCKET => {
                self.has_meta_bucket = true;
                for_each_entry(db, &bucket, |entry| self.read_meta(entry.key, entry.value));
            }
            LEASE_BUCKET => {
                self.leases = self.decode_all(db, &bucket, "lease", |_, value| Lease::decode(value).ok())
            }
            b"alarm" => self.alarms = self.decode_all(db, &bucket, "alarm", |key, _| Alarm::decode(key).ok()),
            b"members" => {
                let member = |_: &[u8], value: &[u8]| serde_json::from_slice(value).ok();
                self.members = self.decode_all(db, &bucket, "members", member).into();
            }
            b"members_removed" => self.members_removed = count(db, &bucket),
            b"authUsers" => self.auth_users = count(db, &bucket),
            b"authRoles" => self.auth_roles = count(db, &bucket),
            b"auth" => for_each_entry(db, &bucket, |entry| {
                if entry.key == b"authEnabled" {
                    self.auth_enabled = entry.value == [1];
                }
            }),
            b"cluster" => for_each_entry(db, &bucket, |entry| {
                if entry.key == b"clusterVersion" {
                    self.cluster_version = text(entry.value);
                }
            }),
            _ => {}
        }
    }

    fn read_meta(&mut self, key: &[u8], value: &[u8]) {
        let number = || value.try_into().ok().map(u64::from_be_bytes);
        let revision = || Revision::parse(value).map(|revision| revision.main);
        match key {
            b"consistent_index" => self.consistent_index = number(),
            b"term" => self.term = number(),
            b"confState" => {
                self.has_conf_state = true;
                let read = || serde_json::from_slice(value).ok();
                self.conf_state = (value.len() <= MAX_CONF_STATE).then(read).flatten();
            }
            b"storageVersion" => self.storage_version = text(value),
            SCHEDULED_COMPACT => self.scheduled_compact_revision = revision(),
            FINISHED_COMPACT => self.finished_compact_revision = revision(),
            _ => {}
        }
    }

    fn decode_all<T>(
        &mut self,
        db: &'a Db,
        bucket: &Bucket<'a>,
        name: &'static str,
        decode: impl Fn(&[u8], &[u8]) -> Option<T>,
    ) -> Vec<T> {
        let (mut decoded, mut failed) = (Vec::new(), 0);
        for_each_entry(db, bucket, |entry| match decode(entry.key, entry.value) {
            Some(item) => decoded.push(item),
            None => failed += 1,
        });
        if failed > 0 {
            self.undecodable.push((name, failed));
        }
        decoded
    }

    /// The revision below which history is gone, as etcd takes it at its next start: the scheduled one where a
    /// compaction was cut short, as etcd finishes it then (`kvstore.go`, `restore`). -1: never compacted.
    pub fn compact_revision(&self) -> i64 {
        self.scheduled_compact_revision.max(self.finished_compact_revision).unwrap_or(-1)
    }

    /// The minor version of etcd 3 that all members speak: 5 of 3.5.0; `None` where the db does not tell.
    pub fn cluster_minor(&self) -> Option<u32> {
        minor_of(self.cluster_version.as_deref()?)
    }

    /// Who is a member, as raft counts; `None` where it is not stored, or names nobody.
    pub fn raft_config(&self) -> Option<ConfState> {
        let list = |name: &str| {
            let list = self.conf_state.as_ref().and_then(|stored| stored.get(name)?.as_array());
            list.into_iter().flatten().filter_map(serde_json::Value::as_u64)
        };
        let voters = list("voters").chain(list("voters_outgoing"));
        let learners = list("learners").chain(list("learners_next"));
        Some(ConfState::new(voters, learners)).filter(|config| !config.members().is_empty())
    }

    /// Members of the `members` bucket that raft's own list, where it is stored, does not have: neither as voters nor as learners,
    /// leaving or coming ones among them (`raftpb/raft.proto`, `ConfState`).
    pub fn members_unknown_to_raft(&self) -> impl Iterator<Item = &Member> {
        let known = self.raft_config().map(|config| config.members()).unwrap_or_default();
        // a list without anybody is no list
        self.members.iter().filter(move |member| !known.is_empty() && !known.contains(&member.id.0))
    }

    /// The first and last revision of the `key` bucket, by looking at its ends only: a hint in a damaged file.
    pub fn revision_range(&self, db: &'a Db) -> Option<(i64, i64)> {
        let bucket = self.key_bucket.as_ref()?;
        let at = |end| RecordKey::parse(outermost_entry(db, bucket, end)?.key).map(|key| key.revision.main);
        Some((at(End::First)?, at(End::Last)?))
    }

    /// The current revision, by the last record alone: a hint in a damaged file.
    pub fn current_revision(&self, db: &'a Db) -> i64 {
        let newest = self.revision_range(db).map_or(0, |(_, last)| last);
        current_revision(newest, self.compact_revision())
    }
}

fn count(db: &Db, bucket: &Bucket<'_>) -> u64 {
    let mut count = 0;
    for_each_entry(db, bucket, |_| count += 1);
    count
}

fn text(value: &[u8]) -> Option<String> {
    std::str::from_utf8(value).ok().map(str::to_owned)
}
