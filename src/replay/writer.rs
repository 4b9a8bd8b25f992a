//! The version whose rules apply: the one that wrote the log.

use rayon::iter::{IntoParallelRefIterator, ParallelIterator};

use crate::etcd::apply::{Machine, Rules, Version, is_by_nested_cost};
use crate::etcd::request::v2::V2Effect;
use crate::etcd::request::{Action, Request};
use crate::etcd::schema::{State, minor_of};
use crate::member::message::{EntryData, RaftEntry};
use crate::member::{ReadLog, Stretch};

use super::document::KnownBy;
use super::error::ReplayError;
use super::steps::run;

/// Another db of the same log, further on: what a member made of these entries.
#[derive(Clone, Copy, Debug)]
pub struct Witness {
    pub index: u64,
    pub revision: i64,
    /// The shortest time of its leases, in seconds.
    pub shortest_lease: Option<i64>,
    pub num_learners: usize,
}

/// The rules that apply.
#[derive(Clone, Copy, Debug)]
pub struct LogWriter {
    pub version: Version,
    pub rules: Rules,
    pub known_by: KnownBy,
    /// Entries that the patch decides.
    pub decided: u64,
}

/// Rules that no version is older than.
pub const OLDEST: Version = Version::new(3, 4, 0);

/// The minor version that the entries of a log set as the cluster's, the last one.
pub fn minor_in(log: &ReadLog<'_>) -> Option<u32> {
    let entries = log.stretches.iter().flat_map(Stretch::entries);
    entries.rev().find_map(|entry| minor_set_by(&entry))
}

fn minor_set_by(entry: &RaftEntry<'_>) -> Option<u32> {
    let EntryData::Request(data) = entry.content else { return None };
    match Request::parse(data).ok()?.action {
        Action::ClusterVersion(version) => minor_of(version),
        Action::V2(request) => match request.effect() {
            V2Effect::ClusterVersion(version) => minor_of(version),
            _ => None,
        },
        _ => None,
    }
}

/// The versions of a minor one that differ in their rules, the most usual first.
fn versions(minor: u32) -> Vec<Version> {
    candidates(minor).iter().map(|&patch| Version::new(3, minor, patch)).collect()
}

/// Patches of a minor version that differ in their rules, the most usual first.
fn candidates(minor: u32) -> &'static [u32] {
    match minor {
        5 => &[21, 35],
        6 => &[14, 8],
        7 => &[1],
        _ => &[0],
    }
}

/// All rules that may apply to a log of a minor version, or those of the version that was named.
pub fn possible_rules(named: Option<Version>, minor: Option<u32>) -> Vec<Rules> {
    let minor = minor.unwrap_or(OLDEST.minor);
    match named {
        Some(version) => vec![Rules::of(version)],
        None => candidates(minor).iter().map(|&patch| Rules::of(Version::new(3, minor, patch))).collect(),
    }
}

/// The most usual patch of a minor version.
pub fn usual(minor: u32) -> Version {
    Version::new(3, minor, candidates(minor).first().copied().unwrap_or(0))
}

/// Whether there is any transaction that patches judge differently, whatever the alarms.
fn has_nested_cost(log: &ReadLog<'_>) -> bool {
    let is_one = |message: &&[u8]| {
        let Ok(RaftEntry { content: EntryData::Request(data), .. }) = RaftEntry::parse(message) else {
            return false;
        };
        let request = Request::parse(data);
        matches!(&request, Ok(Request { action: Action::Txn(txn), .. }) if is_by_nested_cost(txn))
    };
    log.stretches.iter().any(|stretch| stretch.messages().par_iter().any(is_one))
}

/// Finds the version: the one that was named, or the one that fits.
///
/// # Errors
/// The log can't be applied at all.
pub fn find<'a>(
    named: Option<Version>,
    state: &State<'_>,
    machine: &Machine<'a>,
    log: &ReadLog<'a>,
    committed: u64,
    witness: Option<Witness>,
) -> Result<LogWriter, ReplayError> {
    let minor = state.cluster_minor().unwrap_or(4);
    let of = |version: Version, known_by, decided| LogWriter {
        version,
        rules: Rules::of(version),
        known_by,
        decided,
    };
    let versions = named.map_or_else(|| versions(minor), |version| vec![version]);
    let usual = named.unwrap_or_else(|| usual(minor));
    let dry = |version: Version, until: u64| {
        let mut machine = machine.clone();
        machine.rules = Rules::of(version);
        let tally = run(&mut machine, log, until, &mut |_| {}, &mut |_| true);
        (machine.store.revision, tally)
    };
    let differing = |version: Version| Rules::of(version).nested_cost != Rules::of(usual).nested_cost;
    if named.is_none() && !versions.iter().any(|&version| differing(version)) {
        return Ok(of(usual, KnownBy::NoDifference, 0));
    }
    if named.is_none() && !has_nested_cost(log) {
        return Ok(of(usual, KnownBy::NoDifference, 0));
    }
    // an entry that can't be applied ends the count, and is said later
    let decided = dry(usual, committed).1.map_or(0, |tally| tally.by_nested_cost);
    match (named, decided) {
        (Some(version), decided) => return Ok(of(version, KnownBy::Named, decided)),
        (None, 0) => return Ok(of(usual, KnownBy::NoDifference, 0)),
        _ => {}
    }
    let witness = witness.filter(|witness| (machine.index..=committed).contains(&witness.index));
    let fits = |version: &Version| {
        witness.is_some_and(|witness| {
            let (revision, tally) = dry(*version, witness.index);
            tally.is_ok() && revision == witness.revision
        })
    };
    let fitting: Vec<_> = versions.iter().copied().filter(fits).collect();
    Ok(match *fitting {
        [version] => of(version, KnownBy::Db, decided),
        _ => of(usual, KnownBy::MinorVersion, decided),
    })
}
