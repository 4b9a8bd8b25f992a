//! Ended at any moment.

use super::*;

/// A file that takes a while, and its copy.
pub(super) struct Large {
    pub(super) source: Vec<u8>,
    pub(super) copy: Vec<u8>,
    /// How long a run takes.
    pub(super) whole_run: Duration,
}

pub(super) static LARGE: LazyLock<Large> = LazyLock::new(|| {
    let source = memory::large(15_000);
    let folder = folder_of(&[("source.db", &source)]);
    let (path, target) = (folder.path().join("source.db"), folder.path().join("copy.db"));
    let began = Instant::now();
    defrag_to(&path, &target, &[]);
    let whole_run = began.elapsed();
    assert_copy(&path, &target, "the large file");
    Large { source, copy: fs::read(target).expect("read"), whole_run }
});

/// Moments within a run: half of them anywhere in it, half of them about its end, where names change. Where that is
/// depends on what else the machine does, so each run teaches it.
struct Moments {
    random: Random,
    run: Duration,
    about_the_end: bool,
}

impl Moments {
    fn new(seed: u64) -> Self {
        Self { random: Random(seed), run: LARGE.whole_run, about_the_end: false }
    }

    fn next(&mut self) -> Duration {
        self.about_the_end = self.random.percent(50);
        let (low, high) = if self.about_the_end { (850, 1150) } else { (0, 1000) };
        let share = u32::try_from(self.random.between(low, high)).expect("small");
        self.run.mul_f64(f64::from(share) / 1000.0)
    }

    fn learn(&mut self, done: bool) {
        if self.about_the_end {
            self.run = self.run.mul_f64(if done { 0.95 } else { 1.08 });
        }
    }
}

fn start(args: &[&str]) -> Child {
    program().args(args).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("started")
}

/// How it ended, and its last words.
fn ended(child: &mut Child) -> (ExitStatus, String) {
    let mut words = String::new();
    // a message is short: nobody waits for room in the pipe
    child.stderr.take().expect("a pipe").read_to_string(&mut words).expect("text");
    (child.wait().expect("waited for"), words)
}

pub(super) fn is_unfinished(name: &str) -> bool {
    name.ends_with(TEMPORARY_SUFFIX)
}

/// Removes what a kill may leave behind; how many there were.
fn clean(folder: &Path) -> usize {
    let left: Vec<_> = names_of(folder).into_iter().filter(|name| is_unfinished(name)).collect();
    left.iter().for_each(|name| fs::remove_file(folder.join(name)).expect("removed"));
    left.len()
}

fn is_file_of(path: &Path, bytes: &[u8]) -> bool {
    path.metadata().is_ok_and(|metadata| metadata.len() == bytes.len() as u64)
        && fs::read(path).expect("read") == bytes
}

#[test]
fn by_sigkill() {
    let large = &*LARGE;
    let folder = folder_of(&[("source.db", &large.source)]);
    let (source, target) = (folder.path().join("source.db"), folder.path().join("copy.db"));
    let before = Seen::of(&source);
    let modified = || {
        let metadata = source.metadata().expect("there");
        (metadata.mtime(), metadata.mtime_nsec(), metadata.ino(), metadata.len())
    };
    let was = modified();
    let mut moments = Moments::new(6);
    let mut counts = [0; 4];
    for round in 0..130 {
        let previous = round % 2 == 1;
        if previous {
            fs::write(&target, "precious").expect("written");
        }
        let mut args = vec!["defrag", text(&source), "-o", text(&target)];
        args.extend(previous.then_some("--force"));
        let mut child = start(&args);
        sleep(moments.next());
        child.kill().expect("killed, or ended before");
        let (status, words) = ended(&mut child);
        let killed = status.code().is_none();
        assert_eq!(modified(), was, "round {round}: the source");
        assert!(is_file_of(&source, &large.source), "round {round}: the source");
        let whole = is_file_of(&target, &large.copy);
        let as_before =
            if previous { is_file_of(&target, b"precious") } else { target.symlink_metadata().is_err() };
        assert!(whole || as_before, "round {round}: neither whole nor as before");
        assert!(whole || killed, "round {round}: it ended with {status}, and nothing is there: {words}");
        moments.learn(whole);
        let left = clean(folder.path());
        // what was replaced is removed once the new name is on the disk
        assert!(left <= 1 && (left == 0 || !whole || previous), "round {round}: {left} left, whole: {whole}");
        [killed, whole, left > 0, killed && whole]
            .into_iter()
            .zip(&mut counts)
            .for_each(|(yes, count)| *count += u32::from(yes));
        assert_eq!(
            names_of(folder.path()).into_iter().filter(|name| name != "copy.db").collect::<Vec<_>>(),
            ["source.db"],
            "round {round}"
        );
        let _ = fs::remove_file(&target);
    }
    assert_eq!(Seen::of(&source), before);
    let [killed, whole, left, killed_and_whole] = counts;
    let said =
        format!("{killed} killed, {whole} whole ({killed_and_whole} of them killed), {left} left a file");
    assert!(killed > 30 && whole > 10 && left > 10, "{said}");
}

#[test]
fn by_sigkill_in_place() {
    let large = &*LARGE;
    let folder = folder_of(&[("data/member/snap/db", &large.source)]);
    let data = folder.path().join("data");
    let (db, member) = (data.join("member/snap/db"), data.join("member"));
    let mut moments = Moments::new(7);
    let (mut killed_before, mut replaced) = (0, 0);
    for round in 0..70 {
        let mut args = vec!["defrag", text(&data), "--in-place"];
        let discard = round % 3 == 2;
        args.extend(discard.then_some("--discard-old"));
        let mut child = start(&args);
        sleep(moments.next());
        child.kill().expect("killed, or ended before");
        let (status, words) = ended(&mut child);
        let killed = status.code().is_none();
        assert_eq!(names_of(&member.join("snap")), ["db"], "round {round}: nothing strange in snap");
        let kept = member.join("db.before-defrag");
        let done = is_file_of(&db, &large.copy);
        moments.learn(done);
        if done {
            replaced += 1;
            assert_eq!(kept.exists(), !discard, "round {round}: the old file is kept");
            fs::write(&db, &large.source).expect("as before");
        } else {
            assert!(killed, "round {round}: it ended with {status}, and did nothing: {words}");
            assert!(is_file_of(&db, &large.source), "round {round}: neither old nor new");
            killed_before += 1;
        }
        if kept.exists() {
            assert!(is_file_of(&kept, &large.source), "round {round}: what was kept");
            fs::remove_file(&kept).expect("removed");
        }
        clean(&member);
        assert_eq!(names_of(&member), ["snap"], "round {round}");
    }
    let said = format!("{killed_before} killed before the end, {replaced} replaced");
    assert!(killed_before > 10 && replaced > 3, "{said}");
}

pub(super) fn signal(child: &Child, name: &str) {
    let sent = Command::new("sh")
        .args(["-c", &format!("kill -{name} {}", child.id())])
        .stderr(Stdio::null())
        .status();
    // one that has ended by then has no use for it
    sent.expect("a shell");
}

pub(super) const SIGNALS: [(&str, i32); 3] = [("HUP", 1), ("INT", 2), ("TERM", 15)];

/// A signal that can be caught takes the temporary file with it. Sent as soon as there is one.
#[test]
fn by_a_signal_while_it_writes() {
    let large = &*LARGE;
    for (name, number) in SIGNALS {
        for in_place in [false, true] {
            let folder = folder_of(&[("data/member/snap/db", &large.source)]);
            let (data, target) = (folder.path().join("data"), folder.path().join("copy.db"));
            let before = seen_in(folder.path());
            let made_in = if in_place { data.join("member") } else { folder.path().to_owned() };
            let args: &[&str] = if in_place {
                &["defrag", text(&data), "--in-place"]
            } else {
                &["defrag", text(&data), "-o", text(&target)]
            };
            let mut child = start(args);
            let until = Instant::now() + Duration::from_secs(60);
            while !names_of(&made_in).iter().any(|name| is_unfinished(name)) && Instant::now() < until {
                assert_eq!(child.try_wait().expect("asked"), None, "SIG{name}: it ended unseen");
                thread::yield_now();
            }
            signal(&child, name);
            let status = child.wait().expect("waited for");
            assert_eq!(status.code(), Some(128 + number), "SIG{name}, in place: {in_place}");
            assert_eq!(seen_in(folder.path()), before, "SIG{name}, in place: {in_place}");
        }
    }
}

#[test]
fn by_a_signal_at_any_moment() {
    use std::os::unix::process::ExitStatusExt;
    let large = &*LARGE;
    let folder = folder_of(&[("source.db", &large.source)]);
    let (source, target) = (folder.path().join("source.db"), folder.path().join("copy.db"));
    let (mut random, mut moments) = (Random(8), Moments::new(9));
    for round in 0..30 {
        let (name, number) = random.one_of(&SIGNALS);
        let mut child = start(&["defrag", text(&source), "-o", text(&target)]);
        sleep(moments.next());
        signal(&child, name);
        let status = child.wait().expect("waited for");
        // before anybody waits for signals, there is nothing to remove
        let early = status.signal() == Some(number) && target.symlink_metadata().is_err();
        let of = format!("round {round}, SIG{name}: {status}");
        assert!(early || [Some(0), Some(128 + number)].contains(&status.code()), "{of}");
        assert!(status.code() != Some(0) || target.exists(), "{of}");
        moments.learn(target.exists());
        if target.exists() {
            assert!(is_file_of(&target, &large.copy), "{of}");
            fs::remove_file(&target).expect("removed");
        }
        assert_eq!(names_of(folder.path()), ["source.db"], "{of}");
    }
    assert!(is_file_of(&source, &large.source));
}
