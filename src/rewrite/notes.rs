//! Warnings about a copy: what is unusual in the source, and what must be true before a changed copy takes its place.

use crate::bolt::fault::Findings;
use crate::etcd::schema::{Alarm, State};
use crate::etcd::tail::Tail;
use crate::input::DbFile;
use crate::units::{count, grouped};

use super::changes::{AlarmKind, Changes, History, Wish};
use super::request::DefragRequest;

/// Alarms that are still raised and are named one by one: a member has one or two, a malicious file any number.
const ALARMS_NAMED: usize = 10;

/// Warnings about the source, its history, its alarms.
pub fn of(
    source: &DbFile,
    harmless: &Findings,
    state: &State<'_>,
    wish: &Wish,
    changes: &Changes<'_>,
) -> Vec<String> {
    let mut notes = of_source(source, harmless);
    notes.extend(of_history(state, wish, changes));
    notes.extend(of_alarms(state, wish, changes));
    if !wish.drop_prefixes.is_empty() {
        notes.push(
            "the keys left out are gone for the cluster, as if they had never been written: their owners get no \
             event. Restart every kube-apiserver, and controllers that cache what they watch; where the copy is \
             restored, add `--bump-revision 1000000000 --mark-compacted`, so that every watcher starts over"
                .to_owned(),
        );
    }
    notes
}

fn of_source(source: &DbFile, harmless: &Findings) -> Vec<String> {
    let mut warnings = Vec::new();
    let mut of_freelist = harmless.count;
    for (slot, meta) in source.db.metas().slots.iter().enumerate() {
        if let Err(error) = meta {
            of_freelist = of_freelist.saturating_sub(1);
            warnings.push(format!(
                "meta {slot} of the source is not valid ({error}): what its last transaction wrote may be missing"
            ));
        }
    }
    let (size, claimed) =
        (source.db.file_size(), source.db.high_water_mark().saturating_mul(source.db.page_size()));
    if size < claimed {
        of_freelist = of_freelist.saturating_sub(1);
        warnings.push(format!(
            "the source has {size} bytes, its high water mark claims {claimed}: it was cut short, but nothing that is in \
             use was lost"
        ));
    }
    if of_freelist > 0 {
        warnings.push(format!(
            "the source's stored freelist is wrong ({}): the copy has none of that",
            count(of_freelist, "fault")
        ));
    }
    if source.read_without_lock {
        warnings.push(source.owner().unlocked());
    }
    warnings
}

/// What a copy lacks that its source's log has: a copy that begins a new log loses it.
pub fn of_log(tail: &Tail, request: &DefragRequest) -> Option<String> {
    if request.destination.is_in_place() || (!request.snapshot && request.wish.is_none()) {
        return None;
    }
    let beyond = match tail {
        Tail::NoLog | Tail::Applied { .. } => return None,
        Tail::Pending { consistent_index, last_index } => format!(
            "the source has the effect of its log up to entry {consistent_index}, and the log beside it goes on to entry \
             {last_index}"
        ),
        Tail::Unknown(reason) => format!("the log beside the source may go on beyond it: {reason}"),
    };
    Some(format!(
        "{beyond}. What was written since is not in this copy, and a restore from it begins a new log: if etcd still starts, \
         start it, and take `etcdctl snapshot save FILE` in place of this"
    ))
}

fn of_history(state: &State<'_>, wish: &Wish, changes: &Changes<'_>) -> Option<String> {
    let (scheduled, finished) = (state.scheduled_compact_revision, state.finished_compact_revision);
    let unfinished = scheduled.filter(|_| scheduled > finished);
    let before = finished.map_or_else(
        || "none was finished before".to_owned(),
        |before| format!("the last finished one: {before}"),
    );
    match (changes.compaction(), unfinished) {
        (None, Some(scheduled)) => Some(format!(
            "a compaction to revision {scheduled} was cut short ({before}): the copy keeps its records, and etcd goes on \
             with it at its next start; --compact-to {scheduled} finishes it here"
        )),
        (Some(revision), Some(scheduled)) => Some(format!(
            "a compaction to revision {scheduled} was cut short ({before}): it is finished with the one to {revision}"
        )),
        (None, None) if wish.history != History::All => Some(format!(
            "nothing to compact: revisions up to {} are gone already, and fewer are left than are to be kept",
            state.compact_revision().max(0)
        )),
        _ => None,
    }
}

fn of_alarms(state: &State<'_>, wish: &Wish, changes: &Changes<'_>) -> Vec<String> {
    let (gone, raised): (Vec<_>, Vec<_>) = state.alarms.iter().partition(|alarm| changes.disarms(alarm));
    let mut notes: Vec<_> = raised.iter().take(ALARMS_NAMED).copied().map(still_raised).collect();
    if let Some(more @ 1..) = raised.len().checked_sub(ALARMS_NAMED) {
        notes.push(format!("{} more alarms are still raised in the copy", grouped(more as u64)));
    }
    let is_gone = |kind: AlarmKind| gone.iter().any(|alarm| alarm.name() == kind.name());
    if is_gone(AlarmKind::Nospace) {
        notes.push(
            "NOSPACE is disarmed: the copy must be below --quota-backend-bytes, and what filled the file must have \
             stopped, or the alarm comes back: `etcdctl alarm list` after the start says so, and `etcdctl alarm disarm` \
             clears it once there is room. Members that differ in it take different writes: disarm it in all of them, or in \
             none"
                .to_owned(),
        );
    }
    if is_gone(AlarmKind::Corrupt) {
        notes.push(
            "CORRUPT is disarmed: that does not make members equal. Start only members that were restored from this one \
             file"
                .to_owned(),
        );
    }
    for kind in wish.disarm.iter().filter(|&&kind| !is_gone(kind)) {
        notes.push(format!("no alarm {} is raised: there was none to disarm", kind.name()));
    }
    notes
}

fn still_raised(alarm: &Alarm) -> String {
    format!(
        "alarm {} of member {:x} is still raised in the copy: once etcd runs and has room, `etcdctl alarm disarm`",
        alarm.name(),
        alarm.member_id
    )
}
