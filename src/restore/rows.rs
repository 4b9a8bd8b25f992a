//! What becomes of the db's small buckets. All but what is named here stays, to the byte.

use crate::etcd::apply::members::{MemberRow, go_json};
use crate::etcd::revision::Revision;
use crate::etcd::schema::{KEY_BUCKET, META_BUCKET, SCHEDULED_COMPACT};
use crate::replay::base::{Base, Held};
use crate::replay::content::{SmallBucket, SmallEntry};
use crate::replay::small::{conf_state_json, hex_id, replaced, sort};

use super::plan::MemberPlan;

const MEMBERS: &[u8] = b"members";
const MEMBERS_REMOVED: &[u8] = b"members_removed";

/// The small buckets of the new db, in the order of their names. `new` is for a new cluster: its members take the place of the old ones,
/// and its log has other indices.
pub fn buckets<'a>(
    base: &Base<'a>,
    plan: &MemberPlan<'_>,
    new: bool,
    bumped_to: Option<i64>,
) -> Vec<SmallBucket<'a>> {
    let mut names: Vec<&[u8]> =
        base.buckets.iter().map(|bucket| bucket.name).filter(|name| *name != KEY_BUCKET).collect();
    let needed = [META_BUCKET, MEMBERS, MEMBERS_REMOVED];
    names.extend(needed.into_iter().filter(|name| base.buckets.iter().all(|bucket| bucket.name != *name)));
    names.sort_unstable();
    let bucket = |name: &[u8]| {
        let held = base.buckets.iter().find(|bucket| bucket.name == name);
        let mut entries = match name {
            META_BUCKET => replaced(base, META_BUCKET, meta(base, plan, new, bumped_to).into_iter()),
            MEMBERS if new => members(plan),
            MEMBERS_REMOVED if new => Vec::new(),
            MEMBERS => known_members(base, plan),
            _ => base.entries(name).iter().copied().map(SmallEntry::Held).collect(),
        };
        sort(&mut entries);
        SmallBucket { name: name.to_vec(), sequence: held.map_or(0, |held| held.sequence), entries }
    };
    names.into_iter().map(bucket).collect()
}

fn members<'a>(plan: &MemberPlan<'_>) -> Vec<SmallEntry<'a>> {
    let rows = plan.rows.iter();
    rows.map(|row| SmallEntry::Made { key: hex_id(row.id), value: go_json(row) }).collect()
}

/// The rows of the members that raft knows: as they were, unless one is a voter for raft, and a learner by its row.
fn known_members<'a>(base: &Base<'a>, plan: &MemberPlan<'_>) -> Vec<SmallEntry<'a>> {
    let held = base.entries(MEMBERS).iter().copied();
    let known = |held: Held<'a>| {
        let row = plan.rows.iter().find(|row| hex_id(row.id) == held.key)?;
        let is_same = serde_json::from_slice(held.value).is_ok_and(|before: MemberRow| before == *row);
        Some(match is_same {
            true => SmallEntry::Held(held),
            false => SmallEntry::Made { key: hex_id(row.id), value: go_json(row) },
        })
    };
    held.filter_map(known).collect()
}

fn meta<'k>(
    base: &Base<'_>,
    plan: &MemberPlan<'_>,
    new: bool,
    bumped_to: Option<i64>,
) -> Vec<(&'k [u8], Vec<u8>)> {
    let mut entries: Vec<(&[u8], Vec<u8>)> = Vec::new();
    if new {
        entries.push((b"consistent_index", plan.at.index.to_be_bytes().to_vec()));
        entries.push((b"term", plan.at.term.to_be_bytes().to_vec()));
        // etcdutl leaves the old cluster's; a db of 3.4 has none
        if let Some(config) = plan.at.config.as_ref().filter(|_| base.state.has_conf_state) {
            entries.push((b"confState", conf_state_json(config)));
        }
    }
    if let Some(main) = bumped_to {
        entries.push((SCHEDULED_COMPACT, Revision { main, sub: 0 }.to_bytes().to_vec()));
    }
    entries
}
