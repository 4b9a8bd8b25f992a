//! The small buckets as the log makes them, where the db lacks something of them, or is at an older entry.

use crate::bolt::page::Entry;
use crate::etcd::apply::Machine;
use crate::replay::base::Base;
use crate::replay::content::SmallEntry;
use crate::replay::small;

use super::encoded::Encoded;
use super::finds::Finds;
use super::found::Tier;
use super::gaps::Gaps;
use super::kinds::Small;
use super::saved_bucket::SavedBucket;

/// Buckets that are made, each with the number of its entries.
pub type BucketsFromLog = Vec<(Small, usize)>;

/// Decides which, and encodes their entries. `is_moved`: the db was not at the entry that the log leads to.
pub fn plan(
    finds: &Finds<'_>,
    base: &Base<'_>,
    machine: &Machine<'_>,
    is_moved: bool,
    encoded: &mut Encoded,
) -> BucketsFromLog {
    let made = small::buckets(base, machine);
    let is_lacking = |bucket: &SavedBucket<'_>| {
        bucket.tier != Tier::Reachable || !bucket.first_gaps.is_empty() || bucket.from_orphans > 0
    };
    let mut plan = Vec::new();
    for kind in Small::ALL {
        let bucket = finds.buckets.iter().find(|bucket| bucket.is_of(kind));
        if !is_moved && !bucket.is_some_and(is_lacking) {
            continue;
        }
        let entries = made.iter().find(|bucket| bucket.name == kind.name());
        let entries = entries.map_or(&[][..], |bucket| &bucket.entries);
        for entry in entries {
            match entry {
                SmallEntry::Held(held) => encoded.push(held.key, held.value),
                SmallEntry::Made { key, value } => encoded.push(key, value),
            }
        }
        plan.push((kind, entries.len()));
    }
    plan
}

/// Puts them into what was found. These are their entries.
pub fn carry_out<'a>(
    finds: &mut Finds<'a>,
    plan: BucketsFromLog,
    mut entries: impl Iterator<Item = Entry<'a>>,
) {
    for (kind, num_entries) in plan {
        let made: Vec<_> = entries.by_ref().take(num_entries).collect();
        let number = finds.buckets.iter().position(|bucket| bucket.is_of(kind));
        let number =
            number.unwrap_or_else(|| SavedBucket::add(&mut finds.buckets, kind.name(), Gaps::default()));
        let Some(bucket) = finds.buckets.get_mut(number) else { continue };
        let (parent, name, sequence) = (bucket.parent, bucket.name, bucket.sequence);
        *bucket = SavedBucket {
            sequence,
            entries: made,
            tier: Tier::Log,
            from_log: num_entries as u64,
            ..SavedBucket::empty(parent, name)
        };
    }
}
