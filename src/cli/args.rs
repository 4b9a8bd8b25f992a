//! What the user can say.

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use bytesize::ByteSize;
use clap::{Parser, Subcommand, ValueEnum};
use clap_complete::Shell;

use crate::bolt::format::{MAX_PAGE_SIZE, MIN_PAGE_SIZE};
use crate::copy::{DEFAULT_MAX_NODE_PAGES, Layout};
use crate::rewrite::changes::{AlarmKind, History, Wish};

const AFTER_HELP: &str = "\
Exit codes: 0 sound, 1 problems found or a threshold passed, 2 could not do it.
A target that is a symbolic link, or in use by another process, is refused, also with --force.
FILE may be a db, a snapshot, or an etcd data dir (its member/snap/db is read). Nothing is ever written to it.";

/// Reads etcd's database file without etcd: says where every byte went, and what is wrong with it.
#[derive(Parser, Debug)]
#[command(name = "etcd-medic", bin_name = "etcd-medic", version, after_help = AFTER_HELP, arg_required_else_help = true)]
pub struct Args {
    #[command(subcommand)]
    pub command: Command,

    /// How to write the result
    #[arg(long, global = true, value_enum, default_value_t = Output::Text, value_name = "FORMAT")]
    pub output: Output,

    /// Show bytes exactly rather than rounded
    #[arg(long, global = true)]
    pub bytes: bool,

    /// Read even while a running etcd holds the file: it may be changing
    #[arg(long, global = true)]
    pub no_lock: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum Output {
    /// For people
    Text,
    /// For programs: docs/json.md describes it
    Json,
    /// `status` only: for node_exporter's textfile collector, docs/monitoring describes it
    Prometheus,
}

#[derive(Subcommand, Debug)]
pub enum Command {
    /// The full report: what fills the file, what each cure gives back, what to do
    #[command(after_help = "Examples:
  etcd-medic analyze /var/lib/etcd
  etcd-medic analyze snapshot.db --top 25 --sort history
  etcd-medic analyze snapshot.db --resource events --namespace default
  etcd-medic analyze snapshot.db --output json | jq '.resources[] | {resource, disk_bytes}'")]
    Analyze {
        /// A db, a snapshot, or a data dir
        file: PathBuf,
        /// Rows of each table, and objects of each ranking
        #[arg(long, default_value_t = 10, value_name = "N")]
        top: usize,
        /// What resources are sorted by
        #[arg(long, value_enum, default_value_t = Sort::Disk)]
        sort: Sort,
        /// Only this resource: `pods`, `deployments.apps`
        #[arg(long, value_name = "RESOURCE")]
        resource: Option<String>,
        /// Only this namespace, in the tables of namespaces and objects
        #[arg(long, short, value_name = "NAMESPACE")]
        namespace: Option<String>,
    },
    /// One line a file: size, use, revision, keys, verdict; for people and cron
    #[command(after_help = "Examples:
  etcd-medic status /var/lib/etcd
  etcd-medic status --quota 8GiB --warn 80% --crit 95% /var/lib/etcd || mail -s 'etcd is filling up' ops
  etcd-medic status --quota 8GiB --disk 100GB snapshot.db        # what is left, and what to set there
  etcd-medic status --quota 8GiB --output prometheus snapshot.db # for node_exporter: docs/monitoring/
  etcd-medic status backups/*.db")]
    Status {
        /// Dbs, snapshots, or data dirs
        #[arg(required = true)]
        files: Vec<PathBuf>,
        /// etcd's --quota-backend-bytes, to compare with: `8GiB`, `2147483648`
        #[arg(long, value_name = "BYTES", value_parser = parse_bytes)]
        quota: Option<u64>,
        /// The disk that etcd's data dir is on, for what is left of it, and which quota and retention suit it: `100GB`
        #[arg(long, value_name = "BYTES", value_parser = parse_bytes)]
        disk: Option<u64>,
        /// Exit with 1 from this share of the quota on
        #[arg(long, value_name = "PERCENT", default_value = "80%", value_parser = parse_percent)]
        warn: f64,
        /// Name it critical from this share of the quota on
        #[arg(long, value_name = "PERCENT", default_value = "95%", value_parser = parse_percent)]
        crit: f64,
    },
    /// Every structural and logical fault, not only the first
    #[command(after_help = "Examples:
  etcd-medic check /var/lib/etcd
  etcd-medic check damaged.db --max-findings 20
  etcd-medic check damaged.db --output json | jq -r '.findings[].kind' | sort | uniq -c")]
    Check {
        /// A db, a snapshot, or a data dir
        file: PathBuf,
        /// Show at most this many; 0 for all
        #[arg(long, default_value_t = 1000, value_name = "N")]
        max_findings: usize,
    },
    /// The pages as bbolt sees them: kind, items, bucket
    #[command(after_help = "Examples:
  etcd-medic pages snapshot.db | awk '{print $2}' | sort | uniq -c")]
    Pages {
        /// Any bbolt file
        file: PathBuf,
    },
    /// Single pages, taken apart; values are shown by --hex only, those of etcd with --show-secrets
    #[command(after_help = "Examples:
  etcd-medic page snapshot.db 0 1
  etcd-medic page snapshot.db 17 --hex --show-secrets")]
    Page {
        /// Any bbolt file
        file: PathBuf,
        /// Page ids
        #[arg(required = true, value_name = "ID")]
        ids: Vec<u64>,
        /// Show the bytes, values included; of a file that may be etcd's with --show-secrets only
        #[arg(long)]
        hex: bool,
        /// Show what may be a Secret's: all bytes, and what stands where a page's header should be
        #[arg(long)]
        show_secrets: bool,
    },
    /// The buckets: entries, pages, levels, sequence, and a fingerprint of their content
    #[command(after_help = "Examples:
  etcd-medic buckets snapshot.db
  diff <(etcd-medic buckets a.db) <(etcd-medic buckets b.db)      # which buckets differ?")]
    Buckets {
        /// Any bbolt file
        file: PathBuf,
    },
    /// A sound, packed, verified copy without free pages, that etcd starts from
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
    Defrag {
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
        /// Where the member's log lies, if etcd runs with --wal-dir
        #[arg(long, value_name = "DIR")]
        wal_dir: Option<PathBuf>,
        /// Replace DST if it exists
        #[arg(long)]
        force: bool,
        /// Do not compare the copy with SRC
        #[arg(long)]
        no_verify: bool,
        /// Say what would be written, and write nothing
        #[arg(long)]
        dry_run: bool,
        /// Append a SHA-256, so that `etcdutl snapshot restore` takes it
        #[arg(long)]
        snapshot: bool,
        /// Take a snapshot even if its SHA-256 is not that of its content
        #[arg(long)]
        skip_hash_check: bool,
        #[command(flatten)]
        changes: Box<ChangeArgs>,
        #[command(flatten)]
        layout: LayoutArgs,
    },
    /// From a damaged file, a sound one that etcd starts from, and a list of what was lost
    ///
    /// Takes what the active root reaches; where a page is damaged, what the other meta's root has; and where that has nothing,
    /// leaves that no root reaches. Nothing is invented, and what was deleted stays deleted.
    #[command(after_help = "Examples:
  etcd-medic salvage damaged.db -o saved.db --dry-run          # what could be saved, and what is lost
  etcd-medic salvage damaged.db -o saved.db --snapshot         # for `etcdutl snapshot restore`
  etcd-medic salvage /dev/failing/db -o saved.db --disk-errors # the disk gives errors, too
  etcd-medic salvage damaged.db -o saved.db --output json | jq '.recovered, .lost'
docs/recovery.md says what to do before and after. Exit code 1: something was lost, or is doubtful.")]
    Salvage {
        /// A db, a snapshot, or a data dir, in whatever state
        #[arg(value_name = "SRC")]
        source: PathBuf,
        /// Where to write what was saved
        #[arg(short = 'o', long = "out", value_name = "DST")]
        out: PathBuf,
        /// Replace DST if it exists
        #[arg(long)]
        force: bool,
        /// Leave out what may have been removed by a compaction, and refuse revisions with two contents
        #[arg(long, conflicts_with = "best_effort")]
        strict: bool,
        /// Take all that can be read: what was deleted or superseded comes back to life, and what has no place goes into a
        /// bucket lost+found
        #[arg(long)]
        best_effort: bool,
        /// Read block by block, past what the disk can't give; needs room for a copy beside DST
        #[arg(long)]
        disk_errors: bool,
        /// Turn authentication off in the copy: where it was on and the user root is lost, nobody could log in
        #[arg(long)]
        disable_auth: bool,
        /// Append a SHA-256, so that `etcdutl snapshot restore` takes it
        #[arg(long)]
        snapshot: bool,
        /// Say what could be saved, and write nothing
        #[arg(long)]
        dry_run: bool,
        #[command(flatten)]
        layout: LayoutArgs,
    },
    /// How large a copy would be, to the byte, for each length of history, without writing it
    #[command(after_help = "Examples:
  etcd-medic plan /var/lib/etcd
  etcd-medic plan /var/lib/etcd --keep-revisions 2000,20000 --compact-to 120000
  etcd-medic plan snapshot.db --output json | jq '.choices[] | {keep_revisions, file_bytes}'")]
    Plan {
        /// A db, a snapshot, or a data dir
        file: PathBuf,
        /// Also with the newest N revisions of history: beside all, 10000, 5000, 1000, 100, and none
        #[arg(long, value_name = "N", value_delimiter = ',')]
        keep_revisions: Vec<u64>,
        /// Also after a compaction to this revision
        #[arg(long, value_name = "REV|current", value_delimiter = ',', value_parser = parse_compact_to)]
        compact_to: Vec<History>,
        /// Take a snapshot even if its SHA-256 is not that of its content
        #[arg(long)]
        skip_hash_check: bool,
        #[command(flatten)]
        layout: LayoutArgs,
    },
    /// HashKV and the snapshot hash, equal to etcd's, and a fingerprint of each bucket
    ///
    /// Members of a cluster that hold the same data have the same HashKV at the same revision and compact revision,
    /// however their files differ. The snapshot hash is of all buckets: a copy or a defrag keeps it.
    #[command(after_help = "Examples:
  etcd-medic hash snapshot.db
  etcd-medic hash /var/lib/etcd --rev 120000   # as: etcdctl endpoint hashkv --rev 120000
  etcd-medic hash snapshot.db --output json | jq .hash_kv.hash")]
    Hash {
        /// A db, a snapshot, or a data dir; any bbolt file has a snapshot hash
        file: PathBuf,
        /// HashKV at this revision, from the compact revision on; 0 is the current one
        #[arg(long, default_value_t = 0, value_name = "R", value_parser = clap::value_parser!(i64).range(0..))]
        rev: i64,
    },
    /// What could be deleted, and how: old events, finished Jobs and Pods, stale leases, floods, ...
    ///
    /// Read from the objects' own fields, with the bytes that they take and the commands that delete them. Ages are
    /// told by the file's own time. Encrypted values are counted only; no value is shown.
    #[command(after_help = "Examples:
  etcd-medic cleanup /var/lib/etcd
  etcd-medic cleanup snapshot.db --event-age 3h --lease-age 7d --top 20
  etcd-medic cleanup snapshot.db --as-of 2026-03-01T12:00:00Z
  etcd-medic cleanup snapshot.db --output json | jq -r '.classes[].commands[]'")]
    Cleanup {
        /// A db, a snapshot, or a data dir
        file: PathBuf,
        #[command(flatten)]
        options: Box<super::cleanup::CleanupArgs>,
    },
    /// The keys that exist, at any retained revision; or those that were deleted and can still be found
    #[command(after_help = "Examples:
  etcd-medic keys /var/lib/etcd
  etcd-medic keys snapshot.db /registry/deployments/ --long
  etcd-medic keys snapshot.db /registry/pods/ --rev 120000
  etcd-medic keys snapshot.db --deleted                # what can be brought back
docs/time-travel.md brings a deleted Deployment back, step by step.")]
    Keys {
        /// A db, a snapshot, or a data dir
        file: PathBuf,
        #[command(flatten)]
        options: super::travel::KeysArgs,
    },
    /// Every record of a key that can be found, in the tree, in the older root's, in free pages; no values
    #[command(after_help = "Examples:
  etcd-medic history snapshot.db /registry/deployments/shop/web
  etcd-medic history snapshot.db /registry/deployments/shop/web --output json | jq '.records[].mod_revision'")]
    History {
        /// A db, a snapshot, or a data dir
        file: PathBuf,
        /// The whole key
        key: OsString,
    },
    /// One object, at any retained or recoverable revision, as YAML, JSON, or the bytes as they are stored
    #[command(after_help = "Examples:
  etcd-medic get snapshot.db /registry/deployments/shop/web
  etcd-medic get snapshot.db /registry/deployments/shop/web --rev 120000 --format json
  etcd-medic get snapshot.db /registry/deployments/shop/web --from any --clean | kubectl apply -f -
  etcd-medic get snapshot.db /registry/secrets/shop/tls --show-secrets
Exit codes: 0 found, 1 not found, 2 could not do it.")]
    Get {
        /// A db, a snapshot, or a data dir
        file: PathBuf,
        #[command(flatten)]
        options: super::travel::GetArgs,
    },
    /// Many objects: a file each in a folder, or a line of JSON each
    #[command(after_help = "Examples:
  etcd-medic export snapshot.db /registry/deployments/shop/ --clean -o shop
  etcd-medic export snapshot.db --rev 120000 -o before.ndjson
  etcd-medic export snapshot.db /registry/configmaps/ -o - | jq .object.metadata.name
  etcd-medic export /var/lib/etcd --deleted --clean -o lost    # all that was deleted and still lies there
docs/time-travel.md says what --clean takes out, and how to apply what is left.")]
    Export {
        /// A db, a snapshot, or a data dir
        file: PathBuf,
        #[command(flatten)]
        options: super::travel::ExportArgs,
    },
    /// A made-up Kubernetes cluster's etcd of any size and fragmentation, the same from the same seed, for benchmarks
    #[command(after_help = "Examples:
  etcd-medic synth -o big.db --size 4GiB --free 65%
  etcd-medic synth -o history.db --keys 100000 --revisions-per-key 8 --tombstones 20%
  etcd-medic synth -o holes.db --size 1GiB --free 50% --scatter geometric:4 --shuffle 80%
  etcd-medic synth -o full.db --size 2GiB --alarm nospace --snapshot      # for `etcdutl snapshot restore`
docs/benchmarking.md goes through a comparison, step by step.")]
    Synth {
        /// Where to write the file
        #[arg(short = 'o', long = "out", value_name = "DST")]
        out: PathBuf,
        /// Replace DST if it exists
        #[arg(long)]
        force: bool,
        /// Append a SHA-256, so that `etcdutl snapshot restore` takes it
        #[arg(long)]
        snapshot: bool,
        #[command(flatten)]
        options: Box<super::synth::SynthArgs>,
    },
    /// A completion script for a shell, on standard output
    #[command(after_help = "Examples:
  etcd-medic completions bash > /etc/bash_completion.d/etcd-medic")]
    Completions {
        /// Which shell
        shell: Shell,
    },
    /// The man pages, written into a folder
    #[command(after_help = "Examples:
  etcd-medic man /usr/local/share/man/man1")]
    Man {
        /// An existing folder; pages in it are replaced
        folder: PathBuf,
    },
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
    /// Leave raised alarms out: NOSPACE, and others only by name. For all members, or the only one
    #[arg(
        long, value_enum, value_name = "ALARM", num_args = 0..=1, require_equals = true, value_delimiter = ',',
        default_missing_value = "nospace"
    )]
    pub disarm: Vec<AlarmKind>,
    /// The last resort: leave out every key that begins so, whatever becomes of who needs it; may be repeated
    #[arg(long, value_name = "PREFIX")]
    pub drop_prefix: Vec<OsString>,
    /// Confirm --drop-prefix with the number of keys that --dry-run has shown
    #[arg(long, value_name = "KEYS", requires = "drop_prefix")]
    pub confirm_keys: Option<u64>,
    /// With --in-place, for a member of several: all are stopped at one revision, and the same is done to each
    // `requires` alone lets it pass beside what --in-place conflicts with
    #[arg(long, requires = "in_place", conflicts_with = "out")]
    pub every_member: bool,
    /// The member is the only one of its cluster, whatever its files say
    #[arg(long, conflicts_with = "every_member")]
    pub only_member: bool,
}

impl From<&ChangeArgs> for Wish {
    fn from(args: &ChangeArgs) -> Self {
        let newest = args.keep_revisions.map(History::Newest);
        Self {
            history: args.compact_to.or(newest).unwrap_or_default(),
            disarm: args.disarm.clone(),
            drop_prefixes: args.drop_prefix.iter().map(|prefix| prefix.as_bytes().to_vec()).collect(),
            confirmed_keys: args.confirm_keys,
            every_member: args.every_member,
            only_member: args.only_member,
        }
    }
}

fn parse_compact_to(text: &str) -> Result<History, String> {
    match text.parse::<i64>() {
        Ok(revision) if revision > 0 => Ok(History::CompactTo(revision)),
        _ if text == "current" => Ok(History::Current),
        _ => Err("not a revision: write a number from 1 on, or `current`".to_owned()),
    }
}

/// How a copy is laid out.
#[derive(clap::Args, Clone, Copy, Debug)]
pub struct LayoutArgs {
    /// Bytes of a page, a power of two from 512 on; SRC's if not given
    #[arg(long, value_name = "BYTES", value_parser = parse_page_size)]
    pub page_size: Option<u32>,
    /// The most pages of a node: more make a smaller file, fewer smaller rewrites (docs/packing.md)
    #[arg(long, value_name = "N", default_value_t = DEFAULT_MAX_NODE_PAGES, value_parser = clap::value_parser!(u32).range(1..=256))]
    pub max_node_pages: u32,
    /// For a member that goes on: no node that bbolt would split when etcd compacts. Larger now, smaller later
    #[arg(long)]
    pub steady: bool,
}

impl From<LayoutArgs> for Layout {
    fn from(args: LayoutArgs) -> Self {
        Self { page_size: args.page_size, max_node_pages: args.max_node_pages, steady: args.steady }
    }
}

pub(super) fn parse_page_size(text: &str) -> Result<u32, String> {
    let bytes = text.parse::<ByteSize>().ok().and_then(|size| u32::try_from(size.0).ok());
    bytes.filter(|size| size.is_power_of_two() && (MIN_PAGE_SIZE..=MAX_PAGE_SIZE).contains(size)).ok_or_else(
        || format!("not supported: pages have a power of two from {MIN_PAGE_SIZE} to {MAX_PAGE_SIZE} bytes, usually 4096"),
    )
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum Sort {
    /// What it takes of the file
    Disk,
    /// Bytes of newest records
    Live,
    /// Bytes of older records and tombstones
    History,
    /// Keys that exist
    Objects,
    /// Records
    Records,
    /// Name
    Name,
}

fn parse_bytes(text: &str) -> Result<u64, String> {
    match text.parse::<ByteSize>() {
        Ok(ByteSize(0)) => Err("there is nothing in 0 bytes".to_owned()),
        Ok(ByteSize(bytes)) => Ok(bytes),
        Err(_) => Err("not a number of bytes: write 8GiB, 500MiB or 2147483648".to_owned()),
    }
}

pub(super) fn parse_percent(text: &str) -> Result<f64, String> {
    let number = text.strip_suffix('%').unwrap_or(text).trim().parse::<f64>();
    let share = number.map_err(|_| "not a percentage: write 80%".to_owned())? / 100.0;
    if share.is_finite() && share >= 0.0 { Ok(share) } else { Err("not a percentage: write 80%".to_owned()) }
}
