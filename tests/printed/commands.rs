//! Every command that is printed, in text and in JSON, is one line that a shell takes, and means the very file that it is about.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use etcd_medic::internals::text::is_unsafe;
use serde_json::Value;
use tempfile::TempDir;

use super::support::fixture;
use super::support::program::{PROGRAM, Ran, plain, program};
use super::{NAMES, name};

/// What a command begins with in text.
const PROMPT: &str = "     $ ";

/// A folder to work in, and programs that write down how they were called.
pub(super) struct Bench {
    folder: TempDir,
    programs: TempDir,
}

impl Bench {
    pub(super) fn new() -> Self {
        let (folder, programs) = (TempDir::new().expect("a folder"), TempDir::new().expect("a folder"));
        let called = programs.path().join("called");
        // ours runs, too; the others only say how they were called
        for (program, then) in [
            ("etcd-medic", format!("exec '{PROGRAM}' \"$@\"")),
            ("etcdutl", String::new()),
            ("etcdctl", String::new()),
            ("kubectl", String::new()),
        ] {
            let script =
                format!("#!/bin/sh\nprintf '%s\\0' {program} \"$@\" > '{}'\n{then}\n", called.display());
            let path = programs.path().join(program);
            fs::write(&path, script).expect("written");
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("made a program");
        }
        Self { folder, programs }
    }

    pub(super) fn folder(&self) -> &Path {
        self.folder.path()
    }

    fn path(&self, name: &OsStr) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(super) fn write(&self, name: &OsStr, bytes: &[u8]) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(path.parent().expect("a folder")).expect("made");
        fs::write(&path, bytes).expect("written");
        path
    }

    fn run(&self, args: &[&OsStr]) -> Ran {
        program()
            .current_dir(self.folder.path())
            .env("COLUMNS", "60")
            .args(args)
            .output()
            .expect("ran")
            .into()
    }

    /// Runs a line; how its program was called, and how it ended.
    fn paste(&self, shell: &str, line: &str) -> (Vec<OsString>, Ran) {
        self.paste_with(shell, line, Stdio::null())
    }

    pub(super) fn paste_with(&self, shell: &str, line: &str, stdin: Stdio) -> (Vec<OsString>, Ran) {
        let path =
            format!("{}:{}", self.programs.path().display(), std::env::var("PATH").unwrap_or_default());
        let called = self.programs.path().join("called");
        let _ = fs::remove_file(&called);
        let mut command = plain(shell);
        let ran = command
            .args(["-c", line])
            .env("PATH", path)
            .current_dir(self.folder.path())
            .stdin(stdin)
            .output()
            .expect("ran");
        let words = fs::read(&called)
            .unwrap_or_else(|error| panic!("{line}: no program was called: {error}: {ran:?}"));
        let words = words.split(|&byte| byte == 0).map(|word| OsStr::from_bytes(word).to_owned());
        (words.collect::<Vec<_>>(), ran.into())
    }
}

/// The commands in a text; each line that has one has nothing else.
pub(super) fn commands_in(text: &str) -> Vec<String> {
    text.lines().filter_map(|line| Some(line.strip_prefix(PROMPT)?.to_owned())).collect()
}

/// The commands in a document, by the names of their fields.
pub(super) fn commands_of(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(object) => {
            for (name, value) in object {
                match value {
                    Value::String(command) if name == "command" && !command.is_empty() => {
                        found.push(command.clone())
                    }
                    Value::Array(commands) if name == "commands" => {
                        found.extend(
                            commands.iter().filter_map(|command| command.as_str().map(str::to_owned)),
                        );
                    }
                    value => commands_of(value, found),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| commands_of(item, found)),
        _ => {}
    }
}

fn is_same_file(a: &Path, b: &Path) -> bool {
    let identity = |path: &Path| path.metadata().map(|metadata| (metadata.dev(), metadata.ino())).ok();
    identity(a).is_some() && identity(a) == identity(b)
}

/// Runs the program, text and JSON, and pastes each command that it prints: it is about one of `files`, and ours is taken. How many
/// there were.
fn paste_all(bench: &Bench, args: &[&OsStr], files: &[&Path]) -> usize {
    let shells: &[&str] = if args.contains(&OsStr::new("analyze")) { &["sh", "bash"] } else { &["sh"] };
    let text = bench.run(args);
    let json = bench.run(&[&[OsStr::new("--output"), OsStr::new("json")], args].concat());
    for said in [&text.out, &text.err, &json.out, &json.err] {
        let hidden = said.chars().find(|&char| is_unsafe(char) && char != '\n');
        assert_eq!(hidden, None, "{args:?}: {said:?}");
    }
    let mut commands: Vec<String> =
        [&text.out, &text.err, &json.err].into_iter().flat_map(|said| commands_in(said)).collect();
    let in_text = commands.len();
    if !json.out.is_empty() {
        commands_of(&serde_json::from_str(&json.out).expect("JSON"), &mut commands);
    }
    assert!(in_text > 0 && commands.len() > in_text || !json.err.is_empty(), "{args:?}: {text:?} {json:?}");
    let mut pasted = 0;
    for command in &commands {
        assert!(!command.contains('\n') && !command.chars().any(is_unsafe), "{command:?}");
        if ["kubectl", "etcdctl", "rm "].iter().any(|program| command.starts_with(program)) {
            continue;
        }
        for shell in shells {
            let (words, ran) = bench.paste(shell, command);
            let means = words.iter().any(|word| {
                let path = bench.path(word);
                files.iter().any(|file| is_same_file(&path, file))
            });
            assert!(means, "{shell}: {command:?}: {words:?} is not about {files:?}");
            assert!(ran.code < 2, "{shell}: {command:?}: {ran:?}");
            // what it wrote is out of the way of the next
            for made in ["saved.db", "packed.db"] {
                let _ = fs::remove_file(bench.path(OsStr::new(made)));
            }
            for file in files {
                let mut packed = OsString::from(file);
                packed.push(".packed");
                let _ = fs::remove_file(packed);
            }
        }
        pasted += 1;
    }
    assert!(!bench.path(OsStr::new("PWNED")).exists(), "{args:?}");
    pasted
}

fn words<'w>(before: &'w [&'w str], file: &'w OsStr) -> Vec<&'w OsStr> {
    before.iter().map(OsStr::new).chain([OsStr::new("--"), file]).collect()
}

#[test]
fn of_a_sound_file() {
    let bytes = fixture("k8s-frag/frag.db");
    for hostile in NAMES {
        let (bench, file) = (Bench::new(), name(hostile));
        let path = bench.write(&file, &bytes);
        assert!(paste_all(&bench, &words(&["analyze"], &file), &[&path]) >= 4, "{file:?}");
        // by its whole path, too
        assert!(paste_all(&bench, &words(&["analyze"], path.as_os_str()), &[&path]) >= 4, "{file:?}");
    }
}

#[test]
fn of_a_data_dir() {
    let bytes = fixture("k8s-frag/frag.db");
    for hostile in NAMES {
        let (bench, folder) = (Bench::new(), name(hostile));
        let path = bench.write(&Path::new(&folder).join("member/snap/db").into_os_string(), &bytes);
        let data_dir = bench.path(&folder);
        // in place, the db becomes another file, and the old one stays beside it
        let ran = bench.run(&words(&["analyze"], &folder));
        let in_place: Vec<_> =
            commands_in(&ran.out).into_iter().filter(|line| line.contains("--in-place")).collect();
        assert!(!in_place.is_empty(), "{folder:?}: {ran:?}");
        for line in in_place {
            let (words, ran) = bench.paste("sh", &line);
            assert!(
                words.iter().any(|word| is_same_file(&bench.path(word), &data_dir)),
                "{line:?}: {words:?}"
            );
            assert_eq!(ran.code, 0, "{line:?}: {ran:?}");
        }
        assert!(fs::read(&path).expect("a db") != bytes, "{folder:?}");
    }
}

#[test]
fn of_a_damaged_file() {
    let mut bytes = fixture("k8s-frag/frag.db");
    // a meta's checksum
    bytes[16 + 56] ^= 1;
    let mut lost = bytes.clone();
    // pages of a tree, as zeros
    let middle = lost.len() / 8;
    lost[middle..middle * 2].fill(0);
    let mut no_meta = bytes.clone();
    no_meta[..8192].fill(0);
    for hostile in NAMES {
        let file = name(hostile);
        for bytes in [&bytes, &lost] {
            let bench = Bench::new();
            let path = bench.write(&file, bytes);
            assert!(paste_all(&bench, &words(&["check"], &file), &[&path]) >= 2, "{file:?}");
        }
        let bench = Bench::new();
        let path = bench.write(&file, &lost);
        assert!(paste_all(&bench, &words(&["defrag", "-o", "copy.db"], &file), &[&path]) >= 1, "{file:?}");
        let bench = Bench::new();
        let path = bench.write(&file, &no_meta);
        for command in ["analyze", "status", "check", "plan", "keys"] {
            assert!(paste_all(&bench, &words(&[command], &file), &[&path]) >= 1, "{command} {file:?}");
        }
    }
}

#[test]
fn of_what_was_written() {
    let mut bytes = fixture("k8s-frag/frag.db");
    for hostile in NAMES {
        let target = name(hostile);
        // an option's value that begins with a dash is refused as it stands
        let written = if target.as_bytes().starts_with(b"-") {
            Path::new(".").join(&target)
        } else {
            target.clone().into()
        };
        let out = written.as_os_str();
        for sound in [true, false] {
            bytes[16 + 56] ^= u8::from(!sound);
            let bench = Bench::new();
            bench.write(OsStr::new("in.db"), &bytes);
            bench.write(&target, b"");
            let path = bench.path(&target);
            let command = if sound { "defrag" } else { "salvage" };
            let args = [command, "--force", "--snapshot", "in.db", "-o"].map(OsStr::new);
            let args = [&args[..], &[out]].concat();
            if sound {
                // its document has no command
                let ran = bench.run(&args);
                let commands = commands_in(&ran.out);
                assert_eq!(commands.len(), 1, "{ran:?}");
                let (words, _) = bench.paste("sh", &commands[0]);
                assert!(
                    words.iter().any(|word| is_same_file(&bench.path(word), &path)),
                    "{commands:?}: {words:?}"
                );
            } else {
                assert!(paste_all(&bench, &args, &[&path]) >= 2, "{target:?}");
            }
        }
        let bench = Bench::new();
        let synth = ["synth", "--force", "--keys", "500", "-o"].map(OsStr::new);
        let ran = bench.run(&[&synth[..], &[out]].concat());
        // a folder that is missing is no fault of the name
        if ran.code == 2 && ran.err.contains("no such folder") {
            continue;
        }
        let commands = commands_in(&ran.out);
        assert_eq!(commands.len(), 1, "{ran:?}");
        let (words, ran) = bench.paste("sh", &commands[0]);
        assert!(
            words.iter().any(|word| is_same_file(&bench.path(word), &bench.path(&target))),
            "{commands:?}: {words:?}"
        );
        assert!(ran.code < 2, "{ran:?}");
    }
}

/// What other programs' commands name is a file, too: `etcdctl` and `kubectl` get words that no shell takes apart.
#[test]
fn of_a_file_that_is_held() {
    let bench = Bench::new();
    let path = bench.write(OsStr::new("held.db"), &fixture("k8s-frag/frag.db"));
    let held = fs::File::open(&path).expect("opened");
    held.lock().expect("locked");
    let ran = bench.run(&words(&["analyze"], OsStr::new("held.db")));
    assert_eq!(ran.code, 2, "{ran:?}");
    assert_eq!(commands_in(&ran.err), ["etcdctl snapshot save snapshot.db"]);
}
