//! The moment at which a copy takes its name: what may come in between, and what may fail.
//!
//! Most of these need strace, which stops the program at one system call or makes that fail.

use super::ended::{LARGE, is_unfinished, signal};
use super::in_place::data_dir;
use super::*;

/// A data dir, and what may become of its db.
struct Place {
    folder: TempDir,
    db: PathBuf,
    member: PathBuf,
    old: Vec<u8>,
}

impl Place {
    fn of(old: Vec<u8>) -> Self {
        let (folder, db) = data_dir(&old);
        let member = folder.path().join("data/member");
        Self { folder, db, member, old }
    }

    fn small() -> Self {
        Self::of(etcd_file::small().bytes())
    }

    fn data(&self) -> String {
        path_in(&self.folder, "data")
    }

    fn kept(&self) -> PathBuf {
        self.member.join("db.before-defrag")
    }

    fn inode(&self) -> u64 {
        self.db.metadata().expect("there").ino()
    }

    /// The db is the same file as before, and nothing else is there.
    fn assert_untouched(&self, inode: u64) {
        assert_eq!((self.inode(), fs::read(&self.db).expect("read")), (inode, self.old.clone()));
        assert_eq!(names_of(&self.member), ["snap", "wal"]);
        assert_eq!(self.db.metadata().expect("there").nlink(), 1);
    }

    /// The copy is in place, and the old file is kept under its name alone.
    fn assert_replaced(&self, inode: u64) {
        assert_ne!(self.inode(), inode);
        assert_eq!(fs::read(self.kept()).expect("kept"), self.old);
        assert_eq!(names_of(&self.member), ["db.before-defrag", "snap", "wal"]);
        assert_eq!(self.kept().metadata().expect("there").nlink(), 1);
        assert_copy(&self.kept(), &self.db, "in place");
    }
}

fn etcd_opens(db: &Path) -> File {
    File::options().read(true).write(true).open(db).expect("opened")
}

fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let until = Instant::now() + Duration::from_secs(60);
    while !is_so() {
        assert!(Instant::now() < until, "{what}: never");
        sleep(Duration::from_millis(2));
    }
}

fn ended(child: Child) -> Ran {
    Ran::from(child.wait_with_output().expect("waited for"))
}

fn started(mut command: Command) -> Child {
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("started")
}

/// A run in place that is stopped while it writes its copy.
fn stopped_run(place: &Place) -> Child {
    let mut command = program();
    command.args(["defrag", &place.data(), "--in-place"]);
    let child = started(command);
    wait_until("a temporary file", || names_of(&place.member).iter().any(|name| is_unfinished(name)));
    signal(&child, "STOP");
    assert!(names_of(&place.member).iter().any(|name| is_unfinished(name)), "it was stopped too late");
    child
}

fn goes_on(child: Child) -> Ran {
    signal(&child, "CONT");
    ended(child)
}

fn assert_says_all(ran: &Ran, code: i32, says: &[&str]) {
    assert_eq!(ran.code, code, "{}", ran.err);
    for words in says {
        assert!(ran.err.contains(words), "no {words:?} in {}", ran.err);
    }
}

#[test]
fn another_file_has_the_name_by_then() {
    let place = Place::of(LARGE.source.clone());
    let child = stopped_run(&place);
    // a restored db, moved there by somebody, and an etcd that has started on it
    let other = place.folder.path().join("other");
    fs::write(&other, etcd_file::small().bytes()).expect("written");
    fs::rename(&other, &place.db).expect("moved");
    let etcd = etcd_opens(&place.db);
    etcd.try_lock().expect("nobody else has it");
    let ran = goes_on(child);
    assert_says_all(&ran, 2, &[text(&place.db), "another file has this name by now", "Nothing was replaced"]);
    assert_eq!(etcd.metadata().expect("its own").ino(), place.inode());
    assert_eq!(names_of(&place.member), ["snap", "wal"]);
}

#[test]
fn nothing_or_a_link_has_the_name_by_then() {
    let place = Place::of(LARGE.source.clone());
    let child = stopped_run(&place);
    let elsewhere = place.folder.path().join("elsewhere");
    fs::rename(&place.db, &elsewhere).expect("moved");
    assert_says_all(&goes_on(child), 2, &["nothing has this name any more", "Nothing was replaced"]);
    assert!(!place.db.exists());
    fs::rename(&elsewhere, &place.db).expect("moved back");
    let child = stopped_run(&place);
    fs::rename(&place.db, &elsewhere).expect("moved");
    symlink(&elsewhere, &place.db).expect("linked");
    assert_says_all(&goes_on(child), 2, &["another file has this name by now"]);
    assert!(place.db.is_symlink());
    assert_eq!(fs::read(&elsewhere).expect("read"), place.old);
    assert_eq!(names_of(&place.member), ["snap", "wal"]);
}

#[test]
fn it_was_written_to_meanwhile() {
    let place = Place::of(LARGE.source.clone());
    let child = stopped_run(&place);
    let inode = place.inode();
    // by somebody who asks for no lock
    let mut writer = File::options().append(true).open(&place.db).expect("opened");
    writer.write_all(b"more").expect("written");
    drop(writer);
    assert_says_all(&goes_on(child), 2, &["it was written to meanwhile"]);
    assert_eq!(place.inode(), inode);
    assert_eq!(place.db.metadata().expect("there").len(), place.old.len() as u64 + 4);
    assert_eq!(names_of(&place.member), ["snap", "wal"]);
}

#[test]
fn an_etcd_was_started_meanwhile() {
    let place = Place::of(LARGE.source.clone());
    let child = stopped_run(&place);
    let inode = place.inode();
    let etcd = etcd_opens(&place.db);
    assert!(etcd.try_lock().is_err(), "the lock is held while it works");
    assert_says_all(&goes_on(child), 2, &["is in use by", "would go on with the old file"]);
    etcd.try_lock().expect("free by now");
    place.assert_untouched(inode);
}

/// Two runs exclude each other, from the beginning to the end; and nobody reads what is about to be replaced.
#[test]
fn another_run_was_started_meanwhile() {
    let place = Place::of(LARGE.source.clone());
    let child = stopped_run(&place);
    let inode = place.inode();
    for options in [&["--in-place"][..], &["--in-place", "--discard-old"]] {
        let ran = run([&["defrag", &place.data()], options].concat());
        assert_says_all(&ran, 2, &["is locked by etcd-medic (process "]);
    }
    let ran = goes_on(child);
    assert_eq!(ran.code, 0, "{}", ran.err);
    place.assert_replaced(inode);
}

/// Who only reads has a shared lock.
#[test]
fn somebody_reads_it() {
    let place = Place::small();
    let inode = place.inode();
    let reader = File::open(&place.db).expect("opened");
    reader.try_lock_shared().expect("locked");
    let ran = run(["defrag", &place.data(), "--in-place"]);
    assert_says_all(&ran, 2, &["is locked by "]);
    place.assert_untouched(inode);
    assert_eq!(run(["defrag", &place.data(), "--in-place", "--dry-run"]).code, 0);
    drop(reader);
    assert_eq!(run(["defrag", &place.data(), "--in-place"]).code, 0);
    place.assert_replaced(inode);
}

/// strace, where it is there and allowed. Said loudly where not; a failure where everything is to be tested.
fn strace() -> Option<&'static str> {
    static WORKS: LazyLock<bool> = LazyLock::new(|| {
        plain("strace").args(["-f", "-o", "/dev/null", "true"]).status().is_ok_and(|status| status.success())
    });
    if *WORKS {
        return Some("strace");
    }
    let required = std::env::var_os("ETCD_MEDIC_REQUIRE_PEERS").is_some_and(|value| value == "1");
    assert!(!required, "strace is not there or may not trace: `apt-get install strace`");
    left_out("system calls that fail, and what comes between two of them", "there is no strace that works");
    None
}

/// The program under strace, which injects this.
fn injected(injections: &[&str], args: &[&str]) -> Command {
    let mut command = plain("timeout");
    command.args(["60", "strace", "-f", "-qq", "-o", "/dev/null"]);
    let calls: Vec<_> = injections.iter().map(|one| one.split(':').next().expect("a name")).collect();
    command.args(["-e", &format!("trace={}", calls.join(","))]);
    for injection in injections {
        command.args(["-e", &format!("inject={injection}")]);
    }
    command.arg(PROGRAM).args(args);
    command
}

/// A run in place that waits between its first look at the db and the exchange; the old file has its second name by then.
fn between_look_and_exchange(place: &Place, more: &[&str]) -> Child {
    let injections = [&["linkat:delay_exit=700000:when=1"], more].concat();
    let child = started(injected(&injections, &["defrag", &place.data(), "--in-place"]));
    wait_until("the second name", || place.kept().exists());
    child
}

#[test]
fn an_etcd_is_started_between_look_and_exchange() {
    if strace().is_none() {
        return;
    }
    // also on a file system that knows no exchange, and where the kernel gives no lease: then /proc tells
    for more in [&[][..], &["renameat2:error=EINVAL"], &["fcntl:error=EINVAL:when=2+"]] {
        let place = Place::small();
        let inode = place.inode();
        let child = between_look_and_exchange(&place, more);
        let etcd = etcd_opens(&place.db);
        assert_says_all(&ended(child), 2, &["is in use by", "Nothing was replaced"]);
        etcd.try_lock().expect("free by now");
        place.assert_untouched(inode);
    }
}

#[test]
fn another_file_comes_between_look_and_exchange() {
    if strace().is_none() {
        return;
    }
    let place = Place::small();
    let child = between_look_and_exchange(&place, &[]);
    let other = place.folder.path().join("other");
    fs::write(&other, "the db of a running etcd").expect("written");
    let etcd = etcd_opens(&other);
    fs::rename(&other, &place.db).expect("moved");
    // the file that was read has no other name by now
    assert_says_all(&ended(child), 2, &["another file has this name by now", text(&place.kept())]);
    assert_eq!(etcd.metadata().expect("its own").ino(), place.inode());
    assert_eq!(fs::read(place.kept()).expect("kept"), place.old);
    assert_eq!(names_of(&place.member), ["db.before-defrag", "snap", "wal"]);
}

/// It waits for the lock of the copy, and goes on with that.
#[test]
fn an_etcd_is_started_after_the_exchange() {
    if strace().is_none() {
        return;
    }
    let place = Place::small();
    let inode = place.inode();
    let args = ["defrag", &place.data(), "--in-place"];
    let child = started(injected(&["renameat2:delay_exit=700000:when=1"], &args));
    wait_until("the exchange", || place.inode() != inode);
    let etcd = etcd_opens(&place.db);
    assert!(etcd.try_lock().is_err(), "it is not yet decided");
    let ran = ended(child);
    assert_eq!(ran.code, 0, "{}", ran.err);
    etcd.try_lock().expect("free by now");
    assert_eq!(etcd.metadata().expect("its own").ino(), place.inode());
    drop(etcd);
    place.assert_replaced(inode);
}

/// The db of a running etcd can't get its name back: it is not removed, and the message says where it is.
#[test]
fn what_cannot_be_exchanged_back_is_named() {
    if strace().is_none() {
        return;
    }
    let place = Place::small();
    let inode = place.inode();
    let child = between_look_and_exchange(&place, &["renameat2:error=EIO:when=2+", "renameat:error=EIO"]);
    let _etcd = etcd_opens(&place.db);
    let ran = ended(child);
    assert_says_all(&ran, 2, &["is in use by", "could not get it back", text(&place.kept())]);
    assert_eq!(place.kept().metadata().expect("there").ino(), inode);
}

/// A signal waits until names are settled, and says what is done.
#[test]
fn a_signal_comes_after_the_exchange() {
    if strace().is_none() {
        return;
    }
    let place = Place::small();
    let inode = place.inode();
    let args = ["defrag", &place.data(), "--in-place"];
    let child = started(injected(&["renameat2:delay_exit=700000:when=1"], &args));
    wait_until("the exchange", || place.inode() != inode);
    let pid = fs::read_dir("/proc").expect("read").filter_map(Result::ok).find(|entry| {
        let command = fs::read(entry.path().join("cmdline")).unwrap_or_default();
        command.starts_with(PROGRAM.as_bytes()) && String::from_utf8_lossy(&command).contains(&place.data())
    });
    let pid = pid.expect("it runs").file_name().into_string().expect("a number");
    assert!(plain("sh").args(["-c", &format!("kill -TERM {pid}")]).status().expect("sent").success());
    let ran = ended(child);
    assert_says_all(&ran, 128 + 15, &["ended by signal 15", "is the new copy", text(&place.kept())]);
    place.assert_replaced(inode);
}

/// Two steps in place of one, where a file system knows no exchange.
#[test]
fn without_an_exchange() {
    if strace().is_none() {
        return;
    }
    let no_exchange = ["renameat2:error=EINVAL"];
    for options in [&["--in-place"][..], &["--in-place", "--discard-old"]] {
        let place = Place::small();
        let inode = place.inode();
        let ran = ended(started(injected(&no_exchange, &[&["defrag", &place.data()], options].concat())));
        assert_eq!(ran.code, 0, "{}", ran.err);
        if options.len() == 1 {
            place.assert_replaced(inode);
        } else {
            assert_eq!(names_of(&place.member), ["snap", "wal"]);
            assert_ne!(place.inode(), inode);
        }
    }
    let (folder, source) = small();
    let target = folder.path().join("copy.db");
    for (force, previous) in [(false, false), (true, false), (true, true), (false, true)] {
        let _ = fs::remove_file(&target);
        if previous {
            fs::write(&target, "precious").expect("written");
        }
        let mut args = vec!["defrag", text(&source), "-o", text(&target)];
        args.extend(force.then_some("--force"));
        let ran = ended(started(injected(&no_exchange, &args)));
        if previous && !force {
            assert_eq!((ran.code, fs::read(&target).expect("read")), (2, b"precious".to_vec()));
        } else {
            assert_eq!(ran.code, 0, "{}", ran.err);
            assert_copy(&source, &target, "without an exchange");
        }
        assert_eq!(names_of(folder.path()), ["copy.db", "source.db"]);
    }
}

/// A system call of a run that has to do with its files.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Call {
    name: String,
    /// Which one of its thread's calls of this name it is.
    number: usize,
}

/// The exit code of a run, and all of its calls that name something in `folder`, as strace counts them: each thread by itself.
fn calls_in(folder: &Path, args: &[&str]) -> (i32, Vec<Call>) {
    let log = tempfile::NamedTempFile::new().expect("a file");
    let mut command = plain("timeout");
    command.args(["60", "strace", "-f", "-y", "-s", "0", "-o", text(log.path()), PROGRAM]).args(args);
    let ran = ended(started(command));
    assert!(ran.code < 2, "{args:?}: {}", ran.err);
    let log = fs::read_to_string(log.path()).expect("read");
    let mut counts = BTreeMap::new();
    let mut calls = Vec::new();
    for line in log.lines() {
        let Some((thread, call)) = line.split_once(char::is_whitespace) else { continue };
        let Some((name, _)) = call.trim_start().split_once('(') else { continue };
        if !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
            continue;
        }
        let number = counts.entry((thread.to_owned(), name.to_owned())).or_insert(0);
        *number += 1;
        // the program itself is started with its name
        if call.contains(text(folder)) && name != "execve" {
            calls.push(Call { name: name.to_owned(), number: *number });
        }
    }
    calls.sort();
    calls.dedup();
    (ran.code, calls)
}

/// What a command does to one file, and what must be true of it whichever call fails.
struct Work {
    args: Vec<String>,
    in_place: bool,
    discards: bool,
}

fn paths_in(folder: &Path) -> Vec<PathBuf> {
    names_of(folder).into_iter().map(|name| folder.join(name)).collect()
}

/// Does it again for each call that it makes, and lets that one fail. Gives back how many did.
fn with_each_call_failing(work: &Work, is_meant: impl Fn(&Call) -> bool) -> usize {
    let old = etcd_file::small().bytes();
    let prepare = || {
        let (folder, db) = data_dir(&old);
        let target = folder.path().join("target.ndjson");
        fs::write(&target, "precious").expect("written");
        let path = |arg: &String| match arg.as_str() {
            "SRC" => path_in(&folder, "data"),
            "DST" => text(&target).to_owned(),
            "NEW" => path_in(&folder, "new.ndjson"),
            arg => arg.to_owned(),
        };
        let args: Vec<String> = work.args.iter().map(path).collect();
        let target = if work.in_place {
            db
        } else {
            PathBuf::from(args.iter().skip_while(|arg| *arg != "-o").nth(1).expect("a target"))
        };
        (folder, args, target)
    };
    let read = |path: &Path| fs::read(path).ok();
    let (folder, args, target) = prepare();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let before = read(&target);
    let (usual, mut calls) = calls_in(folder.path(), &args);
    calls.retain(is_meant);
    let new = read(&target).expect("written");
    for call in &calls {
        let (folder, args, target) = prepare();
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        let injection = format!("{}:error=EIO:when={}", call.name, call.number);
        let ran = ended(started(injected(&[&injection], &args)));
        let of = format!("{args:?}, {injection}: {} {}{}", ran.code, ran.err, ran.out);
        let now = read(&target);
        assert!(!ran.err.contains("this is a bug"), "{of}");
        match ran.code {
            code if code == usual && ran.err.is_empty() => assert!(now.as_ref() == Some(&new), "{of}"),
            1 => assert!(now.as_ref() == Some(&new) && ran.err.contains(text(&target)), "{of}"),
            2 => assert!(now == before, "{of}"),
            // the dynamic loader's call failed, before the program began
            127 if ran.err.contains("error while loading shared libraries") => assert!(now == before, "{of}"),
            _ => panic!("{of}"),
        }
        let member = folder.path().join("data/member");
        let mut extra: Vec<PathBuf> = paths_in(&member);
        extra.retain(|path| !path.ends_with("wal") && !path.ends_with("snap"));
        if work.in_place && now.as_ref() == Some(&new) && !work.discards {
            let kept = member.join("db.before-defrag");
            assert!(
                read(&kept) == Some(old.clone()) && (ran.err.clone() + &ran.out).contains(text(&kept)),
                "{of}"
            );
            extra.retain(|path| *path != kept);
        } else if !work.in_place {
            assert!(read(&folder.path().join("data/member/snap/db")) == Some(old.clone()), "{of}");
        }
        // what could not be removed is named
        extra.extend(paths_in(folder.path()).into_iter().filter(|path| is_unfinished(text(path))));
        assert!(extra.iter().all(|path| ran.err.contains(text(path))), "{extra:?}: {of}");
    }
    calls.len()
}

fn works() -> Vec<Work> {
    let work = |args: &str| {
        let args: Vec<String> = args.split(' ').map(str::to_owned).collect();
        let has = |option: &str| args.iter().any(|arg| arg == option);
        Work { in_place: has("--in-place"), discards: has("--discard-old"), args }
    };
    [
        "defrag SRC --in-place",
        "defrag SRC --in-place --discard-old",
        "defrag SRC --in-place --output json",
        "defrag SRC -o NEW",
        "defrag SRC -o DST --force --snapshot",
        "salvage SRC -o NEW",
        "salvage SRC -o DST --force",
        "synth --keys 10 -o NEW",
        "synth --keys 10 -o DST --force",
        "export SRC -o NEW",
        "export SRC -o DST --force",
    ]
    .map(work)
    .into()
}

/// The calls that give names, of a copy in place.
#[test]
fn each_call_of_the_commit_fails() {
    if strace().is_none() {
        return;
    }
    let names = ["linkat", "renameat2", "fsync", "unlinkat", "flock"];
    let failed = with_each_call_failing(&works()[0], |call| names.contains(&call.name.as_str()));
    assert!(failed >= 6, "{failed} calls failed");
}

/// Every call of every command that has to do with its files.
#[test]
#[ignore = "long: about two minutes"]
fn each_call_of_each_command_fails() {
    if strace().is_none() {
        return;
    }
    let failed: Vec<_> = works().iter().map(|work| with_each_call_failing(work, |_| true)).collect();
    let _ = writeln!(stderr(), "calls that failed, by command: {failed:?}");
    assert!(failed.iter().all(|failed| *failed > 12), "{failed:?}");
}
