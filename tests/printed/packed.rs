//! What is printed about a packed file, or about standard input, fits these: our commands read them again, and another program's
//! command comes after the one that unpacks.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use etcd_medic::internals::content::packing::ArchiveFormat;
use serde_json::Value;

use super::commands::{Bench, commands_in, commands_of};
use super::support::fixture;
use super::support::packing::{forms, gzip, tar, zip, zstd, zstd_with_window};
use super::support::program::{Ran, plain, program};
use zip::CompressionMethod;

const NAME: &str = "my backup";

/// Commands that print advice.
const COMMANDS: [&[&str]; 6] = [
    &["analyze", "FILE"],
    &["check", "FILE"],
    &["status", "FILE"],
    &["plan", "FILE"],
    &["keys", "FILE"],
    &["defrag", "FILE", "-o", "copy.db"],
];

/// What is printed advice about: sound, with faults, without its metas, a snapshot that was changed.
fn contents() -> Vec<(&'static str, Vec<u8>)> {
    let sound = fixture("k8s-frag/frag.db");
    let mut meta = sound.clone();
    meta[16 + 56] ^= 1;
    let mut lost = meta.clone();
    let middle = lost.len() / 8;
    lost[middle..middle * 2].fill(0);
    let mut no_meta = sound.clone();
    no_meta[..8192].fill(0);
    let changed = [&sound[..], &[1; 32]].concat();
    vec![("sound", sound), ("a meta", meta), ("pages lost", lost), ("no meta", no_meta), ("changed", changed)]
}

/// A file as it is given: by its name, or on standard input.
struct Given<'b> {
    bench: &'b Bench,
    file: PathBuf,
    options: Vec<String>,
    is_standard_input: bool,
}

impl Given<'_> {
    fn stdin(&self) -> Stdio {
        if self.is_standard_input { File::open(&self.file).expect("there").into() } else { Stdio::null() }
    }

    fn word(&self) -> &str {
        if self.is_standard_input { "-" } else { NAME }
    }

    fn run(&self, command: &[&str], output: &str) -> Ran {
        let words = command.iter().map(|&word| if word == "FILE" { self.word() } else { word });
        let mut run = program();
        run.current_dir(self.bench.folder()).args(words).args(["--output", output]).args(&self.options);
        let ran = run.stdin(self.stdin()).output().expect("ran").into();
        let _ = fs::remove_file(self.bench.folder().join("copy.db"));
        ran
    }

    /// All that is printed to be pasted, in text and in JSON.
    fn printed(&self, command: &[&str]) -> Vec<String> {
        let (text, json) = (self.run(command, "text"), self.run(command, "json"));
        let mut printed: Vec<_> =
            [&text.out, &text.err, &json.err].into_iter().flat_map(|said| commands_in(said)).collect();
        if !json.out.is_empty() {
            commands_of(&serde_json::from_str::<Value>(&json.out).expect("JSON"), &mut printed);
        }
        printed
    }

    /// Pastes a line of ours: how often it names the file, and how it ends.
    fn paste(&self, line: &str) -> (Vec<OsString>, Ran) {
        let before = names_in(self.bench.folder());
        let (words, ran) = self.bench.paste_with("sh", line, self.stdin());
        for name in names_in(self.bench.folder()).into_iter().filter(|name| !before.contains(name)) {
            fs::remove_file(self.bench.folder().join(name)).expect("removed");
        }
        (words, ran)
    }
}

fn names_in(folder: &Path) -> Vec<OsString> {
    fs::read_dir(folder).expect("there").map(|entry| entry.expect("an entry").file_name()).collect()
}

#[test]
fn our_commands_read_the_packed_file_again() {
    for (content, db) in contents() {
        // all forms once, and then one of a stream, and one of an archive
        let is_tried = |form: &str| content == "pages lost" || ["zstd", "zip as a stream"].contains(&form);
        let tried = forms(&db).into_iter().filter(|(form, _)| is_tried(form));
        let mut tried: Vec<_> = tried.map(|(form, bytes)| (form, bytes, None)).collect();
        let commands = if tried.len() > 2 { &COMMANDS[1..2] } else { &COMMANDS[..] };
        let two = [("snapshot.db", &db[..]), ("other.db", &db[..])];
        tried.push(("not packed", db.clone(), None));
        tried.push(("tar of two", tar(&two), Some("snapshot.db")));
        tried.push(("tar.gz of two", gzip(&tar(&two)), Some("other.db")));
        for (number, (form, bytes, member)) in tried.iter().enumerate() {
            let bench = Bench::new();
            let file = bench.write(OsStr::new(NAME), bytes);
            let is_standard_input = number % 2 == 1 || *form == "not packed";
            let options = member.iter().map(|member| format!("--member={member}")).collect();
            let given = Given { bench: &bench, file, options, is_standard_input };
            let pasted: usize = commands.iter().map(|command| paste_all(&given, command)).sum();
            // a db without its metas is not found in an archive, if it is not named
            assert!(pasted > 0 || (content == "no meta" && form.contains("zip")), "{content}, {form}");
        }
    }
}

/// Pastes all commands of ours that a command prints: each reads the file. How many there were.
fn paste_all(given: &Given<'_>, command: &[&str]) -> usize {
    let (ours, others): (Vec<_>, Vec<_>) =
        given.printed(command).into_iter().partition(|line| line.starts_with("etcd-medic "));
    for line in others {
        assert!(!line.contains(NAME) && !line.contains(" - "), "{command:?}: {line}");
    }
    for line in &ours {
        let (words, ran) = given.paste(line);
        assert_eq!(words.iter().filter(|&word| word == given.word()).count(), 1, "{command:?}: {line}");
        assert!(ran.code < 2, "{command:?}: {line}: {ran:?}");
    }
    ours.len()
}

/// Whatever has to be done by other programs: the printed commands, one after the other, end with a db.
#[test]
fn other_programs_commands_begin_with_unpacking() {
    let db = fixture("k8s-frag/frag.db");
    let before = [b"Defaulted container \"etcd\" out of: etcd\n", &db[..]].concat();
    let lines =
        db.iter().flat_map(|&byte| if byte == b'\n' { vec![b'\r', b'\n'] } else { vec![byte] }).collect();
    let contents: [(&str, Vec<u8>); 2] = [("text before it", before), ("line ends", lines)];
    let mut tried: Vec<(String, Vec<u8>, bool)> = Vec::new();
    for (name, content) in contents {
        let one = [("db", &content[..])];
        for (form, bytes, is_archive) in [
            ("not packed", content.clone(), false),
            ("gzip", gzip(&content), false),
            ("zstd", zstd(&content), false),
            ("gzip of zstd", gzip(&zstd(&content)), false),
            ("tar", tar(&one), true),
            ("tar.gz", gzip(&tar(&one)), true),
            ("zip", zip(&one, CompressionMethod::Deflated), true),
        ] {
            tried.push((format!("{name}, {form}"), bytes, is_archive));
        }
    }
    let large = zstd_with_window(&db, 28);
    tried.push(("a large window".to_owned(), large.clone(), false));
    tried.push(("a large window, gzip".to_owned(), gzip(&large), false));
    for (of, bytes, is_archive) in tried {
        for is_standard_input in [false, true] {
            let bench = Bench::new();
            let file = bench.write(OsStr::new(NAME), &bytes);
            let options = if is_archive { vec!["--member=db".to_owned()] } else { Vec::new() };
            let given = Given { bench: &bench, file, options, is_standard_input };
            let mut ran = given.run(&["status", "FILE"], "text");
            let (mut file, mut steps) = (given.file.clone(), 0);
            while ran.code == 2 {
                steps += 1;
                let lines = commands_in(&ran.err);
                assert!(lines.len() == 1 && steps < 5, "{of}, step {steps}: {ran:?}");
                let folder = file.parent().expect("a folder").to_owned();
                let before = names_in(&folder);
                let stdin = if steps == 1 { given.stdin() } else { Stdio::null() };
                let mut shell = plain("sh");
                shell.args(["-c", &lines[0]]).current_dir(bench.folder()).stdin(stdin);
                let output = shell.output().expect("a shell");
                assert!(output.status.success(), "{of}, step {steps}: {}: {output:?}", lines[0]);
                let made: Vec<_> =
                    names_in(&folder).into_iter().filter(|name| !before.contains(name)).collect();
                assert_eq!(made.len(), 1, "{of}: {}", lines[0]);
                file = folder.join(&made[0]);
                if file.is_dir() {
                    file = file.join("db");
                }
                let mut status = program();
                status.current_dir(bench.folder()).arg("status").arg(&file);
                // what still is an archive, or a compressed one, needs the name again
                let is_packed = ArchiveFormat::of(&fs::read(&file).expect("there")).is_some();
                status.args(given.options.iter().filter(|_| is_packed));
                ran = status.output().expect("ran").into();
            }
            assert!(steps > 0, "{of}");
            assert_eq!(fs::read(&file).expect("there"), db, "{of}");
        }
    }
}

/// A password is asked for, so it can't be run here: it names the file.
#[test]
fn an_encrypted_file_is_unpacked_by_unzip() {
    let db = fixture("k8s-frag/frag.db");
    let mut bytes = zip(&[("snapshot.db", &db)], CompressionMethod::Deflated);
    // bit 0 of the flags, in the file's own header and in the directory's (APPNOTE.TXT 4.4.4)
    bytes[6] |= 1;
    let directory = bytes.windows(4).rposition(|part| part == b"PK\x01\x02").expect("a directory");
    bytes[directory + 8] |= 1;
    for (bytes, command) in [
        (bytes.clone(), "unzip -d 'my backup.unpacked' 'my backup'"),
        (gzip(&bytes), "gunzip -c < 'my backup' > 'my backup.unpacked'"),
    ] {
        let bench = Bench::new();
        let file = bench.write(OsStr::new(NAME), &bytes);
        let given = Given { bench: &bench, file, options: Vec::new(), is_standard_input: false };
        assert_eq!(commands_in(&given.run(&["status", "FILE"], "text").err), [command]);
    }
}
