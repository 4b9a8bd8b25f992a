//! Made-up files beside a real etcd: it restores them, starts from them, and answers what they say.
//!
//! `tests/support/peers.rs` says how etcd is found and run.

use std::path::PathBuf;

use crate::support::peers::{
    Member, Peer, assert_bbolt_accepts, medic_json, number, parse, succeeded, with_each_newest_etcd,
};
use etcd_medic::internals::copy::Progress;
use etcd_medic::internals::synth::{Extent, SynthOptions, SynthReport, SynthRequest, synth};
use serde_json::Value;
use tempfile::TempDir;

with_each_newest_etcd!(lives_on, alarm_is_raised, tools_read_it);

/// etcd restores the file, has what is in it, takes writes, compacts and defragments.
fn lives_on(peer: &Peer) {
    let made = Made::new(SynthOptions::new(5, Extent::Bytes(8 << 20)));
    let (revision, compacted) = (number(&made.report["revision"]), number(&made.report["compact_revision"]));
    let keys = number(&made.report["keys"]);
    let member = peer.start_on(peer.restore(&made.path, &[]), &[], None);
    assert_eq!(member.revision(), revision);
    assert_eq!(count_at(&member, &[]), keys);
    let leases = member.ctl(["lease", "list"]).lines().skip(1).count();
    assert_eq!(leases as i64, number(&made.report["leases"]));
    assert!(count_at(&member, &[&format!("--rev={}", compacted + 1)]) > 100, "history above the compaction");
    let gone = member.try_ctl(["get", "a", &format!("--rev={}", compacted - 1)]);
    assert!(String::from_utf8_lossy(&gone.stderr).contains("has been compacted"), "{gone:?}");
    let hash = medic_json(0, ["hash".as_ref(), &*made.path]);
    assert_eq!((number(&hash["hash_kv"]["hash"]), compacted), member.hash_kv(revision));

    member.ctl(["put", "/interop/new", "throw-away text"]);
    assert_eq!(member.ctl(["get", "/interop/new", "--print-value-only"]).trim(), "throw-away text");
    member.ctl(["compaction", "--physical", &(revision + 1).to_string()]);
    member.ctl(["defrag"]);
    assert_eq!(count_at(&member, &[]), keys + 1);
}

fn alarm_is_raised(peer: &Peer) {
    let made = Made::new(SynthOptions { nospace: true, ..SynthOptions::new(6, Extent::Bytes(2 << 20)) });
    let member = peer.start_on(peer.restore(&made.path, &[]), &[], None);
    assert!(member.ctl(["alarm", "list"]).contains("NOSPACE"));
    let put = member.try_ctl(["put", "/interop/new", "throw-away text"]);
    assert!(String::from_utf8_lossy(&put.stderr).contains("database space exceeded"), "{put:?}");
}

fn tools_read_it(peer: &Peer) {
    let made = Made::new(SynthOptions::new(8, Extent::Bytes(8 << 20)));
    let copy = made.folder.path().join("copy.db");
    std::fs::copy(&made.path, &copy).expect("a copy");
    let said = peer.snapshot_status(&copy);
    assert_eq!(said["revision"], made.report["revision"]);
    let ours = &medic_json(0, ["hash".as_ref(), &*made.path])["snapshot_status"];
    assert_eq!(said["hash"], ours["hash"]);
    let total = if peer.counts_keys_that_exist() { "total_key" } else { "total_entries" };
    assert_eq!(said["totalKey"], ours[total]);
    assert_eq!(number(&said["totalSize"]), number(&made.report["file_bytes"]) - 32);
}

fn count_at(member: &Member, flags: &[&str]) -> i64 {
    let mut get = member.etcdctl();
    let answer = succeeded(get.args(["get", "--prefix", "", "--keys-only", "-w", "json"]).args(flags));
    number(&parse(&answer)["count"])
}

/// A made-up snapshot.
struct Made {
    folder: TempDir,
    path: PathBuf,
    /// As the program prints it.
    report: Value,
}

impl Made {
    fn new(options: SynthOptions) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("synth.db");
        let request = SynthRequest { target: path.clone(), force: false, snapshot: true, options };
        let silent = Progress::SILENT;
        let report: SynthReport = synth(&request, silent).expect("made");
        assert_bbolt_accepts(&path, "made up");
        Self { folder, path, report: parse(&serde_json::to_vec(&report).expect("JSON")) }
    }
}
