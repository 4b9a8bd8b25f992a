//! What the user can do about an error, in the options of this program: the library knows none.

use std::error::Error;
use std::io;

use crate::bolt::open::OpenError;
use crate::copy::CopyError;
use crate::etcd::RevisionError;
use crate::front::KeysError;
use crate::hash::HashError;
use crate::input::log_error::LogError;
#[cfg(feature = "packed")]
use crate::input::unpack::error::UnpackError;
use crate::input::{Reason, SourceError};
use crate::output::OutputError;
use crate::replay::error::ReplayError;
use crate::restore::error::RestoreError;
use crate::rewrite::changes::ChangeError;
use crate::rewrite::error::DefragError;
use crate::rewrite::guard::Refusal;
use crate::salvage::error::SalvageError;
use crate::synth::SynthError;
use crate::travel::TravelError;
use crate::travel::export::ExportError;
use crate::travel::shown::SecretWithheld;

/// The words of an error, and what can be done about it.
pub(super) fn with_remedy(error: &anyhow::Error) -> String {
    format!("{error:#}{}", error.chain().find_map(of_cause).unwrap_or_default())
}

fn of_cause(cause: &(dyn Error + 'static)) -> Option<String> {
    let source = cause.downcast_ref().and_then(of_source);
    let output = || of_output(cause.downcast_ref()?);
    let defrag = || of_defrag(cause.downcast_ref()?);
    let salvage = || of_salvage(cause.downcast_ref()?);
    let replay = || of_replay(cause.downcast_ref()?);
    let log = || of_log(cause.downcast_ref()?);
    let restore = || of_restore(cause.downcast_ref()?);
    let synth = || match cause.downcast_ref()? {
        SynthError::Copy(error) => of_copy(error),
        _ => None,
    };
    let export = || of_export(cause.downcast_ref()?);
    let keys = || match cause.downcast_ref()? {
        KeysError::Travel(error) => of_travel(error),
        _ => None,
    };
    let travel = || of_travel(cause.downcast_ref()?);
    let hash =
        || matches!(cause.downcast_ref()?, HashError::NoRevisions).then(|| ": leave --rev out".to_owned());
    let secret = || {
        cause.downcast_ref().map(|SecretWithheld| ": its bytes are shown with --show-secrets only".to_owned())
    };
    let copy = source
        .or_else(output)
        .or_else(defrag)
        .or_else(salvage)
        .or_else(replay)
        .or_else(log)
        .or_else(restore)
        .or_else(synth);
    copy.or_else(export).or_else(keys).or_else(travel).or_else(hash).or_else(secret)
}

fn of_source(SourceError { reason, owner, .. }: &SourceError) -> Option<String> {
    match reason {
        Reason::Locked { .. } => {
            let stop = match owner.is_etcd() {
                true => "Stop etcd, or take a snapshot of it:".to_owned(),
                false => format!("Stop {}", owner.program()),
            };
            Some(format!(". `--no-lock` reads all the same, but what it reads may be changing. {stop}"))
        }
        Reason::Open(OpenError::LockUnsupported(_)) => {
            Some(": if nobody writes to it, read it with `--no-lock`".to_owned())
        }
        Reason::NoArchive(_) => {
            Some(": leave --member out; in an archive that --log names, --log-member names a db".to_owned())
        }
        Reason::Scratch(_) => Some(": --disk-errors needs room there".to_owned()),
        #[cfg(feature = "packed")]
        Reason::Unpack(error) => of_unpack(error),
        _ => None,
    }
}

#[cfg(feature = "packed")]
fn of_unpack(error: &UnpackError) -> Option<String> {
    let remedy = match error {
        UnpackError::Window { .. } => ": allow it with --max-window SIZE, or unpack it first:",
        UnpackError::TooLarge(_) => ": if you expect that, allow it with --max-unpacked SIZE",
        UnpackError::Several { .. } => ": name one with --member NAME, such as:",
        UnpackError::TooManyFiles(_) => ": name the db that is meant with --member NAME",
        UnpackError::NoDb { .. } => ". If one of them is a damaged db, name it with --member NAME",
        UnpackError::NoSpace { .. } | UnpackError::NoFolder { .. } | UnpackError::Write { .. } => {
            ": name a folder with room for it with --tmp-dir DIR"
        }
        _ => return None,
    };
    Some(remedy.to_owned())
}

fn of_copy(error: &CopyError) -> Option<String> {
    match error {
        CopyError::Output(error) => of_output(error),
        _ => None,
    }
}

fn of_output(error: &OutputError) -> Option<String> {
    let remedy = match error {
        OutputError::Exists(_) => ": choose another name, or replace it with --force",
        OutputError::IsSource(_) => {
            ": name another file; --in-place puts a verified copy in its place and keeps the old one"
        }
        OutputError::IsPacked(_) => ": write the copy to another file with -o",
        OutputError::NotLocked => ": leave --no-lock out",
        OutputError::NoSpace { .. } => ": make room, or write to another disk with -o",
        OutputError::Io { error, .. } => match error.kind() {
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
                ": nothing can be written there; name a file in another folder with -o, or run as its owner"
            }
            io::ErrorKind::StorageFull => ": the disk is full; make room, or write to another one with -o",
            io::ErrorKind::QuotaExceeded => {
                ": the disk quota is used up; make room, or write to another disk with -o"
            }
            io::ErrorKind::FileTooLarge => {
                ": the file would pass a limit on file sizes; raise it (`ulimit -f`), or write to another disk with -o"
            }
            _ => return None,
        },
        _ => return None,
    };
    Some(remedy.to_owned())
}

fn of_defrag(error: &DefragError) -> Option<String> {
    match error {
        DefragError::Copy(error) => of_copy(error),
        DefragError::Refused { refusal, .. } => of_refusal(refusal),
        DefragError::Trailer { .. } => {
            Some("; take another one, or go on with --skip-hash-check if you know why".to_owned())
        }
        DefragError::Unconfirmed { keys, .. } => Some(format!(
            ". Look at them with --dry-run (--output json lists each), and if you can do without them, add --confirm-keys {keys}"
        )),
        DefragError::Change { error: ChangeError::Revision(error), .. } => Some(match error {
            RevisionError::Compacted { compact_revision, current_revision, .. } => {
                format!("; name one from {compact_revision} to {current_revision}, or `current`")
            }
            RevisionError::Future { .. } => "; name one up to it, or `current`".to_owned(),
        }),
        DefragError::Change { error: ChangeError::DropNeedsCompaction, .. } => {
            Some(": --drop-prefix needs --compact-to current".to_owned())
        }
        DefragError::Change { error: ChangeError::EmptyPrefix, .. } => {
            Some(": --drop-prefix needs a prefix".to_owned())
        }
        _ => None,
    }
}

fn of_refusal(refusal: &Refusal) -> Option<String> {
    match refusal {
        Refusal::OneOfSeveral { .. } => Some(
            ": write the copy to a file (-o FILE --snapshot), and restore every member from that one file (docs/recovery.md, \
             \"One member, or all\"). If all members are stopped at the same revision, and you do the same to each: \
             --every-member. If it is in fact the only one: --only-member"
                .to_owned(),
        ),
        Refusal::MembersUnclear { .. } => Some(
            ": add --only-member if it is the only one; --every-member if all members are stopped at the same revision, and \
             you do the same to each; or write the copy to a file (-o FILE --snapshot), and restore every member from that \
             one file (docs/recovery.md, \"One member, or all\")"
                .to_owned(),
        ),
        Refusal::LogUnclear { commands, .. } => Some(format!(
            ". If the log is in another folder, name that with --wal-dir. If etcd starts from this directory, run {commands} there; if it does not, write the copy to a file (-o FILE \
             --snapshot), and restore from that one, which begins a new log (docs/recovery.md)"
        )),
        Refusal::BehindItsLog { .. } | Refusal::NotApplied { .. } => None,
    }
}

fn of_salvage(error: &SalvageError) -> Option<String> {
    let remedy = match error {
        SalvageError::Copy(error) => return of_copy(error),
        SalvageError::Source(error) => return of_source(error),
        SalvageError::Unplaced { .. } => ": --best-effort puts them into a bucket of their own",
        SalvageError::Doubtful { .. } => {
            ". Look at it with --dry-run; without --strict, what nothing speaks against is taken"
        }
        SalvageError::Log(error) => return of_log(error),
        SalvageError::Nothing { .. } => return None,
    };
    Some(remedy.to_owned())
}

fn of_replay(error: &ReplayError) -> Option<String> {
    let remedy = match error {
        ReplayError::Copy(error) => return of_copy(error),
        ReplayError::Source(error) => return of_source(error),
        ReplayError::SeveralRuns(_) => {
            ". Choose one with --key, --namespace or --resource, or end before its first entry with --until-index"
        }
        ReplayError::NoDeletions => ": --list-deletions shows what was deleted",
        ReplayError::BaseDamaged(_) => ". `etcd-medic salvage` makes a sound one of it",
        ReplayError::Unsupported { .. } => " (--until-index)",
        ReplayError::Log(error) => return of_log(error),
        _ => return None,
    };
    Some(remedy.to_owned())
}

fn of_restore(error: &RestoreError) -> Option<String> {
    let remedy = match error {
        RestoreError::Copy(error) => return of_copy(error),
        RestoreError::Source(error) => return of_source(error),
        RestoreError::Output(error) => return of_output(error),
        RestoreError::Log(error) => return of_log(error),
        RestoreError::Salvage(error) => return of_salvage(error),
        RestoreError::Base(error) => return of_replay(error),
        RestoreError::Trailer { .. } => "; take another one, or go on with --skip-hash-check if you know why",
        RestoreError::NoIndex | RestoreError::WhoIsIt { .. } => {
            ". Without --keep-identity it becomes a member of a new cluster"
        }
        RestoreError::Gap { last, .. } => {
            return Some(format!(
                ". Take a newer db, or another member's; or leave them out with --cut-log {last}"
            ));
        }
        RestoreError::WouldNotStart { .. } => ". Name the etcd that is to start from it with --for",
        _ => return None,
    };
    Some(remedy.to_owned())
}

fn of_log(error: &LogError) -> Option<String> {
    match error {
        LogError::NoArchive { .. } => Some(": leave --member and --log-member out".to_owned()),
        LogError::Missing { .. } => Some(". If it is elsewhere, name its folder with --wal-dir".to_owned()),
        #[cfg(feature = "packed")]
        LogError::Unpack { error, .. } => match error {
            UnpackError::Several { .. } | UnpackError::SeveralLogs { .. } => Some(
                ": name one with --member NAME, or, if it is the archive that --log names, with --log-member NAME".to_owned(),
            ),
            error => of_unpack(error),
        },
        _ => None,
    }
}

fn of_export(error: &ExportError) -> Option<String> {
    match error {
        ExportError::Output(error) => of_output(error),
        ExportError::Partly { error, .. } => of_export(error),
        ExportError::NotEmpty(_) => Some(": choose another folder, or write into it with --force".to_owned()),
        _ => None,
    }
}

fn of_travel(error: &TravelError) -> Option<String> {
    let remedy = match error {
        TravelError::NoKeyBucket => ". What lies in its pages all the same, `--from free` finds",
        TravelError::NoOlderRoot => ". `--from free` looks at its pages, too",
        TravelError::Revision(RevisionError::Compacted { .. }) => {
            ". `--from any` looks for what can still be found of it"
        }
        TravelError::NotEtcd(_) | TravelError::Revision(RevisionError::Future { .. }) => return None,
    };
    Some(remedy.to_owned())
}
