//! What a copy lacks of authentication and leases: the report says so first, etcd shows it, and the commands that are printed set it up
//! again, run by `sh` as they are printed, with the names in capitals replaced.

use std::ffi::OsString;
use std::fs;
use std::path::Path;
use std::process::Command;

use super::road::try_shell;
use crate::support::documents::{self, parse as document};
use crate::support::peers::{Member, Peer, number, parse, succeeded, text, with_each_newest_etcd};
use crate::support::program::PROGRAM;
use crate::support::workshop::{Base, PATTERNS};
use tempfile::TempDir;

with_each_newest_etcd!(
    authentication_that_is_lost_is_set_up_again,
    nobody_is_locked_out_for_good,
    leases_that_are_lost_are_given_anew,
);

const LOGIN: &str = "root:throw-away";

/// The db of an etcd with authentication on, with so many users.
fn with_auth(peer: &Peer, users: usize) -> Vec<u8> {
    let mut member = peer.start(&[]);
    member.ctl(["put", "/secret/one", "throw-away text"]);
    fill(&member);
    member.ctl(["user", "add", LOGIN]);
    for user in 0..users {
        member.ctl(["user", "add", &format!("user-{user:02}:throw-away")]);
    }
    member.ctl(["user", "grant-role", "root", "root"]);
    member.ctl(["auth", "enable"]);
    member.log_in(LOGIN);
    member.stop();
    fs::read(member.db()).expect("the db")
}

/// So many records that they do not lie in the leaf with the names of the buckets.
fn fill(member: &Member) {
    let put = |key| format!(r#"put "/filler/{key}" "{}""#, "throw-away text ".repeat(20));
    member.txn(&(0..50).map(put).collect::<Vec<_>>());
}

/// The leaf with the names of the buckets is zeroed, and with it the buckets that lie in it.
fn authentication_that_is_lost_is_set_up_again(peer: &Peer) {
    // packed anew, so that no old leaf is left that tells
    let db = defragmented(&with_auth(peer, 0));
    let damaged = damage(&Base::new("auth", db), "root-leaf-zeroed");
    let folder = folder_with(&damaged);
    let report = salvage(folder.path(), &[]);
    let lack = first_lack(&report, "auth", "lost");
    assert!(lack.means.contains("without a login"), "{}", lack.means);
    let member = restored(peer, folder);
    assert!(member.ctl(["get", "/secret/one"]).contains("throw-away text"), "open, as the report says");
    set_up_auth(peer, &member, &lack.commands);
}

/// Authentication is on, and all users are lost: nobody can log in, until it is turned off in another copy.
fn nobody_is_locked_out_for_good(peer: &Peer) {
    let db = defragmented(&with_auth(peer, 60));
    let damaged = damage(&Base::of_bucket("auth", db, Some("authUsers")), "key-root-zeroed");
    let folder = folder_with(&damaged);
    let report = salvage(folder.path(), &["--strict"]);
    let lack = first_lack(&report, "auth", "lost");
    assert!(lack.means.contains("--disable-auth"), "{}", lack.means);
    let folder = restored_folder(peer, folder);
    // etcd answers, and that nobody can log in is its answer
    let mut flags = Vec::new();
    let data_dir = folder.path().join("data");
    flags.push("--log-level=error".to_owned());
    let (mut process, endpoint) = peer.spawn(folder.path(), &data_dir, &flags);
    let refused = |login: &str| {
        let get = |_| {
            std::thread::sleep(std::time::Duration::from_millis(200));
            let mut get = peer.command("etcdctl");
            text(
                &get.args(["--endpoints", &endpoint, "--user", login, "get", "/"])
                    .output()
                    .expect("etcdctl")
                    .stderr,
            )
        };
        (0..50).map(get).any(|said| said.contains("authentication failed"))
    };
    assert!(refused(LOGIN));
    process.stop();

    let folder = folder_with(&damaged);
    let report = salvage(folder.path(), &["--strict", "--disable-auth"]);
    assert!(!report.restore.in_place);
    let lack = first_lack(&report, "auth", "disabled");
    let member = restored(peer, folder);
    assert!(member.ctl(["get", "/secret/one"]).contains("throw-away text"), "open, as the report says");
    set_up_auth(peer, &member, &lack.commands);
}

/// Runs the commands, and sees that each login may do what it should, and nobody else anything.
fn set_up_auth(peer: &Peer, member: &Member, commands: &[String]) {
    let names = [
        ("NEW_PASSWORD", "throw-away"),
        ("USER_PASSWORD", "throw-away"),
        ("USER", "somebody"),
        ("ROLE", "readers"),
        ("PREFIX", "/secret/"),
    ];
    assert!(commands.iter().any(|command| command == "etcdctl auth enable"), "{commands:?}");
    for command in commands {
        let command =
            names.iter().fold(command.clone(), |command, (name, value)| command.replace(name, value));
        run(peer, member, &command);
    }
    let get = |login: &[&str], key: &str| {
        let mut get = member.etcdctl_without_login();
        let output = get.args(login).args(["get", key]).output().expect("etcdctl");
        output.status.success().then(|| text(&output.stdout))
    };
    assert_eq!(get(&[], "/secret/one"), None, "nobody without a login");
    for login in [LOGIN, "somebody:throw-away"] {
        let found = get(&["--user", login], "/secret/one").expect("may read");
        assert!(found.contains("throw-away text"), "{login}");
    }
    assert_eq!(get(&["--user", "somebody:throw-away"], "/other"), None, "not beyond the role");
}

/// The bucket of the leases is lost; keys name them.
fn leases_that_are_lost_are_given_anew(peer: &Peer) {
    let mut member = peer.start(&[]);
    let lease = member.grant(36_000);
    for key in ["/leased/one", "/leased/it's $(two)\n\"lines\""] {
        member.ctl(["put", key, "throw-away text", &format!("--lease={lease}")]);
    }
    member.ctl(["put", "/other", "throw-away text"]);
    fill(&member);
    member.stop();
    let db = defragmented(&fs::read(member.db()).expect("the db"));
    let folder = folder_with(&damage(&Base::new("leases", db), "root-leaf-zeroed"));
    let report = salvage(folder.path(), &[]);
    let lack = report.lacks.iter().find(|lack| lack.what == "leases").expect("leases");
    assert!(lack.means.starts_with("2 keys name a lease"), "{}", lack.means);
    let member = restored(peer, folder);
    let before = member.keys(&[]);
    assert_eq!(member.ctl(["lease", "list"]).lines().next(), Some("found 0 leases"));
    for command in &lack.commands {
        run(peer, &member, command);
    }
    let leases = parse(member.ctl(["lease", "list", "-w", "json"]).as_bytes());
    let leases: Vec<i64> =
        leases["leases"].as_array().expect("leases").iter().map(|one| number(&one["id"])).collect();
    assert_eq!(leases.len(), 1);
    for (key, now) in member.keys(&[]) {
        let expected = if key.starts_with(b"/leased/") { leases[0] } else { 0 };
        assert_eq!(
            (now.lease, &now.value),
            (expected, &before[&key].value),
            "{}",
            String::from_utf8_lossy(&key)
        );
    }
}

fn defragmented(db: &[u8]) -> Vec<u8> {
    let folder = TempDir::new().expect("a folder");
    fs::write(folder.path().join("db"), db).expect("a file");
    let mut defrag = Command::new(PROGRAM);
    succeeded(defrag.current_dir(folder.path()).args(["defrag", "db", "-o", "packed.db"]));
    fs::read(folder.path().join("packed.db")).expect("read")
}

fn damage(base: &Base, name: &str) -> Vec<u8> {
    let pattern = PATTERNS.iter().find(|pattern| pattern.name == name).expect("a pattern");
    base.damaged(pattern).unwrap_or_else(|| panic!("{name} can't be done to {}", base.name)).bytes
}

fn folder_with(damaged: &[u8]) -> TempDir {
    let folder = TempDir::new().expect("a folder");
    fs::write(folder.path().join("damaged.db"), damaged).expect("a file");
    folder
}

/// The report; as text, what is lacking comes first.
fn salvage(folder: &Path, flags: &[&str]) -> documents::Salvage {
    let run = |format: &str| {
        let args = ["salvage", "damaged.db", "-o", "saved.db", "--snapshot", "--force", "--output", format];
        let ran =
            Command::new(PROGRAM).current_dir(folder).args(args).args(flags).output().expect("etcd-medic");
        assert_eq!(ran.status.code(), Some(1), "{ran:?}");
        text(&ran.stdout)
    };
    let report: documents::Salvage = document("salvage", &run("json"));
    let shown = run("text");
    let first = report.lacks[0].what.to_uppercase();
    assert!(shown.starts_with(&first), "{shown}");
    for command in report.lacks.iter().flat_map(|lack| &lack.commands) {
        assert!(shown.lines().any(|line| line == format!("     $ {command}")), "{command}\n{shown}");
    }
    report
}

fn first_lack(report: &documents::Salvage, what: &str, state: &str) -> documents::Lack {
    let first = report.lacks.first().expect("something is lacking").clone();
    assert_eq!((first.what.as_str(), first.state.as_str()), (what, state), "{report:?}");
    first
}

fn restored_folder(peer: &Peer, folder: TempDir) -> TempDir {
    let restored = peer.restore(&folder.path().join("saved.db"), &[]);
    fs::copy(folder.path().join("saved.db"), restored.path().join("saved.db")).expect("copied");
    restored
}

fn restored(peer: &Peer, folder: TempDir) -> Member {
    peer.start_on(restored_folder(peer, folder), &[], None)
}

/// Runs a command where the copy lies, against this member.
fn run(peer: &Peer, member: &Member, command: &str) {
    let own = Path::new(PROGRAM).parent().expect("a folder");
    let system = std::env::var_os("PATH").expect("PATH");
    let folders = [peer.bin(), own].into_iter().map(Path::to_owned).chain(std::env::split_paths(&system));
    let path: OsString = std::env::join_paths(folders).expect("a path");
    // as an operator sets it
    let command = format!("export ETCDCTL_ENDPOINTS={}\n{command}", member.endpoint());
    let ran = try_shell(&path, member.folder(), &command);
    assert!(ran.status.success(), "{command}: {ran:?}");
}
