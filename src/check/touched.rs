//! What damage touches, and which command comes next.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::bolt::bucket::{BucketId, short_path_of};
use crate::bolt::fault::LostRange;
use crate::bolt::page::Page;
use crate::bolt::{Db, PageId};
use crate::etcd::schema::{KEY_BUCKET, State};
use crate::etcd::{KeyValue, RecordKey};
use crate::input::named::Named;
use crate::owner::Owner;
use crate::scan::Scan;
use crate::scan::health::Health;
use crate::shell::ShellCommand;
use crate::text::ByteText;

use super::pattern::Pattern;

/// The damage by the names that bug reports have for it, and what it reaches.
#[derive(Clone, Debug, Default, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Touched {
    /// Patterns of damage, with their findings.
    pub patterns: Vec<PatternCount>,
    /// Buckets that entries are missing from, or whose entries have faults.
    pub buckets: Vec<TouchedBucket>,
    /// Ranges of revisions among which records of the `key` bucket are missing, ascending. A range is between the keys that a
    /// branch has for a lost page and for the page after it; what was in it can't be known from the rest of the file. Ranges
    /// that touch are one.
    pub revisions: Vec<RevisionSpan>,
    /// Etcd keys whose own history has a gap or a fault. Keys that are lost with all their records are not among them.
    pub keys: u64,
    /// The resources of these keys, most keys first.
    pub resources: Vec<TouchedResource>,
    /// Leaves that nothing refers to and that begin with later records than the tree's last: the file was copied while etcd
    /// wrote, or the end of a transaction was never written. `null` where there are none. In a sound file, they are only
    /// looked for where a page was written past the high water mark.
    pub newer: Option<NewerPages>,
}

/// How often a pattern was met.
#[derive(Clone, Copy, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct PatternCount {
    /// The pattern.
    pub pattern: Pattern,
    /// Number of findings.
    pub findings: u64,
}

/// A bucket with damage.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct TouchedBucket {
    /// Its path; empty for the root bucket, which has the names of all others.
    pub name: ByteText,
    /// Number of findings.
    pub findings: u64,
}

/// A range of revisions.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct RevisionSpan {
    /// The first; `null`: from the oldest on.
    pub first_revision: Option<i64>,
    /// The last; `null`: up to the newest.
    pub last_revision: Option<i64>,
}

/// A resource with damage.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct TouchedResource {
    /// The API group; empty for the core group, and for what isn't Kubernetes'.
    pub group: String,
    /// The plural name of the resource (`pods`); for what isn't Kubernetes', its leading path (`/app`).
    pub resource: ByteText,
    /// These keys.
    pub keys: u64,
}

/// Leaves of records that nothing refers to, with records later than any of the tree's.
#[derive(Clone, Copy, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct NewerPages {
    /// Number of such leaves.
    pub leaves: u64,
    /// The latest revision on them.
    pub last_revision: i64,
    /// The latest revision of the tree.
    pub tree_revision: i64,
}

/// What to do next.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Next {
    /// A command, as typed into a shell.
    pub command: String,
    /// Why; for people.
    pub why: &'static str,
}

/// Puts together what was found of the structure, by pattern for the rest, and the keys that are named.
pub(super) fn touched<'a>(
    db: &'a Db,
    state: &State<'a>,
    scan: &Scan<'a>,
    of_file: &[Pattern],
    keys: &BTreeSet<&'a [u8]>,
    owner: Owner,
) -> Touched {
    let mut patterns: BTreeMap<Pattern, u64> = BTreeMap::new();
    let mut faults: BTreeMap<BucketId, u64> = BTreeMap::new();
    let mut lost = Vec::new();
    let mut add = |pattern| *patterns.entry(pattern).or_default() += 1;
    for fault in &scan.structure.faults {
        add(Pattern::of_structure(&fault.kind));
        let Some(id) = fault.bucket else { continue };
        *faults.entry(id).or_default() += 1;
        if Some(id) == scan.key_bucket {
            lost.extend(fault.lost.as_ref().and_then(span_of));
        } else if id == BucketId::ROOT
            && state.key_bucket.is_none()
            && fault.lost.is_some()
            && owner.is_etcd()
        {
            // the bucket's name is lost, and with it all
            lost.push(RevisionSpan { first_revision: None, last_revision: None });
        }
    }
    let mut buckets: BTreeMap<Vec<u8>, u64> = BTreeMap::new();
    for (id, findings) in faults {
        *buckets.entry(short_path_of(&scan.buckets, id)).or_default() += findings;
    }
    for finding in &scan.records {
        add(Pattern::of_record(&finding.fault));
        *buckets.entry(KEY_BUCKET.to_vec()).or_default() += 1;
    }
    of_file.iter().for_each(|&pattern| add(pattern));
    if of_file.contains(&Pattern::MixedGenerations) {
        // the root bucket's leaf is another's by now: nothing is known of any bucket
        *buckets.entry(Vec::new()).or_default() += 1;
        lost.push(RevisionSpan { first_revision: None, last_revision: None });
    }
    let bucket = |(name, findings)| TouchedBucket { name: ByteText(name), findings };
    Touched {
        patterns: patterns
            .into_iter()
            .map(|(pattern, findings)| PatternCount { pattern, findings })
            .collect(),
        buckets: buckets.into_iter().map(bucket).collect(),
        revisions: merged(lost),
        keys: keys.len() as u64,
        resources: resources(scan, keys),
        newer: newer(db, state, scan),
    }
}

fn resources(scan: &Scan<'_>, keys: &BTreeSet<&[u8]>) -> Vec<TouchedResource> {
    let mut counts: BTreeMap<(String, Vec<u8>), u64> = BTreeMap::new();
    if keys.is_empty() {
        return Vec::new();
    }
    // one pass over the keyspace, rather than a look-up for each: only its keys know their values
    let shards = scan.keyspace.shards().iter();
    for (shard, key) in shards.flat_map(|shard| shard.keys().map(move |key| (shard, key))) {
        if keys.contains(key.key()) {
            let resource = shard.resource(key);
            *counts.entry((resource.group.to_owned(), resource.resource.to_vec())).or_default() += 1;
        }
    }
    let row = |((group, resource), keys)| TouchedResource { group, resource: ByteText(resource), keys };
    let mut rows: Vec<_> = counts.into_iter().map(row).collect();
    rows.sort_by_key(|row| std::cmp::Reverse(row.keys));
    rows
}

/// The revisions between two keys of the `key` bucket; `None` where they are none.
fn span_of(lost: &LostRange) -> Option<RevisionSpan> {
    let revision = |key: &bytes::Bytes| RecordKey::parse(key).map(|key| key.revision);
    let first = lost.from.as_ref().and_then(revision);
    let below = lost.below.as_ref().and_then(revision);
    let last = below.map(|below| if below.sub > 0 { below.main } else { below.main.saturating_sub(1) });
    let first_revision = first.map(|first| first.main);
    let is_none = first_revision.zip(last).is_some_and(|(first, last)| first > last);
    (!is_none).then_some(RevisionSpan { first_revision, last_revision: last })
}

/// Ranges that overlap or follow one another become one.
fn merged(mut spans: Vec<RevisionSpan>) -> Vec<RevisionSpan> {
    spans.sort_by_key(|span| (span.first_revision, span.last_revision));
    let mut merged: Vec<RevisionSpan> = Vec::new();
    for span in spans {
        match merged.last_mut() {
            Some(before)
                if before
                    .last_revision
                    .is_none_or(|last| Some(last.saturating_add(1)) >= span.first_revision) =>
            {
                before.last_revision =
                    before.last_revision.zip(span.last_revision).map(|(one, other)| one.max(other));
            }
            _ => merged.push(span),
        }
    }
    merged
}

/// Leaves beside the tree with later records than it has: the rest of a transaction whose meta was never written, or a copy
/// that was taken while etcd wrote.
pub(super) fn newer(db: &Db, state: &State<'_>, scan: &Scan<'_>) -> Option<NewerPages> {
    let (_, tree_revision) = state.revision_range(db)?;
    let free = scan.unreached.iter().flat_map(|&(PageId(first), pages)| first..first.saturating_add(pages));
    let tail = db.high_water_mark()..db.file_size().checked_div(db.page_size()).unwrap_or(0);
    let mut found = NewerPages { leaves: 0, last_revision: tree_revision, tree_revision };
    for id in free.chain(tail) {
        let Some(leaf) = first_page(db, PageId(id)).and_then(|page| page.leaf().ok()) else { continue };
        // the first entry: the others' values may lie on overflow pages, which may be somebody else's by now
        let Some(first) = leaf.entry_at(0).and_then(Result::ok) else { continue };
        let Some(key) = RecordKey::parse(first.key).filter(|key| key.revision.main > tree_revision) else {
            continue;
        };
        // a number that lies is not taken for a revision: the record says it, too
        if !KeyValue::parse(first.value).is_ok_and(|kv| key.tombstone || kv.mod_revision == key.revision.main)
        {
            continue;
        }
        found.leaves = found.leaves.saturating_add(1);
        found.last_revision = found.last_revision.max(key.revision.main);
    }
    (found.leaves > 0).then_some(found)
}

/// The page at `id`, by itself, if it says so: its overflow, and whether it was ever allocated, are nobody's word.
fn first_page(db: &Db, id: PageId) -> Option<Page<'_>> {
    let page = Page::new(id, db.offset_of(id), db.first_bytes(id)?)?;
    (page.header().id.get() == id.0).then_some(page)
}

/// Whether something was written past the high water mark, which bbolt leaves zeroed until a transaction needs it: then one
/// wrote there of which the metas know nothing. Reads one page's header.
pub(super) fn is_written_past_end(db: &Db) -> bool {
    let end = PageId(db.high_water_mark());
    first_page(db, end).is_some_and(|page| page.kind().is_ok())
}

/// What to do about it.
pub(super) fn next(named: &Named, db: &Db, health: Health, touched: &Touched, owner: Owner) -> Vec<Next> {
    let has = |wanted: fn(Pattern) -> bool| touched.patterns.iter().any(|row| wanted(row.pattern));
    let of_entries = has(|pattern| matches!(pattern, Pattern::RevisionDamage | Pattern::GarbageInsidePage));
    let of_file = |words| named.ours(words);
    let either = |etcd, other| if owner.is_etcd() { etcd } else { other };
    let mut next = Vec::new();
    let mut add = |command: ShellCommand, why| next.push(Next { command: command.to_string(), why });
    if !health.readable || of_entries {
        let why = either(
            "saves what can be read, into a file that etcd starts from; another member's db, or a sound snapshot, has all",
            "saves what can be read, into another file; a sound backup has all",
        );
        add(of_file("etcd-medic salvage").and("-o saved.db"), why);
    } else if health.structural_faults > 0 {
        let why = either(
            "all that the active root has can be read: the copy has it, two good metas, and no stored freelist",
            "all that the active root has can be read: the copy has it, without what is wrong",
        );
        add(of_file("etcd-medic defrag").and("-o packed.db"), why);
    }
    if db.metas().slots.iter().any(Result::is_err) {
        let why = either(
            "with one meta gone, the last transaction may be: compare its revision with another member's, or a snapshot's",
            "with one meta gone, the last transaction may be: compare what it has with a backup",
        );
        add(of_file(either("etcd-medic status", "etcd-medic buckets")), why);
    }
    if has(|pattern| pattern == Pattern::SnapshotChanged) {
        if owner.is_etcd() {
            let why = "the snapshot is not what was taken: take another one, or use an older sound one";
            add(ShellCommand::new("etcdctl snapshot save snapshot.db"), why);
        } else {
            let why = "what can be read of it: compare that with the file that this is a copy of";
            add(of_file("etcd-medic hash"), why);
        }
    }
    if next.is_empty() {
        let why = "the file reads well, its records contradict each other: compare it with another member's";
        let other = "the file reads well, its entries contradict each other: compare it with a backup";
        next.push(Next { command: of_file("etcd-medic hash").to_string(), why: either(why, other) });
    }
    next
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_that_touch_are_one() {
        let span = |first_revision, last_revision| RevisionSpan { first_revision, last_revision };
        let spans = vec![
            span(Some(9), Some(12)),
            span(Some(1), Some(3)),
            span(Some(4), Some(4)),
            span(Some(10), Some(11)),
        ];
        assert_eq!(merged(spans), [span(Some(1), Some(4)), span(Some(9), Some(12))]);
        let open = vec![span(Some(5), None), span(None, Some(2)), span(Some(7), Some(8))];
        assert_eq!(merged(open), [span(None, Some(2)), span(Some(5), None)]);
        assert_eq!(merged(vec![span(None, None), span(Some(1), Some(2))]), [span(None, None)]);
    }

    #[test]
    fn the_keys_around_a_lost_page_give_its_revisions() {
        let key = |main, sub| Some(crate::etcd::Revision { main, sub }.to_bytes().to_vec().into());
        let of = |from, below| span_of(&LostRange { from, below });
        let span = |first_revision, last_revision| Some(RevisionSpan { first_revision, last_revision });
        assert_eq!(of(key(5, 0), key(9, 0)), span(Some(5), Some(8)));
        assert_eq!(of(key(5, 0), key(9, 1)), span(Some(5), Some(9)));
        assert_eq!(of(key(5, 0), key(5, 0)), None);
        assert_eq!(of(None, key(i64::MAX, 0)), span(None, Some(i64::MAX - 1)));
        assert_eq!(of(key(5, 0), Some("no revision".into())), span(Some(5), None));
    }
}
