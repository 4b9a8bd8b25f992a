//! The prefixes under which Kubernetes' objects are in a file: any number of them, one for each API server that shares
//! the etcd.

use foldhash::fast::RandomState;
use hashbrown::HashMap;

use super::key::{self, ObjectKey, Tenant};
use super::resources::Family;
use super::value::{TypeMeta, leads_with_type_meta, type_meta};
use super::{learn, logical};

/// OpenShift's two API servers of one cluster.
const OPENSHIFT: [&[u8]; 2] = [b"/kubernetes.io", b"/openshift.io"];

/// Slashes that a prefix may have in it. No `--etcd-prefix` comes near; a key of 32 KiB may be nothing else.
const MAX_SLASHES: usize = 15;

/// The prefixes of a file. Their text stays in the file.
#[derive(Clone, Debug)]
pub struct KeyLayout<'p> {
    prefixes: HashMap<&'p [u8], Prefix, RandomState>,
    /// The number of slashes in each prefix, as a set of bits.
    slashes: u16,
}

/// What is under a value of `--etcd-prefix`, which has no slash after it, and is empty where that was `/`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Prefix {
    family: Family,
    /// kcp's: see [`logical`].
    has_logical_clusters: bool,
    learned: bool,
}

impl Prefix {
    fn learned(family: Family, has_logical_clusters: bool) -> Self {
        Self { family, has_logical_clusters, learned: true }
    }
}

/// A key, split after its prefix.
struct SplitKey<'a> {
    bytes: &'a [u8],
    prefix: Prefix,
    /// What follows the prefix and its slash.
    rest: &'a [u8],
}

impl Default for KeyLayout<'_> {
    fn default() -> Self {
        Self::new()
    }
}

impl PartialEq for KeyLayout<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.prefixes == other.prefixes
    }
}

impl<'p> KeyLayout<'p> {
    /// The prefixes that everyone has: Kubernetes' default and OpenShift's two.
    pub fn new() -> Self {
        let [kubernetes, openshift] = OPENSHIFT;
        let mut layout = Self { prefixes: HashMap::default(), slashes: 0 };
        for (bytes, family) in [
            (&b"/registry"[..], Family::Kubernetes),
            (kubernetes, Family::Kubernetes),
            (openshift, Family::OpenShift),
        ] {
            layout.insert(bytes, Prefix { family, has_logical_clusters: false, learned: false });
        }
        layout
    }

    /// Tells where a key belongs. Any of the key's values will do; `None` for a tombstone's.
    ///
    /// Takes time for the key's first segments only, and allocates nothing.
    pub fn classify<'a>(&self, key: &'a [u8], value: Option<&'a [u8]>) -> ObjectKey<'a> {
        let found = self.split_prefix(key).and_then(|SplitKey { bytes, prefix, rest }| {
            let of = |cluster| Tenant { prefix: tenant_of(bytes), cluster };
            if prefix.has_logical_clusters
                && let Some((cluster, object)) = logical::classify(rest, value)
            {
                return Some(object.of(of(Some(cluster))));
            }
            Some(key::classify(prefix.family, bytes.is_empty(), rest, value)?.of(of(None)))
        });
        found.unwrap_or_else(|| key::leading_path(key))
    }

    /// Where a key of a built-in resource belongs, by its path alone. kcp's paths are not looked at.
    pub(super) fn built_in<'a>(&self, key: &'a [u8]) -> Option<ObjectKey<'a>> {
        let SplitKey { prefix, rest, .. } =
            self.split_prefix(key).filter(|key| !key.prefix.has_logical_clusters)?;
        key::built_in(prefix.family, rest)
    }

    /// Whether [`KeyLayout::classify`] gives a key the same place whatever its value.
    pub fn decides_by_path(&self, key: &[u8]) -> bool {
        let Some(SplitKey { bytes, prefix, rest }) = self.split_prefix(key) else { return true };
        if prefix.has_logical_clusters
            && let Some(decides) = logical::decides_by_path(rest)
        {
            return decides;
        }
        key::decides_by_path(prefix.family, bytes.is_empty(), rest)
    }

    /// Whether there is anything that [`KeyLayout::learn`] might learn from a key, as far as its path tells.
    pub fn may_teach(&self, key: &[u8]) -> bool {
        !self.split_prefix(key).is_some_and(|SplitKey { prefix, rest, .. }| {
            (prefix.has_logical_clusters && logical::decides_by_path(rest).is_some())
                || (!prefix.has_logical_clusters && key::is_builtin(prefix.family, rest))
        })
    }

    /// Learns a prefix from an object whose own group and kind tell where its key's resource stands; and that a prefix has
    /// logical clusters, from an object whose own name and namespace leave room for one. Says whether something new was
    /// learned.
    ///
    /// Meant for a pass over the keys before they are classified. A key whose path is known costs
    /// a look-up, one whose value can't be an object a look at its first bytes.
    pub fn learn(&mut self, key: &'p [u8], value: &[u8]) -> bool {
        if !self.may_teach(key) || !leads_with_type_meta(value) {
            return false;
        }
        let Some(meta) = type_meta(value) else { return false };
        let found = logical::prefix_of(key, &meta, value)
            .map(|bytes| (bytes, Prefix::learned(Family::Kubernetes, true)))
            .or_else(|| self.unknown_prefix_of(key, &meta));
        found.is_some_and(|(bytes, prefix)| self.insert(bytes, prefix))
    }

    fn unknown_prefix_of(&self, key: &'p [u8], meta: &TypeMeta<'_>) -> Option<(&'p [u8], Prefix)> {
        let known = self.split_prefix(key).is_some_and(|key| key::is_known(key.prefix.family, key.rest));
        if known {
            return None;
        }
        learn::prefix_of(key, meta).map(|(bytes, family)| (bytes, Prefix::learned(family, false)))
    }

    /// Adds what another layout learned, so that threads can learn each from a part of the file.
    pub fn merge(&mut self, other: Self) {
        for (bytes, prefix) in other.prefixes {
            self.insert(bytes, prefix);
        }
    }

    /// The learned prefixes, in order.
    pub fn learned_prefixes(&self) -> Vec<&'p [u8]> {
        let learned = self.prefixes.iter().filter(|(_, prefix)| prefix.learned);
        let mut learned: Vec<_> = learned.map(|(&bytes, _)| bytes).collect();
        learned.sort_unstable();
        learned
    }

    /// The longest prefix of a key that a slash follows, and what is after that.
    fn split_prefix<'a>(&self, key: &'a [u8]) -> Option<SplitKey<'a>> {
        let mut ends = [0; MAX_SLASHES + 1];
        let mut count = 0;
        for (end, at) in ends.iter_mut().zip(memchr::memchr_iter(b'/', key)) {
            *end = at;
            count += 1;
        }
        let found = ends.iter().take(count).enumerate().rev();
        found.filter(|(slashes, _)| self.slashes & (1 << slashes) != 0).find_map(|(_, &end)| {
            let (bytes, rest) = key.split_at_checked(end)?;
            Some(SplitKey { bytes, prefix: *self.prefixes.get(bytes)?, rest: rest.get(1..)? })
        })
    }

    /// Whether that is new. Logical clusters that one object has shown stay, whatever order objects come in.
    fn insert(&mut self, bytes: &'p [u8], new: Prefix) -> bool {
        let slashes = memchr::memchr_iter(b'/', bytes).count();
        if slashes > MAX_SLASHES {
            return false;
        }
        self.slashes |= 1 << slashes;
        match self.prefixes.get_mut(bytes) {
            None => {
                self.prefixes.insert(bytes, new);
                true
            }
            Some(known) => {
                let is_new = new.has_logical_clusters && !known.has_logical_clusters;
                known.has_logical_clusters |= new.has_logical_clusters;
                is_new
            }
        }
    }
}

/// The prefix by which a tenant is called: OpenShift's two are one cluster's.
fn tenant_of(prefix: &[u8]) -> &[u8] {
    let [kubernetes, openshift] = OPENSHIFT;
    if prefix == openshift { kubernetes } else { prefix }
}
