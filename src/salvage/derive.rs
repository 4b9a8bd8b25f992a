//! What of the `meta` bucket follows from the rest of the file, where it is lost or of an older state. The report names it in each
//! case. It also names what does not follow and is left out.
//!
//! | key | where it is lost |
//! |---|---|
//! | `confState` | the ids of the members, if all of them can be read, and the cluster speaks 3.5: from then on, `members` and `confState` change together (`server.go`, `applyConfChange`) |
//! | `scheduledCompactRev` | the last compaction of which records show that it removed some: below it, history is not whole, and etcd must not answer from it; it goes through with the compaction when it starts (`kvstore.go`, `restore`) |
//! | `consistent_index`, `term` | nothing: how much of the raft log was applied is not known; with too low a number, entries would be applied a second time |
//!
//! `etcdutl snapshot restore` writes all but the compaction anew (`etcdutl/snapshot/v3_snapshot.go`, `saveWALAndSnap`,
//! `updateCIndex`).

use serde::Serialize;

use crate::etcd::Revision;
use crate::etcd::schema::{Member, SCHEDULED_COMPACT};

use super::found::Tier;
use super::gaps::Gaps;
use super::kinds::Small;
use super::roots::RootSource;
use super::saved_bucket::{Made, SavedBucket};

/// Something of the `meta` bucket that is not what the file's last state had there.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Derived {
    /// The key in the `meta` bucket.
    pub key: &'static str,
    /// What the copy has; `null` where it has nothing.
    pub value: Option<String>,
    /// Where that comes from, or why there is none.
    pub why: &'static str,
}

const NOT_KNOWN: &str = "does not follow from the rest of the file, and is left out: a restore sets it anew";
const OLDER: &str = "as an older state had it: the lost one's was the same or higher. A restore sets it anew";

/// Completes the `meta` bucket. Returns what was done.
pub fn derive(buckets: &mut Vec<SavedBucket<'_>>, root: RootSource, compacted: Option<i64>) -> Vec<Derived> {
    let number = buckets.iter().position(|bucket| bucket.is_of(Small::Meta));
    let meta = number.and_then(|number| buckets.get(number));
    let is_whole = |meta: &SavedBucket<'_>| meta.tier == Tier::Reachable && meta.first_gaps.is_empty();
    let is_newest = root == RootSource::ActiveMeta && meta.is_some_and(is_whole);
    if is_newest {
        return Vec::new();
    }
    let has = |key: &[u8]| meta.and_then(|meta| meta.value(key));
    let mut derived = Vec::new();
    for key in ["consistent_index", "term"] {
        let number = has(key.as_bytes()).and_then(|value| value.try_into().ok()).map(u64::from_be_bytes);
        let value = number.map(|number| number.to_string());
        // 3.4 has no term
        if value.is_some() || key != "term" {
            let why = if value.is_some() { OLDER } else { NOT_KNOWN };
            derived.push(Derived { key, value, why });
        }
    }
    // a whole bucket without the key never had it: 3.4 writes no confState, and the file may never have been compacted
    let may_have_had = meta.is_none_or(|meta| !meta.first_gaps.is_empty() || meta.entries.is_empty());
    let mut made = Vec::new();
    if may_have_had && has(SCHEDULED_COMPACT).is_none() {
        let value = compacted.map(|main| Revision { main, sub: 0 });
        made.extend(value.map(|value| Made { key: SCHEDULED_COMPACT, value: value.to_bytes().to_vec() }));
        let why = match value {
            Some(_) => "at least up to here, as missing records show",
            None => "nothing shows that there was a compaction",
        };
        let value = value.map(|value| value.main.to_string());
        derived.push(Derived { key: "scheduledCompactRev", value, why });
    }
    if may_have_had && has(b"confState").is_none() {
        let state = conf_state(buckets);
        let why = if state.is_some() { "from the members" } else { NOT_KNOWN };
        derived.push(Derived { key: "confState", value: state.clone(), why });
        made.extend(state.map(|state| Made { key: b"confState", value: state.into_bytes() }));
    }
    made.sort_by_key(|made| made.key);
    if !made.is_empty() {
        let number = number.unwrap_or_else(|| SavedBucket::add(buckets, Small::Meta.name(), Gaps::default()));
        if let Some(meta) = buckets.get_mut(number) {
            meta.made = made;
        }
    }
    derived
}

/// Who votes, as raft's `ConfState` (`raftpb/raft.pb.go`) says it in JSON; `None` unless every member can be read.
fn conf_state(buckets: &[SavedBucket<'_>]) -> Option<String> {
    #[derive(Serialize)]
    struct ConfState {
        voters: Vec<u64>,
        #[serde(skip_serializing_if = "Vec::is_empty")]
        learners: Vec<u64>,
        auto_leave: bool,
    }
    let members = buckets.iter().find(|bucket| bucket.is_of(Small::Members))?;
    let cluster = buckets.iter().find(|bucket| bucket.is_of(Small::Cluster))?;
    if !members.first_gaps.is_empty() || !speaks_3_5(cluster.value(b"clusterVersion")?) {
        return None;
    }
    let read = |value: &[u8]| serde_json::from_slice::<Member>(value).ok();
    let mut members: Vec<Member> =
        members.entries.iter().map(|entry| read(entry.value)).collect::<Option<_>>()?;
    members.sort_by_key(|member| member.id);
    let ids = |learner| {
        members.iter().filter(|member| member.is_learner == learner).map(|member| member.id.0).collect()
    };
    let state = ConfState { voters: ids(false), learners: ids(true), auto_leave: false };
    (!state.voters.is_empty()).then(|| serde_json::to_string(&state).ok()).flatten()
}

/// Whether a cluster's version is 3.5 or above. Before, a restore left the members of the snapshot in the bucket.
fn speaks_3_5(version: &[u8]) -> bool {
    let text = std::str::from_utf8(version).unwrap_or_default();
    let mut numbers = text.split('.').map_while(|number| number.parse::<u32>().ok());
    (numbers.next(), numbers.next()) >= (Some(3), Some(5))
}
