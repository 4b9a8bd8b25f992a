//! The keys that exist, in their order, and the leases that they are attached to. Keys and values stay where they are: in the db or
//! in the log.

use std::collections::hash_map::Entry;
use std::collections::{BTreeSet, HashMap};
use std::ops::Bound;

use foldhash::fast::RandomState;

use super::super::key_value::KeyValue;
use super::super::request::KeyRange;

/// A key that exists.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LiveKey<'a> {
    pub create_revision: i64,
    pub mod_revision: i64,
    pub version: i64,
    /// 0 for none.
    pub lease: i64,
    pub value: &'a [u8],
}

/// A key that was put, and what it was before; `None` where it did not exist.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct KeyPut<'a> {
    pub before: Option<LiveKey<'a>>,
    pub live: LiveKey<'a>,
}

impl<'a> LiveKey<'a> {
    /// As its newest record says.
    pub fn of(kv: &KeyValue<'a>) -> Self {
        let KeyValue { create_revision, mod_revision, version, lease, value, .. } = *kv;
        Self { create_revision, mod_revision, version, lease, value }
    }
}

/// All keys that exist. Most requests change a key that is there: it is found by its hash. Ranges are found by the order.
#[derive(Clone, Debug, Default)]
pub struct LiveKeys<'a> {
    keys: HashMap<&'a [u8], LiveKey<'a>, RandomState>,
    /// The same keys.
    order: BTreeSet<&'a [u8]>,
    leased: HashMap<i64, BTreeSet<&'a [u8]>>,
}

impl<'a> LiveKeys<'a> {
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    pub fn get(&self, key: &[u8]) -> Option<&LiveKey<'a>> {
        self.keys.get(key)
    }

    /// All keys, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&'a [u8], &LiveKey<'a>)> {
        self.order.iter().filter_map(|&key| Some((key, self.keys.get(key)?)))
    }

    /// The keys of a range, in order.
    pub fn range<'s>(&'s self, range: KeyRange<'s>) -> impl Iterator<Item = (&'a [u8], &'s LiveKey<'a>)> {
        let (from, end) = (range.key, range.range_end);
        let one = range.is_one().then(|| self.keys.get_key_value(from)).flatten();
        let to = match end {
            [0] => Bound::Unbounded,
            end => Bound::Excluded(end),
        };
        // one key, or a range that ends before it begins
        let is_empty = matches!(to, Bound::Excluded(end) if end <= from);
        let in_order = (!is_empty).then(|| self.order.range::<[u8], _>((Bound::Included(from), to)));
        let many = in_order.into_iter().flatten().filter_map(|&key| Some((key, self.keys.get(key)?)));
        one.map(|(key, live)| (*key, live)).into_iter().chain(many)
    }

    pub fn put(&mut self, key: &'a [u8], live: LiveKey<'a>) {
        self.put_with(key, |_| live);
    }

    /// Puts a key as `make` says, by what it was before.
    pub fn put_with(
        &mut self,
        key: &'a [u8],
        make: impl FnOnce(Option<&LiveKey<'a>>) -> LiveKey<'a>,
    ) -> KeyPut<'a> {
        let put = match self.keys.entry(key) {
            Entry::Occupied(mut place) => {
                let live = make(Some(place.get()));
                KeyPut { before: Some(place.insert(live)), live }
            }
            Entry::Vacant(place) => {
                self.order.insert(key);
                KeyPut { before: None, live: *place.insert(make(None)) }
            }
        };
        let lease_before = put.before.map_or(0, |before| before.lease);
        if lease_before != put.live.lease {
            self.detach(lease_before, key);
            if put.live.lease != 0 {
                self.leased.entry(put.live.lease).or_default().insert(key);
            }
        }
        put
    }

    pub fn remove(&mut self, key: &[u8]) -> Option<LiveKey<'a>> {
        let live = self.keys.remove(key)?;
        self.order.remove(key);
        self.detach(live.lease, key);
        Some(live)
    }

    /// The keys that are attached to a lease, in order.
    pub fn of_lease(&self, lease: i64) -> Vec<&'a [u8]> {
        self.leased.get(&lease).into_iter().flatten().copied().collect()
    }

    fn detach(&mut self, lease: i64, key: &[u8]) {
        if lease == 0 {
            return;
        }
        if let Some(keys) = self.leased.get_mut(&lease) {
            keys.remove(key);
            if keys.is_empty() {
                self.leased.remove(&lease);
            }
        }
    }
}

impl<'a> FromIterator<(&'a [u8], LiveKey<'a>)> for LiveKeys<'a> {
    fn from_iter<I: IntoIterator<Item = (&'a [u8], LiveKey<'a>)>>(keys: I) -> Self {
        let keys: HashMap<_, _, _> = keys.into_iter().collect();
        let mut leased: HashMap<i64, BTreeSet<&'a [u8]>> = HashMap::new();
        for (key, live) in keys.iter().filter(|(_, live)| live.lease != 0) {
            leased.entry(live.lease).or_default().insert(key);
        }
        let order = keys.keys().copied().collect();
        Self { keys, order, leased }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn live(lease: i64) -> LiveKey<'static> {
        LiveKey { create_revision: 2, mod_revision: 2, version: 1, lease, value: b"" }
    }

    #[test]
    fn ranges_are_those_of_etcd() {
        let mut keys = LiveKeys::default();
        for key in [&b"a"[..], b"b", b"ba", b"c"] {
            keys.put(key, live(0));
        }
        let found = |key: &'static [u8], range_end: &'static [u8]| -> Vec<&[u8]> {
            keys.range(KeyRange { key, range_end }).map(|(key, _)| key).collect()
        };
        assert_eq!(found(b"b", b""), [b"b"]);
        assert_eq!(found(b"b", b"c"), [&b"b"[..], b"ba"]);
        assert_eq!(found(b"b", b"\0"), [&b"b"[..], b"ba", b"c"]);
        assert!(found(b"b", b"b").is_empty() && found(b"c", b"a").is_empty() && found(b"x", b"").is_empty());
    }

    #[test]
    fn leases_know_their_keys() {
        let mut keys = LiveKeys::default();
        keys.put(b"b", live(7));
        keys.put(b"a", live(7));
        assert_eq!(keys.of_lease(7), [b"a", b"b"]);
        keys.put(b"a", live(8));
        keys.remove(b"b");
        assert!(keys.of_lease(7).is_empty() && keys.leased.len() == 1);
        keys.put(b"a", live(0));
        assert!(keys.leased.is_empty());
    }
}
