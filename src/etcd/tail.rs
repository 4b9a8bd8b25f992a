//! How far a member's db is in the log beside it. At its start, etcd applies the entries after the db's consistent index to
//! what is in the db (`server/etcdserver/server.go`, `apply`; `cindex/cindex.go`).

use crate::member::Log;

use super::schema::State;

/// The entries of the log that the db does not have the effect of.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Tail {
    /// The file is no member's db: no log lies beside it.
    NoLog,
    /// There are none: the db is where the log ends.
    Applied { index: u64 },
    Pending {
        /// The last entry that the db has the effect of.
        consistent_index: u64,
        /// The last entry of the log.
        last_index: u64,
    },
    /// It can't be told, and why.
    Unknown(String),
}

impl Tail {
    /// Of a db and a log that was read whole.
    pub fn of(state: &State<'_>, log: &Log) -> Self {
        let last_index = log.last_index();
        let Some(consistent_index) = state.consistent_index else {
            return Self::Unknown("the db does not say how far it is in its log".to_owned());
        };
        if consistent_index < last_index {
            return Self::Pending { consistent_index, last_index };
        }
        if consistent_index > last_index {
            return Self::Unknown(format!(
                "the log ends at entry {last_index}, and the db has the effect of entries up to {consistent_index}: the log \
                 lost its end, or is not this db's"
            ));
        }
        // from 3.5 on, the db says the term of that entry, too
        match (state.term, log.term_at(consistent_index)) {
            (Some(of_db), Some(of_log)) if of_db != of_log => Self::Unknown(format!(
                "entry {consistent_index} is of term {of_db} by the db, and of term {of_log} in the log: they are not of one \
                 history"
            )),
            _ => Self::Applied { index: consistent_index },
        }
    }
}
