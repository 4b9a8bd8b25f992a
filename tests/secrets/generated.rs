//! Generated Secrets, through every command and format.

use std::fs;
use std::path::Path;

use etcd_medic::internals::etcd::schema::State;
use etcd_medic::internals::travel::export::{self, Format};
use etcd_medic::internals::travel::shown::{ShowOptions, Shower};
use etcd_medic::internals::travel::{SearchIn, Select, at};

use super::hostile::{Hidden, Maker};
use super::search::Needles;
use super::support::etcd_file::{file_of, put};
use super::support::program::{folder_of, path_in, program};

const FORMATS: [Format; 3] = [Format::Yaml, Format::Json, Format::Raw];

fn made(seed: u64, records: usize) -> (Vec<Hidden>, Needles, Vec<u8>) {
    let mut maker = Maker::new(seed);
    let hidden: Vec<_> = (0..records).map(|number| maker.hidden(number)).collect();
    let records = hidden.iter().zip(3..);
    let records: Vec<_> =
        records.map(|(hidden, main)| put(main, hidden.key.as_bytes(), main, 1, &hidden.value, 0)).collect();
    let bytes = file_of(4096, &records, 1).bytes();
    (hidden, maker.needles, bytes)
}

/// Each record is there, is found by the search when it is shown, and not when it isn't.
#[test]
fn nothing_of_a_hostile_secret_is_shown() {
    let files = std::env::var("ETCD_MEDIC_SECRETS").map_or(150, |files| files.parse().expect("a number"));
    for seed in 0..files {
        let (hidden, needles, bytes) = made(seed, 12);
        let folder = folder_of(&[("db", &bytes)]);
        let source = etcd_medic::open(folder.path().join("db")).expect("opened");
        let state = State::read(&source.db);
        let mut shown_records = 0;
        for format in FORMATS {
            for clean in [false, true] {
                let answer =
                    at(&source.db, &state, SearchIn::Live, None, Select::Prefix(b"")).expect("an etcd file");
                let shower = Shower::new(ShowOptions { show_secrets: false, clean });
                for found in answer.found.iter() {
                    let mut line = Vec::new();
                    export::stream(&mut line, std::iter::once(found), &shower, format).expect("written");
                    if let Some(data) = needles.find(&line) {
                        let value = String::from_utf8_lossy(found.kv.value);
                        let (key, line) =
                            (String::from_utf8_lossy(found.kv.key), String::from_utf8_lossy(&line));
                        panic!(
                            "seed {seed}, {key}, {format:?}: {:?} in\n{line}\nof\n{value}",
                            String::from_utf8_lossy(&data)
                        );
                    }
                }
                shown_records = answer.found.len();
            }
        }
        assert_eq!(shown_records, hidden.len(), "seed {seed}");
        // the search can find them all
        for hidden in &hidden {
            assert!(needles.find(&hidden.value).is_some(), "seed {seed}: {}", hidden.key);
        }
    }
}

/// The commands as they are run, everything that they print, and the files that an export writes.
pub fn everything_printed(db: &str, keys: &[&str], folder: &Path) -> Vec<(String, Vec<u8>)> {
    let written = folder.join("written.db").display().to_string();
    let lines = folder.join("all.ndjson").display().to_string();
    let out = folder.join("out");
    let out_path = out.display().to_string();
    let mut commands: Vec<Vec<&str>> = vec![
        vec!["analyze", db],
        vec!["analyze", db, "--top", "100000", "--bytes"],
        vec!["status", db],
        vec!["check", db, "--max-findings", "0"],
        vec!["pages", db],
        vec!["buckets", db],
        vec!["hash", db],
        vec!["plan", db],
        vec!["cleanup", db, "--large", "1"],
        vec!["keys", db, "--long"],
        vec!["keys", db, "--deleted", "--long"],
        vec!["salvage", db, "-o", &written, "--force"],
        vec!["defrag", db, "-o", &written, "--force"],
        vec!["defrag", db, "-o", &written, "--force", "--drop-prefix", "/registry", "--confirm-keys", "1"],
    ];
    let pages = fs::metadata(db).expect("a file").len() / 4096;
    let ids: Vec<String> = (0..pages).map(|page| page.to_string()).collect();
    for id in &ids {
        commands.push(vec!["page", db, id]);
    }
    commands.push(vec!["page", db, "--hex", "1", "2", "3"]);
    for key in keys {
        commands.push(vec!["history", db, key]);
        commands.extend(["yaml", "json", "raw"].map(|format| vec!["get", db, key, "--format", format]));
    }
    for format in ["yaml", "json", "raw"] {
        commands.push(vec!["export", db, "--format", format, "-o", "-", "--from", "any"]);
        commands.push(vec!["export", db, "--format", format, "-o", &lines, "--force"]);
        commands.push(vec!["export", db, "--format", format, "-o", &out_path, "--force"]);
    }
    let mut printed = Vec::new();
    for command in commands {
        for output in ["text", "json"] {
            let args = [&command[..], &["--output", output]].concat();
            let ran = program().args(&args).output().expect("ran");
            printed.push((args.join(" "), [ran.stdout, ran.stderr].concat()));
        }
        if command.contains(&lines.as_str()) {
            printed.push((command.join(" "), fs::read(&lines).expect("written")));
        }
    }
    // files of each format have an ending of their own
    let files = files_below(&out);
    assert!(!files.is_empty());
    printed
        .extend(files.into_iter().map(|path| (path.display().to_string(), fs::read(path).expect("a file"))));
    printed
}

fn files_below(folder: &Path) -> Vec<std::path::PathBuf> {
    let (mut folders, mut files) = (vec![folder.to_owned()], Vec::new());
    while let Some(next) = folders.pop() {
        for entry in next.read_dir().expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() { folders.push(path) } else { files.push(path) }
        }
    }
    files
}

#[test]
fn no_command_prints_it() {
    for seed in 1000..1003 {
        let (hidden, needles, bytes) = made(seed, 10);
        let folder = folder_of(&[("db", &bytes)]);
        let keys: Vec<&str> = hidden.iter().map(|hidden| hidden.key.as_str()).collect();
        for (command, printed) in everything_printed(&path_in(&folder, "db"), &keys, folder.path()) {
            let data = needles.find(&printed).map(|data| String::from_utf8_lossy(&data).into_owned());
            assert_eq!(data, None, "seed {seed}: {command}: {}", String::from_utf8_lossy(&printed));
        }
    }
}
