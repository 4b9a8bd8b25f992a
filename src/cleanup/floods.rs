//! Custom resources in great numbers.
//!
//! A custom resource is one whose group stands in the key's path and that the table of built-in resources does not
//! have. It is a flood by one of three measures, each far above what most clusters have: very many objects; a large
//! share of all records; or many records of each object, which is an update loop, or objects that come and go.

use std::collections::BTreeMap;

use crate::k8s::resources::by_name;
use crate::scan::keyspace::Resource;

use super::Thresholds;
use super::sums::{Place, Sum, Sums};

/// A tenth of all records' bytes,
const SHARE: u64 = 10;
/// but not of next to nothing.
const SHARE_FROM_BYTES: u64 = 1 << 20;
/// Records of each object,
const REVISIONS: u64 = 20;
/// but not of next to none.
const REVISIONS_FROM_RECORDS: u64 = 1000;

/// What each custom resource's keys add up to.
#[derive(Debug)]
pub(super) struct Floods<'s, 'a> {
    resources: BTreeMap<Resource<'a>, Candidate<'s, 'a>>,
    top: usize,
}

/// A custom resource.
#[derive(Debug)]
pub(super) struct Candidate<'s, 'a> {
    pub(super) sums: Sums<'s, 'a>,
    /// Keys, deleted ones included.
    keys: u64,
    /// Its keys that are in another class.
    pub(super) elsewhere: Sum,
}

impl<'s, 'a> Floods<'s, 'a> {
    pub(super) fn new(top: usize) -> Self {
        Self { resources: BTreeMap::new(), top }
    }

    /// Adds a custom resource's key; `elsewhere` says whether it is in another class, too.
    pub(super) fn add(&mut self, place: Place<'s, 'a>, elsewhere: bool) {
        let top = self.top;
        let found = self.resources.entry(place.resource).or_insert_with(|| Candidate::new(top));
        found.sums.add(place);
        found.keys += 1;
        if elsewhere {
            found.elsewhere.add(place.key);
        }
    }

    pub(super) fn append(&mut self, more: Self) {
        let top = self.top;
        for (resource, candidate) in more.resources {
            let sum = self.resources.entry(resource).or_insert_with(|| Candidate::new(top));
            sum.sums.append(candidate.sums);
            sum.keys += candidate.keys;
            sum.elsewhere.append(&candidate.elsewhere);
        }
    }

    /// Each custom resource, and what makes it a flood, if anything does.
    pub(super) fn finish(
        self,
        all: &Sum,
        limits: &Thresholds,
    ) -> Vec<(Resource<'a>, Vec<&'static str>, Candidate<'s, 'a>)> {
        let judged = |(resource, found): (Resource<'a>, Candidate<'s, 'a>)| {
            let reasons = found.reasons(all, limits);
            (resource, reasons, found)
        };
        self.resources.into_iter().map(judged).collect()
    }
}

impl Candidate<'_, '_> {
    fn new(top: usize) -> Self {
        Self { sums: Sums::new(top), keys: 0, elsewhere: Sum::default() }
    }

    fn reasons(&self, all: &Sum, limits: &Thresholds) -> Vec<&'static str> {
        let sum = &self.sums.all;
        let large = sum.own_bytes >= SHARE_FROM_BYTES && sum.own_bytes >= all.own_bytes / SHARE;
        let revised = sum.records >= REVISIONS_FROM_RECORDS && sum.records / self.keys.max(1) >= REVISIONS;
        let reasons = [
            ("objects", sum.objects > 0 && sum.objects >= limits.flood_objects),
            ("share", large),
            ("revisions", revised),
        ];
        reasons.into_iter().filter_map(|(reason, is_so)| is_so.then_some(reason)).collect()
    }
}

/// Whether a resource is a custom one, told by one of its keys: a built-in one's group is not in the path.
pub(super) fn is_custom(Resource { group, resource }: Resource<'_>, key: &[u8]) -> bool {
    let in_path = || memchr::memmem::find(key, group.as_bytes()).is_some();
    let is_unknown = || str::from_utf8(resource).is_ok_and(|plural| by_name(group, plural).is_none());
    group.contains('.') && is_unknown() && in_path()
}
