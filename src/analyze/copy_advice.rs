//! Advice on copies of the file: a defrag, a compaction, a cure for a full quota. A figure beside a command is what that very
//! command gives back.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use crate::etcd::schema::State;
use crate::etcd::trailer::{TRAILER_SIZE, Trailer};
use crate::input::beside::DbPlace;
use crate::input::named::Named;
use crate::rewrite::changes::{AlarmKind, History, Wish};
use crate::rewrite::guard::{Refusal, Surroundings, on_a_running_etcd};
use crate::shell::ShellCommand;
use crate::units::{bytes, count, percent};

use super::Analysis;
use super::advice::{Advice, Severity, WORTH_IT, new};
use super::gains::{AlsoSteady, Copies, CopyKind};
use super::share::share;

/// What cures a full quota in one step.
fn cure() -> Wish {
    Wish { history: History::Current, disarm: vec![AlarmKind::Nospace], ..Wish::default() }
}

/// Only a member that goes on is advised to be steady, and only a full one to be compacted with it.
pub(super) fn also_steady(db: &Path, state: &State<'_>) -> AlsoSteady {
    let is_full = state.alarms.iter().any(|alarm| alarm.name() == AlarmKind::Nospace.name());
    let plain = data_dir_of(db).is_some();
    AlsoSteady { plain, compacted: plain && is_full }
}

/// Why a full db may not be cured where it is; `None`: it may, or needs no cure.
pub fn cure_refused(db: DbPlace<'_>, state: &State<'_>, current_revision: Option<i64>) -> Option<Refusal> {
    state.alarms.iter().find(|alarm| alarm.name() == AlarmKind::Nospace.name())?;
    Surroundings::of(db, state, None).refusal(&cure(), current_revision)
}

pub(super) fn no_space(
    report: &Analysis,
    copies: Option<&Copies>,
    refused: Option<&Refusal>,
) -> Option<Advice> {
    if !needs_room(report) {
        return None;
    }
    let advice =
        |how: String, command| new("alarm-nospace", Severity::Critical, format!("{RAISED}{how}"), command);
    if report.health.structural_faults > 0 {
        let how = "and the file is damaged: save what can be read before anything rewrites it";
        return Some(advice(how.to_owned(), String::new()));
    }
    let running = on_a_running_etcd(&cure(), report.mvcc.as_ref().map(|mvcc| mvcc.revision));
    if let Some(Refusal::BehindItsLog { consistent_index, last_index, .. }) = refused {
        let how = format!(
            "and etcd refuses writes. Cure it with etcd running, as its log goes on to entry {last_index}, and the db has the \
             effect of entries up to {consistent_index}"
        );
        return Some(advice(how, running.join(" && ")));
    }
    let copy = Copy::of(report, copies, true, refused.is_some())?;
    let gain = copy.gain(report);
    let running: Vec<_> = running.iter().map(|command| format!("`{command}`")).collect();
    let running = running.join(", ");
    let one_command = format!("one command compacts, defragments and disarms, and gives back {gain}");
    let how = match refused {
        None => format!(
            "and etcd refuses writes. With etcd stopped, {one_command}. {}With etcd running, {running}",
            copy.why(report)
        ),
        Some(Refusal::LogUnclear { reason, .. }) => format!(
            "and etcd refuses writes. With etcd running, {running}. If it can't start, {one_command}, in a copy to restore \
             from; in place it can't be done: {reason}"
        ),
        Some(_) => format!(
            "and etcd refuses writes. With etcd stopped, {one_command}, in a copy from which all members are restored. With \
             etcd running, {running}"
        ),
    };
    Some(Advice { gives_back_bytes: copy.gives_back, ..advice(how, copy.command) })
}

const RAISED: &str = "NOSPACE is raised, ";

/// Whether etcd refuses writes for lack of room.
fn needs_room(report: &Analysis) -> bool {
    report.alarms.iter().any(|alarm| alarm.alarm == AlarmKind::Nospace.name())
}

pub(super) fn history(report: &Analysis) -> Option<Advice> {
    let mvcc = report.mvcc.as_ref()?;
    let gain = report.gains.compact_and_defrag_bytes.saturating_sub(report.gains.defrag_bytes);
    let part = share(gain, report.file.allocated_bytes);
    let retained = report.retention.as_ref().map_or(0, |retention| retention.revisions);
    let text = format!(
        "{} is history ({} revisions since the last compaction): a compaction to the current revision gives back {} on top \
         of a defrag ({} of the allocated pages)",
        bytes(mvcc.superseded.disk_bytes + mvcc.tombstones.disk_bytes),
        count(retained, ""),
        bytes(gain),
        percent(part)
    );
    // what a shorter history would give is the plan's to say
    let command = report.named.ours(&format!("etcd-medic plan{}", without_hash_check(report)));
    (part >= WORTH_IT).then(|| new("history", Severity::Warning, text, command.to_string()))
}

/// What commands that make or plan a copy need to take a snapshot that was changed.
fn without_hash_check(report: &Analysis) -> &'static str {
    if report.file.snapshot_trailer == Trailer::Invalid { " --skip-hash-check" } else { "" }
}

pub(super) fn defrag(report: &Analysis, copies: Option<&Copies>) -> Option<Advice> {
    // of a damaged file nothing is promised, and free pages may hold what is to be saved
    if report.health.structural_faults > 0 {
        return None;
    }
    let copy = Copy::of(report, copies, false, false)?;
    let gain = copy.gain(report);
    let of_file = share(copy.gives_back.unwrap_or(0), report.file.file_bytes);
    if of_file < WORTH_IT && share(copy.of_allocated, report.file.allocated_bytes) < WORTH_IT {
        let text = format!("A defrag alone would give back only {gain}: not worth its pause");
        return Some(new("defrag-useless", Severity::Info, text, ""));
    }
    let stopped = format!(", with {} stopped,", report.owner.program());
    let stopped = if copy.in_place { &stopped } else { "" };
    let text = format!("A defrag{stopped} gives back {gain}. {}", copy.why(report));
    let advice =
        new("defrag", Severity::Warning, text.trim_end().trim_end_matches('.').to_owned(), copy.command);
    Some(Advice { gives_back_bytes: copy.gives_back, ..advice })
}

/// The copy that is advised: the command that makes it, and what that gives back.
struct Copy {
    command: String,
    in_place: bool,
    steady: bool,
    /// By how much it is smaller than the file; `None`: it is not.
    gives_back: Option<u64>,
    /// How many bytes of allocated pages it gives back.
    of_allocated: u64,
}

impl Copy {
    /// The db of a data dir is replaced in place; where that can't be done, the copy is a snapshot to be restored from.
    fn of(report: &Analysis, copies: Option<&Copies>, cure: bool, to_restore: bool) -> Option<Self> {
        let copies = copies?;
        let path = &*report.file.path.as_path();
        let data_dir = data_dir_of(path).filter(|_| !to_restore && !report.named.is_unpacked());
        let kind = |steady| CopyKind { compacted: cure, steady };
        let worth = |steady| share(copies.gives_back(kind(steady)), report.file.allocated_bytes) >= WORTH_IT;
        // a member that has no room left needs it now, even if it grows again later
        let steady = data_dir.is_some() && (worth(true) || !(needs_room(report) && worth(false)));
        let trailer = report.file.snapshot_trailer;
        // in place, what a file had after it, the copy has, too
        let is_sealed = trailer != Trailer::None && (report.owner.is_etcd() || data_dir.is_some());
        let snapshot = is_sealed || to_restore;
        let trailer_bytes = if snapshot { TRAILER_SIZE as u64 } else { 0 };
        let cure = if cure { " --compact-to current --disarm" } else { "" };
        let words = format!("etcd-medic defrag{cure}{}", without_hash_check(report));
        let command = match data_dir {
            Some(data_dir) => {
                let steady = if steady { "--steady" } else { "" };
                ShellCommand::new(&words).and("--in-place").and(steady).path(data_dir)
            }
            None => {
                let out = if snapshot { "--snapshot -o" } else { "-o" };
                report.named.ours(&words).and(out).path(&packed(&report.named))
            }
        };
        let copy_bytes = copies.bytes(kind(steady))?.saturating_add(trailer_bytes);
        Some(Self {
            command: command.to_string(),
            in_place: data_dir.is_some(),
            steady,
            gives_back: report.file.file_bytes.checked_sub(copy_bytes).filter(|&saved| saved > 0),
            of_allocated: copies.gives_back(kind(steady)),
        })
    }

    /// What it gives back: of the file, and, where that has a tail, of the pages that are allocated in it, which the quota counts.
    fn gain(&self, report: &Analysis) -> String {
        let file = &report.file;
        let of = |gain, whole| format!("{} ({} of", bytes(gain), percent(share(gain, whole)));
        let of_file = of(self.gives_back.unwrap_or(0), file.file_bytes);
        if file.file_bytes <= file.allocated_bytes.saturating_add(TRAILER_SIZE as u64) {
            return format!("{of_file} the file)");
        }
        let of_allocated = of(self.of_allocated, file.allocated_bytes);
        let quota = if report.owner.is_etcd() { ", which the quota counts" } else { "" };
        format!("{of_file} the file), {of_allocated} the allocated pages{quota})")
    }

    /// Why this layout, in place. Of another copy, nobody knows what it is for.
    fn why(&self, report: &Analysis) -> String {
        let program = report.owner.program();
        match (self.in_place, self.steady) {
            (false, _) => String::new(),
            (true, true) => format!("--steady keeps the file small while {program} goes on writing. "),
            (true, false) => {
                "Without --steady, as that would give back too little: the file grows faster afterwards, so make room for good \
                 (a larger quota, or fewer objects). "
                    .to_owned()
            }
        }
    }
}

/// Where a copy goes: beside the file; that of a data dir's db outside of `snap`, which is etcd's.
fn packed(named: &Named) -> PathBuf {
    if let Some(data_dir) = data_dir_of(&named.path) {
        return data_dir.join("member/db.packed");
    }
    let path = if named.is_standard_input { Path::new("stdin") } else { &named.path };
    let mut packed = OsString::from(path);
    packed.push(".packed");
    packed.into()
}

/// The data dir whose db this is.
pub(super) fn data_dir_of(db: &Path) -> Option<&Path> {
    let data_dir = db.ancestors().nth(3).filter(|_| db.ends_with("member/snap/db"))?;
    Some(if data_dir.as_os_str().is_empty() { Path::new(".") } else { data_dir })
}
