//! A damage workshop: a sound file turned into each pattern of damage that is met in the field, the same in each run,
//! with what an ideal salvage could save of it.
//!
//! What is possible is computed here, from the sound file and the damaged bytes, by comparing bytes: not by any code that
//! reads damaged files.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use etcd_medic::internals::bolt::format::{MAGIC, MetaBytes, NO_FREELIST, PAGE_HEADER_SIZE, PageHeader};
use etcd_medic::internals::bolt::meta::checksum;
use etcd_medic::internals::bolt::page::Entry;
use etcd_medic::internals::bolt::{Db, PageId};
use zerocopy::{FromBytes, IntoBytes};

use super::anatomy::{Anatomy, Item, Items, Node};
use super::fixture;
use super::random::Random;

/// A sound file, and what it holds.
#[derive(Debug)]
pub struct Base {
    pub name: String,
    pub bytes: Bytes,
    pub db: Db,
    pub anatomy: Anatomy,
    /// The bucket that is damaged: `key` of etcd's files, the largest of others.
    pub bucket: Bytes,
    /// All entries of the current state.
    pub all: Items,
    /// Entries that lie in free pages and are not of the current state: deleted by compaction, or superseded. Their bucket
    /// is not known; they stand under that which is damaged, as far as their keys have the shape of its keys.
    pub dead: Items,
    /// The same db at an earlier time.
    pub earlier: Option<Arc<Base>>,
}

/// A damaged file, and what there is to be saved.
#[derive(Clone, Debug)]
pub struct Damage {
    /// A short name, for tests and file names.
    pub name: &'static str,
    /// The pattern, in words.
    pub what: &'static str,
    /// Where it was seen.
    pub seen: &'static str,
    /// The damaged file.
    pub bytes: Vec<u8>,
    /// All entries of the undamaged state that the file's metas speak (or spoke) of.
    pub all: Items,
    /// Those whose own leaf, overflow included, stands whole, at whatever place.
    pub possible: Items,
    /// Those of the others that can be read all the same: on a damaged leaf whose header, and of which their own element,
    /// key and value are untouched; or in an equal copy on another whole leaf, such as the older root's.
    pub bonus: Items,
    /// Entries that must not come back: they were deleted or superseded.
    pub dead: Items,
    /// Entries of a later state of the same db whose leaves stand whole: of a copy that was taken while etcd wrote.
    pub later: Items,
}

impl Damage {
    /// Those of these entries that are in this bucket.
    pub fn count(items: &Items, bucket: &[u8]) -> usize {
        items.iter().filter(|item| item.bucket == bucket).count()
    }

    /// Keys (with their buckets) whose leaf was damaged: what is read of them may be altered, and nothing shows it.
    pub fn doubtful(&self) -> BTreeSet<(Bytes, Bytes)> {
        let lost = self.all.difference(&self.possible);
        lost.map(|item| (item.bucket.clone(), item.key.clone())).collect()
    }
}

/// A way to damage a file.
pub struct Pattern {
    pub name: &'static str,
    /// What it is, in words.
    pub what: &'static str,
    /// Where it was seen.
    pub seen: &'static str,
    /// Does it; `None` where the file lacks what it takes.
    harm: fn(&Base, &mut Random) -> Option<Vec<u8>>,
}

const fn pattern(
    name: &'static str,
    what: &'static str,
    seen: &'static str,
    harm: fn(&Base, &mut Random) -> Option<Vec<u8>>,
) -> Pattern {
    Pattern { name, what, seen, harm }
}

/// Every pattern, in the order of the table in docs/recovery.md.
pub const PATTERNS: &[Pattern] = &[
    pattern("half-cut", "tail cut off: half of the file", "etcd#13189", |base, _| {
        Some(base.bytes.slice(..base.bytes.len() / 2).to_vec())
    }),
    pattern(
        "tail-cut",
        "tail cut off: the last tenth of the pages in use, within a page",
        "etcd#13189",
        cut_tail,
    ),
    pattern("leaf-zeroed", "zeroed page: a leaf", "etcd#18096", |base, random| {
        let leaf = base.any_leaf(random)?;
        Some(base.with(|bytes| bytes[base.anatomy.range_of(leaf)].fill(0)))
    }),
    pattern("branch-zeroed", "zeroed page: a branch below the root", "bbolt#562", |base, random| {
        let branch = base.any(random, |node| !node.is_leaf && node.parent.is_some())?;
        Some(base.with(|bytes| bytes[base.anatomy.range_of(branch)].fill(0)))
    }),
    pattern("key-root-zeroed", "zeroed page: the root of the `key` bucket", "bbolt#562", |base, _| {
        let root = base.root()?;
        Some(base.with(|bytes| bytes[base.anatomy.range_of(root)].fill(0)))
    }),
    pattern(
        "root-leaf-zeroed",
        "zeroed page: the leaf with the names of the buckets",
        "bbolt#562",
        |base, _| {
            let root = base.anatomy.nodes.first()?;
            Some(base.with(|bytes| bytes[base.anatomy.range_of(root)].fill(0)))
        },
    ),
    pattern("pages-zeroed", "zeroed pages: 5 % of all, at random", "etcd#18096", |base, random| {
        let mut bytes = base.bytes.to_vec();
        let mut pages: Vec<u64> = (2..base.anatomy.high_water_mark).filter(|_| random.percent(5)).collect();
        // at least one of the tree's leaves
        pages.push(base.any_leaf(random)?.page);
        pages.into_iter().for_each(|page| bytes[base.page(page)].fill(0));
        Some(bytes)
    }),
    pattern(
        "torn-pages",
        "half-written pages: one at each border of 512 bytes, the rest from before",
        "etcd#18096",
        tear,
    ),
    pattern("meta-0-zeroed", "one meta destroyed: meta 0", "etcd#16596", |base, _| {
        Some(base.with(|bytes| bytes[base.page(0)].fill(0)))
    }),
    pattern("meta-1-zeroed", "one meta destroyed: meta 1", "etcd#16596", |base, _| {
        Some(base.with(|bytes| bytes[base.page(1)].fill(0)))
    }),
    pattern("metas-zeroed", "both metas destroyed: zeroed", "etcd#15834", |base, _| {
        Some(base.with(|bytes| bytes[base.page(0).start..base.page(1).end].fill(0)))
    }),
    pattern("meta-checksums", "both metas destroyed: checksums wrong", "etcd#15834", |base, random| {
        let noise = random.next();
        Some(base.with(|bytes| {
            for slot in [0, 1] {
                let meta = meta_of(&mut bytes[base.page(slot)]);
                let wrong = meta.checksum.get() ^ noise.max(1);
                meta.checksum.set(wrong);
            }
        }))
    }),
    pattern(
        "last-transaction",
        "last transaction bad, the one before good",
        "bbolt#778, bbolt#105",
        spoil_last,
    ),
    pattern(
        "cycle",
        "page cycle: a branch leads back to the root of its tree",
        "bbolt#402, bbolt#701",
        |base, random| {
            let branch = base.any_branch(random)?;
            let index = below(random, branch.children.len());
            let root = base.root()?.page;
            Some(base.with(|bytes| set_child(&mut bytes[base.page(branch.page)], index, root)))
        },
    ),
    pattern("referenced-twice", "page referenced twice, another lost", "bbolt#402", |base, random| {
        let branch = base.any(random, |node| node.children.len() > 1)?;
        let index = below(random, branch.children.len() - 1);
        let other = branch.children[index];
        Some(base.with(|bytes| set_child(&mut bytes[base.page(branch.page)], index + 1, other)))
    }),
    pattern("freed-and-reachable", "freed page still referenced", "bbolt#402", |base, random| {
        let leaf = base.any_leaf(random)?.page;
        base.with_freelist(|ids| {
            ids.push(leaf);
            ids.sort_unstable();
        })
    }),
    pattern(
        "freed-and-reused",
        "freed page still referenced, and written by another node",
        "bbolt#701",
        |base, random| {
            // a stale leaf of the same bucket is told from any other by etcd's keys only
            let leaf = base.any_leaf_of_one_page(random).filter(|_| base.is_etcd())?;
            let old = base.any_old_leaf(random)?;
            let mut reused = base.bytes[base.page(old)].to_vec();
            header_of(&mut reused).id.set(leaf.page);
            Some(base.with(|bytes| bytes[base.page(leaf.page)].copy_from_slice(&reused)))
        },
    ),
    pattern(
        "leaves-swapped",
        "misplaced pages: two leaves have changed places",
        "kubernetes#45037",
        |base, random| {
            let (one, other) = base.two_leaves(random)?;
            Some(base.with(|bytes| {
                bytes[base.page(one.page)].copy_from_slice(&base.bytes[base.page(other.page)]);
                bytes[base.page(other.page)].copy_from_slice(&base.bytes[base.page(one.page)]);
            }))
        },
    ),
    pattern(
        "leaf-overwritten",
        "misplaced page: one leaf written over another",
        "kubernetes#45037",
        |base, random| {
            let (one, other) = base.two_leaves(random)?;
            Some(
                base.with(|bytes| {
                    bytes[base.page(one.page)].copy_from_slice(&base.bytes[base.page(other.page)])
                }),
            )
        },
    ),
    pattern(
        "garbage-table",
        "garbage inside a page: a leaf's table of elements",
        "bbolt#335, bbolt#229",
        |base, random| {
            let leaf = base.any_leaf(random)?;
            let noise = random.bytes(leaf.entries.len() * 16);
            let start = base.anatomy.range_of(leaf).start + PAGE_HEADER_SIZE;
            Some(base.with(|bytes| bytes[start..start + noise.len()].copy_from_slice(&noise)))
        },
    ),
    pattern(
        "garbage-data",
        "garbage inside a page: the first 64 bytes of a record's value",
        "bbolt#335",
        |base, random| {
            let long_enough = |node: &Node| node.entries.iter().any(|entry| entry.item.value.len() > 80);
            let leaf = base.any(random, |node| node.is_leaf && long_enough(node))?;
            let entry = leaf.entries.iter().find(|entry| entry.item.value.len() > 80)?;
            let start = entry.data.start + entry.item.key.len();
            Some(base.with(|bytes| bytes[start..start + 64].copy_from_slice(&random.bytes(64))))
        },
    ),
    pattern(
        "garbage-object",
        "garbage inside a page: 64 bytes in the middle of an object",
        "bbolt#335",
        |base, random| {
            let long_enough = |value: &Bytes| value.len() > 600;
            let leaf = base.any(random, |node| {
                node.is_leaf && node.entries.iter().any(|entry| long_enough(&entry.item.value))
            })?;
            let entry = leaf.entries.iter().find(|entry| long_enough(&entry.item.value))?;
            let middle = entry.data.start + entry.item.key.len() + entry.item.value.len() / 2;
            Some(base.with(|bytes| bytes[middle..middle + 64].copy_from_slice(&random.bytes(64))))
        },
    ),
    pattern("garbage-keys", "garbage inside a page: the keys of a leaf", "bbolt#335", |base, random| {
        let leaf = base.any_leaf(random)?;
        Some(base.with(|bytes| {
            for entry in &leaf.entries {
                let len = entry.item.key.len();
                let start = entry.data.start;
                bytes[start..start + len].copy_from_slice(&random.bytes(len));
            }
        }))
    }),
    pattern("garbage-branch", "garbage inside a page: page ids of a branch", "bbolt#229", |base, random| {
        let branch = base.any_branch(random)?;
        Some(base.with(|bytes| {
            for index in (0..branch.children.len()).step_by(3) {
                let wrong = random.between(2, base.anatomy.high_water_mark - 1);
                set_child(&mut bytes[base.page(branch.page)], index, wrong);
            }
        }))
    }),
    pattern("ids-out-of-range", "page id out of range, in a branch", "bbolt#335", |base, random| {
        let branch = base.any_branch(random)?;
        let index = below(random, branch.children.len());
        let wrong = base.anatomy.high_water_mark + random.below(u64::MAX / 2);
        Some(base.with(|bytes| set_child(&mut bytes[base.page(branch.page)], index, wrong)))
    }),
    pattern("freelist-duplicate", "duplicate freelist ids", "etcd#10108", |base, _| {
        base.with_freelist(|ids| {
            let twice = ids.first().copied().unwrap_or(2);
            ids.insert(0, twice);
        })
    }),
    pattern("freelist-leaked", "leaked freelist ids", "bbolt#325, bbolt#446", |base, _| {
        base.with_freelist(|ids| ids.truncate(ids.len() / 2))
    }),
    pattern("roots-at-freelist", "both roots point at a freelist page", "bbolt#537", |base, _| {
        let mut bytes = base.with_freelist(|_| ())?;
        let page_size = base.anatomy.page_size;
        for slot in [0, 1] {
            edit_meta(&mut bytes, page_size, slot, |meta| meta.root.root = meta.freelist);
        }
        Some(bytes)
    }),
    pattern(
        "live-copy-quarter",
        "live copy: the first quarter from before, the rest from later",
        "etcd#13109, bbolt#1058",
        |base, _| live_copy(base, 4),
    ),
    pattern(
        "live-copy",
        "live copy: the first half from before, the second from later",
        "etcd#13109, bbolt#1058",
        |base, _| live_copy(base, 2),
    ),
    pattern(
        "mixed-generations",
        "mixed generations: the first half from later, the second from before",
        "etcd#13109",
        |base, _| {
            let earlier = base.earlier.as_ref()?;
            let half = earlier.bytes.len() / 2 / base.anatomy.page_size * base.anatomy.page_size;
            let mut bytes = base.bytes.to_vec();
            bytes[half..earlier.bytes.len()].copy_from_slice(&earlier.bytes[half..]);
            Some(bytes)
        },
    ),
    pattern(
        "revision-no-revision",
        "revision damage: a record's key is no revision",
        "etcd#13456, etcd#10010",
        |base, random| {
            let leaf = base.any_leaf(random).filter(|_| base.is_etcd())?;
            let entry = &leaf.entries[below(random, leaf.entries.len())];
            // the separator between main and sub
            Some(base.with(|bytes| bytes[entry.data.start + 8] = 0))
        },
    ),
    pattern(
        "revision-smaller",
        "revision damage: an unexpected smaller revision",
        "etcd#10010",
        |base, random| {
            let leaf =
                base.any(random, |node| node.is_leaf && node.entries.len() > 1).filter(|_| base.is_etcd())?;
            let entry = leaf.entries.last()?;
            Some(base.with(|bytes| {
                bytes[entry.data.start..entry.data.start + 8].copy_from_slice(&1u64.to_be_bytes())
            }))
        },
    ),
];

/// Both metas and the leaf with the names of the buckets are gone: every bucket stands for itself.
pub const NO_ROOT: Pattern = pattern(
    "no-root",
    "zeroed pages: both metas, and the leaf with the names of the buckets",
    "bbolt#562, etcd#16596",
    |base, _| {
        let root = base.anatomy.nodes.first()?;
        Some(base.with(|bytes| {
            bytes[base.anatomy.range_of(root)].fill(0);
            [0, 1].into_iter().for_each(|meta| bytes[base.page(meta)].fill(0));
        }))
    },
);

impl Base {
    /// Takes a sound file, as etcd or bbolt left it.
    pub fn new(name: &str, bytes: impl Into<Bytes>) -> Self {
        Self::of_bucket(name, bytes, None)
    }

    /// The same, with another bucket to be damaged than the one that has most.
    pub fn of_bucket(name: &str, bytes: impl Into<Bytes>, bucket: Option<&'static str>) -> Self {
        let bytes = bytes.into();
        let db = Db::new(bytes.clone()).unwrap_or_else(|error| panic!("{name}: {error}"));
        let anatomy = Anatomy::of(&db);
        let bucket =
            bucket.map_or_else(|| damaged_bucket(&anatomy), |bucket| Bytes::from_static(bucket.as_bytes()));
        let all = anatomy.items();
        let dead = dead(&db, &anatomy, &bucket, &all);
        Self { name: name.to_owned(), bytes, db, anatomy, bucket, all, dead, earlier: None }
    }

    /// The same db, with what it was at an earlier time.
    pub fn after(self, earlier: Base) -> Self {
        Self { earlier: Some(Arc::new(earlier)), ..self }
    }

    /// Whether it is etcd's, and its records are damaged.
    pub fn is_etcd(&self) -> bool {
        self.bucket == b"key"[..]
    }

    /// The file, damaged by one of the [`PATTERNS`]; `None` where it lacks what that takes: a small file may have no branch.
    pub fn damaged(&self, pattern: &Pattern) -> Option<Damage> {
        let seed = pattern.name.bytes().fold(7, |seed: u64, byte| seed.wrapping_mul(31) ^ u64::from(byte));
        let bytes = (pattern.harm)(self, &mut Random(seed))?;
        // the first half of a live copy has the metas: of the earlier state
        let of = self.earlier.as_deref().filter(|_| pattern.name.starts_with("live-copy")).unwrap_or(self);
        let other = match pattern.name {
            "live-copy" | "live-copy-quarter" => Some(self),
            "mixed-generations" => self.earlier.as_deref(),
            _ => None,
        };
        let whole = whole_items(&of.anatomy, &of.bytes, &bytes);
        let mut dead = of.dead.clone();
        let mut later = Items::new();
        if let Some(other) = other {
            // what belongs to either state was never deleted from both
            dead.extend(other.dead.iter().cloned());
            dead.retain(|item| !of.all.contains(item) && !other.all.contains(item));
            let found = whole_items(&other.anatomy, &other.bytes, &bytes);
            later = found.into_iter().filter(|item| !of.all.contains(item)).collect();
        }
        let bonus = bonus(of, &bytes, &whole);
        Some(Damage {
            name: pattern.name,
            what: pattern.what,
            seen: pattern.seen,
            bytes,
            all: of.all.clone(),
            possible: whole,
            bonus,
            dead,
            later,
        })
    }

    /// The file with its free pages in a stored freelist, after `change` did something to its ids; where they don't fit in
    /// a run of free pages, `None`.
    pub fn with_freelist(&self, change: impl FnOnce(&mut Vec<u64>)) -> Option<Vec<u8>> {
        let page_size = self.anatomy.page_size;
        let mut free = self.anatomy.free.clone();
        if let Some(old) = self.db.meta().freelist {
            let pages = u64::from(self.db.page(old).ok()?.header().overflow.get()) + 1;
            free.extend(old.0..old.0 + pages);
            free.sort_unstable();
        }
        // one more id than there are now may have to fit
        let pages = (PAGE_HEADER_SIZE + (free.len() + 1) * 8).div_ceil(page_size);
        let first = free.windows(pages).find(|run| run[pages - 1] - run[0] + 1 == pages as u64)?[0];
        let own = first..first + pages as u64;
        let mut ids: Vec<u64> = free.into_iter().filter(|page| !own.contains(page)).collect();
        change(&mut ids);
        let count = u16::try_from(ids.len()).ok().filter(|&count| count < 0xFFFF)?;
        let overflow = u32::try_from(pages - 1).ok()?;
        let header = PageHeader {
            id: first.into(),
            flags: 0x10.into(),
            count: count.into(),
            overflow: overflow.into(),
        };
        let content: Vec<u8> =
            header.as_bytes().iter().copied().chain(ids.iter().flat_map(|id| id.to_le_bytes())).collect();
        let mut bytes = self.bytes.to_vec();
        let start = self.page(first).start;
        bytes[start..start + content.len()].copy_from_slice(&content);
        for slot in [0, 1] {
            edit_meta(&mut bytes, page_size, slot, |meta| meta.freelist.set(first));
        }
        Some(bytes)
    }

    /// Where a page lies.
    fn page(&self, id: u64) -> Range<usize> {
        let start = usize::try_from(id).expect("a page of this file") * self.anatomy.page_size;
        start..start + self.anatomy.page_size
    }

    fn with(&self, harm: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
        let mut bytes = self.bytes.to_vec();
        harm(&mut bytes);
        bytes
    }

    /// The root of the bucket that is damaged.
    fn root(&self) -> Option<&Node> {
        self.anatomy.nodes_of(&self.bucket).next()
    }

    /// A node of the bucket that is damaged.
    fn any(&self, random: &mut Random, wanted: impl Fn(&Node) -> bool) -> Option<&Node> {
        let found: Vec<&Node> = self.anatomy.nodes_of(&self.bucket).filter(|node| wanted(node)).collect();
        (!found.is_empty()).then(|| random.one_of(&found))
    }

    fn any_leaf(&self, random: &mut Random) -> Option<&Node> {
        self.any(random, |node| node.is_leaf && !node.entries.is_empty())
    }

    fn any_leaf_of_one_page(&self, random: &mut Random) -> Option<&Node> {
        self.any(random, |node| node.is_leaf && node.pages == 1 && !node.entries.is_empty())
    }

    /// Two different leaves of one page each.
    fn two_leaves(&self, random: &mut Random) -> Option<(&Node, &Node)> {
        let one = self.any_leaf_of_one_page(random)?;
        let other = self.any(random, |node| {
            node.is_leaf && node.pages == 1 && node.page != one.page && !node.entries.is_empty()
        })?;
        Some((one, other))
    }

    /// A branch, below the root where there is one.
    fn any_branch(&self, random: &mut Random) -> Option<&Node> {
        self.any(random, |node| !node.is_leaf && node.parent.is_some())
            .or_else(|| self.root().filter(|root| !root.is_leaf))
    }

    /// A free page that was a leaf of the bucket's once, of one page.
    fn any_old_leaf(&self, random: &mut Random) -> Option<u64> {
        let old = |&page: &u64| {
            let page = self.db.page(PageId(page)).ok().filter(|page| page.header().overflow.get() == 0);
            let mut entries =
                page.and_then(|page| page.leaf().ok()).into_iter().flat_map(|leaf| leaf.entries());
            entries.next().is_some_and(|entry| entry.is_ok_and(|entry| self.has_shape(entry.key)))
                && entries.all(|entry| entry.is_ok_and(|entry| self.has_shape(entry.key)))
        };
        let found: Vec<u64> = self.anatomy.free.iter().copied().filter(old).collect();
        (!found.is_empty()).then(|| random.one_of(&found))
    }

    /// Whether a key looks like those of the bucket that is damaged.
    fn has_shape(&self, key: &[u8]) -> bool {
        !self.is_etcd() || ((key.len() == 17 || key.len() == 18) && key[8] == b'_')
    }
}

fn below(random: &mut Random, bound: usize) -> usize {
    usize::try_from(random.below(bound as u64)).expect("an index")
}

fn damaged_bucket(anatomy: &Anatomy) -> Bytes {
    let mut sizes: BTreeMap<Bytes, u64> = BTreeMap::new();
    for node in anatomy.nodes.iter().skip(1) {
        *sizes.entry(node.bucket.clone()).or_default() += node.pages;
    }
    let has_key = anatomy.items().iter().any(|item| item.bucket == b"key"[..] && item.key.len() >= 17);
    if has_key {
        return Bytes::from_static(b"key");
    }
    sizes.into_iter().max_by_key(|&(_, pages)| pages).map(|(name, _)| name).unwrap_or_default()
}

fn dead(db: &Db, anatomy: &Anatomy, bucket: &Bytes, all: &Items) -> Items {
    let mut dead = Items::new();
    for &free in &anatomy.free {
        let Some(leaf) = db.page(PageId(free)).ok().and_then(|page| page.leaf().ok()) else { continue };
        let of_bucket = |entry: &Entry<'_>| entry.flags == 0 && has_shape_of(bucket, entry.key, entry.value);
        for entry in leaf.entries().filter_map(Result::ok).filter(of_bucket) {
            let part = |bytes: &[u8]| db.data().slice_ref(bytes);
            let item = Item { bucket: bucket.clone(), key: part(entry.key), value: part(entry.value) };
            if !all.contains(&item) {
                dead.insert(item);
            }
        }
    }
    dead
}

/// Whether an entry looks like one of a bucket of etcd's; any does of another program's.
fn has_shape_of(bucket: &[u8], key: &[u8], value: &[u8]) -> bool {
    match bucket {
        b"key" => (key.len() == 17 || key.len() == 18) && key[8] == b'_',
        b"lease" => key.len() == 8 && value.first() == Some(&0x08),
        b"members" => value.starts_with(b"{\"id\":"),
        // the first field is the name, which is the key
        b"authUsers" | b"authRoles" => value.get(2..2 + key.len()) == Some(key),
        _ => true,
    }
}

/// Entries of leaves that stand whole in `damaged`: at their own place, or at that of any other page.
fn whole_items(anatomy: &Anatomy, sound: &[u8], damaged: &[u8]) -> Items {
    let mut places: Option<HashMap<&[u8], Vec<usize>>> = None;
    let mut found = Items::new();
    for leaf in anatomy.nodes.iter().filter(|node| node.is_leaf) {
        let range = anatomy.range_of(leaf);
        let bytes = &sound[range.clone()];
        let stands = damaged.get(range) == Some(bytes) || {
            let places = places.get_or_insert_with(|| {
                let mut places: HashMap<&[u8], Vec<usize>> = HashMap::new();
                for (page, content) in damaged.chunks_exact(anatomy.page_size).enumerate() {
                    places.entry(content).or_default().push(page * anatomy.page_size);
                }
                places
            });
            let candidates = places.get(&bytes[..anatomy.page_size]).map(Vec::as_slice).unwrap_or_default();
            candidates.iter().any(|&start| damaged.get(start..start + bytes.len()) == Some(bytes))
        };
        if stands {
            found.extend(leaf.entries.iter().map(|placed| placed.item.clone()));
        }
    }
    found
}

/// Entries beyond the `whole` ones of which every byte that matters stands, or that stand elsewhere in a copy.
fn bonus(base: &Base, damaged: &[u8], whole: &Items) -> Items {
    let Base { anatomy, bytes, .. } = base;
    let stands = |range: Range<usize>| damaged.get(range.clone()) == Some(&bytes[range]);
    let mut bonus = Items::new();
    for leaf in anatomy.nodes.iter().filter(|node| node.is_leaf) {
        let start = anatomy.range_of(leaf).start;
        if stands(start..start + PAGE_HEADER_SIZE) {
            let readable = leaf
                .entries
                .iter()
                .filter(|entry| stands(entry.element.clone()) && stands(entry.data.clone()));
            bonus.extend(readable.map(|entry| entry.item.clone()));
        }
    }
    // copies on pages that were free: old versions of the leaves
    for &free in &anatomy.free {
        let Some(leaf) = base.db.page(PageId(free)).ok().and_then(|page| page.leaf().ok()) else { continue };
        let start = usize::try_from(leaf.page().offset()).expect("within the file");
        if !stands(start..start + leaf.page().bytes().len()) {
            continue;
        }
        for entry in leaf.entries().filter_map(Result::ok).filter(|entry| entry.flags == 0) {
            let part = |bytes: &[u8]| base.db.data().slice_ref(bytes);
            let item = Item { bucket: base.bucket.clone(), key: part(entry.key), value: part(entry.value) };
            if base.all.contains(&item) {
                bonus.insert(item);
            }
        }
    }
    bonus.retain(|item| !whole.contains(item));
    bonus
}

/// The first so-manieth part of an earlier state's pages, and the later state's behind them.
fn live_copy(base: &Base, part: usize) -> Option<Vec<u8>> {
    let earlier = base.earlier.as_ref()?;
    let first = earlier.bytes.len() / part / base.anatomy.page_size * base.anatomy.page_size;
    Some([&earlier.bytes[..first], &base.bytes[first..]].concat())
}

fn cut_tail(base: &Base, random: &mut Random) -> Option<Vec<u8>> {
    let last = base.anatomy.nodes.iter().map(|node| base.anatomy.range_of(node).end).max()?;
    let cut = last / 10 * 9 / 512 * 512 + below(random, 512);
    Some(base.bytes.slice(..cut).to_vec())
}

/// One leaf for each border of 512 bytes within a page: new up to there, and behind it what another leaf once held.
fn tear(base: &Base, random: &mut Random) -> Option<Vec<u8>> {
    let mut bytes = base.bytes.to_vec();
    // small pages are torn at one place only, or at none; stale leaves are told by etcd's keys
    if base.anatomy.page_size < 4096 || !base.is_etcd() {
        return None;
    }
    for border in (512..base.anatomy.page_size).step_by(512) {
        let (leaf, old) = (base.any_leaf_of_one_page(random)?, base.any_old_leaf(random)?);
        let (at, from) = (base.page(leaf.page), base.page(old));
        bytes[at.start + border..at.end].copy_from_slice(&base.bytes[from.start + border..from.end]);
    }
    Some(bytes)
}

/// Pages of the active tree that the other meta's tree does not have become noise.
fn spoil_last(base: &Base, random: &mut Random) -> Option<Vec<u8>> {
    let metas = base.db.metas();
    let older = metas.slots.get(1 - metas.active_slot)?.ok()?;
    if older.root == metas.active.root {
        return None;
    }
    let pages = |anatomy: &Anatomy| -> BTreeSet<u64> {
        anatomy.nodes.iter().flat_map(|node| node.page..node.page + node.pages).collect()
    };
    let kept = pages(&Anatomy::from_root(&base.db, older.root));
    let mut bytes = base.bytes.to_vec();
    for page in pages(&base.anatomy).difference(&kept) {
        let noise = random.bytes(base.anatomy.page_size);
        bytes[base.page(*page)].copy_from_slice(&noise);
    }
    Some(bytes)
}

fn header_of(page: &mut [u8]) -> &mut PageHeader {
    PageHeader::mut_from_prefix(page).expect("a header").0
}

fn meta_of(page: &mut [u8]) -> &mut MetaBytes {
    let meta = MetaBytes::mut_from_prefix(&mut page[PAGE_HEADER_SIZE..]).expect("a meta").0;
    assert_eq!(meta.magic.get(), MAGIC);
    meta
}

/// Changes a meta, and makes its checksum right again.
fn edit_meta(bytes: &mut [u8], page_size: usize, slot: usize, change: impl FnOnce(&mut MetaBytes)) {
    let meta = meta_of(&mut bytes[slot * page_size..]);
    change(meta);
    let sum = checksum(meta);
    meta.checksum.set(sum);
}

/// Makes a branch's element lead elsewhere.
fn set_child(branch: &mut [u8], index: usize, page: u64) {
    let at = PAGE_HEADER_SIZE + index * 16 + 8;
    branch[at..at + 8].copy_from_slice(&page.to_le_bytes());
}

/// The sound files of `testdata/` that are damaged: etcd's first, the one with the most dead records before all.
pub fn bases() -> Vec<Base> {
    let base = |name: &str| Base::new(name, fixture(name));
    vec![
        frag(),
        base("k8s-3.5/k8s.db"),
        base("k8s-3.6/k8s.db"),
        base("etcd-3.5/etcd-3.5.1-nospace.db"),
        base("etcd-3.4/etcd-3.4.23-kv.db"),
        base("bolt/synced-freelist.db"),
        base("bolt/nosync-freelist.db"),
        base("bolt/page-512.db"),
        base("bolt/page-1024.db"),
        base("bolt/overflow-synced.db"),
        base("bolt/nested.db"),
    ]
}

/// Small ones, of up to 64 KiB, to damage many thousands of times: each with its damaged versions.
pub fn seeds() -> Vec<(String, Vec<u8>)> {
    let made = [
        ("small", super::etcd_file::small().bytes()),
        ("tree", super::etcd_file::two_levels().bytes()),
        ("large", super::etcd_file::large().bytes()),
        ("sample", super::lies::sample().bytes()),
    ];
    let written = [
        "etcd-3.4/etcd-3.4.23-kv.db",
        "etcd-3.4/etcd-3.4.23-auth.db",
        "etcd-3.5/etcd-3.5.1-lease.db",
        "etcd-3.5/etcd-3.5.1-defrag.db",
        "etcd-3.5/etcd-3.5.1-nospace.db",
        "etcd-3.5/etcd-3.5.1-kv.snapshot.db",
        "bolt/page-512.db",
        "bolt/page-1024.db",
        "bolt/overflow-synced.db",
    ];
    let written = written.map(|name| (name, fixture(name)));
    let mut seeds = Vec::new();
    for (name, bytes) in made.into_iter().chain(written) {
        let name = name.rsplit('/').next().unwrap_or(name);
        let base = Base::new(name, bytes);
        let damaged = PATTERNS.iter().filter_map(|pattern| base.damaged(pattern));
        seeds.extend(damaged.map(|damage| (format!("{name}-{}", damage.name), damage.bytes)));
        seeds.push((name.to_owned(), base.bytes.to_vec()));
    }
    seeds
}

/// `testdata/k8s-frag/frag.db`, of which `k8s-3.5/k8s.db` is an earlier state: the file that is measured with.
pub fn frag() -> Base {
    let earlier = Base::new("k8s-3.5/k8s.db", fixture("k8s-3.5/k8s.db"));
    Base::new("k8s-frag/frag.db", fixture("k8s-frag/frag.db")).after(earlier)
}
