//! What to do, ranked.

use crate::etcd::schema::Member;
use crate::etcd::trailer::Trailer;
use crate::k8s::object::ObjectKind;
use crate::k8s::resource_name;
use crate::k8s::resources::by_name;
use crate::owner::Owner;
use crate::shell::ShellCommand;
use crate::text::brief;
use crate::units::{bytes, count, percent};

use super::advice::{Advice, Severity, WORTH_IT, new};
use super::gains::Copies;
use super::resources::ResourceUse;
use super::share::share;
use super::{Analysis, AnalyzeRequest, copy_advice};

/// A resource is called out from this share of the `key` bucket on.
const DOMINANT: f64 = 0.4;
/// A span of revisions is a flood from this many times the median on.
const FLOOD: f64 = 8.0;
/// Two thirds of what etcd takes in one request by default (`--max-request-bytes`: 1.5 MiB).
const LARGE_VALUE: u64 = 1 << 20;

/// All that a report gives reason for, the worst first.
pub fn advise(report: &Analysis, request: &AnalyzeRequest<'_>, copies: Option<&Copies>) -> Vec<Advice> {
    let advice = [
        damage(report),
        trailer(report),
        copy_advice::no_space(report, copies, request.cure_refused.as_ref()),
        corrupt(report),
        cut_short(report),
        unknown_members(report),
        copy_advice::history(report),
        copy_advice::defrag(report, copies),
        dominant(report),
        flood(report),
        large_values(report),
        orphans(report),
        cleanup(report),
        request.read_without_lock.then(|| unlocked(report.owner)),
    ];
    let mut advice: Vec<_> = advice.into_iter().flatten().collect();
    advice.sort_by_key(|advice| advice.severity);
    advice
}

fn damage(report: &Analysis) -> Option<Advice> {
    let text = format!(
        "{} found: the figures here cover what could be read. Keep a copy of the file before anything else",
        count(report.health.num_faults, "fault")
    );
    let command = of_file("etcd-medic check", report);
    (!report.health.sound).then(|| new("damage", Severity::Critical, text, command))
}

fn trailer(report: &Analysis) -> Option<Advice> {
    let text =
        "The last 32 bytes are not the SHA-256 of the db before them: the file was cut short or changed";
    let invalid = report.file.snapshot_trailer == Trailer::Invalid;
    let (text, command) = if report.owner.is_etcd() {
        let then =
            "and `etcdutl snapshot restore` will refuse it. Take another, if the cluster is still there";
        (format!("{text}, {then}"), "etcdctl snapshot save snapshot.db")
    } else {
        (text.to_owned(), "")
    };
    invalid.then(|| new("trailer", Severity::Critical, text, command))
}

fn corrupt(report: &Analysis) -> Option<Advice> {
    let alarm = report.alarms.iter().find(|alarm| alarm.alarm == "CORRUPT")?;
    let text = format!("CORRUPT is raised by member {:x}: {}", alarm.member_id, alarm.meaning);
    Some(new("alarm-corrupt", Severity::Critical, text, "etcdctl endpoint hashkv --cluster"))
}

fn cut_short(report: &Analysis) -> Option<Advice> {
    let mvcc = report.mvcc.as_ref()?;
    let (scheduled, finished) =
        (mvcc.scheduled_compact_revision?, mvcc.finished_compact_revision.unwrap_or(0));
    // etcdutl/snapshot/v3_snapshot.go, unsafeMarkRevisionCompacted: marked as begun, and left to etcd
    let is_bumped = mvcc.gaps.iter().any(|gap| gap.last_revision.saturating_add(1) == scheduled);
    let text = if is_bumped {
        format!(
            "A restore with --bump-revision --mark-compacted raised the current revision to {scheduled}, and left it to etcd \
             to compact all history up to there at its next start"
        )
    } else {
        format!(
            "A compaction to revision {scheduled} was begun and not finished (the last finished one: {finished}): etcd \
             goes on with it at its next start. A restore with --bump-revision --mark-compacted leaves the same"
        )
    };
    (scheduled > finished).then(|| new("compaction-cut-short", Severity::Info, text, ""))
}

fn unknown_members(report: &Analysis) -> Option<Advice> {
    let unknown = &report.file.members_not_in_conf_state;
    let members = report.file.members.iter().filter(|member| unknown.contains(&member.id));
    let texts: Vec<_> = members.map(Member::unknown_to_raft_text).collect();
    (!texts.is_empty()).then(|| new("member-not-in-confstate", Severity::Warning, texts.join(". "), ""))
}

fn of_file(words: &str, report: &Analysis) -> String {
    ShellCommand::new(words).path(&report.file.path.as_path()).to_string()
}

fn dominant(report: &Analysis) -> Option<Advice> {
    let row = report.resources.first()?;
    let mvcc = report.mvcc.as_ref()?;
    let all = mvcc.live.disk_bytes + mvcc.superseded.disk_bytes + mvcc.tombstones.disk_bytes;
    let part = share(row.disk_bytes, all);
    let name = brief(resource_name(&row.group, &row.resource.to_string()).as_bytes());
    let text = format!(
        "{name} takes {} of all records' bytes ({}): {}, {} a key at the median",
        percent(part),
        bytes(row.disk_bytes),
        count(row.objects, "key"),
        count(row.revisions_per_object.p50, "revision")
    );
    // the name comes from the file: only what can be a resource's goes into a command
    let is_name = |char: char| char.is_ascii_alphanumeric() || ".-".contains(char);
    let is_kubernetes = !row.group.is_empty() || by_name("", &row.resource.to_string()).is_some();
    let command = if is_kubernetes && !name.starts_with('-') && name.chars().all(is_name) {
        format!("kubectl get {name} --all-namespaces")
    } else {
        String::new()
    };
    (part >= DOMINANT).then(|| new("dominant-resource", Severity::Warning, text, command))
}

fn flood(report: &Analysis) -> Option<Advice> {
    let peak = report.timeline.as_ref()?.peak.as_ref()?;
    let text = format!(
        "Revisions {} to {} hold {:.0} times the bytes of the median span ({}), {} of them in {}",
        peak.bin.first_revision,
        peak.bin.last_revision,
        peak.times_median,
        bytes(peak.bin.bytes),
        percent(peak.resource_share),
        brief(resource_name(&peak.group, &peak.resource.to_string()).as_bytes())
    );
    // where compaction has thinned out the past, the recent past stands out without any flood
    let several = report.timeline.as_ref().is_some_and(|timeline| timeline.bins.len() >= 10);
    (several && peak.times_median >= FLOOD && share(peak.bin.bytes, report.file.file_bytes) >= WORTH_IT)
        .then(|| new("flood", Severity::Info, text, ""))
}

fn large_values(report: &Analysis) -> Option<Advice> {
    let largest =
        report.top_objects.iter().filter(|object| object.live).max_by_key(|object| object.value_bytes)?;
    let text = format!(
        "{} holds a value of {}: etcd refuses requests above 1.5 MiB by default (--max-request-bytes)",
        brief(&largest.key.0),
        bytes(largest.value_bytes)
    );
    (largest.value_bytes >= LARGE_VALUE).then(|| new("large-value", Severity::Warning, text, ""))
}

fn orphans(report: &Analysis) -> Option<Advice> {
    let leases = report.leases.as_ref()?;
    let text = format!(
        "{} ({}) attached to leases that do not exist: they will never expire by themselves",
        count(leases.orphaned_keys, "key"),
        bytes(leases.orphaned_bytes)
    );
    (leases.orphaned_keys > 0).then(|| new("orphaned-keys", Severity::Warning, text, ""))
}

/// Of what may be garbage, this report knows the resources only: whether an object is finished is in its value.
fn cleanup(report: &Analysis) -> Option<Advice> {
    let may_be = |row: &&ResourceUse| ObjectKind::of(&row.group, &row.resource.0).is_some();
    let rows = || report.resources.iter().filter(may_be);
    let objects: u64 = rows().map(|row| row.objects).sum();
    let text = format!(
        "{} (Events, Jobs, Pods, ReplicaSets, Leases) of {} on disk tell by their own fields whether they are old, \
         finished or stale",
        count(objects, "object"),
        bytes(rows().map(|row| row.disk_bytes).sum())
    );
    let command = of_file("etcd-medic cleanup", report);
    (report.health.sound && objects > 0).then(|| new("cleanup", Severity::Info, text, command))
}

fn unlocked(owner: Owner) -> Advice {
    let text = format!(
        "The file was read without asking for bbolt's lock: if {} was writing to it, figures and faults may be those of two \
         moments at once",
        owner.program()
    );
    let command = if owner.is_etcd() { "etcdctl snapshot save snapshot.db" } else { "" };
    new("read-without-lock", Severity::Info, text, command)
}
