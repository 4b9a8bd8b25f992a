//! `restore`: what becomes of each member's directory, what is refused, and what a kill leaves.

use std::fs;
use std::path::Path;
use std::process::{Child, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use etcd_medic::internals::doctor::files::DbState;
use etcd_medic::internals::doctor::{MemberCase, MemberFiles, Starts};
use etcd_medic::internals::etcd::apply::Version;
use etcd_medic::internals::etcd::schema::State;
use etcd_medic::{
    Identity, LogFiles, NewCluster, Progress, RestoreError, RestoreRequest, RestoreSource, restore,
};
use tempfile::TempDir;

use crate::replayed::corpora;
use crate::support::program::{program, run};
use crate::support::random::Random;
use crate::support::testdata;

const MEMBER: &str = "field/disarm-behind-its-log/etcd-3.5/member.tar.zst";

fn text(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}

/// Whatever is wrong with a directory, the member that is made of it starts, on each etcd that may; or it is said what is missing. The
/// log's own end is reached where nothing is missing.
#[test]
fn some_directories_as_the_same_member() {
    of_every(4);
}

#[test]
#[ignore = "long: each directory"]
fn each_directory_as_the_same_member() {
    of_every(1);
}

fn of_every(step: usize) {
    let (mut whole, mut refused) = (0, 0);
    for (case, folder, truth) in corpora("").into_iter().step_by(step) {
        for member in truth["members"].as_object().into_iter().flatten().map(|(name, _)| name) {
            let path = folder.path().join(member);
            let source = RestoreSource::of(&path);
            let log = LogFiles::open(&path, None).ok();
            let target = folder.path().join("new");
            let mut request = RestoreRequest::to(&target);
            request.identity = Identity::Kept { until: None };
            request.version = Some(Version::new(3, 7, 3));
            match restore(&source, log.as_ref(), &request, Progress::SILENT) {
                Ok(report) => {
                    whole += 1;
                    let files = MemberFiles::open(&target);
                    let read = files.log.as_ref().map(LogFiles::read);
                    assert!(read.as_ref().is_some_and(|read| read.num_faults == 0), "{case}");
                    let DbState::Sound(db) = &files.db else { panic!("{case}: no sound db") };
                    let minor = State::read(db).cluster_minor();
                    for version in [Version::new(3, 5, 35), Version::new(3, 6, 16), Version::new(3, 7, 3)] {
                        let starts = MemberCase::new(&files, read.as_ref()).predict(version).starts;
                        let is_too_old = minor.is_some_and(|minor| minor > version.minor);
                        assert!(
                            matches!(starts, Starts::Yes | Starts::Undecided) || is_too_old,
                            "{case} {version}: {starts:?}"
                        );
                    }
                    assert!(report.last_index >= report.index, "{case}");
                    drop(files);
                    fs::remove_dir_all(&target).expect("removed");
                }
                Err(RestoreError::Gap { .. }) => {
                    refused += 1;
                    assert!(!target.exists(), "{case}");
                }
                Err(error) => panic!("{case} {member}: {error}"),
            }
            let left: Vec<_> = fs::read_dir(folder.path())
                .expect("read")
                .filter_map(|entry| entry.expect("an entry").file_name().into_string().ok())
                .filter(|name| name.ends_with("unfinished"))
                .collect();
            assert_eq!(left, Vec::<String>::new(), "{case}");
        }
    }
    assert!(
        whole + refused == 0 || whole > 90 / step && refused * 4 < whole,
        "{whole} made, {refused} refused"
    );
}

#[test]
fn what_is_there_stays() {
    let folder = TempDir::new().expect("a folder");
    let (data, db) = (folder.path().join("data"), testdata("k8s-frag/frag.db"));
    let restore =
        |options: &[&str]| run(["restore", text(&db), "--data-dir", text(&data)].iter().chain(options));
    fs::write(&data, "a file").expect("written");
    assert_eq!(restore(&[]).code, 2);
    fs::remove_file(&data).expect("removed");
    fs::create_dir(&data).expect("made");
    fs::write(data.join("precious"), "text").expect("written");
    let ran = restore(&[]);
    assert!(ran.code == 2 && ran.err.contains("is not empty"), "{}", ran.err);
    assert_eq!(fs::read_to_string(data.join("precious")).expect("there"), "text");
    fs::remove_file(data.join("precious")).expect("removed");
    // an empty folder is taken
    assert_eq!(restore(&["--bump-revision", "1000", "--mark-compacted"]).code, 0);
    assert_eq!(run(["doctor", text(&data)]).code, 0);
    let ran = restore(&[]);
    assert!(ran.code == 2 && ran.err.contains("is not empty"), "{}", ran.err);
    for (wrong, word) in [
        (&["--keep-identity"][..], "--keep-identity needs the member's data dir"),
        (&["--bump-revision", "5"], "--mark-compacted"),
        (&["--name", "m1", "--initial-cluster", "m2=http://a:1"], "has no member `m1`"),
        (&["--for", "3.3"], "was not tried"),
        (&["--cut-log", "5"], "--keep-identity"),
    ] {
        let other = folder.path().join("other");
        let ran = run(["restore", text(&db), "--data-dir", text(&other)].iter().chain(wrong));
        assert!(ran.code == 2 && ran.err.contains(word), "{wrong:?}: {}", ran.err);
        assert!(!other.exists());
    }
    assert_eq!(NewCluster::default().members().expect("one").rows.len(), 1);
}

/// The entries that a member's db lacks go into a new cluster's db first; the log may be cut for the same member.
#[test]
fn the_log_of_a_data_dir_counts() {
    let member = crate::support::members::unpack(&testdata(MEMBER));
    let folder = TempDir::new().expect("a folder");
    let [new, kept, cut] = ["new", "kept", "cut"].map(|name| folder.path().join(name));
    let path = text(member.path());
    let json = |args: &[&str]| -> serde_json::Value {
        let ran = run(args.iter().copied().chain(["--output", "json"]));
        assert_eq!(ran.code, 0, "{args:?}: {}", ran.err);
        serde_json::from_str(&ran.out).expect("JSON")
    };
    let report = json(&["restore", path, "--data-dir", text(&new)]);
    let applied = report["applied_entries"].as_u64().expect("a number");
    assert!(applied > 0 && report["index"] == 1, "{report}");
    let kept = json(&["restore", path, "--keep-identity", "--data-dir", text(&kept)]);
    assert_eq!(kept["pending_entries"], applied);
    assert_eq!(kept["revision_after_start"], report["revision"]);
    let index = kept["index"].as_u64().expect("a number");
    let cut_at = index.to_string();
    let cut = json(&["restore", path, "--keep-identity", "--cut-log", &cut_at, "--data-dir", text(&cut)]);
    assert_eq!((&cut["left_out_entries"], &cut["pending_entries"]), (&applied.into(), &0.into()));
}

fn start(args: &[&str]) -> Child {
    program().args(args).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("started")
}

fn killed(rounds: u32) {
    let folder = TempDir::new().expect("a folder");
    let (source, data) = (folder.path().join("source.db"), folder.path().join("data"));
    let made = run(["synth", "--size", "12MiB", "--free", "0%", "-o", text(&source)]);
    assert_eq!(made.code, 0, "{}", made.err);
    let before = fs::read(&source).expect("read");
    let args = ["restore", text(&source), "--data-dir", text(&data)];
    let began = Instant::now();
    assert!(start(&args).wait().expect("waited for").success());
    // how long it takes depends on what else the machine does: each run teaches it
    let mut whole_run = began.elapsed();
    let mut random = Random(17);
    let mut counts = [0; 2];
    for round in 0..rounds {
        let _ = fs::remove_dir_all(&data);
        let mut child = start(&args);
        sleep(whole_run.mul_f64(f64::from(u32::try_from(random.between(0, 1200)).expect("small")) / 1000.0));
        child.kill().expect("killed, or ended before");
        child.wait().expect("waited for");
        let is_whole = data.exists();
        if is_whole {
            assert_eq!(run(["doctor", text(&data)]).code, 0, "round {round}");
            assert_eq!(run(["check", text(&data)]).code, 0, "round {round}");
        }
        counts[usize::from(is_whole)] += 1;
        whole_run = whole_run.mul_f64(if is_whole { 0.93 } else { 1.07 });
        for entry in fs::read_dir(folder.path()).expect("read") {
            let path = entry.expect("an entry").path();
            if path.to_string_lossy().ends_with("unfinished") {
                fs::remove_dir_all(path).expect("removed");
            }
        }
    }
    assert!(fs::read(&source).expect("read") == before);
    assert!(counts.iter().all(|&count| count > rounds / 20), "{counts:?}");
}

#[test]
fn killed_at_some_moments() {
    killed(40);
}

#[test]
#[ignore = "long: 200 kills"]
fn killed_at_many_moments() {
    killed(200);
}

/// A signal that can be caught takes the folder with it.
#[test]
fn ended_by_a_signal() {
    let folder = TempDir::new().expect("a folder");
    let (source, data) = (folder.path().join("source.db"), folder.path().join("data"));
    let made = run(["synth", "--size", "24MiB", "--free", "0%", "-o", text(&source)]);
    assert_eq!(made.code, 0, "{}", made.err);
    let names = || {
        let entries = fs::read_dir(folder.path()).expect("read");
        entries
            .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
            .collect::<Vec<_>>()
    };
    let mut ended = 0;
    for _ in 0..20 {
        let mut child = start(&["restore", text(&source), "--data-dir", text(&data)]);
        let until = Instant::now() + Duration::from_secs(20);
        while names().len() < 2 && Instant::now() < until {
            std::thread::yield_now();
        }
        let killed =
            std::process::Command::new("sh").args(["-c", &format!("kill -TERM {}", child.id())]).status();
        killed.expect("a shell");
        let code = child.wait().expect("waited for").code();
        let left = names();
        if code == Some(128 + 15) {
            assert_eq!(left, ["source.db"]);
            ended += 1;
        } else {
            fs::remove_dir_all(&data).expect("whole");
        }
    }
    assert!(ended > 0);
}

/// A db that is in use is not judged, unless the user wants that.
#[test]
fn a_running_member_is_not_judged() {
    let member = crate::support::members::unpack(&testdata(MEMBER));
    let db = fs::File::open(member.path().join("member/snap/db")).expect("a db");
    db.lock().expect("locked, as etcd does");
    let path = text(member.path());
    let ran = run(["doctor", path]);
    assert!(ran.code == 2 && ran.err.contains("is locked by"), "{}", ran.err);
    let ran = run(["doctor", path, "--no-lock", "--output", "json"]);
    assert!(ran.out.contains("\"read_without_lock\": true"), "{}", ran.out);
}
