//! A db rolled forward, and what real etcd had at the same entries.

use std::fs;
use std::io::{Write, stderr};
use std::path::{Path, PathBuf};

use etcd_medic::{LogFiles, Progress, ReplayRequest, Until};
use serde_json::Value;
use tempfile::TempDir;

use crate::support::member_log::unpack;

/// The folder of member corpora.
const MEMBERS: &str = "ETCD_MEDIC_MEMBERS";

/// A log, the db of an earlier stop, and what the running etcd said at many entries.
struct Recorded {
    name: String,
    folder: TempDir,
    at: Vec<Value>,
}

fn recorded() -> Vec<Recorded> {
    let Some(members) = std::env::var_os(MEMBERS).map(PathBuf::from) else {
        writeln!(stderr(), "{MEMBERS} is not set: no log of a real member is replayed").expect("written");
        return Vec::new();
    };
    let mut folders: Vec<_> =
        fs::read_dir(members).expect("a folder").map(|entry| entry.expect("an entry").path()).collect();
    folders.sort();
    let read = |folder: &PathBuf| {
        let is_log =
            ["k8s-log", "mixed-log", "nospace", "auth-log"].iter().any(|case| name(folder).starts_with(case));
        let unpacked = is_log.then(|| unpack(&folder.join("member.tar.zst")))?;
        let at = fs::read(unpacked.path().join("hashkv_at_index.json")).ok()?;
        let at: Value = serde_json::from_slice(&at).expect("JSON");
        Some(Recorded {
            name: name(folder),
            at: at["at"].as_array().expect("a list").clone(),
            folder: unpacked,
        })
    };
    folders.iter().filter_map(read).collect()
}

fn name(folder: &Path) -> String {
    folder.file_name().expect("a name").to_string_lossy().into_owned()
}

#[test]
fn at_each_entry_it_is_what_etcd_had() {
    let mut compared = 0;
    for Recorded { name, folder, at } in recorded().iter().filter(|log| !log.name.starts_with("auth")) {
        let base = etcd_medic::open(folder.path().join("base.db")).expect("a db");
        let log = LogFiles::open(&folder.path().join("m1"), None).expect("a log");
        let target = folder.path().join("new.db");
        for truth in at {
            let index = truth["index"].as_u64().expect("an index");
            let mut request = ReplayRequest::to(&target);
            (request.force, request.until) = (true, Until::Index(index));
            let report = base
                .replay(&log, &request, Progress::SILENT)
                .unwrap_or_else(|error| panic!("{name} {index}: {error}"));
            let found = (report.to.revision, report.to.compact_revision, report.hash_kv.map(u64::from));
            let expected = (
                truth["revision"].as_i64().expect("a revision"),
                truth["compact_revision"].as_i64().expect("one"),
                truth["hashkv"].as_u64(),
            );
            assert_eq!(found, expected, "{name}, entry {index}, rules {:?}", report.rules);
            compared += 1;
        }
    }
    writeln!(stderr(), "{compared} entries compared").expect("written");
    assert!(compared > 0 || std::env::var_os(MEMBERS).is_none(), "no log has what etcd said");
}
