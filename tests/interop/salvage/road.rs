//! The road that `salvage` prints, from a damaged file to a running etcd: each command is run by `sh`, as it is printed.
//!
//! One of each form is run with each etcd; with `--ignored`, every pattern of damage, and half of every file.

use std::fs;
use std::path::Path;
use std::process::Command;

use etcd_medic::internals::bolt::Db;
use etcd_medic::internals::etcd::schema::State;

use crate::support::corpus::Corpus;
use crate::support::documents::{self, parse as document};
use crate::support::peers::{
    Member, Peer, medic, program_folder, succeeded, text, with_each_newest_etcd, without_settings,
};
use crate::support::program::PROGRAM;
use crate::support::workshop::{NO_ROOT, PATTERNS, frag};
use crate::support::{fixture, names_in, testdata};
use tempfile::TempDir;

with_each_newest_etcd!(
    each_form_of_command_works,
    a_copy_that_was_damaged_afterwards_is_refused,
    a_whole_copy_takes_the_place_of_the_db,
);

mod every {
    use super::*;

    macro_rules! ignored {
        ($($name:ident $version:literal),+ $(,)?) => { $(
            #[test]
            #[ignore = "minutes: .ci/long"]
            fn $name() {
                crate::support::peers::with_etcd($version, every_road_works);
            }
        )+ };
    }

    ignored!(etcd_3_4 "3.4", etcd_3_5_1 "3.5.1", etcd_3_5 "3.5", etcd_3_6 "3.6", etcd_3_7 "3.7");
}

/// A damaged file, and how it is salvaged.
struct Case<'c> {
    name: &'c str,
    bytes: &'c [u8],
    flags: &'c [&'c str],
}

const FORMS: [&[&str]; 2] = [&[], &["--snapshot"]];

/// With and without a hash; the newest revisions lost, or not; an ordinary file name, or one that a shell would take apart.
fn each_form_of_command_works(peer: &Peer) {
    let base = frag();
    let leaf_zeroed = PATTERNS.iter().find(|pattern| pattern.name == "leaf-zeroed").expect("a pattern");
    let leaf_zeroed = base.damaged(leaf_zeroed).expect("damaged").bytes;
    let [half, cut] = halves(&fixture("k8s-3.5/k8s.db"));
    for flags in FORMS {
        Case { name: "half", bytes: &half, flags }.goes_all_the_way(peer, "saved.db");
        Case { name: "leaf-zeroed", bytes: &leaf_zeroed, flags }
            .goes_all_the_way(peer, "it's $(saved) by \"us\".db");
    }
    Case { name: "cut", bytes: &cut, flags: &["--snapshot"] }.goes_all_the_way(peer, "-saved.db");
}

/// Every pattern of the damage table, and half of every file of etcd's, of `testdata/` and of the large corpora.
fn every_road_works(peer: &Peer) {
    let base = frag();
    let mut roads = 0;
    let mut go = |name: &str, bytes: &[u8]| {
        Case { name, bytes, flags: FORMS[roads % 2] }.goes_all_the_way(peer, "saved.db");
        roads += 1;
    };
    for damage in PATTERNS.iter().chain([&NO_ROOT]).filter_map(|pattern| base.damaged(pattern)) {
        go(damage.name, &damage.bytes);
    }
    let mut halved = |name: &str, bytes: &[u8]| {
        let [half, cut] = halves(bytes);
        go(&format!("half of {name}"), &half);
        go(&format!("60 % of {name}"), &cut);
    };
    for (name, bytes) in files_of_testdata() {
        halved(&name, &bytes);
    }
    for corpus in std::env::var_os("ETCD_MEDIC_CORPORA")
        .iter()
        .flat_map(|folder| Corpus::all_in(&testdata("").join("..").join(folder)))
    {
        for (name, _) in corpus.truth.files.iter().filter(|(_, truth)| truth.size <= 64 << 20) {
            halved(name, &fs::read(corpus.file(name)).expect("read"));
        }
    }
    assert!(roads > 60, "{roads}");
}

fn files_of_testdata() -> Vec<(String, Vec<u8>)> {
    let folders = ["etcd-3.4", "etcd-3.5", "k8s-3.5", "k8s-3.6"];
    let names = |folder: &&str| {
        let names = names_in(folder, ".db.zst").into_iter();
        names.map(|name| format!("{folder}/{name}.db")).collect::<Vec<_>>()
    };
    folders.iter().flat_map(names).map(|name| (name.clone(), fixture(&name))).collect()
}

/// The first half of a file, the rest zeros; and 60 % of it.
fn halves(bytes: &[u8]) -> [Vec<u8>; 2] {
    let up_to = |part: usize| bytes[..bytes.len() * part / 10 / 4096 * 4096].to_vec();
    let mut half = up_to(5);
    half.resize(bytes.len(), 0);
    [half, up_to(6)]
}

impl Case<'_> {
    /// From the damaged file to an etcd that has what the report says, takes writes, and starts again.
    fn goes_all_the_way(&self, peer: &Peer, saved: &str) {
        let of = format!("{} {:?}", self.name, self.flags);
        let folder = TempDir::new().expect("a folder");
        fs::write(folder.path().join("damaged.db"), self.bytes).expect("a file");
        let Some(report) = self.salvage(folder.path(), saved) else { return };
        assert_eq!(report.restore.command, report.restore.commands[0].command, "{of}");
        for command in report.restore.commands.iter().filter(|one| one.command.contains("snapshot restore")) {
            let has_hash = self.flags.contains(&"--snapshot");
            assert_eq!(!has_hash, command.command.contains(" --skip-hash-check "), "{of}: {command:?}");
        }
        // the copy may be put in the place of the db of a data dir; where there is none, it is restored all the same
        let command = report.restore.commands.iter().find(|one| suits(peer, &one.etcd)).expect("a command");
        shell(
            &path_of(peer, command.etcd.contains("etcdutl of 3.5.10")),
            folder.path(),
            &with_data_dir(&report, &command.command),
        );
        let bumped = command.command.contains(" --bump-revision 1000000000 ");
        let newest = hash_of(&folder.path().join(saved)).snapshot_status.revision;
        let restored = hash_of(&folder.path().join("NEW")).hash_kv.expect("etcd's");
        let revision = if bumped { newest + 1_000_000_000 } else { report.target.revision.expect("etcd's") };
        assert_eq!(restored.revision, revision, "{of}: the revision that was restored");
        if !bumped {
            assert_eq!(Some(restored.hash), report.hash_kv, "{of}: HashKV as reported");
        }
        let login = has_auth(&folder.path().join(saved)).then_some("root:throw-away");
        let member = peer.start_on(into_data(folder), &[], login);
        for command in &report.restore.after_start {
            let command = format!("export ETCDCTL_ENDPOINTS={}\n{command}", member.endpoint());
            shell(&path_of(peer, false), member.folder(), &command);
        }
        starts_as_restored(member, &restored, report.target.keys, &of);
    }

    /// The report, once it was seen that people and programs are told the same. Nothing to be saved of a small file's half is an
    /// answer, too.
    fn salvage(&self, folder: &Path, saved: &str) -> Option<documents::Salvage> {
        let run = |format: &str| {
            let _ = fs::remove_file(folder.join(saved));
            let mut salvage = Command::new(PROGRAM);
            salvage.current_dir(folder).args(["salvage", "damaged.db", "--output", format]).args(self.flags);
            salvage.arg(format!("--out={saved}")).output().expect("etcd-medic")
        };
        let json = run("json");
        if json.status.code() == Some(2) {
            let said = text(&json.stderr);
            assert!(
                said.contains("no entry of any bucket") || said.contains("page"),
                "{}: {said}",
                self.name
            );
            return None;
        }
        let report: documents::Salvage = document("salvage", &text(&json.stdout));
        let shown = text(&run("text").stdout);
        let commands = report.restore.commands.iter().map(|one| &one.command);
        for command in commands.chain(&report.restore.after_start) {
            assert!(
                shown.lines().any(|line| line == format!("     $ {command}")),
                "{}: {command}\n{shown}",
                self.name
            );
        }
        let words = shown.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(words.contains("remove it before the next try"), "{}: {shown}", self.name);
        Some(report)
    }
}

/// Whether a command is printed for this etcd.
fn suits(peer: &Peer, etcd: &str) -> bool {
    let has_bump = (peer.minor(), peer.patch()) >= (5, 10);
    match etcd {
        "3.5 and later" => peer.minor() >= 5,
        "3.4" => peer.minor() == 4,
        "3.5.10 and later" => has_bump,
        "3.4, and 3.5 before 3.5.10, with the etcdutl of 3.5.10 or later for this one command" => !has_bump,
        "any version, stopped" => false,
        other => panic!("{other}: for which etcd is that?"),
    }
}

/// Its own programs and ours; a newer `etcdutl` where the command asks for one.
fn path_of(peer: &Peer, newer: bool) -> std::ffi::OsString {
    let newer = newer.then(|| program_folder("3.5", "etcdutl").expect("the newest 3.5"));
    let own = [peer.bin().to_owned(), Path::new(PROGRAM).parent().expect("a folder").to_owned()];
    let system = std::env::split_paths(&std::env::var_os("PATH").expect("PATH")).collect::<Vec<_>>();
    std::env::join_paths(newer.into_iter().chain(own).chain(system)).expect("a path")
}

/// The one thing in the command that is to be replaced, as the report says.
fn with_data_dir(report: &documents::Salvage, command: &str) -> String {
    assert!(
        report.restore.notes.iter().any(|note| note.starts_with("NEW_DATA_DIR: ")),
        "{:?}",
        report.restore.notes
    );
    command.replace("NEW_DATA_DIR", "NEW")
}

pub fn try_shell(path: &std::ffi::OsStr, folder: &Path, command: &str) -> std::process::Output {
    let mut shell = without_settings(Command::new("timeout"));
    shell.args(["--kill-after=5", "120", "sh", "-c", command]).current_dir(folder).env("PATH", path);
    shell.stdin(std::process::Stdio::null()).output().expect("sh")
}

pub fn shell(path: &std::ffi::OsStr, folder: &Path, command: &str) {
    let ran = try_shell(path, folder, command);
    assert!(ran.status.success(), "{command}: {ran:?}");
}

/// `NEW` becomes the data dir of a member.
fn into_data(folder: TempDir) -> TempDir {
    fs::rename(folder.path().join("NEW"), folder.path().join("data")).expect("renamed");
    folder
}

/// Whether authentication is on: then it is as `testdata/make.sh` made it.
fn has_auth(copy: &Path) -> bool {
    let copy = Db::new(fs::read(copy).expect("the copy")).expect("sound");
    State::read(&copy).auth_enabled
}

fn hash_of(file: &Path) -> documents::Hash {
    document(
        "hash",
        &text(&medic([Path::new("hash"), file, Path::new("--output"), Path::new("json")]).stdout),
    )
}

/// etcd has what was restored, takes a write at the next revision, and has that, too, when it starts again.
fn starts_as_restored(mut member: Member, restored: &documents::HashKv, keys: u64, of: &str) {
    let revision = member.revision();
    assert_eq!(revision, restored.revision, "{of}: etcd's revision");
    assert_eq!(member.hash_kv(0).0, i64::from(restored.hash), "{of}: etcd's HashKV");
    assert_eq!(member.keys(&[]).len() as u64, keys, "{of}: keys");
    member.ctl(["put", "/after/the/salvage", "throw-away text"]);
    assert_eq!(member.revision(), revision + 1, "{of}: the next revision");
    member.stop();
    member.restart();
    assert!(member.ctl(["get", "/after/the/salvage"]).contains("throw-away text"), "{of}: after a restart");
    assert_eq!(member.revision(), revision + 1, "{of}: after a restart");
}

/// The hash check is not skipped: a copy that is damaged after it was written is refused, and what the refusal leaves behind has to be
/// removed, as the report says, before the next try.
fn a_copy_that_was_damaged_afterwards_is_refused(peer: &Peer) {
    let folder = TempDir::new().expect("a folder");
    let [half, _] = halves(&fixture("k8s-3.5/k8s.db"));
    fs::write(folder.path().join("damaged.db"), &half).expect("a file");
    let case = Case { name: "half", bytes: &half, flags: &["--snapshot"] };
    let report = case.salvage(folder.path(), "saved.db").expect("saved");
    let command = report.restore.commands.iter().find(|one| suits(peer, &one.etcd)).expect("a command");
    let path = path_of(peer, command.etcd.contains("etcdutl of 3.5.10"));
    let command = with_data_dir(&report, &command.command);
    let whole = fs::read(folder.path().join("saved.db")).expect("read");
    let mut damaged = whole.clone();
    damaged[whole.len() / 2] ^= 1;
    fs::write(folder.path().join("saved.db"), &damaged).expect("written");
    let refused = try_shell(&path, folder.path(), &command);
    assert!(!refused.status.success(), "{refused:?}");
    assert!(folder.path().join("NEW/member/snap/db").exists(), "what a failed restore leaves");
    fs::write(folder.path().join("saved.db"), &whole).expect("written");
    assert!(!try_shell(&path, folder.path(), &command).status.success(), "the directory is not empty");
    shell(&path, folder.path(), "rm -r NEW");
    shell(&path, folder.path(), &command);
}

/// Of a data dir whose older meta is lost, all is saved: the copy goes where the db was.
fn a_whole_copy_takes_the_place_of_the_db(peer: &Peer) {
    let mut member = peer.start(&[]);
    member.write_some_of_everything();
    let (revision, keys) = (member.revision(), member.keys(&[]));
    let hash = member.hash_kv(revision);
    member.stop();
    let mut bytes = fs::read(member.db()).expect("the db");
    let older = 1 - Db::new(bytes.clone()).expect("sound").metas().active_slot;
    bytes[older * 4096..(older + 1) * 4096].fill(0);
    fs::write(member.db(), &bytes).expect("damaged");
    let mut salvage = Command::new(PROGRAM);
    salvage.current_dir(member.folder()).args(["salvage", "data", "-o", "saved.db", "--output", "json"]);
    let report: documents::Salvage = document("salvage", &text(&succeeded(&mut salvage)));
    assert!(report.restore.in_place && report.lacks.is_empty(), "{report:?}");
    assert_eq!(report.restore.commands[0].etcd, "any version, stopped");
    shell(&path_of(peer, false), member.folder(), &report.restore.command);
    member.restart();
    assert_eq!((member.revision(), member.hash_kv(revision)), (revision, hash));
    assert_eq!(member.keys(&[]), keys);
    member.ctl(["put", "/after/the/salvage", "throw-away text"]);
}
