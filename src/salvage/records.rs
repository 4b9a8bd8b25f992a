//! Which of the records that were found belong to the state that the file held.
//!
//! A revision is given out once, and its record never changes. So the place where a record was found says nothing about its content,
//! only about whether it still existed:
//!
//! | record | it belongs to the state |
//! |---|---|
//! | reached from the active root | yes |
//! | found elsewhere, at a revision that no gap of the tree covers | no: the tree would have it |
//! | in a gap, above the last compaction that was finished | yes: only a compaction removes records |
//! | at or below it, below a branch that is lost | unless something shows that it was removed |
//! | at or below it, in a leaf that is lost | no: what is found are older versions of that leaf |
//!
//! [`super::evidence`] has what shows that.

use std::collections::BTreeSet;

use super::evidence::{Case, Evidence};
use super::found::{Conflict, Found, Tier, sound_record};
use super::gaps::Gaps;

#[derive(Debug, Default)]
pub struct Judged<'a> {
    /// Those of the state, in the order of revisions.
    pub saved: Vec<Found<'a>>,
    /// Those that are not of the state, each revision once, in order.
    pub dead: Vec<Found<'a>>,
    /// Revisions with two contents.
    pub conflicts: Vec<Conflict>,
    /// The last compaction, as the file says, or as records show that it removed.
    pub compacted: i64,
}

/// Separates the records of the state from the others.
pub fn judge<'a>(case: Case<'_, 'a>) -> Judged<'a> {
    let evidence = Evidence::of(&case);
    let compacted = evidence.compacted;
    let Case { reached, gaps, older, older_tier, older_gaps, orphans, .. } = case;
    let mut all = reached;
    let is_above = |found: &Found<'_>| found.place.revision.main > compacted;
    for mut found in older {
        let belongs = gaps.contain(found.entry.key) && (is_above(&found) || !evidence.is_superseded(&found));
        found.tier = if belongs { older_tier } else { Tier::Free };
        all.push(found);
    }
    // the records of a lost leaf were in that leaf: other leaves that have them are older versions, unless they are copies
    let above_leaves = Gaps::new(gaps.all().iter().filter(|gap| !gap.leaf).cloned().collect());
    let lost_leaves: BTreeSet<_> = gaps.all().iter().filter(|gap| gap.leaf).map(|gap| gap.page).collect();
    for (number, leaf) in orphans.leaves.iter().enumerate() {
        let is_copy = leaf.claims_to_be.is_some_and(|page| lost_leaves.contains(&page));
        let may_be_current = |key: &[u8]| {
            (is_copy || above_leaves.contain(key)) && older_gaps.is_none_or(|gaps| gaps.contain(key))
        };
        for entry in &leaf.entries {
            let Some(place) = sound_record(entry) else { continue };
            let mut found = Found { place, entry: *entry, tier: Tier::Free };
            let is_lost = gaps.contain(entry.key)
                && (is_above(&found)
                    || (may_be_current(entry.key)
                        && !evidence.is_dead(&found)
                        && !evidence.is_old_leaf(number)));
            if is_lost {
                found.tier = Tier::Orphan;
            }
            all.push(found);
        }
    }
    Judged { compacted, ..merge(all) }
}

/// Each revision once, the best source first.
fn merge(mut all: Vec<Found<'_>>) -> Judged<'_> {
    all.sort_by_key(|found| (found.order(), found.tier));
    let mut judged = Judged::default();
    for same in all.chunk_by(|a, b| a.order() == b.order()) {
        let Some((best, others)) = same.split_first() else { continue };
        let (revision, taken) = (best.place.revision, best.tier);
        if taken == Tier::Free {
            judged.dead.push(*best);
            continue;
        }
        let differs = |other: &&Found<'_>| other.entry.value != best.entry.value;
        judged.conflicts.extend(others.iter().find(differs).map(|other| Conflict {
            revision,
            taken,
            other: other.tier,
        }));
        judged.saved.push(*best);
    }
    judged
}
