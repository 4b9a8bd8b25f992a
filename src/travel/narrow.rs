//! Answers narrowed to a resource and a namespace, and what to say where a name is nobody's.

use crate::filter::{Filter, FilterWords, NoSuchName};
use crate::k8s::KeyLayout;
use crate::scan::Scan;
use crate::scan::tenants::Tenants;

use super::index::Sorted;
use super::keys::Deleted;

/// Lets through what was asked for.
#[derive(Debug)]
pub struct Narrow<'a> {
    filter: Filter,
    /// What the live tree does not know. An error, unless it is found elsewhere.
    missing: Option<NoSuchName>,
    layout: KeyLayout<'a>,
}

impl<'a> Narrow<'a> {
    /// To what was asked for, by the names that the live tree has.
    pub fn to(wanted: &FilterWords, scan: &Scan<'a>) -> Self {
        let (filter, missing) = wanted.of_any(scan);
        Self { filter, missing, layout: scan.layout.clone() }
    }

    /// Of these records, those that were asked for.
    ///
    /// # Errors
    /// There is none, and the file does not know the name.
    pub fn answer(mut self, found: &mut Sorted<'a>) -> Result<(), NoSuchName> {
        learn_from(&mut self.layout, found);
        found.retain(|found| self.filter.admits(&self.layout.classify(found.kv.key, Some(found.kv.value))));
        self.missing.filter(|_| found.is_empty()).map_or(Ok(()), Err)
    }

    /// Of these keys, those that were asked for: by the value that can be brought back, or else by the key alone.
    ///
    /// # Errors
    /// There is none, and the file does not know the name.
    pub fn deleted(mut self, found: &mut Deleted<'a>) -> Result<(), NoSuchName> {
        found.learn(&mut self.layout);
        found.retain(|key, value| self.filter.admits(&self.layout.classify(key, value)));
        self.missing.filter(|_| found.is_empty()).map_or(Ok(()), Err)
    }
}

/// Where the keys of these records stand, and how the tenants are called whose they are.
pub fn layout_of<'a>(found: &Sorted<'a>) -> (KeyLayout<'a>, Tenants) {
    let mut layout = KeyLayout::new();
    learn_from(&mut layout, found);
    let places = found.iter().map(|found| layout.classify(found.kv.key, Some(found.kv.value)));
    let tenants = Tenants::among(places.filter_map(|object| object.tenant));
    (layout, tenants)
}

fn learn_from<'a>(layout: &mut KeyLayout<'a>, found: &Sorted<'a>) {
    found.iter().for_each(|found| {
        layout.learn(found.kv.key, found.kv.value);
    });
}

/// Says that no key begins with a prefix, if none in the live tree does, deleted or not.
///
/// # Errors
/// None does.
pub fn check_prefix(prefix: &[u8], scan: &Scan<'_>) -> Result<(), NoSuchName> {
    let keys = || scan.keyspace.shards().iter().flat_map(|shard| shard.keys().map(|key| key.key()));
    if keys().any(|key| key.starts_with(prefix)) {
        return Ok(());
    }
    Err(NoSuchName::prefix(prefix, keys()))
}
