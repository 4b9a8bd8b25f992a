//! Which alarms are set, and which are in force (`server/etcdserver/api/v3alarm/alarms.go`).

use std::collections::BTreeSet;

use super::super::request::AlarmAction;
use super::rules::Rules;

/// An alarm of no kind.
const NONE: i32 = 0;
/// No space is left in the db.
pub const NOSPACE: i32 = 1;
/// The db is corrupt.
pub const CORRUPT: i32 = 2;

/// The alarms of all members.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Alarms {
    /// As (kind, member).
    set: BTreeSet<(i32, u64)>,
    pub nospace: bool,
    pub corrupt: bool,
}

impl Alarms {
    /// Those that a db has, as they are in force after a start.
    pub fn of(set: impl IntoIterator<Item = (i32, u64)>) -> Self {
        let mut alarms = Self { set: set.into_iter().collect(), ..Self::default() };
        alarms.enforce_all();
        alarms
    }

    /// All that are set, as (kind, member).
    pub fn iter(&self) -> impl Iterator<Item = (i32, u64)> {
        self.set.iter().copied()
    }

    fn has(&self, kind: i32) -> bool {
        self.set.iter().any(|&(of, _)| of == kind)
    }

    /// Puts all that are set into force, as a start does (`server/etcdserver/server.go`, `restoreAlarms`).
    pub fn enforce_all(&mut self) {
        (self.nospace, self.corrupt) = (self.has(NOSPACE), self.has(CORRUPT));
    }

    /// Raises or disarms one. Gives whether anything is different after it.
    pub fn change(&mut self, action: AlarmAction, kind: i32, member: u64, rules: Rules) -> bool {
        let had = self.has(kind);
        let changed = match action {
            AlarmAction::Get => return false,
            AlarmAction::Raise if kind == NONE && !rules.raises_no_kind => return false,
            AlarmAction::Raise => self.set.insert((kind, member)),
            AlarmAction::Disarm => self.set.remove(&(kind, member)),
        };
        let has = self.has(kind);
        if rules.all_alarms_in_force {
            self.enforce_all();
        } else if kind == NONE {
            return changed;
        } else if action == AlarmAction::Raise && !had && has {
            // the last one that was raised takes the place of the other
            (self.nospace, self.corrupt) = (kind == NOSPACE, kind == CORRUPT);
        } else if action == AlarmAction::Disarm && had && !has {
            (self.nospace, self.corrupt) = (false, false);
        }
        changed
    }

    /// Whether what is in force depends on when a member was started, where not all that are set are: both kinds are set, or one of both
    /// was disarmed.
    pub fn depend_on_starts(&self) -> bool {
        let all = (self.has(NOSPACE), self.has(CORRUPT));
        all == (true, true) || (self.nospace, self.corrupt) != all
    }
}
