//! Files that are no db, as they are met in the field: each command says what it is, and a command that is right makes the db of it.

use std::ffi::OsStr;
use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::Command;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use etcd_medic::internals::content::packing::ArchiveFormat;
use etcd_medic::internals::content::{self, FileContent};
use flate2::Compression;
use flate2::write::GzEncoder;
use sha2::{Digest, Sha256};
use tempfile::TempDir;

use super::support::builder::FileBuilder;
use super::support::fixture;
use super::support::lies::sample_of;
use super::support::peers::program_folder;
use super::support::program::{Ran, program, run};
use super::{COMMANDS, NAMES, name};

/// A snapshot, of 4 MB.
fn snapshot() -> Vec<u8> {
    let mut bytes = fixture("k8s-frag/frag.db");
    bytes.extend_from_slice(&Sha256::digest(&bytes));
    bytes
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut out = GzEncoder::new(Vec::new(), Compression::fast());
    out.write_all(bytes).expect("packed");
    out.finish().expect("packed")
}

/// An archive with one file in it: a header of 512 bytes, and zeros behind it.
fn tar(bytes: &[u8]) -> Vec<u8> {
    let mut header = [0_u8; 512];
    header[..11].copy_from_slice(b"snapshot.db");
    header[100..107].copy_from_slice(b"0000600");
    header[108..115].copy_from_slice(b"0000000");
    header[116..123].copy_from_slice(b"0000000");
    header[124..135].copy_from_slice(format!("{:011o}", bytes.len()).as_bytes());
    header[136..147].copy_from_slice(b"00000000000");
    header[148..156].copy_from_slice(b"        ");
    header[156] = b'0';
    header[257..265].copy_from_slice(b"ustar\x0000");
    let sum: u32 = header.iter().map(|&byte| u32::from(byte)).sum();
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    let mut out = [&header[..], bytes].concat();
    out.resize(out.len().next_multiple_of(512) + 1024, 0);
    out
}

/// An archive with one file in it, stored: a local header, its bytes, and the directory.
fn zip(bytes: &[u8]) -> Vec<u8> {
    let name = b"snapshot.db";
    let (crc, size) =
        (crc32fast::hash(bytes).to_le_bytes(), u32::try_from(bytes.len()).expect("small").to_le_bytes());
    // made by 2.0, no flags, stored, 1980-01-01
    let common = [&[20, 0, 0, 0, 0, 0, 0, 0, 0x21, 0][..], &crc, &size, &size, &[11, 0, 0, 0]].concat();
    let local = [b"PK\x03\x04", &common[..], name, bytes].concat();
    let entry = [b"PK\x01\x02", &[20, 0][..], &common, &[0; 10], &[0; 4], name].concat();
    let offsets = [u32::try_from(entry.len()), u32::try_from(local.len())]
        .map(|size| size.expect("small").to_le_bytes());
    let end = [b"PK\x05\x06", &[0, 0, 0, 0, 1, 0, 1, 0][..], &offsets.concat(), &[0, 0]].concat();
    [local, entry, end].concat()
}

/// By a program of that name; `None`, and a word of it, where there is none.
fn by_program(program: &str, bytes: &[u8]) -> Option<Vec<u8>> {
    let folder = TempDir::new().expect("a folder");
    let file = folder.path().join("in");
    fs::write(&file, bytes).expect("written");
    match Command::new(program).arg("-c").arg(&file).output() {
        Ok(output) if output.status.success() => Some(output.stdout),
        _ => {
            // not by `eprintln!`, which the test harness would keep to itself
            let _ =
                writeln!(std::io::stderr(), "LEFT OUT: files packed by {program}, which is not installed");
            None
        }
    }
}

fn with_carriage_returns(bytes: &[u8]) -> Vec<u8> {
    bytes.iter().flat_map(|&byte| if byte == b'\n' { vec![b'\r', b'\n'] } else { vec![byte] }).collect()
}

const BEFORE: &[u8] = b"Defaulted container \"etcd\" out of: etcd, init (init)\n";

/// Each way in which a snapshot is wrapped: its name, its bytes, and what is said of it.
fn wrapped(snapshot: &[u8]) -> Vec<(&'static str, Vec<u8>, &'static str)> {
    let base64: String = STANDARD
        .encode(snapshot)
        .as_bytes()
        .chunks(76)
        .flat_map(|line| [std::str::from_utf8(line).expect("text"), "\n"])
        .collect();
    let mut all = vec![
        ("snapshot.gz", gzip(snapshot), "gzip"),
        ("snapshot.zst", zstd::encode_all(snapshot, 1).expect("packed"), "zstd"),
        ("snapshot.zip", zip(snapshot), "a ZIP archive, in which a bbolt file begins at byte 41"),
        ("snapshot.tar", tar(snapshot), "a tar archive, in which a bbolt file begins at byte 512"),
        ("snapshot.tgz", gzip(&tar(snapshot)), "gzip"),
        ("text-before.db", [BEFORE, snapshot].concat(), "a bbolt file begins at byte 53 of it"),
        ("page-before.db", [&[7; 4096], snapshot].concat(), "a bbolt file begins at byte 4096 of it"),
        ("half-before.db", [&[7; 2048], snapshot].concat(), "a bbolt file begins at byte 2048 of it"),
        ("two-before.db", [&[7; 8192], snapshot].concat(), "a bbolt file begins at byte 8192 of it"),
        ("crlf.db", with_carriage_returns(snapshot), "line ends were changed"),
        ("base64.db", base64.into_bytes(), "base64"),
    ];
    let more = [("xz", "snapshot.xz"), ("bzip2", "snapshot.bz2"), ("lz4", "snapshot.lz4")];
    all.extend(
        more.into_iter().filter_map(|(program, name)| Some((name, by_program(program, snapshot)?, program))),
    );
    all
}

/// What is no db, nor holds one.
fn others() -> Vec<(&'static str, Vec<u8>, &'static str)> {
    let db = fixture("k8s-frag/frag.db");
    let replaced = String::from_utf8_lossy(&db).into_owned().into_bytes();
    let utf_16: Vec<u8> = "\u{feff}text".encode_utf16().flat_map(u16::to_le_bytes).collect();
    let sqlite = [&b"SQLite format 3\0\x10\0\x01\x01\0\x40\x20\x20"[..], &[0; 8192]].concat();
    let log = [&[4, 0, 0, 0, 0, 0, 0, 0x84, 8, 4, 16, 0, 0, 0, 0, 0][..], &[0; 4096]].concat();
    vec![
        ("empty.db", vec![], "the file is empty"),
        ("error-page.db", b"<?xml version=\"1.0\"?><Error><Code>NoSuchKey</Code></Error>".to_vec(), "XML"),
        ("page.html", b"\n<!DOCTYPE html><html><body>404</body></html>".to_vec(), "HTML"),
        ("error.json", b"{\"message\": \"not found\"}".to_vec(), "JSON"),
        ("list.json", b"[\n {\"a\": 1}]".to_vec(), "JSON"),
        (
            "text",
            b"Error from server (NotFound): pods \"etcd\" not found\n".to_vec(),
            "text: it begins with \u{201c}Error from server",
        ),
        ("long", "caf\u{e9} ".repeat(2000).into_bytes(), "text"),
        ("state.db", sqlite, "SQLite"),
        ("zeros", vec![0; 1 << 20], "zeros"),
        ("replaced", replaced, "as text"),
        ("utf-16", utf_16, "UTF-16"),
        ("0.wal", log, "log (WAL)"),
        ("cut", db[..40].to_vec(), "cut off"),
        ("age", b"age-encryption.org/v1\n-> X25519 \xff\xfe".to_vec(), "age"),
        (
            "random",
            (0..100_000_u32).map(|number| (number.wrapping_mul(2_654_435_761) >> 13) as u8).collect(),
            "nothing else that is known",
        ),
    ]
}

fn commands_in(text: &str) -> Vec<&str> {
    text.lines().filter_map(|line| line.strip_prefix("     $ ")).collect()
}

fn run_all(folder: &Path, file: &OsStr) -> Vec<(String, Ran)> {
    let all = COMMANDS.iter().map(|(before, behind)| {
        let mut command = program();
        command.current_dir(folder).args(*before).arg("--").arg(file).args(*behind);
        (before[0].to_owned(), Ran::from(command.output().expect("ran")))
    });
    all.collect()
}

/// Every command says the same of it, ends with 2, and none sends anybody to salvage it.
fn said_of(folder: &Path, file: &OsStr, what: &str) -> Vec<String> {
    let all = run_all(folder, file);
    for (command, ran) in &all {
        assert_eq!(ran.code, 2, "{command} of {file:?}: {ran:?}");
        assert!(ran.err.contains(what), "{command} of {file:?}: {what}: {}", ran.err);
        assert!(!ran.err.contains("salvage"), "{command} of {file:?}: {}", ran.err);
        assert_eq!(ran.err, all[0].1.err, "{command} of {file:?}");
    }
    commands_in(&all[0].1.err).into_iter().map(str::to_owned).collect()
}

/// The db that is left in a folder, or in a folder below it, when a command has run.
fn made(folder: &Path, before: &[std::path::PathBuf]) -> Option<std::path::PathBuf> {
    let mut found = entries(folder);
    found.retain(|path| !before.contains(path));
    assert!(found.len() <= 1, "{found:?}");
    let path = found.pop()?;
    if path.is_dir() { entries(&path).pop() } else { Some(path) }
}

fn entries(folder: &Path) -> Vec<std::path::PathBuf> {
    folder.read_dir().expect("a folder").map(|entry| entry.expect("an entry").path()).collect()
}

/// The command that unpacks a file: printed where nothing here reads it; otherwise the one that would be.
fn command_for(folder: &Path, file: &OsStr, bytes: &[u8], what: &str) -> String {
    let content = content::of(bytes);
    if !matches!(content, Some(FileContent::Packed { packing, .. }) if packing.can_be_unpacked()) {
        let commands = said_of(folder, file, what);
        assert_eq!(commands.len(), 1, "{file:?}");
        return commands.into_iter().next().expect("one");
    }
    let content = content.expect("packed");
    assert!(content.to_string().contains(what), "{file:?}: {what}: {content}");
    let status = program().current_dir(folder).args(["status", "--"]).arg(file).output().expect("ran");
    assert_eq!(status.status.code(), Some(0), "{file:?}: {status:?}");
    content.unpack(&folder.join(file)).expect("a command").to_string()
}

/// Pastes what is printed of a file until a db comes out of it.
fn unpack(folder: &Path, file: &OsStr, what: &str, snapshot: &[u8]) {
    let bytes = fs::read(folder.join(file)).expect("read");
    let (mut file, mut what) = (file.to_owned(), what);
    for _ in 0..3 {
        let command = command_for(folder, &file, &fs::read(folder.join(&file)).expect("read"), what);
        let before = entries(folder);
        let ran = Command::new("sh").args(["-c", &command]).current_dir(folder).output().expect("a shell");
        assert!(ran.status.success(), "{command}: {ran:?}");
        let made = made(folder, &before).unwrap_or_else(|| panic!("{command}: nothing came out"));
        if fs::read(&made).expect("read") == snapshot {
            let status = program().args(["status", "--"]).arg(&made).output().expect("ran");
            assert_eq!(status.status.code(), Some(0));
            assert!(fs::read(folder.join(&file)).is_ok(), "the file stays");
            return;
        }
        (file, what) = (made.into_os_string(), "");
    }
    panic!("no db came out of {file:?}, {} bytes", bytes.len());
}

#[test]
fn each_is_named_and_the_command_that_unpacks_it_does() {
    let snapshot = snapshot();
    for (file, bytes, what) in wrapped(&snapshot) {
        let folder = TempDir::new().expect("a folder");
        fs::write(folder.path().join(file), &bytes).expect("written");
        unpack(folder.path(), OsStr::new(file), what, &snapshot);
        assert_eq!(fs::read(folder.path().join(file)).expect("read"), bytes, "{file}: the file is as it was");
    }
}

/// The name says nothing of the content, and is quoted; and nothing that is there is written over.
#[test]
fn whatever_its_name_is() {
    let snapshot = snapshot();
    let wrapped = wrapped(&snapshot);
    for (number, hostile) in NAMES.iter().enumerate() {
        let (_, bytes, what) = &wrapped[number % wrapped.len()];
        let folder = TempDir::new().expect("a folder");
        let file = name(hostile);
        let path = folder.path().join(&file);
        fs::create_dir_all(path.parent().expect("a folder")).expect("made");
        fs::write(&path, bytes).expect("written");
        let inner = path.parent().expect("a folder").to_owned();
        unpack(&inner, path.file_name().expect("a name"), what, &snapshot);
        assert!(!folder.path().join("PWNED").exists());
    }
    for (file, bytes, what) in &wrapped {
        let folder = TempDir::new().expect("a folder");
        fs::write(folder.path().join(file), bytes).expect("written");
        let stem = Path::new(file).with_extension("");
        let mut there = vec![stem.into_os_string().into_string().expect("text"), "snapshot.tar".to_owned()];
        there.extend(
            ["unpacked", "restored", "unpacked.1", "restored.1"].map(|ending| format!("{file}.{ending}")),
        );
        there.retain(|name| name != file);
        there.iter().for_each(|name| fs::write(folder.path().join(name), "kept").expect("written"));
        unpack(folder.path(), OsStr::new(file), what, &snapshot);
        for name in there {
            assert_eq!(fs::read(folder.path().join(&name)).expect("read"), b"kept", "{file}: {name}");
        }
    }
}

#[test]
fn what_holds_no_db_is_named() {
    for (file, bytes, what) in others() {
        let folder = TempDir::new().expect("a folder");
        fs::write(folder.path().join(file), bytes).expect("written");
        assert!(said_of(folder.path(), OsStr::new(file), what).is_empty(), "{file}");
    }
}

/// Pages of a size that is not supported: no damage, and nothing to be salvaged; bbolt's own tool copies the file.
#[test]
fn pages_of_other_sizes() {
    for (page_size, hostile) in [128, 256, 500, 5000].into_iter().zip(NAMES) {
        let folder = TempDir::new().expect("a folder");
        let file = name(hostile);
        let mut sample = sample_of(page_size);
        // bbolt reads no file of less than 4 KiB
        let padded = |sample: &FileBuilder| [sample.bytes(), vec![0; 8192]].concat();
        fs::write(folder.path().join(&file), padded(&sample)).expect("written");
        let what = format!("a bbolt file with pages of {page_size} bytes: not supported");
        let commands = said_of(folder.path(), &file, &what);
        assert_eq!(commands.len(), 1, "{file:?}");
        // by meta 1 alone, bbolt does not find such a size
        sample.meta_unsealed(0, |meta| meta.txid.set(99));
        let by_second = folder.path().join("by-second.db");
        fs::write(&by_second, padded(&sample)).expect("written");
        assert!(said_of(folder.path(), by_second.as_os_str(), &what).is_empty());
        let Some(tools) = program_folder("tools", "bbolt of") else { continue };
        let path = format!("{}:{}", tools.display(), std::env::var("PATH").unwrap_or_default());
        let before = entries(folder.path());
        let ran = Command::new("sh")
            .args(["-c", &commands[0]])
            .env("PATH", path)
            .current_dir(folder.path())
            .output();
        let ran = ran.expect("a shell");
        assert!(ran.status.success(), "{}: {ran:?}", commands[0]);
        let copied = made(folder.path(), &before).expect("a copy");
        let status = program().arg("status").arg(&copied).output().expect("ran");
        assert_eq!(status.status.code(), Some(0), "{status:?}");
    }
}

/// Of many files, the one that is none does not hide the others; its error has the command, as JSON, too.
#[test]
fn among_others() {
    let folder = TempDir::new().expect("a folder");
    let snapshot = snapshot();
    fs::write(folder.path().join("a.db"), &snapshot).expect("written");
    fs::write(folder.path().join("b.7z"), b"7z\xbc\xaf\x27\x1c\0\x04").expect("written");
    let path = |name: &str| folder.path().join(name).display().to_string();
    let ran = run(["status", &path("a.db"), &path("b.7z"), "--output", "json"]);
    assert_eq!(ran.code, 2);
    let document: serde_json::Value = serde_json::from_str(&ran.out).expect("JSON");
    assert_eq!(document["files"].as_array().map(Vec::len), Some(1));
    let error = &document["errors"][0];
    assert!(error["error"].as_str().is_some_and(|text| text.contains("a 7z archive")), "{error}");
    assert!(error["command"].as_str().is_some_and(|text| text.starts_with("7z x ")), "{error}");
}

/// A db whose pages lie where they belong is damaged, whatever was written over its first ones, and salvage is the way on.
#[test]
fn a_damaged_db_is_no_other_file() {
    let db = fixture("k8s-frag/frag.db");
    for over in [
        &b"\x1f\x8b\x08"[..],
        b"PK\x03\x04",
        b"<html>",
        b"SQLite format 3\0",
        &[0; 8192],
        &[0xFF; 8192],
        b"\r\n\r\n",
    ] {
        let mut damaged = db.clone();
        damaged[..8192].fill(0);
        damaged[..over.len()].copy_from_slice(over);
        assert_eq!(content::of(&damaged), None, "{:?}", &over[..4]);
        let folder = TempDir::new().expect("a folder");
        fs::write(folder.path().join("a.db"), &damaged).expect("written");
        let ran = run(["check", &folder.path().join("a.db").display().to_string()]);
        assert!(ran.code == 2 && commands_in(&ran.err)[0].starts_with("etcd-medic salvage "), "{ran:?}");
    }
}

/// Numbers in these files lie: an answer all the same, and no panic.
#[test]
fn what_lies_is_no_archive() {
    let tar = tar(b"x");
    // the last byte of the checksum's field is none of its digits
    for at in (0..512).filter(|&at| at != 155) {
        let mut bytes = tar.clone();
        bytes[at] ^= 0x55;
        assert_ne!(ArchiveFormat::of(&bytes), Some(ArchiveFormat::Tar), "byte {at}");
    }
    let db = fixture("k8s-frag/frag.db");
    // a meta that is behind something, and whose own page says that it is another
    let mut moved = [BEFORE, &db].concat();
    moved[BEFORE.len()..BEFORE.len() + 8].copy_from_slice(&u64::MAX.to_le_bytes());
    assert_eq!(content::of(&moved), Some(FileContent::Begins(BEFORE.len() as u64)), "the second one tells");
    let second = BEFORE.len() + 4096;
    moved[second..second + 8].copy_from_slice(&7_u64.to_le_bytes());
    assert_eq!(content::of(&moved), Some(FileContent::Unknown));
    for len in 0..600 {
        let _ = content::of(&db[..len]);
        let _ = content::of(&tar[..len.min(tar.len())]);
    }
}

#[test]
fn a_sound_db_is_a_db() {
    for file in ["k8s-frag/frag.db", "bolt/freelist-ffff.db"] {
        assert_eq!(content::of(&fixture(file)), None, "{file}");
    }
    assert_eq!(content::of(&snapshot()), None);
    // one that has another db in a value, and text with carriage returns
    let inner = with_carriage_returns(&fixture("k8s-frag/frag.db")[..8192]);
    let mut outer = fixture("k8s-frag/frag.db");
    outer.extend_from_slice(&inner);
    outer.extend_from_slice(b"\r\n");
    assert_eq!(content::of(&outer), None);
}

#[test]
fn a_folder_says_what_lies_in_it() {
    let folder = TempDir::new().expect("a folder");
    let path = folder.path().display().to_string();
    let said = |path: &str| {
        let ran = run(["analyze", path]);
        assert_eq!(ran.code, 2, "{ran:?}");
        assert!(ran.err.contains("is a folder"), "{}", ran.err);
        assert_eq!(run(["salvage", path, "-o", "/nowhere/saved.db"]).err, ran.err);
        ran.err
    };
    assert!(said(&path).contains("is a folder without member/snap/db"));
    assert!(said(&path).contains("it is empty"));
    fs::write(folder.path().join("a\u{1b}.txt"), "text").expect("written");
    assert!(said(&path).contains("it has a\\u{1b}.txt"));
    fs::create_dir_all(folder.path().join("etcd/member/snap")).expect("made");
    fs::write(folder.path().join("etcd/member/snap/db"), fixture("k8s-frag/frag.db")).expect("written");
    fs::write(folder.path().join("it's one"), fixture("k8s-frag/frag.db")).expect("written");
    let err = said(&path);
    assert!(err.contains("is a folder: name a db in it:"), "{err}");
    let command = commands_in(&err)[0].replacen("etcd-medic", super::support::program::PROGRAM, 1);
    let ran = Command::new("sh").args(["-c", &command]).output().expect("a shell");
    let listed = String::from_utf8(ran.stdout).expect("text");
    assert!(listed.contains("etcd/member/snap/db") && listed.contains("it's one"), "{listed}");
}
