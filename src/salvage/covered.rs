//! What the log beside a damaged db says of its records: revisions whose entries are known.
//!
//! | where it begins | what must hold |
//! |---|---|
//! | with nothing: the log has all entries | each record that was saved is what one of them wrote |
//! | with a whole root that is not the newest | the log has the entries after it |
//! | with records that were saved, at a point that is looked for | entries and records agree ([`crate::replay::align`]) |
//!
//! Nothing is said of a revision for which two entries come into question.

use std::collections::{BTreeMap, BTreeSet};

use crate::etcd::RecordKey;
use crate::etcd::apply::{Change, Machine, Rules, Written};
use crate::member::{ReadLog, Stretch};
use crate::ranges::Ranges;
use crate::replay::align::{AlignEnd, Aligner, Alignment, HeldRecords};
use crate::replay::base::{Base, Held};
use crate::replay::compare::are_among;
use crate::replay::steps;

/// Revisions whose entries are known.
#[derive(Debug)]
pub struct Covered<'a> {
    /// They are after this one,
    pub after: i64,
    /// and up to this one; `i64::MAX` where the state ends with it.
    pub to: i64,
    /// What was written, in order; a compaction may have removed some since.
    pub changes: Vec<Change<'a>>,
    /// Revisions that another entry may have made, too: what they had is not known.
    pub unsure: BTreeSet<i64>,
    /// What they had if the likeliest entries made them.
    pub possible: Vec<Change<'a>>,
    pub from: Beginning,
    /// The state at the end of the db, where all of it is known, and what it began with.
    pub state: Option<Box<(Base<'a>, Machine<'a>)>>,
}

impl Covered<'_> {
    /// Whether it says all that the db had.
    pub fn has_all(&self) -> bool {
        self.from != Beginning::HeldRecords && self.to == i64::MAX
    }
    /// Whether it says what a revision had.
    pub fn decides(&self, revision: i64) -> bool {
        self.after < revision && revision <= self.to && !self.unsure.contains(&revision)
    }

    /// Whether it does of all from `first` to `last`.
    pub fn decides_all(&self, first: i64, last: i64) -> bool {
        self.after < first && last <= self.to && self.unsure.range(first..=last.max(first)).next().is_none()
    }
}

/// Where it begins.
#[derive(Clone, Copy, PartialEq, Eq, Debug, serde::Serialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub enum Beginning {
    /// With nothing: the log has all entries.
    Nothing,
    /// With a root that is whole, and not the newest.
    OlderRoot,
    /// With records that were saved.
    HeldRecords,
}

/// What is known of the db.
#[derive(Debug)]
pub struct Remains<'s, 'a> {
    /// HeldRecords that belong to its state for sure, in order.
    pub records: &'s [Held<'a>],
    /// Revisions of which records may be missing.
    pub lost: &'s Ranges<i64>,
    /// The last compaction that is known.
    pub compacted: i64,
    /// The entry that it was at, if that is known.
    pub index: Option<u64>,
    /// The shortest time of its leases, in seconds.
    pub shortest_lease: Option<i64>,
    pub no_alarms: bool,
    /// Whether all entries of the log were committed, and nothing shows that it has lost its end.
    pub log_has_end: bool,
}

/// What the log says, in the order of revisions.
///
/// # Errors
/// Why nothing of it can be used.
pub fn covered<'a>(
    log: &ReadLog<'a>,
    remains: &Remains<'_, 'a>,
    older: Option<Base<'a>>,
    committed: u64,
    rules: &[Rules],
) -> Result<Vec<Covered<'a>>, String> {
    let end = remains.index.unwrap_or(committed);
    if let Some(found) =
        older.and_then(|base| from_root(log, base, end, remains.log_has_end, *rules.first()?))
    {
        return Ok(vec![found]);
    }
    let tries = rules.iter().map(|&rules| from_nothing(log, remains, end, rules));
    let (found, refused): (Vec<_>, Vec<_>) = tries.partition(Result::is_ok);
    let mut covered: Vec<Covered<'a>> = found.into_iter().filter_map(Result::ok).take(1).collect();
    let is_done = covered.iter().any(|covered| covered.to == i64::MAX);
    let rules = rules.first().copied().filter(|_| !is_done && !remains.records.is_empty());
    for stretch in rules.iter().flat_map(|_| &log.stretches) {
        let is_known = covered.iter().any(|covered| covered.from == Beginning::Nothing);
        if !(is_known && stretch.first_index() == 1) {
            let is_sure = remains.is_sure();
            covered.extend(rules.and_then(|rules| from_records(stretch, remains, end, is_sure, rules)));
        }
    }
    if covered.is_empty() {
        let why = refused.into_iter().find_map(Result::err);
        return Err(
            why.unwrap_or_else(|| "no entry can be told to have made one of the revisions".to_owned())
        );
    }
    covered.sort_by_key(|covered| covered.after);
    Ok(covered)
}

/// From a whole root to the end.
fn from_root<'a>(
    log: &ReadLog<'a>,
    base: Base<'a>,
    end: u64,
    has_end: bool,
    rules: Rules,
) -> Option<Covered<'a>> {
    // a log that ends before it says nothing of what came after
    if log.log.last_index() < base.index {
        return None;
    }
    let mut machine = base.machine(rules);
    let after = base.revision.saturating_sub(1);
    let changes = run(&mut machine, log, end).ok()?;
    let to = if has_end { i64::MAX } else { machine.store.revision };
    let state = Some(Box::new((base, machine)));
    Some(Covered {
        after,
        to,
        changes,
        unsure: BTreeSet::new(),
        possible: Vec::new(),
        from: Beginning::OlderRoot,
        state,
    })
}

impl Remains<'_, '_> {
    /// Whether the db had nothing that comes after the end: it says where it was, or the log has its own end.
    fn is_sure(&self) -> bool {
        self.index.is_some() || self.log_has_end
    }
}

/// From the first entry on, as far as none is missing.
fn from_nothing<'a>(
    log: &ReadLog<'a>,
    remains: &Remains<'_, 'a>,
    end: u64,
    rules: Rules,
) -> Result<Covered<'a>, String> {
    let first = log.stretches.iter().find(|stretch| stretch.first_index() == 1);
    let first = first.ok_or("the log does not reach back to the first entry")?;
    if log.begins_with_restore() {
        return Err("the log begins with a restore: what was restored is not in it".to_owned());
    }
    let until = end.min(first.last_index());
    let mut machine = Machine::empty(rules);
    if let Some(shortest) = remains.shortest_lease {
        machine.store.min_lease_ttl = machine.store.min_lease_ttl.min(shortest).max(1);
    }
    let changes = run(&mut machine, log, until)?;
    let newest = remains.records.last().and_then(|record| RecordKey::parse(record.key));
    // the db may be ahead of a log that lost its end
    let is_ahead = newest.is_some_and(|newest| newest.revision.main > machine.store.revision);
    // of a db that is gone, the state at any entry is a state
    let is_gone = remains.records.is_empty() && remains.index.is_none();
    let is_whole = (until == end || is_gone) && !is_ahead;
    let is_to_the_end = until == end && is_whole && remains.is_sure();
    let to = if is_to_the_end { i64::MAX } else { machine.store.revision };
    if !are_among(remains.records, &changes, to)
        || is_whole && remains.compacted > machine.store.compact_revision.max(0)
    {
        return Err("the records that were saved are not those that the log's entries wrote".to_owned());
    }
    let state = is_whole.then(|| Box::new((Base::nothing(), machine)));
    Ok(Covered {
        after: 1,
        to,
        changes,
        unsure: BTreeSet::new(),
        possible: Vec::new(),
        from: Beginning::Nothing,
        state,
    })
}

fn run<'a>(machine: &mut Machine<'a>, log: &ReadLog<'a>, until: u64) -> Result<Vec<Change<'a>>, String> {
    let mut changes = Vec::new();
    let mut sink = |written: Written<'a>| changes.push(written.change);
    steps::run(machine, log, until, &mut sink, &mut |_| true).map_err(|error| error.to_string())?;
    Ok(changes)
}

/// From a point at which records and entries agree.
fn from_records<'a>(
    stretch: &Stretch<'a>,
    remains: &Remains<'_, 'a>,
    end: u64,
    is_sure: bool,
    rules: Rules,
) -> Option<Covered<'a>> {
    let is_exact = (stretch.first_index()..=stretch.last_index()).contains(&end);
    if stretch.first_index() == 0 || stretch.first_index() > end {
        return None;
    }
    let newest = RecordKey::parse(remains.records.last()?.key)?.revision.main.max(remains.compacted);
    let is_end_known = is_exact && remains.index.is_some() && !remains.lost.cover(newest, i64::MAX);
    let end =
        AlignEnd { index: end.min(stretch.last_index()), revision: is_end_known.then_some(newest), is_exact };
    let records = HeldRecords { held: remains.records, lost: Some(remains.lost) };
    // what is left of its alarms may be of an earlier time: it counts where the log knows of none, either
    let no_alarms_at = remains.no_alarms.then_some(0);
    let mut aligner = Aligner::new(stretch, records, end, remains.compacted, rules, no_alarms_at);
    let (all, is_complete) = aligner.all();
    let first = all.first().filter(|_| is_complete)?;
    let after = first.first_revision.saturating_sub(1);
    let last = first.changes.last().map_or(after, |change| change.revision.main);
    let same = agreed(&all);
    let (changes, possible): (Vec<_>, Vec<_>) =
        first.changes.iter().partition(|change| same.contains_key(&change.revision.main));
    let unsure = possible.iter().map(|change: &Change<'_>| change.revision.main).collect();
    let to = if is_exact && is_sure { i64::MAX } else { last };
    Some(Covered { after, to, changes, unsure, possible, from: Beginning::HeldRecords, state: None })
}

/// The revisions in which all alignments agree, as far as they reach.
fn agreed<'a>(all: &[Alignment<'a>]) -> BTreeMap<i64, Vec<Change<'a>>> {
    let mut all = all.iter().map(|alignment| {
        let mut revisions: BTreeMap<i64, Vec<Change<'a>>> = BTreeMap::new();
        for change in &alignment.changes {
            revisions.entry(change.revision.main).or_default().push(*change);
        }
        revisions
    });
    let mut same = all.next().unwrap_or_default();
    for other in all {
        same.retain(|revision, changes| other.get(revision) == Some(changes));
    }
    same
}
