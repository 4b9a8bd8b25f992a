//! A log that real etcd repaired: the copy that it keeps holds what it cut off, and each entry of it is found.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use etcd_medic::LogFiles;
use etcd_medic::internals::member::frame::Frames;
use etcd_medic::internals::member::message::RaftEntry;
use etcd_medic::internals::member::record::{RecordType, WalRecord};
use serde_json::Value;

use crate::support::peers::{Peer, medic, medic_json, parse, with_each_etcd};

with_each_etcd!(what_a_repair_cuts_off_is_found);

/// etcd takes a record for torn if a whole sector of it is zero (`server/storage/wal/decoder.go`, `isTornEntry`).
const SECTOR: usize = 512;

/// Zeros a sector within the record of this entry of the last segment.
fn tear(wal: &Path, index: u64) {
    let segments = fs::read_dir(wal).expect("a folder").map(|entry| entry.expect("an entry").path());
    let mut segments: Vec<_> = segments.filter(|path| path.extension() == Some("wal".as_ref())).collect();
    segments.sort();
    let last = segments.last().expect("a segment");
    let mut bytes = fs::read(last).expect("a file");
    let mut frames = Frames::of(&bytes);
    let torn = loop {
        let frame = frames.next_frame().expect("a frame").expect("the entry");
        let record = WalRecord::parse(frame.record, 0).expect("a record");
        let is_it = record.kind == RecordType::Entry
            && RaftEntry::parse(record.data).is_ok_and(|entry| entry.index == index);
        if is_it {
            break frame.begin..frame.end;
        }
    };
    let sector = (torn.start / SECTOR + 1) * SECTOR;
    assert!(sector + SECTOR <= torn.end, "a whole sector of it");
    bytes[sector..sector + SECTOR].fill(0);
    fs::write(last, bytes).expect("written");
}

/// Each entry of a log by its index.
fn entries(data: &Path) -> BTreeMap<u64, Vec<u8>> {
    let files = LogFiles::open(data, None).expect("a log");
    let log = files.read();
    let messages = log.stretches.iter().flat_map(|stretch| stretch.messages());
    messages.map(|message| (RaftEntry::parse(message).expect("an entry").index, message.to_vec())).collect()
}

fn what_a_repair_cuts_off_is_found(peer: &Peer) {
    // so that the db stays before what is cut off
    let mut member = peer.start(&["--backend-batch-interval=1h", "--backend-batch-limit=1000000"]);
    for number in 0..12 {
        member.ctl(["put", &format!("/key/{number}"), &"a long value ".repeat(150)]);
    }
    member.kill();
    let (data, wal) = (member.data_dir().to_owned(), member.data_dir().join("member/wal"));
    let before = entries(&data);
    let last = *before.keys().last().expect("entries");
    let torn = last - 8;
    tear(&wal, torn);
    member.restart();
    member.ctl(["put", "/after", "the repair"]);
    member.stop();
    let after = entries(&data);
    let lost: BTreeMap<_, _> = before
        .into_iter()
        .filter(|(index, message)| *index > torn && after.get(index) != Some(message))
        .collect();
    assert_eq!(lost.len(), 8, "etcd dropped what came after the torn record");

    let log = medic_json(1, [OsStr::new("log"), "--summary".as_ref(), data.as_ref()]);
    let copy = &log["broken_copies"][0];
    assert_eq!(copy["entries"], range(lost.keys().copied()), "{copy}");
    let last_today = *after.keys().last().expect("entries");
    let (lacking, differing): (Vec<u64>, Vec<u64>) = lost.keys().partition(|index| **index > last_today);
    assert_eq!(copy["lacking"], range(lacking.into_iter()), "{copy}");
    assert_eq!(copy["differing"], range(differing.into_iter()), "{copy}");
    let status = medic(["status".as_ref(), data.as_os_str(), "--output".as_ref(), "json".as_ref()]);
    assert_eq!(parse(&status.stdout)["files"][0]["log"]["broken_copies"], log["broken_copies"]);
    let check = medic(["check".as_ref(), data.as_os_str(), "--output".as_ref(), "json".as_ref()]);
    assert_eq!(parse(&check.stdout)["log"]["broken_copies"], log["broken_copies"]);

    // the command that is printed shows each of them
    let command = copy["command"].as_str().expect("a command");
    let shown = medic(command.split(' ').skip(1).chain(["--output", "json"]));
    let indices: Vec<u64> = String::from_utf8(shown.stdout)
        .expect("UTF-8")
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).expect("JSON")["index"].as_u64().expect("an index"))
        .collect();
    assert_eq!(indices, lost.keys().copied().collect::<Vec<_>>());
    // and so does the copy of a folder in which it takes its original's name
    let file = PathBuf::from(copy["file"].as_str().expect("a name"));
    fs::rename(wal.join(&file), wal.join(file.with_extension(""))).expect("renamed");
    let renamed = entries(&data);
    assert!(lost.iter().all(|(index, message)| renamed.get(index) == Some(message)));
}

fn range(indices: impl Iterator<Item = u64> + Clone) -> Value {
    let (first, last) = (indices.clone().min().unwrap_or(0), indices.clone().max().unwrap_or(0));
    serde_json::json!({ "count": indices.count(), "first_index": first, "last_index": last })
}
