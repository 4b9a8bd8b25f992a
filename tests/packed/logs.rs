//! Archives of members: several, only a part of one, damaged, cut off, and made to do harm.

use std::fs;
use std::process::Stdio;

use etcd_medic::LogFiles;
use serde_json::Value;
use tempfile::TempDir;
use zip::CompressionMethod;

use super::support::etcd_file;
use super::support::member_log::{FIRST_SEGMENT, LogBuilder};
use super::support::packing::{bzip2, gzip, lz4, tar, xz, zip, zip_as_a_stream, zstd};
use super::support::program::{Ran, folder_of, path_in, program, run};
use super::support::random::Random;

const SECOND_SEGMENT: &str = "0000000000000001-0000000000000015.wal";
const THIRD_SEGMENT: &str = "0000000000000002-0000000000000029.wal";

/// A log of three segments of 20 entries each, of this member.
fn segments(node_id: u64) -> [Vec<u8>; 3] {
    let first = LogBuilder::new(node_id).entries_to(20).state(20);
    let second = LogBuilder::segment(node_id, first.crc(), 21).entries_to(40).state(40);
    let third = LogBuilder::segment(node_id, second.crc(), 41).entries_to(60).state(60);
    [first.bytes(), second.bytes(), third.last()]
}

type Files = Vec<(String, Vec<u8>)>;

/// The files of a member, below a folder.
fn member(below: &str, node_id: u64) -> Files {
    let names = [FIRST_SEGMENT, SECOND_SEGMENT, THIRD_SEGMENT].map(|name| format!("{below}wal/{name}"));
    let mut files: Files = names.into_iter().zip(segments(node_id)).collect();
    files.push((format!("{below}snap/db"), etcd_file::small().bytes()));
    files
}

fn borrowed(files: &Files) -> Vec<(&str, &[u8])> {
    files.iter().map(|(name, bytes)| (name.as_str(), bytes.as_slice())).collect()
}

fn tar_of(files: &Files) -> Vec<u8> {
    tar(&borrowed(files))
}

fn json(ran: &Ran) -> Value {
    serde_json::from_str(&ran.out).unwrap_or_else(|_| panic!("{}", ran.err))
}

fn status(archive: &str, options: &[&str]) -> Value {
    json(&run([&["status", "--output", "json", archive], options].concat()))["files"][0]["log"].clone()
}

fn summary(archive: &str, options: &[&str]) -> Value {
    json(&run([&["log", "--summary", "--output", "json", archive], options].concat()))
}

fn refused(args: &[&str], says: &str) -> String {
    let Ran { code, out, err } = run(args);
    assert!(code == 2 && out.is_empty(), "{args:?}: {code} {out}{err}");
    assert!(err.contains(says), "{args:?}: no {says:?} in {err}");
    err
}

#[test]
fn a_folder_wal_alone() {
    let [first, second, third] = segments(7);
    let files: Files = vec![
        (format!("wal/{SECOND_SEGMENT}"), second),
        (format!("wal/{THIRD_SEGMENT}"), third),
        (format!("wal/{FIRST_SEGMENT}"), first),
        ("wal/0.tmp".to_owned(), vec![0; 5000]),
    ];
    let flat: Files = files
        .iter()
        .map(|(name, bytes)| (name.strip_prefix("wal/").unwrap().to_owned(), bytes.clone()))
        .collect();
    for (form, bytes) in [
        ("tar", tar_of(&files)),
        ("tar, flat", tar_of(&flat)),
        ("tar.gz", gzip(&tar_of(&files))),
        ("tar.zst", zstd(&tar_of(&files))),
        ("tar.xz", xz(&tar_of(&files))),
        ("tar.bz2", bzip2(&tar_of(&files))),
        ("tar.lz4", lz4(&tar_of(&files))),
        ("zip", zip(&borrowed(&files), CompressionMethod::Deflated)),
        ("zip as a stream", zip_as_a_stream(&borrowed(&flat))),
        ("tar.gz in zip", zip(&[("backup.tar.gz", &gzip(&tar_of(&files)))], CompressionMethod::Stored)),
    ] {
        let folder = folder_of(&[("packed", &bytes), ("base.db", &etcd_file::small().bytes())]);
        let (packed, base) = (path_in(&folder, "packed"), path_in(&folder, "base.db"));
        let found = summary(&packed, &[]);
        assert_eq!((&found["entries"], &found["num_faults"]), (&60.into(), &0.into()), "{form}");
        // any command that takes a log takes it
        let salvaged =
            run(["salvage", &base, "--log", &packed, "--dry-run", "-o", &path_in(&folder, "new.db")]);
        assert!(salvaged.code < 2, "{form}: {}", salvaged.err);
        let check = json(&run(["check", "--output", "json", &base, "--wal-dir", &packed]));
        assert_eq!(check["log"]["path"].as_str().map(|path| path.starts_with(&packed)), Some(true), "{form}");
        refused(&["status", &packed], "in which no file is a db");
        // standard input
        let stdin = Stdio::from(fs::File::open(&packed).unwrap());
        let ran: Ran = program().args(["log", "-", "--summary"]).stdin(stdin).output().unwrap().into();
        assert!(ran.code == 0 && ran.out.contains("1 to 60"), "{form}: {}{}", ran.out, ran.err);
    }
}

#[test]
fn of_several_members_one_is_named() {
    let files: Files = ["m1/member/", "m2/member/", "it's m3/"]
        .into_iter()
        .zip(1..)
        .flat_map(|(below, id)| member(below, id))
        .collect();
    let db = etcd_file::small().bytes();
    let folder = folder_of(&[("all.tar", &tar_of(&files)), ("base.db", &db)]);
    let (all, base, new) =
        (path_in(&folder, "all.tar"), path_in(&folder, "base.db"), path_in(&folder, "new.db"));
    for args in [vec!["status", &all], vec!["check", &all], vec!["log", &all]] {
        let err = refused(&args, "`m1/member/snap/db`, `m2/member/snap/db`, `it's m3/snap/db`");
        assert!(err.contains("--member"), "{err}");
    }
    // the command that is printed
    let err = refused(&["log", &all], "$ etcd-medic log --summary --member m1/member/snap/db ");
    let command = err.lines().last().unwrap().trim().trim_start_matches("$ ");
    let words: Vec<_> = command.split(' ').skip(1).collect();
    assert_eq!(run(&words).code, 0, "{command}");
    for (name, id) in [
        ("m1/member/snap/db", "1"),
        ("m2/member/snap/db", "2"),
        ("it's m3/snap/db", "3"),
        ("./m2/member/wal", "2"),
    ] {
        let found = summary(&all, &["--member", name]);
        assert_eq!((&found["member_id"], &found["entries"]), (&id.into(), &60.into()), "{name}");
        assert_eq!(status(&all, &["--member", name])["last_index"], 60, "{name}");
    }
    refused(&["log", &all, "--member", "m4/member/snap/db"], "that has no log beside `m4/member/snap/db`");
    // of --log's archive
    for args in [
        ["replay", &base, "--log", &all, "--dry-run"].as_slice(),
        &["salvage", &base, "--log", &all, "--dry-run", "-o", &new],
    ] {
        refused(args, "--log-member NAME");
        refused(&[args, &["--log-member", "m4/snap/db"]].concat(), "that has no log beside `m4/snap/db`");
        let named = run([args, &["--log-member", "m2/member/snap/db"]].concat());
        // it is found, and of another member than the db
        assert!(!named.err.contains("no log"), "{args:?}: {}", named.err);
        assert!(named.code < 2 || named.err.contains("it is of member 2"), "{args:?}: {}", named.err);
    }
    refused(&["log", &path_in(&folder, "base.db")], "no folder, and no archive of one");
    let data = folder_of(
        &member("data/", 1).iter().map(|(name, bytes)| (name.as_str(), &bytes[..])).collect::<Vec<_>>(),
    );
    refused(
        &["log", &path_in(&data, "data"), "--member", "a"],
        "no archive, so there is no file a in it: leave --member",
    );
}

#[test]
fn logs_of_which_none_has_a_db() {
    let mut files: Files =
        ["m1/member/", "m2/member/"].into_iter().zip(1..).flat_map(|(below, id)| member(below, id)).collect();
    files.retain(|(name, _)| !name.ends_with("db"));
    let folder = folder_of(&[("all.tar", &tar_of(&files))]);
    let all = path_in(&folder, "all.tar");
    refused(&["log", &all], "with the logs of several members; these are `m1/member/wal`, `m2/member/wal`");
    assert_eq!(summary(&all, &["--member", "m2/member/wal"])["member_id"], "2");
}

#[test]
fn a_segment_that_is_missing() {
    for (missing, state) in [(FIRST_SEGMENT, "gap"), (SECOND_SEGMENT, "gap"), (THIRD_SEGMENT, "ends-before")]
    {
        let mut files = member("member/", 7);
        files.retain(|(name, _)| !name.ends_with(missing));
        let folder = folder_of(&[("data.tar.gz", &gzip(&tar_of(&files)))]);
        let path = path_in(&folder, "data.tar.gz");
        assert_eq!(status(&path, &[])["state"], state, "{missing}");
        assert_eq!(run(["log", &path]).code, 1, "{missing}");
    }
    let files = vec![member("member/", 7).pop().unwrap()];
    let folder = folder_of(&[("data.tar", &tar_of(&files))]);
    let path = path_in(&folder, "data.tar");
    assert_eq!(status(&path, &[])["state"], "missing");
    refused(&["log", &path], "in which no file is a segment of a log");
    refused(&["keys", &path, "--from", "log"], "there is no log in");
}

/// A segment, or the archive in which it is, that can't be read is no missing one.
#[test]
fn a_segment_that_is_damaged_in_the_archive() {
    let files = member("member/", 7);
    let whole = zip(&borrowed(&files), CompressionMethod::Stored);
    let second = &files[1].1;
    let at = whole.windows(second.len()).position(|bytes| bytes == second.as_slice()).unwrap();
    let mut damaged = whole.clone();
    damaged[at + 700] ^= 1;
    let inner = gzip(&tar_of(&files[..3].to_vec()));
    let db = &files[3];
    let nested = tar(&[("wal.tar.gz", &inner[..inner.len() - 20]), (&db.0, &db.1)]);
    // cut off after the db, and before the log
    let between = ("other".to_owned(), Random(1).bytes(2 << 20));
    let all = gzip(&tar_of(&[&files[3..], &[between], &files[..3]].concat()));
    let in_one = tar(&[("all.tar.gz", &all[..all.len() / 2])]);
    for (form, bytes, is_beside) in
        [("zip", damaged, true), ("beside", nested, false), ("in one", in_one, true)]
    {
        let folder = folder_of(&[("data", &bytes)]);
        let path = path_in(&folder, "data");
        let of_db = run(["hash", &path]);
        assert_eq!(of_db.code, 0, "{form}: the db is whole: {}", of_db.err);
        let log = status(&path, &[]);
        // a log in another archive is not known to be the one beside the db
        assert_eq!(log["state"], if is_beside { "damaged" } else { "missing" }, "{form}: {log}");
        let says = match form {
            "zip" => SECOND_SEGMENT,
            "beside" => "a file that gzip compressed that was cut off",
            _ => "its file all.tar.gz",
        };
        refused(&["log", &path], says);
    }
}

#[test]
fn what_was_cut_off_is_refused_wherever_that_was() {
    let files = member("member/", 7);
    let of_zip = zip(&borrowed(&files), CompressionMethod::Deflated);
    let of_tar = tar_of(&files);
    // before the two blocks of zeros that end it
    let tar_end = of_tar.len() - 1024;
    for (form, bytes, whole) in
        [("tar.zst", zstd(&of_tar), usize::MAX), ("tar", of_tar, tar_end), ("zip", of_zip, usize::MAX)]
    {
        let whole = whole.min(bytes.len());
        for cut in (1..12).map(|part| whole * part / 12).chain([whole - 1]) {
            let folder = folder_of(&[("data", &bytes[..cut])]);
            let found = LogFiles::open(&folder.path().join("data"), None);
            let error = found.expect_err(form).to_string();
            let says = ["cut off", "no archive", "damaged"].iter().any(|words| error.contains(words));
            assert!(says, "{form} cut at {cut} of {whole}: {error}");
        }
    }
}

/// Whatever is changed: nothing is read that is not in the log, unless that is said to be damaged.
#[test]
fn what_was_changed_is_said_or_makes_no_difference() {
    let files = member("member/", 7);
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("data");
    let entries = |log: &LogFiles| {
        let read = log.read();
        let messages = read.stretches.iter().flat_map(|stretch| stretch.messages());
        (read.num_faults, messages.map(|message| message.to_vec()).collect::<Vec<_>>())
    };
    for (form, bytes) in [
        ("tar", tar_of(&files)),
        ("zip", zip(&borrowed(&files), CompressionMethod::Deflated)),
        ("tar.gz", gzip(&tar_of(&files))),
    ] {
        fs::write(&path, &bytes).unwrap();
        let sound = entries(&LogFiles::open(&path, None).unwrap());
        assert_eq!((sound.0, sound.1.len()), (0, 60), "{form}");
        for at in (0..bytes.len()).step_by(7) {
            let mut changed = bytes.clone();
            changed[at] ^= 1 << (at % 8);
            fs::write(&path, &changed).unwrap();
            let Ok(log) = LogFiles::open(&path, None) else { continue };
            let (faults, found) = entries(&log);
            // the newest segment may be another file by its name
            let is_shorter = faults == 0 && sound.1.starts_with(&found) && !found.is_empty();
            assert!(
                faults > 0 || found == sound.1 || is_shorter,
                "{form}, byte {at}: {} entries",
                found.len()
            );
        }
    }
}

#[test]
fn limits_hold_for_logs() {
    let files = member("member/", 7);
    let large = vec![b'x'; 8 << 20];
    let beside: [(&str, &[u8]); 1] = [("member/wal/0000000000000003-000000000000003d.wal", &large)];
    let bomb = tar(&[&borrowed(&files)[..], &beside].concat());
    for (form, bytes) in [("tar.zst", zstd(&bomb)), ("tar.gz", gzip(&bomb))] {
        let folder = folder_of(&[("data", &bytes)]);
        let (path, tmp) = (path_in(&folder, "data"), TempDir::new().unwrap());
        let options = ["--max-unpacked", "1MiB", "--tmp-dir", tmp.path().to_str().unwrap()];
        for command in ["status", "check", "log", "hash"] {
            refused(&[&[command, &path], &options[..]].concat(), "more than 1.0 MiB come out of it");
            assert_eq!(fs::read_dir(tmp.path()).unwrap().count(), 0, "{form}");
        }
    }
    // a segment that is all hole
    let wal = TempDir::new().unwrap();
    fs::File::create(wal.path().join(FIRST_SEGMENT)).unwrap().set_len(256 << 20).unwrap();
    for format in ["gnu", "posix"] {
        let mut tar = std::process::Command::new("tar");
        tar.args(["--sparse", "-cf", "-", "--format", format, "-C"]).arg(wal.path()).arg(".");
        let bytes = tar.output().unwrap().stdout;
        assert!(bytes.len() < 100_000, "{format}");
        let folder = folder_of(&[("wal.tar", &bytes)]);
        let path = path_in(&folder, "wal.tar");
        refused(&["log", &path, "--max-unpacked", "16MiB"], "more than 16.0 MiB come out of it");
    }
    // more files than can be open
    let [first, ..] = segments(7);
    let mut many = member("m/member/", 7);
    many.extend((0..600).map(|number| (format!("other/wal/{number:016x}-{number:016x}.wal"), first.clone())));
    let folder = folder_of(&[("many.tar", &tar_of(&many))]);
    let path = path_in(&folder, "many.tar");
    for command in ["status", "log"] {
        refused(
            &[command, &path],
            "more than 512 files of logs: name the db that is meant with --member NAME",
        );
    }
    assert_eq!(summary(&path, &["--member", "m/member/snap/db"])["entries"], 60);
    assert_eq!(status(&path, &["--member", "m/member/snap/db"])["last_index"], 60);
}

#[test]
fn names_made_to_do_harm() {
    let [first, ..] = segments(7);
    let mut outside = tar(&[(&format!("x/y/wal/{FIRST_SEGMENT}"), &first)]);
    // the crate makes no such name
    outside[..3].copy_from_slice(b"../");
    let sum: u32 =
        (0..512).map(|at| if (148..156).contains(&at) { 32 } else { u32::from(outside[at]) }).sum();
    outside[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    let folder = folder_of(&[("outside.tar", &outside)]);
    refused(&["log", &path_in(&folder, "outside.tar")], "a name leads out of it");

    let db = etcd_file::small().bytes();
    let red = "\u{1b}[31m; touch hurt/";
    let harmful = tar(&[(&format!("{red}wal/{FIRST_SEGMENT}"), &first), (&format!("{red}snap/db"), &db)]);
    let folder = folder_of(&[("harmful.tar", &harmful)]);
    let path = path_in(&folder, "harmful.tar");
    for args in [vec!["status", &path], vec!["log", &path], vec!["check", &path]] {
        let Ran { out, err, .. } = run(&args);
        assert!(!format!("{out}{err}").contains('\u{1b}'), "{args:?}: {out}{err}");
    }
}

#[test]
fn a_member_is_never_changed_in_its_archive() {
    let bytes = tar_of(&member("member/", 7));
    let folder = folder_of(&[("data.tar", &bytes)]);
    let path = path_in(&folder, "data.tar");
    for args in
        [vec!["defrag", "--in-place", &path], vec!["defrag", "--in-place", "--compact-to", "current", &path]]
    {
        refused(&args, "is packed");
        assert_eq!(fs::read(&path).unwrap(), bytes);
    }
    // nor is a db by a packed log: etcd has gone on with another
    let db = etcd_file::small().bytes();
    let folder = folder_of(&[("data/member/snap/db", &db), ("wal.tar", &bytes)]);
    let (data, wal) = (path_in(&folder, "data"), path_in(&folder, "wal.tar"));
    let args = ["defrag", "--in-place", "--only-member", "--compact-to", "current", &data, "--wal-dir", &wal];
    refused(&args, "Not a directory");
    assert_eq!(fs::read(folder.path().join("data/member/snap/db")).unwrap(), db);
}
