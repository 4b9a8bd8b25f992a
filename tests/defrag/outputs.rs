//! One rule for every command that writes: which targets are refused, what replaces them, and what a signal leaves.

use super::ended::{LARGE, SIGNALS, is_unfinished, signal};
use super::*;

/// The commands that write one file, but for its name.
const COMMANDS: [&[&str]; 4] =
    [&["defrag", "SRC"], &["salvage", "SRC"], &["synth", "--size", "2MiB"], &["export", "SRC"]];

/// A folder with a source, and a target that exists: its name is one that `export` takes for a file.
fn place() -> (TempDir, PathBuf) {
    let folder = folder_of(&[("source.db", &fixture("k8s-frag/frag.db")), ("target.ndjson", b"precious")]);
    let target = folder.path().join("target.ndjson");
    (folder, target)
}

fn args_of(command: &[&str], folder: &Path, target: &Path, options: &[&str]) -> Vec<String> {
    let source = text(&folder.join("source.db")).to_owned();
    let args = command.iter().map(|&arg| if arg == "SRC" { source.clone() } else { arg.to_owned() });
    let options = options.iter().map(|&option| option.to_owned());
    args.chain(["-o".to_owned(), text(target).to_owned()]).chain(options).collect()
}

/// Every command refuses this target, with --force and without, and leaves everything as it was.
fn all_refuse(folder: &Path, target: &Path, says: &[&str]) {
    for command in COMMANDS {
        let args = args_of(command, folder, target, &["--force"]);
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        assert_refused(folder, &args, says);
    }
}

#[test]
fn others_have_it_locked() {
    let (folder, target) = place();
    let other = File::open(&target).expect("opened");
    other.try_lock().expect("locked");
    all_refuse(folder.path(), &target, &[text(&target), "is in use by", "Nothing was replaced"]);
    other.unlock().expect("unlocked");
    other.try_lock_shared().expect("locked");
    all_refuse(folder.path(), &target, &["is in use by"]);
}

/// bbolt waits for a lock by asking again and again: nothing but its open file tells of it.
#[test]
fn others_have_it_open_for_writing() {
    let (folder, target) = place();
    let _other = File::options().write(true).open(&target).expect("opened");
    all_refuse(folder.path(), &target, &[text(&target), "is in use by"]);
}

#[test]
fn it_is_a_link() {
    let (folder, target) = place();
    fs::create_dir(folder.path().join("folder")).expect("made");
    // as /dev/stdout is one, which leads on
    symlink("/proc/self/fd/1", folder.path().join("stdout")).expect("linked");
    for (number, to) in
        ["target.ndjson", "nowhere", "folder", "/dev/null", "stdout", "/proc/self/fd/1", text(&target)]
            .iter()
            .enumerate()
    {
        let link = folder.path().join(format!("link-{number}.ndjson"));
        symlink(to, &link).expect("linked");
        all_refuse(folder.path(), &link, &[text(&link), &format!("is a symbolic link to {to}")]);
    }
    let link = folder.path().join("itself.ndjson");
    symlink("itself.ndjson", &link).expect("linked");
    all_refuse(folder.path(), &link, &["is a symbolic link to itself.ndjson"]);
}

#[test]
fn it_is_no_file() {
    let (folder, _) = place();
    let within = folder.path().join("folder.ndjson");
    fs::create_dir(&within).expect("made");
    all_refuse(folder.path(), &within, &["is a folder"]);
    let pipe = folder.path().join("pipe.ndjson");
    if plain("mkfifo").arg(&pipe).status().is_ok_and(|status| status.success()) {
        all_refuse(folder.path(), &pipe, &["no regular file"]);
    } else {
        left_out("a pipe as the target", "there is no mkfifo");
    }
}

#[test]
fn it_is_replaced_by_force_only() {
    for command in COMMANDS {
        let (folder, target) = place();
        let args = |options: &[&str]| args_of(command, folder.path(), &target, options);
        let without = args(&[]);
        let without: Vec<&str> = without.iter().map(String::as_str).collect();
        assert_refused(folder.path(), &without, &["exists already"]);
        let ran = run(args(&["--force"]));
        assert!(ran.code < 2, "{command:?}: {}", ran.err);
        assert_eq!(names_of(folder.path()), ["source.db", "target.ndjson"], "{command:?}");
        assert!(fs::read(&target).expect("read").len() > 1000, "{command:?}");
    }
}

/// The folder of a link is not the one that was asked for.
#[test]
fn links_in_an_exported_folder() {
    let (folder, _) = place();
    let (out, elsewhere) = (folder.path().join("out"), folder.path().join("elsewhere"));
    let args = args_of(&["export", "SRC"], folder.path(), &out, &["--force"]);
    assert!(run(&args).code < 2);
    fs::create_dir(&elsewhere).expect("made");
    fs::write(elsewhere.join("precious"), "precious").expect("written");
    let before = seen_in(&elsewhere);
    let first_in = |folder: &Path| folder.join(&names_of(folder)[0]);
    let resource = names_of(&out).into_iter().map(|name| out.join(name)).find(|path| first_in(path).is_dir());
    let resource = resource.expect("a resource with namespaces");
    let namespace = first_in(&resource);
    let object = first_in(&namespace);
    let refused = |link: &Path, to: &str| {
        let ran = run(&args);
        assert_eq!(ran.code, 2, "{}", ran.err);
        assert!(
            ran.err
                .contains(&format!("{} is a symbolic link to {to}", text(link)).replace(" is a", ": is a")),
            "{}",
            ran.err
        );
        assert_eq!(seen_in(&elsewhere), before);
    };
    // a file, its folder, and that one's
    fs::remove_file(&object).expect("removed");
    symlink(elsewhere.join("precious"), &object).expect("linked");
    refused(&object, text(&elsewhere.join("precious")));
    for linked in [&namespace, &resource, &out] {
        fs::remove_dir_all(linked).expect("removed");
        symlink(&elsewhere, linked).expect("linked");
        refused(linked, text(&elsewhere));
        fs::remove_file(linked).expect("removed");
        assert!(run(&args).code < 2);
    }
}

/// What is there when a file of many can't be written is said.
#[test]
fn an_export_that_ends_halfway() {
    let (folder, _) = place();
    let out = folder.path().join("out");
    let args = args_of(&["export", "SRC"], folder.path(), &out, &["--force"]);
    assert!(run(&args).code < 2);
    let mut files: Vec<_> =
        seen_in(&out).into_iter().filter(|(_, seen)| matches!(seen, Seen::File { .. })).collect();
    let (path, _) = files.swap_remove(files.len() / 2);
    fs::remove_file(out.join(&path)).expect("removed");
    fs::create_dir(out.join(&path)).expect("made");
    let ran = run(&args);
    assert_eq!(ran.code, 2, "{}", ran.err);
    assert!(ran.err.contains("is a folder") && ran.err.contains("the others are missing"), "{}", ran.err);
}

#[test]
fn man_pages_follow_no_links() {
    let folder = folder_of(&[("precious", b"precious"), ("man/etcd-medic.1", b"an older page")]);
    let man = folder.path().join("man");
    let ran = run(["man", text(&man)]);
    assert_eq!((ran.code, ran.err.as_str()), (0, ""));
    assert!(fs::read_to_string(man.join("etcd-medic.1")).expect("read").contains(".TH"));
    assert!(names_of(&man).iter().all(|name| name.ends_with(".1")), "{:?}", names_of(&man));
    // read by everybody, as far as the umask allows
    let script = r#"umask 022; exec "$0" man "$1""#;
    assert!(plain("sh").args(["-c", script, PROGRAM, text(&man)]).status().expect("ran").success());
    assert_eq!(man.join("etcd-medic.1").metadata().expect("there").mode() & 0o7777, 0o644);
    let page = man.join("etcd-medic-check.1");
    fs::remove_file(&page).expect("removed");
    symlink("../precious", &page).expect("linked");
    let ran = run(["man", text(&man)]);
    assert_says(&ran, &["man"], &[text(&page), "is a symbolic link to ../precious"]);
    fs::remove_file(&page).expect("removed");
    fs::write(&page, "open elsewhere").expect("written");
    let other = File::open(&page).expect("opened");
    other.try_lock().expect("locked");
    assert_says(&run(["man", text(&man)]), &["man"], &[text(&page), "is in use by"]);
    symlink("man", folder.path().join("link")).expect("linked");
    assert_says(&run(["man", &path_in(&folder, "link")]), &["man"], &["is a symbolic link to man"]);
    assert_eq!(fs::read(folder.path().join("precious")).expect("read"), b"precious");
}

/// Works that take a while: each with a source or size that makes it so.
fn long_works(folder: &Path) -> Vec<Vec<String>> {
    fs::write(folder.join("source.db"), &LARGE.source).expect("written");
    let big = text(&folder.join("big.db")).to_owned();
    let made = run(["synth", "--size", "24MiB", "--free", "0%", "-o", &big]);
    assert_eq!(made.code, 0, "{}", made.err);
    let target = folder.join("out/target.ndjson");
    let commands: [&[&str]; 5] = [
        &["defrag", "SRC"],
        &["salvage", "SRC"],
        &["synth", "--size", "48MiB"],
        &["export", &big],
        &["export", &big, "--format", "json"],
    ];
    let mut works: Vec<_> = commands.iter().map(|command| args_of(command, folder, &target, &[])).collect();
    // into a folder
    works[4][5] = text(&folder.join("out/target")).to_owned();
    works
}

fn files_below(folder: &Path) -> Vec<String> {
    let mut names = Vec::new();
    let mut waiting = vec![folder.to_owned()];
    while let Some(next) = waiting.pop() {
        for entry in next.read_dir().into_iter().flatten().filter_map(Result::ok) {
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => waiting.push(entry.path()),
                _ => names.push(entry.file_name().into_string().expect("UTF-8")),
            }
        }
    }
    names
}

fn started_until_it_writes(args: &[String], out: &Path, ignoring: Option<&str>) -> Child {
    let mut command = plain("sh");
    let trap = ignoring.map(|name| format!("trap '' {name}; ")).unwrap_or_default();
    command.args(["-c", &format!(r#"{trap}exec "$0" "$@""#), PROGRAM]).args(args);
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("started");
    let until = Instant::now() + Duration::from_secs(60);
    while files_below(out).is_empty() && Instant::now() < until {
        assert_eq!(child.try_wait().expect("asked"), None, "{args:?}: it ended unseen");
        thread::yield_now();
    }
    child
}

/// On a busy machine a run may end before its signal comes: such a one is done again.
fn signalled_in_time(args: &[String], out: &Path, name: &str) -> Ran {
    for _ in 0..20 {
        fs::create_dir(out).expect("made");
        let child = started_until_it_writes(args, out, None);
        signal(&child, name);
        let ran = Ran::from(child.wait_with_output().expect("waited for"));
        if ran.code > 1 {
            return ran;
        }
        fs::remove_dir_all(out).expect("removed");
    }
    panic!("{args:?}: no SIG{name} came in time");
}

/// A signal removes the temporary file, which may hold Secrets; one that was ignored by whoever started the program does nothing.
#[test]
fn signals() {
    let folder = TempDir::new().expect("a folder");
    let out = folder.path().join("out");
    for args in long_works(folder.path()) {
        for (name, number) in SIGNALS {
            let ran = signalled_in_time(&args, &out, name);
            let left = files_below(&out);
            assert_eq!(ran.code, 128 + number, "{args:?}, SIG{name}: {}", ran.err);
            assert!(!left.iter().any(|name| is_unfinished(name)), "{args:?}, SIG{name}: {left:?}");
            assert!(!out.join("target.ndjson").exists(), "{args:?}, SIG{name}");
            fs::remove_dir_all(&out).expect("removed");
        }
        let (name, _) = SIGNALS[0];
        fs::create_dir(&out).expect("made");
        let child = started_until_it_writes(&args, &out, Some(name));
        signal(&child, name);
        let ran = Ran::from(child.wait_with_output().expect("waited for"));
        assert!(ran.code < 2, "{args:?}, SIG{name} was ignored: {} {}", ran.code, ran.err);
        let left = files_below(&out);
        assert!(!left.is_empty() && !left.iter().any(|name| is_unfinished(name)), "{args:?}: {left:?}");
        fs::remove_dir_all(&out).expect("removed");
    }
}

fn full() -> File {
    File::options().write(true).open("/dev/full").expect("opened")
}

/// What is written is there, whoever can be told of it, and the exit code is a documented one.
#[test]
fn full_streams() {
    for command in COMMANDS {
        for error_is_full in [false, true] {
            let (folder, target) = place();
            fs::remove_file(&target).expect("removed");
            let mut medic = program();
            medic.args(args_of(command, folder.path(), &target, &[])).stdout(full());
            if error_is_full {
                medic.stderr(full());
            }
            let ran = Ran::from(medic.output().expect("ran"));
            assert_eq!(ran.code, 1, "{command:?}: {}", ran.err);
            let says = format!("{} is written", text(&target));
            assert!(error_is_full || ran.err.contains(&says), "{command:?}: {}", ran.err);
            assert_eq!(names_of(folder.path()), ["source.db", "target.ndjson"], "{command:?}");
        }
    }
    let (folder, db) = in_place::data_dir(&fixture("k8s-frag/frag.db"));
    let ran =
        Ran::from(program().args(["defrag", "--in-place", text(&db)]).stdout(full()).output().expect("ran"));
    let kept = path_in(&folder, "data/member/db.before-defrag");
    assert!(ran.code == 1 && ran.err.contains("is the new copy") && ran.err.contains(&kept), "{}", ran.err);
    assert_copy(Path::new(&kept), &db, "standard output is full");
    for (args, code) in [
        (&["status", "/nowhere/db"][..], 2),
        (&["analyze", "/nowhere/db"], 2),
        (&["analyze", text(&db), "--no-lock"], 0),
        (&["history", text(&db), "/nowhere"], 1),
        (&["no-such-command"], 2),
        (&[], 2),
    ] {
        let ran = Ran::from(program().args(args).stderr(full()).output().expect("ran"));
        assert_eq!(ran.code, code, "{args:?}");
    }
    for args in [
        &["--help"][..],
        &["--version"],
        &["analyze", "--help"],
        &["completions", "bash"],
        &["check", text(&db)],
    ] {
        let ran = Ran::from(program().args(args).stdout(full()).output().expect("ran"));
        assert!(ran.code == 2 && ran.err.contains("No space left"), "{args:?}: {} {}", ran.code, ran.err);
    }
}
