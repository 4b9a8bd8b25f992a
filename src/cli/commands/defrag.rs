//! `defrag`: a packed copy.

use std::ffi::OsString;
use std::path::PathBuf;

use anyhow::Result;

use crate::bolt::lock::Lock;
use crate::copy::{Destination, Layout};
use crate::report;
use crate::rewrite::changes::{AlarmKind, History, Wish};
use crate::rewrite::request::DefragRequest;

use crate::cli::context::Context;
use crate::cli::outcome::Outcome;
use crate::cli::progress;
use crate::cli::signals;
use crate::cli::values::parse_compact_to;

use super::layout::LayoutArgs;

/// Write a packed, verified copy without free pages, which etcd starts from
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = "Examples:
  etcd-medic defrag /var/lib/etcd -o /backup/db                # SRC is only read
  etcd-medic defrag --in-place --steady /var/lib/etcd          # etcd is stopped; the old db is kept beside snap/
  etcd-medic defrag /var/lib/etcd --snapshot -o snapshot.db    # for `etcdutl snapshot restore`
  etcd-medic defrag /var/lib/etcd -o /backup/db --dry-run

The quota is full (the only member, etcd was stopped cleanly): history, free pages and the alarm in one step
  etcd-medic defrag --in-place --steady --compact-to current --disarm /var/lib/etcd
The same for a cluster: one file, from which every member is restored
  etcd-medic defrag /var/lib/etcd --compact-to current --disarm --snapshot -o cure.db
The last resort, when etcd must come up: first look, then give up
  etcd-medic defrag snapshot.db -o cure.db --compact-to current --drop-prefix /registry/events/ --dry-run
docs/space-guide.md and docs/recovery.md say what is safe for one member alone, and what is not.")]
pub struct DefragArgs {
    /// A db, a snapshot, or a data dir
    #[arg(value_name = "SRC")]
    source: PathBuf,
    /// Where to write the copy; not needed for --dry-run
    #[arg(short = 'o', long = "out", value_name = "DST", required_unless_present_any = ["in_place", "dry_run"])]
    out: Option<PathBuf>,
    /// Put the verified copy where SRC is, and keep SRC as db.before-defrag, outside of snap/
    #[arg(long, conflicts_with_all = ["out", "force", "no_verify", "snapshot"])]
    in_place: bool,
    /// With --in-place: do not keep the old file
    // `requires` alone lets it pass beside what --in-place conflicts with
    #[arg(long, requires = "in_place", conflicts_with = "out")]
    discard_old: bool,
    /// The folder of the member's log, if etcd runs with --wal-dir
    #[arg(long, value_name = "DIR")]
    wal_dir: Option<PathBuf>,
    /// Replace DST if it exists
    #[arg(long)]
    force: bool,
    /// Do not compare the copy with SRC
    #[arg(long)]
    no_verify: bool,
    /// Show what would be written, and write nothing
    #[arg(long)]
    dry_run: bool,
    /// Append a SHA-256, so that `etcdutl snapshot restore` accepts the copy
    #[arg(long)]
    snapshot: bool,
    /// Accept a snapshot even if its SHA-256 does not match its content
    #[arg(long)]
    skip_hash_check: bool,
    #[command(flatten)]
    changes: Box<ChangeArgs>,
    #[command(flatten)]
    layout: LayoutArgs,
}

/// What a copy leaves out of its source.
#[derive(clap::Args, Clone, Debug)]
#[command(next_help_heading = "What the copy leaves out")]
pub struct ChangeArgs {
    /// Drop what etcd's compaction to this revision drops; `current` for all history
    #[arg(long, value_name = "REV|current", value_parser = parse_compact_to, conflicts_with = "keep_revisions")]
    pub compact_to: Option<History>,
    /// Keep the newest N revisions of history, as etcd's --auto-compaction-retention=N in mode `revision`
    #[arg(long, value_name = "N")]
    pub keep_revisions: Option<u64>,
    /// Leave raised alarms out: NOSPACE if none is named. Use it for all members, or the only one
    #[arg(
        long, value_enum, value_name = "ALARM", num_args = 0..=1, require_equals = true, value_delimiter = ',',
        default_missing_value = "nospace"
    )]
    pub disarm: Vec<AlarmKind>,
    /// The last resort: leave out every key with this prefix, even if something needs it; may be repeated
    #[arg(long, value_name = "PREFIX")]
    pub drop_prefix: Vec<OsString>,
    /// Confirm --drop-prefix with the number of keys that --dry-run showed
    #[arg(long, value_name = "KEYS", requires = "drop_prefix")]
    pub confirm_keys: Option<u64>,
    /// With --in-place, in a cluster of several members: all are stopped at one revision, and you do the same to each
    // `requires` alone lets it pass beside what --in-place conflicts with
    #[arg(long, requires = "in_place", conflicts_with = "out")]
    pub every_member: bool,
    /// The member is the only one of its cluster, whatever its files say
    #[arg(long, conflicts_with = "every_member")]
    pub only_member: bool,
}

impl DefragArgs {
    pub fn run(&self, context: &Context) -> Result<Outcome> {
        signals::end_cleanly()?;
        // nobody else may read or write a file while it is replaced
        let lock = if self.in_place && !self.dry_run { Lock::Exclusive } else { Lock::Shared };
        let source = context.open_under(&self.source, lock)?;
        let request = self.request();
        let report = progress::watch(|progress| source.defrag(&request, progress))?;
        let view = context.view();
        context.render("defrag", &report, |out| report::rewrite::defrag(out, &view, &report))?;
        Ok(Outcome::Sound)
    }

    fn request(&self) -> DefragRequest {
        let destination = match &self.out {
            Some(path) => Destination::File { path: path.clone(), force: self.force },
            None if self.in_place => Destination::InPlace { keep_old: !self.discard_old },
            None => Destination::Nowhere,
        };
        DefragRequest {
            destination,
            wish: Wish::from(&*self.changes),
            layout: Layout::from(self.layout),
            verify: !self.no_verify,
            dry_run: self.dry_run,
            snapshot: self.snapshot,
            skip_hash_check: self.skip_hash_check,
            wal_dir: self.wal_dir.clone(),
        }
    }
}

impl From<&ChangeArgs> for Wish {
    fn from(args: &ChangeArgs) -> Self {
        let newest = args.keep_revisions.map(History::Newest);
        Self {
            history: args.compact_to.or(newest).unwrap_or_default(),
            disarm: args.disarm.clone(),
            drop_prefixes: args.drop_prefix.iter().map(|prefix| prefix.as_encoded_bytes().to_vec()).collect(),
            confirmed_keys: args.confirm_keys,
            every_member: args.every_member,
            only_member: args.only_member,
        }
    }
}
