//! Folders of members, packed in each way: the same answers as from the folder, about the db, its log and both.

use std::fs;
use std::io::{Write, stderr};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;
use zip::CompressionMethod;

use super::support::members::unpack;
use super::support::packing::{bzip2, gzip, lz4, xz, zip, zstd};
use super::support::program::{Ran, path_in, run};
use super::support::testdata;

/// A real member's data dir, and a db to replay from.
struct Member {
    name: String,
    data: PathBuf,
    base: Option<PathBuf>,
    _folder: TempDir,
}

/// The members of `testdata`, and one of every so many folders of the folder that `ETCD_MEDIC_MEMBERS` names.
fn members(step: usize) -> impl Iterator<Item = Member> {
    let own = ["3.5", "3.7"].map(|version| testdata(&format!("field/disarm-behind-its-log/etcd-{version}")));
    let named = std::env::var_os("ETCD_MEDIC_MEMBERS");
    if named.is_none() {
        writeln!(stderr(), "ETCD_MEDIC_MEMBERS is not set: only the members of testdata are packed").unwrap();
    }
    let all = named.into_iter().flat_map(|folder| fs::read_dir(folder).unwrap());
    let mut cases: Vec<_> = all.map(|entry| entry.unwrap().path()).filter(|path| path.is_dir()).collect();
    cases.sort();
    own.into_iter().chain(cases.into_iter().step_by(step)).flat_map(|case| members_of(&case))
}

fn members_of(case: &Path) -> Vec<Member> {
    let name = case.file_name().unwrap().to_string_lossy().into_owned();
    let names = ["m1", "m2", "m3"].map(|member| (format!("{name} {member}"), member)).to_vec();
    let member = |(name, below): (String, &str)| {
        let folder = unpack(&case.join("member.tar.zst"));
        let data = if below.is_empty() { folder.path().to_owned() } else { folder.path().join(below) };
        let base = ["base.db", "backup.db"].map(|base| folder.path().join(base));
        let base = base.into_iter().find(|base| base.is_file());
        data.join("member").is_dir().then_some(Member { name, data, base, _folder: folder })
    };
    [(name.clone(), "")].into_iter().chain(names).filter_map(member).collect()
}

/// An archive of a part of a folder.
struct Archive {
    form: &'static str,
    bytes: Vec<u8>,
    /// The path in it before `snap` and `wal`.
    prefix: String,
    /// The folder that it has as much as.
    folder: PathBuf,
}

/// The formats in which GNU tar has sparse files; bsdtar writes the second.
const SPARSE: [&[&str]; 4] = [
    &["--sparse"],
    &["--sparse", "--format=posix"],
    &["--sparse", "--format=posix", "--sparse-version=0.1"],
    &["--sparse", "--format=posix", "--sparse-version=0.0"],
];

fn tar_of(folder: &Path, what: &[&str], options: &[&str]) -> Vec<u8> {
    let mut tar = Command::new("tar");
    let made = tar.args(options).args(["-cf", "-", "-C"]).arg(folder).args(what).output().unwrap();
    assert!(made.status.success(), "{made:?}");
    made.stdout
}

fn zip_of(folder: &Path) -> Vec<u8> {
    let below = |name: &str| {
        let entries = fs::read_dir(folder.join(name)).into_iter().flatten();
        let files = entries.map(|entry| entry.unwrap().path()).filter(|path| path.is_file());
        files
            .map(|path| (path.strip_prefix(folder).unwrap().display().to_string(), fs::read(&path).unwrap()))
            .collect::<Vec<_>>()
    };
    let files = [below("wal"), below("snap")].concat();
    let files: Vec<_> = files.iter().map(|(name, bytes)| (name.as_str(), bytes.as_slice())).collect();
    zip(&files, CompressionMethod::Deflated)
}

/// The data dir, `member` or what is in it, in each format by turns.
fn archive(data: &Path, number: usize) -> Archive {
    let (above, name) = (data.parent().unwrap(), data.file_name().unwrap().to_str().unwrap());
    let member = data.join("member");
    let of = |form, bytes, prefix: &str, folder: &Path| Archive {
        form,
        bytes,
        prefix: prefix.to_owned(),
        folder: folder.to_owned(),
    };
    let sparse = SPARSE[number % SPARSE.len()];
    match number % 7 {
        0 => of("tar.zst of a data dir", zstd(&tar_of(above, &[name], &[])), &format!("{name}/member"), data),
        1 => of("tar, sparse", tar_of(data, &["."], sparse), "member", data),
        2 => of("tar.gz of member", gzip(&tar_of(data, &["member"], sparse)), "member", data),
        3 => of("tar.xz of snap and wal", xz(&parts(&member, true, sparse)), "", &member),
        4 => of("tar.bz2", bzip2(&tar_of(data, &["member"], sparse)), "member", data),
        5 => of("tar.lz4, the log first", lz4(&parts(&member, false, sparse)), "", &member),
        _ => of("zip", zip_of(&member), "", &member),
    }
}

fn parts(member: &Path, snap_first: bool, sparse: &[&str]) -> Vec<u8> {
    let mut names = vec!["snap", "wal"];
    names.retain(|name| member.join(name).is_dir());
    if !snap_first {
        names.reverse();
    }
    tar_of(member, &names, sparse)
}

/// What a command says, but for paths, times, and commands, which name other files.
struct Answer {
    code: i32,
    json: Value,
}

fn answer(ran: &Ran, paths: &[(&str, &str)]) -> Answer {
    let text = paths.iter().fold(ran.out.clone(), |text, (path, shown)| text.replace(path, shown));
    let mut json = serde_json::from_str(&text).unwrap_or(Value::Null);
    leave_out(&mut json);
    Answer { code: ran.code, json }
}

fn leave_out(json: &mut Value) {
    match json {
        Value::Object(fields) => {
            for name in
                ["path", "base", "modified", "elapsed_seconds", "restore", "lacks", "command", "error"]
            {
                fields.remove(name);
            }
            fields.values_mut().for_each(leave_out);
        }
        Value::Array(values) => values.iter_mut().for_each(leave_out),
        _ => {}
    }
}

/// Where two documents differ.
fn differences(at: &str, found: &Value, expected: &Value, differing: &mut Vec<String>) {
    match (found, expected) {
        (Value::Object(found), Value::Object(expected)) if found.keys().eq(expected.keys()) => {
            for ((name, found), expected) in found.iter().zip(expected.values()) {
                differences(&format!("{at}/{name}"), found, expected, differing);
            }
        }
        (Value::Array(found), Value::Array(expected)) if found.len() == expected.len() => {
            for (number, (found, expected)) in found.iter().zip(expected).enumerate() {
                differences(&format!("{at}/{number}"), found, expected, differing);
            }
        }
        _ if found == expected => {}
        _ => differing.push(format!("{at}: {found} for {expected}")),
    }
}

fn commands<'a>(path: &'a str, base: Option<&'a str>, copy: &'a str) -> Vec<Vec<&'a str>> {
    let mut commands = vec![
        vec!["check", path],
        vec!["status", path],
        vec!["log", "--summary", path],
        vec!["salvage", path, "--dry-run", "-o", copy],
        vec!["hash", path],
        vec!["defrag", path, "--dry-run", "--compact-to", "current", "-o", copy],
        vec!["keys", path, "--from", "log"],
    ];
    commands.extend(base.map(|base| vec!["replay", base, "--log", path, "--dry-run"]));
    commands
}

#[test]
fn some_members_answer_as_from_their_folders() {
    compare(8);
}

#[test]
#[ignore = "long: a hundred members, packed and not"]
fn every_member_answers_as_from_its_folder() {
    compare(1);
}

fn compare(step: usize) {
    let room = TempDir::new().unwrap();
    let (packed, copy) = (path_in(&room, "packed"), path_in(&room, "copy.db"));
    let (mut compared, mut differing) = (0, Vec::new());
    for (number, member) in members(step).enumerate() {
        let Archive { form, bytes, prefix, folder } = archive(&member.data, number);
        fs::write(&packed, bytes).unwrap();
        let folder = folder.to_str().unwrap();
        let own = member.data.join("member/snap/db");
        let base = member.base.clone().or_else(|| own.is_file().then_some(own));
        let base = base.as_ref().and_then(|base| base.to_str());
        // in the archive, and in the folder
        let in_archive = Path::new(&packed).join(&prefix).display().to_string();
        let is_member = folder.ends_with("/member");
        let in_folder = if is_member { folder.to_owned() } else { format!("{folder}/member") };
        let in_archive = in_archive.trim_end_matches('/').to_owned();
        let shown = |ran: &Ran, path: &str, at: &str| {
            answer(
                ran,
                &[(&format!("{at}/snap/db"), "FILE"), (at, "MEMBER"), (path, "FILE"), (&copy, "COPY")],
            )
        };
        let pairs = commands(&packed, base, &copy).into_iter().zip(commands(folder, base, &copy));
        for (of_packed, of_folder) in pairs {
            let json = ["--output", "json"];
            let [of_packed, of_folder] = [of_packed, of_folder].map(|args| run([&args[..], &json].concat()));
            let of = format!("{}, {form}: {}", member.name, of_packed.err);
            let found = shown(&of_packed, &packed, &in_archive);
            let expected = shown(&of_folder, folder, &in_folder);
            let mut found_in = Vec::new();
            differences("", &found.json, &expected.json, &mut found_in);
            if found.code != expected.code || !found_in.is_empty() {
                differing.push(format!("{of}{}: {found_in:#?}", of_folder.err));
            }
            assert!(found.code < 2 || !of_packed.err.is_empty(), "{of}");
            compared += 1;
        }
    }
    assert!(compared >= 14, "{compared}");
    assert!(differing.is_empty(), "{} of {compared}: {}", differing.len(), differing.join("\n"));
}
