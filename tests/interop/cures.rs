//! The way out that `doctor` prints, pasted into a shell, and the etcd that starts then.

use std::fs;
use std::io::{Write, stderr};
use std::path::{Path, PathBuf};

use etcd_medic::internals::doctor::MemberFiles;
use serde_json::Value;

use crate::support::members::unpack;
use tempfile::TempDir;

use crate::support::peers::{self, Peer, with_etcd};
use crate::support::program::pasted;

/// The peer that is of the version which made a directory, or of a later patch of its minor version.
fn peer_of(maker: &str) -> &str {
    if maker == "3.5.1" { maker } else { maker.rsplit_once('.').map_or(maker, |(minor, _)| minor) }
}

/// Directories of members, each with its truth: those whose name ends in this version.
fn directories(version: &str) -> Vec<(String, PathBuf, Value)> {
    let Some(members) = std::env::var_os("ETCD_MEDIC_MEMBERS").map(PathBuf::from) else { return Vec::new() };
    let entries = fs::read_dir(members).expect("a folder").map(|entry| entry.expect("an entry").path());
    let mut found: Vec<_> = entries
        .filter_map(|folder| {
            let name = folder.file_name()?.to_str()?.to_owned();
            let maker = name.rsplit_once('-')?.1;
            (folder.is_dir() && peer_of(maker) == version).then_some(())?;
            let truth = fs::read(folder.join("truth.json")).expect("a truth.json");
            Some((name, folder.join("member.tar.zst"), peers::parse(&truth)))
        })
        .collect();
    found.sort_by(|(a, ..), (b, ..)| a.cmp(b));
    found
}

/// What came of the cures.
#[derive(Default, Debug)]
struct Tally {
    without_loss: u32,
    with_loss: u32,
    nothing_to_cure: u32,
    several_members: u32,
}

fn of_directories(maker: &str, peer: &Peer) -> Tally {
    let mut tally = Tally::default();
    for (name, archive, truth) in directories(maker) {
        let folder = unpack(&archive);
        if !folder.path().join("m1").is_dir() {
            continue;
        }
        let data = folder.path().join("data");
        fs::rename(folder.path().join("m1"), &data).expect("renamed");
        cure(&name, peer, folder, &data, &truth, &mut tally);
    }
    tally
}

fn cure(name: &str, peer: &Peer, folder: TempDir, data: &Path, truth: &Value, tally: &mut Tally) {
    let version = format!("3.{}.{}", peer.minor(), peer.patch());
    let doctor = || {
        let data = data.to_str().expect("UTF-8");
        let said = peers::medic(["doctor", "--etcd", &version, "--output", "json", data]);
        peers::parse(&said.stdout)["members"][0].clone()
    };
    let files = MemberFiles::open(data);
    let voters = files
        .log
        .as_ref()
        .map_or(1, |log| log.read().log.members(u64::MAX, &log.snaps).map_or(1, |members| members.len()));
    if voters > 1 {
        tally.several_members += 1;
        return;
    }
    drop(files);
    let findings = doctor()["findings"].as_array().expect("findings").clone();
    let Some(finding) =
        findings.iter().find(|finding| finding["is_problem"] == true && finding["kind"] != "alarm")
    else {
        tally.nothing_to_cure += 1;
        return;
    };
    let commands: Vec<_> = finding["commands"]
        .as_array()
        .expect("commands")
        .iter()
        .map(|command| command.as_str().expect("text"))
        .collect();
    assert!(!commands.is_empty(), "{name}: {finding}");
    for command in &commands {
        let ran = pasted(command);
        // exit code 1: what a salvage lost is said
        assert!(ran.status.code().is_some_and(|code| code < 2), "{name}: {command}: {ran:?}");
    }
    let after = doctor();
    let start = &after["starts"][0];
    assert!(after["healthy"] == true || start["trouble"] == "alarm", "{name}: {after}");
    let predicted = start["revision"].as_i64();
    let member = peer.start_on(folder, &[], None);
    let end = &truth["true_end"];
    if predicted.is_none() {
        // authentication is on
        tally.without_loss += 1;
        return;
    }
    let revision = member.revision();
    assert_eq!(Some(revision), predicted, "{name}");
    let (hash, _) = member.hash_kv(revision);
    let is_whole = finding["loses"].is_null() || Some(revision) == end["revision"].as_i64();
    if is_whole {
        assert_eq!(
            (Some(revision), Some(hash)),
            (end["revision"].as_i64(), end["hashkv"].as_i64()),
            "{name}: {finding}"
        );
        tally.without_loss += 1;
    } else {
        assert!(Some(revision) < end["revision"].as_i64(), "{name}");
        tally.with_loss += 1;
    }
    if start["trouble"].is_null() {
        member.ctl(["put", "/interop/after", "text"]);
    }
}

/// Of three members only the one is left that had the most: a new cluster of it has all that was acknowledged.
fn of_a_lost_quorum(maker: &str, peer: &Peer) {
    for (name, archive, truth) in
        directories(maker).into_iter().filter(|(name, ..)| name.starts_with("three-one-ahead"))
    {
        let folder = unpack(&archive);
        let best = truth["best"].as_str().expect("a member");
        let data = folder.path().join("data");
        fs::rename(folder.path().join(best), &data).expect("renamed");
        let said = peers::medic(["doctor", "--output", "json", data.to_str().expect("UTF-8")]);
        let report = peers::parse(&said.stdout);
        for command in report["cluster"]["commands"].as_array().expect("commands") {
            let ran = pasted(command.as_str().expect("text"));
            assert!(ran.status.success(), "{name}: {command}: {ran:?}");
        }
        let member = peer.start_on(folder, &[], None);
        // what was acknowledged, and what the leader had written besides when it was killed
        let acknowledged = truth["true_end"]["revision"].as_i64().expect("a revision");
        assert!((acknowledged..acknowledged + 5).contains(&member.revision()), "{name}");
        assert_eq!(Some(member.hash_kv(acknowledged).0), truth["true_end"]["hashkv"].as_i64(), "{name}");
        assert_eq!(member.ctl(["member", "list"]).lines().count(), 1, "{name}");
        member.ctl(["put", "/interop/after", "text"]);
    }
}

/// A db that the leader sent is whole where the member's own is damaged, or was never there.
fn of_a_received_db(maker: &str, peer: &Peer) {
    for (name, archive, truth) in
        directories(maker).into_iter().filter(|(name, ..)| name.starts_with("snapdb-waiting"))
    {
        for damage in ["damaged", "empty", "missing"] {
            let folder = unpack(&archive);
            let data = folder.path().join("data");
            fs::rename(folder.path().join("m1"), &data).expect("renamed");
            let db = data.join("member/snap/db");
            match damage {
                "missing" => fs::remove_file(&db).expect("removed"),
                "empty" => fs::write(&db, "").expect("written"),
                _ => fs::write(&db, [0x5a; 65536]).expect("written"),
            }
            let mut tally = Tally::default();
            cure(&format!("{name}, its db {damage}"), peer, folder, &data, &truth, &mut tally);
            let Tally { without_loss, nothing_to_cure, .. } = tally;
            assert_eq!(without_loss + nothing_to_cure, 1, "{name}, its db {damage}: {tally:?}");
        }
    }
}

macro_rules! by_their_makers {
    ($($test:ident: $maker:literal;)+) => {
        $(#[test]
        fn $test() {
            with_etcd($maker, |peer| {
                of_a_lost_quorum($maker, peer);
                of_a_received_db($maker, peer);
                let tally = of_directories($maker, peer);
                writeln!(stderr(), "cures on etcd {}: {tally:?}", $maker).expect("written");
            });
        })+
    };
}

by_their_makers! {
    of_3_4: "3.4";
    of_3_5_1: "3.5.1";
    of_3_6: "3.6";
    of_3_7: "3.7";
}

/// On the newest patch of each later minor version, too.
#[test]
#[ignore = "long: each directory on each etcd"]
fn of_each_directory_on_each_etcd() {
    for (maker, later) in
        [("3.4", &["3.5", "3.6", "3.7"][..]), ("3.5.1", &["3.5", "3.6", "3.7"]), ("3.6", &["3.7"])]
    {
        for version in later {
            if let Some(peer) = Peer::named(version) {
                let tally = of_directories(maker, &peer);
                writeln!(stderr(), "cures of directories of {maker} on etcd {version}: {tally:?}")
                    .expect("written");
            }
        }
    }
}
