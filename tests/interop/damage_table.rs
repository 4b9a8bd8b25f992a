//! What damage does to the programs that operators have, and what is saved: the table of docs/recovery.md, measured.
//!
//! ```text
//! ETCD_MEDIC_PEERS=/path/to/peers cargo test --test interop damage_table -- --ignored --nocapture
//! ```
//!
//! Each program gets its own copy of the damaged file, and 20 s.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "it prints a table, and what programs said")]

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::io::Read;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::support::anatomy::{Anatomy, Items};
use crate::support::peers::program_folder;
use crate::support::program::{folder_of, path_in, program, run};
use crate::support::workshop::{Base, Damage, PATTERNS, frag};
use etcd_medic::internals::bolt::Db;
use etcd_medic::internals::check::check;
use etcd_medic::internals::etcd::schema::State;
use etcd_medic::internals::etcd::trailer;
use etcd_medic::internals::input::named::Named;
use etcd_medic::internals::scan::{ScanOptions, scan};
use tempfile::TempDir;

/// How long a program may take on 4 MB.
const PATIENCE: Duration = Duration::from_secs(20);

/// A version of etcd, as `tests/peers/build` names its folder, and its program for files.
struct Peer {
    version: &'static str,
    path: PathBuf,
}

const VERSIONS: [&str; 6] = ["3.4", "3.5.1", "3.5", "3.6", "3.7", "3.8"];

#[test]
#[ignore = "long: programs of others on each pattern of damage, some of which hang"]
fn the_table() {
    let peers: Vec<_> = VERSIONS.iter().filter_map(|version| peer(version)).collect();
    let Some(tools) = program_folder("tools", "bbolt of") else { return };
    assert_eq!(peers.len(), VERSIONS.len());
    let base = frag();
    println!(
        "| damage | `snapshot status` | `etcdutl defrag` | `bbolt check` | `etcd-medic check` | `etcd-medic salvage`: found / possible |"
    );
    println!("|---|---|---|---|---|---|");
    for pattern in PATTERNS {
        let damage = base.damaged(pattern).expect("every pattern can be had of this file");
        eprintln!("{}", damage.name);
        let of_each = |peers: &[&Peer], measure: fn(&Peer, &[u8]) -> String| {
            let measured =
                peers.iter().map(|peer| (peer.version, each_time(|| measure(peer, &damage.bytes))));
            in_one(&measured.collect::<Vec<_>>())
        };
        let all: Vec<_> = peers.iter().collect();
        let with_etcdutl: Vec<_> = peers.iter().filter(|peer| peer.path.ends_with("etcdutl")).collect();
        println!(
            "| {} | {} | {} | {} | {} | {} |",
            damage.what,
            of_each(&all, snapshot_status),
            of_each(&with_etcdutl, defrag),
            each_time(|| bbolt_check(&tools.join("bbolt"), &damage.bytes)),
            own_check(&damage.bytes),
            salvage(&base, &damage)
        );
    }
}

fn peer(version: &'static str) -> Option<Peer> {
    let folder = program_folder(version, "etcd")?;
    // since 3.5, what works on files has a program of its own
    let path = folder.join(if version == "3.4" { "etcdctl" } else { "etcdutl" });
    assert!(path.is_file(), "{} is no program", path.display());
    Some(Peer { version, path })
}

/// Measures three times, as what meets the damage first is not always the same; what hangs, once. Each different answer.
fn each_time(measure: impl Fn() -> String) -> String {
    let mut answers = BTreeSet::from([measure()]);
    for _ in 0..2 {
        if !answers.iter().any(|words| words.starts_with("hangs")) {
            answers.insert(measure());
        }
    }
    Vec::from_iter(answers).join(" or ")
}

/// How it ended, in few words; where versions differ, each.
fn in_one(ended: &[(&str, String)]) -> String {
    let first = &ended.first().expect("measured").1;
    if ended.iter().all(|(_, words)| words == first) {
        return first.clone();
    }
    let mut groups: Vec<(&str, Vec<usize>)> = Vec::new();
    for (number, (_, words)) in ended.iter().enumerate() {
        match groups.iter_mut().find(|group| group.0 == words) {
            Some(group) => group.1.push(number),
            None => groups.push((words, vec![number])),
        }
    }
    let groups = groups.into_iter().map(|(words, numbers)| {
        let runs = numbers.chunk_by(|a, b| a + 1 == *b).map(|run| match run {
            [first, _, .., last] => format!("{}–{}", ended[*first].0, ended[*last].0),
            _ => run.iter().map(|number| ended[*number].0).collect::<Vec<_>>().join(", "),
        });
        format!("{}: {words}", runs.collect::<Vec<_>>().join(", "))
    });
    groups.collect::<Vec<_>>().join("; ")
}

fn snapshot_status(peer: &Peer, bytes: &[u8]) -> String {
    let folder = folder_of(&[("copy.db", bytes)]);
    let path = path_in(&folder, "copy.db");
    match bounded(&peer.path, ["snapshot", "status", &path]) {
        Ended::Well => "answers".to_owned(),
        other => other.words(),
    }
}

fn defrag(peer: &Peer, bytes: &[u8]) -> String {
    let folder = folder_of(&[("member/snap/db", bytes)]);
    let dir = folder.path().display().to_string();
    let ended = bounded(&peer.path, ["defrag", "--data-dir", &dir]);
    let Ended::Well = ended else { return ended.words() };
    let after = fs::read(folder.path().join("member/snap/db")).expect("read");
    // what came of it: records that are gone without a word
    let records = |bytes: &[u8]| {
        let db = Db::new(bytes.to_vec()).ok()?;
        let state = State::read(&db);
        Some(scan(&db, &state, ScanOptions::default()).keyspace.num_records())
    };
    format!("exit 0, {} records", records(&after).map_or("no".to_owned(), |records| records.to_string()))
}

fn bbolt_check(bbolt: &Path, bytes: &[u8]) -> String {
    let folder = folder_of(&[("copy.db", bytes)]);
    match bounded(bbolt, ["check", &path_in(&folder, "copy.db")]) {
        Ended::Well => "`OK`".to_owned(),
        // "3 errors found", its last line
        Ended::Failed(_, said) => {
            let errors =
                said.lines().rev().find_map(|line| line.strip_suffix(" errors found").map(str::to_owned));
            errors.map_or_else(|| "refuses (exit 1)".to_owned(), |errors| format!("finds {errors}"))
        }
        other => other.words(),
    }
}

fn own_check(bytes: &[u8]) -> String {
    let Ok(db) = Db::new(bytes.to_vec()) else { return "can't be opened: names `salvage`".to_owned() };
    let state = State::read(&db);
    let found = scan(&db, &state, ScanOptions::default());
    let checked = check(&Named::plain("db"), &db, &state, &found, trailer::verify(db.data()), usize::MAX);
    let patterns: Vec<_> = checked.touched.patterns.iter().map(|row| row.pattern.words()).collect();
    if patterns.is_empty() { "sound".to_owned() } else { patterns.join(", ") }
}

/// Found / possible records of `key`; what can be had beyond them, and anything that was never there.
fn salvage(base: &Base, damage: &Damage) -> String {
    let known = program().args(["salvage", "--help"]).output().expect("ran");
    let count = |items: &Items| Damage::count(items, &base.bucket);
    let possible = count(&damage.possible);
    if !known.status.success() {
        return format!("– / {possible}");
    }
    let folder = folder_of(&[("damaged.db", &damage.bytes)]);
    let target = path_in(&folder, "saved.db");
    let ran = run(["salvage", &path_in(&folder, "damaged.db"), "-o", &target]);
    let Ok(saved) = fs::read(&target) else { return format!("refuses ({}) / {possible}", ran.code) };
    let saved = Anatomy::of(&Db::new(saved).expect("a db")).items();
    let found = saved.intersection(&damage.possible).filter(|item| item.bucket == base.bucket).count();
    let more = saved.intersection(&damage.bonus).filter(|item| item.bucket == base.bucket).count();
    let later = saved.intersection(&damage.later).filter(|item| item.bucket == base.bucket).count();
    let revived = saved.intersection(&damage.dead).filter(|item| item.bucket == base.bucket).count();
    let invented = count(&saved) - found - more - later - revived;
    let mut words = format!("{found} / {possible}");
    for (number, what) in [
        (more, "more, on damaged pages"),
        (later, "of the later state"),
        (revived, "REVIVED"),
        (invented, "altered or invented"),
    ] {
        if number > 0 {
            words.push_str(&format!(", {number} {what}"));
        }
    }
    words
}

/// How a program ended.
enum Ended {
    Well,
    /// Its exit code, and what it said.
    Failed(i32, String),
    /// A Go panic that it printed.
    Panic,
    /// A memory fault, as a signal or as Go reports one.
    Fault(&'static str),
    /// Go's runtime found that nothing can go on.
    Deadlock,
    Hung,
}

impl Ended {
    fn words(&self) -> String {
        match self {
            Self::Well => "exit 0".to_owned(),
            Self::Failed(code, _) => format!("refuses (exit {code})"),
            Self::Panic => "panics".to_owned(),
            Self::Fault(signal) => format!("faults ({signal})"),
            Self::Deadlock => "deadlocks".to_owned(),
            Self::Hung => format!("hangs (> {} s)", PATIENCE.as_secs()),
        }
    }
}

fn bounded<S: AsRef<OsStr>>(path: &Path, args: impl IntoIterator<Item = S>) -> Ended {
    let said = TempDir::new().expect("a folder");
    let file = said.path().join("said");
    let out = fs::File::create(&file).expect("created");
    let mut child = Command::new(path)
        .args(args)
        .env("ETCDCTL_API", "3")
        .stdin(Stdio::null())
        .stdout(out.try_clone().expect("cloned"))
        .stderr(out)
        .spawn()
        .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let began = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait().expect("waited") {
            break status;
        }
        if began.elapsed() > PATIENCE {
            child.kill().expect("killed");
            child.wait().expect("waited");
            return Ended::Hung;
        }
        std::thread::sleep(Duration::from_millis(10));
    };
    let mut text = Vec::new();
    fs::File::open(&file).expect("opened").take(1 << 20).read_to_end(&mut text).expect("read");
    let text = String::from_utf8_lossy(&text).into_owned();
    // what was said, for who wants to know more than the table has room for
    let telling =
        text.lines().find(|line| line.contains("panic") || line.contains("rror") || line.contains("fault"));
    eprintln!("  {}: {}: {}", path.display(), status, telling.or(text.lines().next()).unwrap_or_default());
    match (status.code(), status.signal()) {
        (Some(0), _) => Ended::Well,
        (_, Some(7)) => Ended::Fault("SIGBUS"),
        (_, Some(11)) => Ended::Fault("SIGSEGV"),
        // Go's runtime ends with 2: of a panic that nobody caught, a fault, or a deadlock. What came first is its cause.
        (Some(2), _) if text.contains("all goroutines are asleep") => Ended::Deadlock,
        (Some(2), _) => match (text.find("unexpected fault address"), text.find("panic")) {
            (Some(fault), panic) if panic.is_none_or(|panic| fault < panic) => {
                Ended::Fault(if text.contains("signal SIGBUS") { "SIGBUS" } else { "SIGSEGV" })
            }
            (_, Some(_)) => Ended::Panic,
            (_, None) => Ended::Failed(2, text),
        },
        (code, _) => Ended::Failed(code.unwrap_or(-1), text),
    }
}
