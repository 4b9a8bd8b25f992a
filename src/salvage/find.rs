//! The search of a damaged file: roots, leaves that no root reaches, and the decision about both.

#![warn(missing_docs)]
use crate::bolt::orphan::{self, Orphans};

use super::decide::{self, Material};
use super::finds::Finds;
use super::found::Tier;
use super::open::Wreck;
use super::request::Trust;
use super::roots::{self, Candidate, RootSource};

/// Searches a file.
pub fn find<'a>(wreck: &'a Wreck, trust: Trust, progress: &(dyn Fn(u64) + Sync)) -> Finds<'a> {
    let mut roots = roots::of_metas(wreck);
    let newest_meta = roots.first().map(|first| first.root);
    let whole = roots.first().is_some_and(|first| first.trunk.num_gaps() == 0);
    let newer_may_be_lost = whole && wreck.newer_meta_may_be_lost();
    let readable = whole && wreck.is_readable();
    let searched = !readable || newer_may_be_lost || trust == Trust::BestEffort;
    if !roots.iter().any(Candidate::leads_somewhere) {
        roots.extend(roots::of_unsealed_metas(wreck));
    }
    let claims: Vec<_> = roots.iter().map(|root| &root.claims).collect();
    let mut orphans = if searched { orphan::find(&wreck.db, &claims, progress) } else { Orphans::default() };
    if searched && !roots.iter().any(Candidate::leads_somewhere) {
        roots.extend(roots::searched(wreck, &orphans));
    }
    keep_roots(&mut roots);
    add_strays(&mut orphans, &mut roots);
    if let Some(first) = roots.first_mut() {
        if matches!(first.root.from, RootSource::UnsealedMeta | RootSource::Searched) {
            // it is the best root that there is
            first.tier = Tier::Reachable;
        }
        roots::complete(wreck, first, &orphans);
    }
    // if the newest root is lost, records that only it had are later than all of the next root
    let root_is_older = newest_meta.is_some() && newest_meta != roots.first().map(|first| first.root);
    let finds = decide::decide(Material { wreck, roots, orphans, trust, searched, root_is_older });
    Finds { readable, newer_may_be_lost, ..finds }
}

/// Entries that do not belong into their leaf are treated as if no root reached them.
fn add_strays<'a>(orphans: &mut Orphans<'a>, roots: &mut [Candidate<'a>]) {
    let buckets = roots.iter_mut().flat_map(|root| &mut root.trunk.buckets);
    orphans.leaves.extend(buckets.flat_map(|bucket| std::mem::take(&mut bucket.tree.strays)));
    orphans.leaves.sort_by_key(|leaf| leaf.page);
}

/// Keeps the roots that lead somewhere. If there is none, an empty root that a meta with a wrong checksum names is kept.
fn keep_roots(roots: &mut Vec<Candidate<'_>>) {
    if roots.iter().any(Candidate::leads_somewhere) {
        roots.retain(Candidate::leads_somewhere);
    } else {
        roots.retain(|root| root.trunk.is_empty());
        roots.truncate(1);
    }
}
