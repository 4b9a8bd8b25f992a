//! A copy in place beside an etcd that is started at any moment, and beside itself: whoever has the db for writing has it under its
//! name, and nothing is lost.

use super::ended::is_unfinished;
use super::in_place::data_dir;
use super::*;

/// What etcd does to its db when it starts (bbolt's `db.go`, `Open`; `bolt_unix.go`, `flock`): opens it for reading and writing,
/// asks for its lock again and again, and writes.
fn etcd(db: &Path, after: Duration, run: &Child, pause: Duration) -> File {
    sleep(after);
    let mut file = File::options().read(true).append(true).open(db).expect("opened");
    let until = Instant::now() + Duration::from_secs(60);
    while file.try_lock().is_err() {
        assert!(Instant::now() < until, "the lock of process {} is never free", run.id());
        sleep(pause);
    }
    file.write_all(b"written by etcd").expect("written");
    file
}

#[derive(Default, Debug)]
struct Outcomes {
    replaced: u32,
    refused: u32,
}

/// One race; `moment` is when etcd starts, in shares of a run's time.
fn race_with_etcd(random: &mut Random, whole_run: &mut Duration, discard: bool, outcomes: &mut Outcomes) {
    let old = fixture("k8s-frag/frag.db");
    let (folder, db) = data_dir(&old);
    let member = folder.path().join("data/member");
    let mut args = vec!["defrag", text(&db), "--in-place"];
    args.extend(discard.then_some("--discard-old"));
    let run = program().args(&args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("started");
    let share = u32::try_from(random.between(0, 1200)).expect("small");
    let pause = Duration::from_millis(random.between(1, 50));
    let etcd = etcd(&db, whole_run.mul_f64(f64::from(share) / 1000.0), &run, pause);
    let ran = Ran::from(run.wait_with_output().expect("waited for"));
    let of = format!("etcd after {share} thousandths of a run: {} {}", ran.code, ran.err);
    let (its, named) = (etcd.metadata().expect("its own"), db.metadata().expect("there"));
    assert_eq!((its.ino(), its.nlink()), (named.ino(), 1), "{of}");
    let now = fs::read(&db).expect("read");
    assert!(now.ends_with(b"written by etcd"), "{of}");
    let names: Vec<_> =
        names_of(&member).into_iter().filter(|name| name != "wal" && name != "snap").collect();
    assert!(!names.iter().any(|name| is_unfinished(name)), "{names:?}: {of}");
    match ran.code {
        0 if discard => assert_eq!(names, [""; 0], "{of}"),
        0 => assert!(fs::read(member.join("db.before-defrag")).expect("kept") == old, "{of}"),
        2 => assert!(names.is_empty() && now.starts_with(&old), "{of}"),
        _ => panic!("{of}"),
    }
    // how long a run takes depends on what else the machine does: each race teaches it
    *whole_run = whole_run.mul_f64(if ran.code == 0 { 0.85 } else { 1.15 });
    if ran.code == 0 {
        outcomes.replaced += 1;
    } else {
        assert!(
            ran.err.contains("is in use by")
                || ran.err.contains("is locked by")
                || ran.err.contains("meanwhile"),
            "{of}"
        );
        outcomes.refused += 1;
    }
}

/// Several runs at once, all of them keep the old file: whatever they do, the first file is there, and so is each that followed.
fn race_with_itself(runs: usize) -> usize {
    let old = fixture("k8s-frag/frag.db");
    let (folder, db) = data_dir(&old);
    let member = folder.path().join("data/member");
    let runs: Vec<_> = (0..runs)
        .map(|_| {
            let mut command = program();
            command.args(["defrag", text(&db), "--in-place"]);
            command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("started")
        })
        .collect();
    let ran: Vec<_> =
        runs.into_iter().map(|run| Ran::from(run.wait_with_output().expect("waited for"))).collect();
    let done = ran.iter().filter(|ran| ran.code == 0).count();
    for ran in ran.iter().filter(|ran| ran.code != 0) {
        let says = ["is locked by", "is in use by", "has this name by now"];
        assert!(
            ran.code == 2 && says.iter().any(|words| ran.err.contains(words)),
            "{} {}",
            ran.code,
            ran.err
        );
    }
    assert!(done > 0, "each was refused: {ran:?}");
    let kept: Vec<_> = names_of(&member).into_iter().filter(|name| name != "wal" && name != "snap").collect();
    assert_eq!(kept.len(), done, "{kept:?}");
    assert!(fs::read(member.join("db.before-defrag")).expect("kept") == old);
    assert_copy(&member.join("db.before-defrag"), &db, "several runs");
    done
}

fn whole_run() -> Duration {
    let (_folder, db) = data_dir(&fixture("k8s-frag/frag.db"));
    let began = Instant::now();
    defrag(&db, &["--in-place"]);
    began.elapsed()
}

fn races(seed: u64, count: u32) {
    let (mut random, mut outcomes) = (Random(seed), Outcomes::default());
    let mut whole_run = whole_run();
    for round in 0..count {
        race_with_etcd(&mut random, &mut whole_run, round % 3 == 2, &mut outcomes);
    }
    let done: Vec<_> = (0..count / 4).map(|round| race_with_itself(2 + round as usize % 3)).collect();
    let _ = writeln!(
        stderr(),
        "races of --in-place with an etcd: {outcomes:?}; with itself, done at once: {done:?}"
    );
    assert!(outcomes.replaced > 0 && outcomes.refused > 0, "{outcomes:?}");
}

#[test]
fn some_races() {
    races(21, 24);
}

#[test]
#[ignore = "long: about a minute"]
fn hundreds_of_races() {
    races(22, 400);
}
