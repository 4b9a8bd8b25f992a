//! What damage does to the programs that operators have, and what is saved: the table of docs/recovery.md, measured.
//!
//! ```text
//! ETCD_MEDIC_ETCDUTL=/path/to/etcdutl ETCD_MEDIC_ETCD_BIN_34=/usr/bin ETCD_MEDIC_ETCD_BIN_35=/path/to/etcdbin \
//!   ETCD_MEDIC_BBOLT=/path/to/bbolt cargo test --test damage_table -- --ignored --nocapture
//! ```
//!
//! A program that is not named is left out, and the table says so. Each gets its own copy of the damaged file, and 20 s.
#![cfg(test)]
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "it prints a table, and what programs said")]

mod support;

use std::ffi::OsStr;
use std::fs;
use std::io::Read;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use etcd_medic::bolt::Db;
use etcd_medic::check::check;
use etcd_medic::etcd::schema::State;
use etcd_medic::etcd::trailer;
use etcd_medic::scan::{Options, scan};
use support::anatomy::{Anatomy, Items};
use support::program::{folder_of, path_in, program, run};
use support::workshop::{Base, Damage, PATTERNS, frag};
use tempfile::TempDir;

/// How long a program may take on 4 MB.
const PATIENCE: Duration = Duration::from_secs(20);

/// A program of others', by the version that stands in the table.
struct Peer {
    version: &'static str,
    path: PathBuf,
}

fn peer(version: &'static str, variable: &str, name: &str) -> Option<Peer> {
    let path = PathBuf::from(std::env::var_os(variable)?);
    let path = if path.is_dir() { path.join(name) } else { path };
    assert!(path.is_file(), "{variable}: {} is no program", path.display());
    Some(Peer { version, path })
}

#[test]
#[ignore = "measures programs of others: see above"]
fn the_table() {
    let etcdctl_34 = peer("3.4", "ETCD_MEDIC_ETCD_BIN_34", "etcdctl");
    let etcdutl_35 = peer("3.5", "ETCD_MEDIC_ETCD_BIN_35", "etcdutl");
    let etcdutl = peer("3.8", "ETCD_MEDIC_ETCDUTL", "etcdutl");
    let bbolt = peer("", "ETCD_MEDIC_BBOLT", "bbolt");
    let base = frag();
    println!(
        "| damage | `snapshot status` | `etcdutl defrag` | `bbolt check` | `etcd-medic check` | `etcd-medic salvage`: found / possible |"
    );
    println!("|---|---|---|---|---|---|");
    for pattern in PATTERNS {
        let damage = base.damaged(pattern).expect("every pattern can be had of this file");
        eprintln!("{}", damage.name);
        let status: Vec<_> = [&etcdctl_34, &etcdutl_35, &etcdutl]
            .into_iter()
            .flatten()
            .map(|peer| (peer.version, snapshot_status(peer, &damage.bytes)))
            .collect();
        let defrag: Vec<_> = [&etcdutl_35, &etcdutl]
            .into_iter()
            .flatten()
            .map(|peer| (peer.version, defrag(peer, &damage.bytes)))
            .collect();
        let bbolt = bbolt.iter().map(|peer| ("", bbolt_check(peer, &damage.bytes))).collect::<Vec<_>>();
        println!(
            "| {} | {} | {} | {} | {} | {} |",
            damage.what,
            in_one(&status),
            in_one(&defrag),
            in_one(&bbolt),
            own_check(&damage.bytes),
            salvage(&base, &damage)
        );
    }
}

/// How it ended, in few words; where versions differ, each.
fn in_one(ended: &[(&str, String)]) -> String {
    let Some((_, first)) = ended.first() else { return "not measured".to_owned() };
    if ended.iter().all(|(_, words)| words == first) {
        return first.clone();
    }
    let mut groups: Vec<(Vec<&str>, &str)> = Vec::new();
    for (version, words) in ended {
        match groups.iter_mut().find(|group| group.1 == words) {
            Some(group) => group.0.push(version),
            None => groups.push((vec![version], words)),
        }
    }
    let groups: Vec<_> =
        groups.iter().map(|(versions, words)| format!("{}: {words}", versions.join(", "))).collect();
    groups.join("; ")
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
        Some(scan(&db, &state, Options::default()).keyspace.num_records())
    };
    format!("exit 0, {} records", records(&after).map_or("no".to_owned(), |records| records.to_string()))
}

fn bbolt_check(peer: &Peer, bytes: &[u8]) -> String {
    let folder = folder_of(&[("copy.db", bytes)]);
    match bounded(&peer.path, ["check", &path_in(&folder, "copy.db")]) {
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
    let found = scan(&db, &state, Options::default());
    let checked = check("db".as_ref(), &db, &state, &found, trailer::verify(db.data()), usize::MAX);
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
        // Go's runtime ends with 2: of a panic that nobody caught, a fault, or a deadlock
        (Some(2), _) if text.contains("signal SIGBUS") => Ended::Fault("SIGBUS"),
        (Some(2), _) if text.contains("signal SIGSEGV") => Ended::Fault("SIGSEGV"),
        (Some(2), _) if text.contains("all goroutines are asleep") => Ended::Deadlock,
        (Some(2), _) if text.contains("panic") => Ended::Panic,
        (code, _) => Ended::Failed(code.unwrap_or(-1), text),
    }
}
