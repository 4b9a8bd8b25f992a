//! Whose a file is: nothing that is said of another program's file has etcd's words in it.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use sha2::{Digest, Sha256};
use tempfile::TempDir;

use super::support::builder::{Entry, FileBuilder, bucket, inline_bucket, plain};
use super::support::program::{Ran, program};
use super::support::workshop::{self, PATTERNS};
use super::support::{etcd_file, fixture, lies, names_in};

/// Words of etcd's: none of them says anything of another program's file.
const WORDS: &[&str] = &[
    "etcd",
    "etcdctl",
    "etcdutl",
    "member",
    "members",
    "revision",
    "revisions",
    "compaction",
    "compacted",
    "alarm",
    "alarms",
    "lease",
    "leases",
    "snapshot",
    "snapshots",
    "tombstone",
    "tombstones",
    "superseded",
    "raft",
    "nospace",
    "quorum",
];
const PHRASES: &[&str] = &["member/snap", "data dir", "snapshot restore"];

/// What reads a file, with the options that say something of their own; `FILE` is its name.
const COMMANDS: &[&str] = &[
    "analyze FILE",
    "analyze --top 2 --sort name FILE",
    "analyze --resource pods FILE",
    "analyze --namespace default FILE",
    "status FILE",
    "status --quota 1MiB --warn 1% FILE",
    "status --quota 8GiB --disk 100GB FILE",
    "check FILE",
    "check --max-findings 1 FILE",
    "pages FILE",
    "page FILE 0 1 2 3 4",
    "page --hex FILE 2 3",
    "page --hex --show-secrets FILE 2 3",
    "buckets FILE",
    "hash FILE",
    "hash --rev 5 FILE",
    "plan FILE",
    "plan --keep-revisions 10 FILE",
    "plan --compact-to current FILE",
    "plan --max-node-pages 1 --steady FILE",
    "cleanup FILE",
    "keys FILE",
    "keys --long FILE",
    "keys --rev 3 FILE",
    "keys --from free FILE",
    "keys --from any --long FILE",
    "keys --deleted FILE",
    "keys --deleted --long FILE",
    "keys --resource pods FILE",
    "keys FILE prefix",
    "get FILE key",
    "get --from any FILE key",
    "history FILE key",
    "export -o exported FILE",
    "export --from any -o exported FILE",
    "export --deleted -o exported.ndjson FILE",
    "defrag --dry-run FILE",
    "defrag -o copy.db FILE",
    "defrag -o copy.db --snapshot FILE",
    "defrag -o copy.db --skip-hash-check FILE",
    "defrag -o copy.db --no-verify --page-size 1024 FILE",
    "defrag -o copy.db --wal-dir . FILE",
    "defrag -o FILE FILE",
    "defrag -o copy.db --compact-to current FILE",
    "defrag -o copy.db --keep-revisions 5 FILE",
    "defrag -o copy.db --disarm FILE",
    "defrag -o copy.db --compact-to current --drop-prefix /a FILE",
    "defrag --in-place FILE",
    "defrag --in-place --steady --discard-old FILE",
    "defrag --in-place --dry-run FILE",
    "defrag --in-place --no-lock FILE",
    "salvage -o saved.db FILE",
    "salvage --dry-run -o saved.db FILE",
    "salvage --strict -o saved.db FILE",
    "salvage --best-effort -o saved.db FILE",
    "salvage --disk-errors -o saved.db FILE",
    "salvage --disable-auth --snapshot -o saved.db FILE",
    "--no-lock analyze FILE",
    "--no-lock status FILE",
    "--no-lock defrag -o copy.db FILE",
    "--no-lock salvage -o saved.db FILE",
    "--bytes analyze FILE",
];

/// Those that tell most, for the many damaged files.
const MAIN: &[&str] = &[
    "analyze FILE",
    "status FILE",
    "check FILE",
    "plan FILE",
    "keys --from any FILE",
    "hash FILE",
    "defrag -o copy.db FILE",
    "salvage -o saved.db FILE",
    "salvage --best-effort -o saved.db FILE",
];

/// The words of etcd's in a text.
fn words_in(text: &str) -> Vec<String> {
    let text = text.to_lowercase().replace("etcd-medic", "").replace("etcd_medic", "");
    let words = text.split(|char: char| !char.is_alphanumeric()).filter(|word| WORDS.contains(word));
    let phrases = PHRASES.iter().copied().filter(|phrase| text.contains(phrase));
    words.chain(phrases).map(str::to_owned).collect()
}

/// The same in what a document says. Names of fields, and names that fields have for programs, are a contract.
fn words_of(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::String(text) => found.extend(words_in(text)),
        Value::Array(items) => items.iter().for_each(|item| words_of(item, found)),
        Value::Object(fields) => {
            let said = fields.iter().filter(|(name, _)| !["kind", "pattern"].contains(&name.as_str()));
            said.for_each(|(_, value)| words_of(value, found));
        }
        _ => {}
    }
}

fn run_in(folder: &Path, before: &[&str], command: &str) -> Ran {
    let words = command.split(' ').map(|word| if word == "FILE" { "app.db" } else { word });
    let args: Vec<_> = before.iter().copied().chain(words).map(OsString::from).collect();
    program().current_dir(folder).args(args).output().expect("ran").into()
}

/// A file of another program's, in a folder of its own.
struct Case {
    name: String,
    folder: TempDir,
    bytes: Vec<u8>,
}

impl Case {
    fn new(name: impl Into<String>, bytes: Vec<u8>) -> Self {
        Self { name: name.into(), folder: TempDir::new().expect("a folder"), bytes }
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("app.db")
    }

    /// Nothing but the file is there.
    fn reset(&self) {
        self.empty();
        fs::write(self.file(), &self.bytes).expect("written");
    }

    /// The same by another program: what a test's other threads start may hold for a moment what this one has open for writing, and
    /// `--in-place` leaves such a file alone.
    fn reset_by_cp(&self) {
        let kept = TempDir::new().expect("a folder");
        let bytes = kept.path().join("bytes");
        fs::write(&bytes, &self.bytes).expect("written");
        self.empty();
        let copied = Command::new("cp").arg(bytes).arg(self.file()).status().expect("cp");
        assert!(copied.success());
    }

    fn empty(&self) {
        for entry in self.folder.path().read_dir().expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) }.expect("removed");
        }
    }

    /// Runs each command, as text and as JSON, and gives what it said with etcd's words in it.
    fn run(&self, commands: &[&str]) -> Vec<String> {
        self.run_as(
            commands,
            |command| if command.contains("--in-place") { self.reset_by_cp() } else { self.reset() },
        )
    }

    fn run_as(&self, commands: &[&str], prepare: impl Fn(&str)) -> Vec<String> {
        let mut wrong = Vec::new();
        for command in commands {
            prepare(command);
            let ran = run_in(self.folder.path(), &[], command);
            let mut words = [words_in(&ran.out), words_in(&ran.err)].concat();
            prepare(command);
            let json = run_in(self.folder.path(), &["--output", "json"], command);
            words.extend(words_in(&json.err));
            if !json.out.is_empty() && !command.starts_with("export") {
                let document = serde_json::from_str(&json.out)
                    .unwrap_or_else(|error| panic!("{}: {command}: {error}: {}", self.name, json.out));
                words_of(&document, &mut words);
            }
            assert_eq!(ran.code, json.code, "{}: {command}: {ran:?} {json:?}", self.name);
            if !words.is_empty() {
                wrong.push(format!("{}: {command}: {words:?}:\n{}{}", self.name, ran.out, ran.err));
            }
        }
        wrong
    }
}

fn assert_none(wrong: &[String]) {
    assert!(wrong.is_empty(), "{} outputs with etcd's words:\n{}", wrong.len(), wrong.join("\n"));
}

/// A Raft log as Consul and Vault keep it, and buckets whose names etcd has, too.
fn raft_log(page_size: u32) -> FileBuilder {
    let mut file = FileBuilder::new(page_size);
    let logs = |first: u64| -> Vec<Entry> {
        (first..first + 8).map(|index| plain(index.to_be_bytes(), [0x86; 40])).collect()
    };
    // keys that have a revision's shape
    let queue = file.leaf(&[plain("jobs2024_abcdefgh", "1"), plain("jobs2025_abcdefgh", "2")]);
    let leaves: Vec<_> = (0..6).map(|number| (number * 8, file.leaf(&logs(number * 8)))).collect();
    let children: Vec<_> = leaves.iter().map(|(first, page)| (first.to_be_bytes(), *page)).collect();
    let tree = file.branch(&children);
    let free = file.leaf(&logs(1000));
    let root = file.leaf(&[
        inline_bucket("cluster", &[plain("a", "b")]),
        inline_bucket("conf", &[plain("CurrentTerm", [3])]),
        bucket("logs", tree),
        inline_bucket("meta", &[plain("consistent_index", "soon")]),
        bucket("queue", queue),
    ]);
    file.root(root);
    file.freelist(&[free]);
    file
}

fn root_of(bytes: &[u8], page_size: usize) -> usize {
    let db = etcd_medic::internals::bolt::Db::new(bytes.to_vec()).expect("a db");
    usize::try_from(db.meta().root.0).expect("small") * page_size
}

/// Shapes that are made here, sound and damaged, up to what is no db.
fn shapes() -> Vec<Case> {
    let sound = raft_log(1024).bytes();
    let with = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut bytes = sound.clone();
        change(&mut bytes);
        bytes
    };
    let root = root_of(&sound, 1024);
    let mut values = FileBuilder::new(1024);
    let page = values.leaf(&[inline_bucket("a", &[plain("k", "v")]), plain("b", "a value of its own")]);
    values.root(page);
    let mut no_bucket = FileBuilder::new(4096);
    let page = no_bucket.leaf(&[]);
    no_bucket.root(page);
    let digest = Sha256::digest(&sound);
    vec![
        Case::new("sound", sound.clone()),
        Case::new("pages of 512", raft_log(512).bytes()),
        Case::new("pages of 256", raft_log(256).bytes()),
        Case::new("a root without buckets", no_bucket.bytes()),
        Case::new("values in the root", values.bytes()),
        Case::new("SHA-256", [&sound[..], &digest].concat()),
        Case::new("wrong SHA-256", [&sound[..], &[7; 32]].concat()),
        Case::new("odd size", [&sound[..], &[7; 99]].concat()),
        Case::new("a tail", [&sound[..], &vec![0; 1 << 20]].concat()),
        Case::new("cut off", sound[..sound.len() - 1500].to_vec()),
        Case::new("root zeroed", with(&|bytes| bytes[root..root + 1024].fill(0))),
        Case::new("root is a leaf of logs", with(&|bytes| bytes.copy_within(2048..3072, root))),
        Case::new("a meta zeroed", with(&|bytes| bytes[..1024].fill(0))),
        Case::new("both metas zeroed", with(&|bytes| bytes[..2048].fill(0))),
        Case::new(
            "both checksums wrong",
            with(&|bytes| [16 + 56, 1024 + 16 + 56].iter().for_each(|&at| bytes[at] ^= 1)),
        ),
        Case::new("all zeroed but the metas", with(&|bytes| bytes[2048..].fill(0))),
        Case::new("empty", Vec::new()),
        Case::new("zeros", vec![0; 8192]),
        Case::new("text", b"no such file\n".to_vec()),
        Case::new(
            "big-endian",
            with(&|bytes| {
                for at in [16, 1024 + 16] {
                    bytes[at..at + 4].reverse();
                }
            }),
        ),
    ]
}

fn written_by_bbolt() -> Vec<Case> {
    let damaged = names_in("bolt/damaged", ".db").into_iter().map(|name| format!("bolt/damaged/{name}.db"));
    let sound = names_in("bolt", ".db").into_iter().map(|name| format!("bolt/{name}.db"));
    sound.chain(damaged).map(|name| Case::new(name.clone(), fixture(&name))).collect()
}

#[test]
fn of_shapes_by_every_command_and_option() {
    let wrong: Vec<_> = shapes().iter().flat_map(|case| case.run(COMMANDS)).collect();
    assert_none(&wrong);
}

#[test]
fn of_what_bbolt_wrote() {
    let wrong: Vec<_> = written_by_bbolt().iter().flat_map(|case| case.run(COMMANDS)).collect();
    assert_none(&wrong);
}

#[test]
fn for_prometheus() {
    let case = Case::new("other", raft_log(1024).bytes());
    case.reset();
    let ran =
        run_in(case.folder.path(), &["--output", "prometheus"], "status --quota 1GiB --disk 100GB FILE");
    assert!(ran.code == 0 && ran.out.contains("etcd_medic_sound"), "{ran:?}");
    assert_eq!(words_in(&ran.out), [""; 0], "{}", ran.out);
}

/// Each pattern of damage that is met in the field, and each number that lies.
#[test]
fn of_damaged_files() {
    let bases = workshop::bases().into_iter().filter(|base| !base.is_etcd());
    let mut cases = Vec::new();
    for base in bases {
        let damaged = PATTERNS.iter().filter_map(|pattern| base.damaged(pattern));
        cases
            .extend(damaged.map(|damage| Case::new(format!("{}: {}", base.name, damage.name), damage.bytes)));
    }
    cases.extend(lies::cases().step_by(3).map(|case| {
        let mut file = lies::sample();
        (case.lie)(&mut file);
        Case::new(case.name, file.bytes())
    }));
    assert!(cases.len() > 100, "{}", cases.len());
    let wrong: Vec<_> = cases.iter().flat_map(|case| case.run(MAIN)).collect();
    assert_none(&wrong);
}

/// A file that its program has open.
#[test]
fn of_a_file_that_is_held() {
    let case = Case::new("held", raft_log(4096).bytes());
    case.reset();
    let held = fs::File::open(case.file()).expect("opened");
    held.lock().expect("locked");
    let commands: Vec<_> =
        COMMANDS.iter().copied().filter(|command| !command.starts_with("--no-lock")).collect();
    assert_none(&case.run_as(&commands, |_| {}));
    let ran = run_in(case.folder.path(), &[], "status FILE");
    assert_eq!(ran.code, 2);
    assert!(ran.err.contains("Stop the program that owns the file"), "{ran:?}");
}

/// What has to be done is said of both: with etcd's words of etcd's files.
#[test]
fn each_owner_has_its_words() {
    let etcds = Case::new("etcd's", etcd_file::small().bytes());
    let others = Case::new("other", raft_log(1024).bytes());
    let said = |case: &Case, command: &str| {
        case.reset_by_cp();
        let ran = run_in(case.folder.path(), &[], command);
        ran.out.split_whitespace().collect::<Vec<_>>().join(" ") + &ran.err
    };
    for (command, of_etcd, of_other) in [
        (
            "defrag -o copy.db FILE",
            "with etcd stopped",
            "with the program that owns the file stopped, keep its file",
        ),
        ("defrag --in-place FILE", "start etcd", "start the program that owns the file"),
        ("salvage -o saved.db FILE", "with etcd stopped", "with the program that owns the file stopped"),
        ("check FILE", "records checked)", "entries checked)"),
        ("--no-lock status FILE", "if etcd is writing", "if the program that owns the file is writing"),
    ] {
        assert!(said(&etcds, command).contains(of_etcd), "{command}: {}", said(&etcds, command));
        assert!(said(&others, command).contains(of_other), "{command}: {}", said(&others, command));
    }
}

/// Entries of another program's file, by where they were found: 48 of `logs`, 2 of `queue`, 1 of each of the others.
#[test]
fn entries_are_counted_without_buckets() {
    let case = Case::new("other", raft_log(1024).bytes());
    let json = |command: &str| -> Value {
        case.reset();
        let ran = run_in(case.folder.path(), &["--output", "json"], command);
        serde_json::from_str(&ran.out).expect("JSON")
    };
    let salvaged = json("salvage -o saved.db FILE");
    assert_eq!(salvaged["target"]["records"], 53);
    assert_eq!(salvaged["recovered"]["reachable"], 53);
    assert_eq!(json("defrag -o copy.db FILE")["target"]["records"], 53);
    case.reset();
    let text = run_in(case.folder.path(), &[], "salvage -o saved.db FILE").out;
    assert!(text.contains("53 entries in 5 buckets") && text.contains("reachable   53\n"), "{text}");
    let checked = run_in(case.folder.path(), &[], "check FILE").out;
    assert!(checked.contains("53 entries checked"), "{checked}");
}

/// Keys with a revision's shape do not make a file etcd's: its entries are saved, the metas being lost.
#[test]
fn keys_like_revisions_are_entries() {
    let mut bytes = raft_log(1024).bytes();
    bytes[..2048].fill(0);
    let case = Case::new("both metas zeroed", bytes);
    case.reset();
    let ran = run_in(case.folder.path(), &["--output", "json"], "salvage -o saved.db FILE");
    let salvaged: Value = serde_json::from_str(&ran.out).unwrap_or_else(|error| panic!("{error}: {ran:?}"));
    assert_eq!(salvaged["target"]["records"], 53);
    assert_eq!(salvaged["target"]["revision"], Value::Null);
}

/// Without a root, nothing tells which bucket an entry is of: that is said, with how many there are.
#[test]
fn entries_that_cannot_be_placed_are_counted() {
    let mut bytes = raft_log(1024).bytes();
    let root = root_of(&bytes, 1024);
    bytes[root..root + 1024].fill(0);
    let case = Case::new("root zeroed", bytes);
    case.reset();
    let ran = run_in(case.folder.path(), &[], "salvage -o saved.db FILE");
    assert_eq!(ran.code, 2);
    assert!(ran.err.contains("58 entries can be read, but nothing shows where they belong"), "{ran:?}");
}
