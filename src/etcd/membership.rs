//! Whether a db's member is the only one of its cluster, by all that its directory tells.
//!
//! | source | after `snapshot restore` |
//! |---|---|
//! | the log: the last snapshot record's members, and the changes after it | the new cluster's |
//! | the bucket `members` | the new cluster's; restored by etcd 3.4, those of the snapshot, and from its first start on both |
//! | `confState` in the bucket `meta`, from 3.5 on | the snapshot's, until the first change |
//!
//! (`etcdutl/snapshot/v3_snapshot.go`; 3.4: `clientv3/snapshot/v3_snapshot.go`.) So the log decides where it was read whole,
//! and names the members. Else, the db must not contradict itself.

use std::collections::BTreeSet;

use crate::member::Log;
use crate::member::message::Snapshot;

use super::schema::State;

/// Ids that are named one by one.
const IDS_SHOWN: usize = 5;

/// Whether a member is the only one of its cluster.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Membership {
    /// It is; nobody says otherwise. The number of members that the file names: 0 or 1.
    Alone(u64),
    Several(u64),
    /// The sources contradict each other, or can't be read.
    Unclear {
        sources: String,
        /// The most members that one of them names.
        most: u64,
    },
}

/// The log beside a db, as far as it tells of members.
#[derive(Clone, Copy, Debug)]
pub enum LogSays<'l> {
    /// The file is no member's db: no log lies beside it.
    Nothing,
    /// It was read whole, and so were these `.snap` files.
    Log(&'l Log, &'l [Snapshot]),
    /// It can't be read whole.
    Unreadable,
}

/// What one source says.
enum Said {
    Nothing,
    Unreadable,
    NotTold,
    Members(BTreeSet<u64>),
}

impl Membership {
    /// By all that there is.
    pub fn of(state: &State<'_>, log: LogSays<'_>) -> Self {
        let conf_state = by_conf_state(state);
        let bucket = by_bucket(state);
        let by_log = match log {
            LogSays::Nothing => Said::Nothing,
            LogSays::Unreadable => Said::Unreadable,
            LogSays::Log(log, snaps) => {
                let committed = log.committed(state.consistent_index.unwrap_or(0), snaps);
                log.members(committed, snaps).map_or(Said::NotTold, Said::Members)
            }
        };
        let (node_id, is_restored_only) = match log {
            LogSays::Log(log, _) => (
                Some(log.metadata.node_id),
                log.is_restored_only() && state.consistent_index == Some(log.last_index()),
            ),
            _ => (None, false),
        };
        if let Said::Members(members) = &by_log {
            if members.len() > 1 {
                return Self::Several(members.len() as u64);
            }
            // a db that does not list the log's member may be another's
            let is_in_bucket = |id| matches!(&bucket, Said::Members(listed) if listed.contains(&id));
            if node_id.is_some_and(|id| members.contains(&id) && (is_restored_only || is_in_bucket(id))) {
                return Self::Alone(1);
            }
        }
        let counts: Vec<_> = [&conf_state, &bucket].into_iter().filter_map(Said::count).collect();
        let is_unreadable = |said: &Said| matches!(said, Said::Unreadable);
        let most = counts.iter().copied().max().unwrap_or(0);
        let is_whole = !is_unreadable(&conf_state) && !is_unreadable(&bucket);
        let is_contradicted = matches!(by_log, Said::Members(_));
        if is_whole && !is_contradicted {
            if most <= 1 {
                return Self::Alone(most);
            }
            if counts.iter().all(|&count| count > 1) {
                return Self::Several(most);
            }
        }
        Self::Unclear { sources: sources(&conf_state, &bucket, &by_log, node_id), most }
    }

    /// Members of the cluster: where it isn't clear, the most that a source names.
    pub fn count(&self) -> u64 {
        match self {
            Self::Alone(count) | Self::Several(count) => *count,
            Self::Unclear { most, .. } => *most,
        }
    }
}

impl Said {
    fn count(&self) -> Option<u64> {
        match self {
            Self::Members(ids) => Some(ids.len() as u64),
            Self::Nothing | Self::Unreadable | Self::NotTold => None,
        }
    }

    fn text(&self) -> String {
        match self {
            Self::Nothing => "says nothing".to_owned(),
            Self::Unreadable => "can't be read".to_owned(),
            Self::NotTold => "does not go back to where members are named".to_owned(),
            Self::Members(ids) => {
                let shown: Vec<_> = ids.iter().take(IDS_SHOWN).map(|id| format!("{id:x}")).collect();
                let more = if ids.len() > IDS_SHOWN { ", …" } else { "" };
                format!("names {} ({}{more})", ids.len(), shown.join(", "))
            }
        }
    }
}

/// `{"voters":[…],"learners":[…],"voters_outgoing":[…],"learners_next":[…],"auto_leave":false}`, lists that are empty left out
/// (`server/storage/schema/confstate.go`). Before the first change of members there are no voters.
fn by_conf_state(state: &State<'_>) -> Said {
    let Some(value) = &state.conf_state else {
        return if state.has_conf_state { Said::Unreadable } else { Said::Nothing };
    };
    let mut ids = BTreeSet::new();
    for list in ["voters", "learners", "voters_outgoing", "learners_next"] {
        let list = match value.get(list) {
            None | Some(serde_json::Value::Null) => continue,
            Some(list) => list
                .as_array()
                .and_then(|list| list.iter().map(serde_json::Value::as_u64).collect::<Option<Vec<_>>>()),
        };
        let Some(list) = list else { return Said::Unreadable };
        ids.extend(list);
    }
    if !value.is_object() {
        return Said::Unreadable;
    }
    if ids.is_empty() { Said::Nothing } else { Said::Members(ids) }
}

fn by_bucket(state: &State<'_>) -> Said {
    if state.undecodable.iter().any(|(bucket, _)| *bucket == "members") {
        return Said::Unreadable;
    }
    let ids: BTreeSet<_> = state.members.iter().map(|member| member.id.0).collect();
    if ids.is_empty() { Said::Nothing } else { Said::Members(ids) }
}

/// What says what, as a sentence's end.
fn sources(conf_state: &Said, bucket: &Said, log: &Said, node_id: Option<u64>) -> String {
    let of = node_id.map(|id| format!(" of member {id:x}")).unwrap_or_default();
    format!(
        "the log{of} {}, the bucket `members` {}, confState in the bucket `meta` {}",
        log.text(),
        bucket.text(),
        conf_state.text()
    )
}
