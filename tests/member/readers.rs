//! What other readers find in the logs of real members: etcd's own, and the one that wrote down the truth of each directory.

use std::collections::BTreeMap;
use std::io::{Write, stderr};
use std::path::Path;

use etcd_medic::LogFiles;
use etcd_medic::internals::member::ReadLog;
use etcd_medic::internals::member::message::EntryData;
use serde_json::Value;

use crate::replayed::corpora;
use crate::support::peers::{bounded, program_folder};

/// An entry's term, and whether it changes the members.
type Entry = (u64, bool);

#[test]
fn the_entries_that_other_readers_found() {
    let tools = program_folder("tools", "etcd-dump-logs of");
    let (mut read, mut dumped) = (0, 0);
    for (case, folder, truth) in corpora("") {
        for (member, expected) in truth["members"].as_object().into_iter().flatten() {
            let name = format!("{case} {member}");
            let dir = folder.path().join(member);
            let Ok(log) = LogFiles::open(&dir, None) else {
                assert!(expected["last_entry"].as_u64().unwrap_or(0) == 0, "{name}: no log");
                continue;
            };
            let found = log.read();
            assert_truth(&name, &found, expected);
            if let Some(entries) = tools.as_deref().and_then(|tools| by_etcd(tools, &dir)) {
                assert_by_etcd(&name, &found, &entries);
                dumped += 1;
            }
            read += 1;
        }
    }
    writeln!(stderr(), "{read} logs of members read, {dumped} of them by etcd-dump-logs, too")
        .expect("written");
    assert!(dumped > 80 || read == 0 || tools.is_none(), "etcd-dump-logs reads {dumped} of {read} logs");
}

/// An independent reader, which ends at the first frame that it can't follow and checks no checksum, found these entries.
fn assert_truth(name: &str, found: &ReadLog<'_>, expected: &Value) {
    let has = |index: &Value| {
        let index = index.as_u64().unwrap_or(0);
        index == 0 || found.stretch_with(index).is_some()
    };
    let count = expected["entries"].as_u64().unwrap_or(0);
    // what has a wrong checksum, or is of another member, that reader takes
    let is_changed_within =
        ["crc-flip", "torn", "conflicting-metadata"].iter().any(|changed| name.starts_with(changed));
    if is_changed_within {
        let kept = found.num_entries() + found.foreign_entries;
        assert!(found.num_faults > 0 && kept + 2 >= count, "{name}: {kept} of {count}");
    } else {
        assert!(has(&expected["last_entry"]), "{name}: {:?}", found.faults);
        assert!(has(&expected["first_entry"]), "{name}: {:?}", found.faults);
        assert!(found.num_entries() >= count, "{name}: {} of {count}", found.num_entries());
    }
}

/// What etcd reads from entry 2 on; `None` where it can't.
fn by_etcd(tools: &Path, data_dir: &Path) -> Option<BTreeMap<u64, Entry>> {
    let mut dump = bounded(&tools.join("etcd-dump-logs"));
    let output = dump.args(["--start-index", "1"]).arg(data_dir).output().expect("etcd-dump-logs");
    let entries = String::from_utf8_lossy(&output.stdout).lines().filter_map(entry).collect();
    output.status.success().then_some(entries)
}

/// A line of columns between tabs: term, index, `norm` or `conf`, and the request.
fn entry(line: &str) -> Option<(u64, Entry)> {
    let mut columns = line.split('\t');
    let mut number = || columns.next()?.trim().parse().ok();
    let (term, index) = (number()?, number()?);
    match columns.next()? {
        "norm" => Some((index, (term, false))),
        "conf" => Some((index, (term, true))),
        _ => None,
    }
}

/// Of a log without a fault they are the same. Of another one, etcd reads as far as the fault.
fn assert_by_etcd(name: &str, found: &ReadLog<'_>, expected: &BTreeMap<u64, Entry>) {
    let entries = found.stretches.iter().flat_map(|stretch| stretch.entries());
    let entries: BTreeMap<_, _> = entries
        .filter(|entry| entry.index > 1)
        .map(|entry| (entry.index, (entry.term, matches!(entry.content, EntryData::ConfChange(..)))))
        .collect();
    if found.num_faults == 0 {
        assert_eq!(entries, *expected, "{name}");
    }
    for (index, entry) in expected {
        assert_eq!(entries.get(index), Some(entry), "{name}, entry {index}: {:?}", found.faults);
    }
}
