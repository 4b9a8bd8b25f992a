//! A backup rolled forward along the log of a real etcd, which starts from the result. `generated` compares each entry.

use std::path::Path;

use serde_json::Value;

use crate::support::peers::{Member, Peer, medic_json, number, parse, with_each_etcd};

with_each_etcd!(all_keys_are_back_after_an_accident);

/// What the running etcd had when it had applied an entry.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Point {
    index: u64,
    revision: i64,
    hash: i64,
    compact_revision: i64,
}

impl Point {
    fn of(member: &Member) -> Self {
        let status = parse(member.ctl(["endpoint", "status", "-w", "json"]).as_bytes());
        let status = &status[0]["Status"];
        let index = number(&status["raftAppliedIndex"]).unsigned_abs();
        let (hash, compact_revision) = member.hash_kv(0);
        Self { index, revision: number(&status["header"]["revision"]), hash, compact_revision }
    }

    fn of_replay(json: &Value) -> Self {
        let to = &json["to"];
        Self {
            index: number(&to["index"]).unsigned_abs(),
            revision: number(&to["revision"]),
            hash: number(&json["hash_kv"]),
            compact_revision: match number(&to["compact_revision"]) {
                // etcd says 0 up to 3.4, and -1 from 3.5 on
                -1 => 0,
                revision => revision,
            },
        }
    }
}

fn replayed(peer: &Peer, base: &Path, member: &Member, out: &Path, until: &[&str]) -> Value {
    let [base, log, out] = [base, member.data_dir(), out].map(|path| path.to_str().expect("UTF-8"));
    let version = format!("--etcd=3.{}.{}", peer.minor(), peer.patch());
    let args = ["replay", base, "--log", log, "-o", out, "--force", &version];
    medic_json(0, [&args, until].concat())
}

/// A backup, more writes, and then everything is deleted: the backup is rolled forward to the moment before, and etcd starts from it.
fn all_keys_are_back_after_an_accident(peer: &Peer) {
    let mut member = peer.start(&[]);
    member.ctl(["put", "/replay/old", "in the backup"]);
    let base = member.snapshot("base.db");
    member.write_some_of_everything();
    let (before, keys) = (Point::of(&member), member.keys(&[]));
    member.ctl(["del", "", "--prefix"]);
    member.ctl(["put", "/replay/after", "the accident"]);
    member.stop();
    let out = member.folder().join("out.db");
    let json = replayed(peer, &base, &member, &out, &["--before-delete", "/interop/middle", "--snapshot"]);
    let expected = Point { compact_revision: before.compact_revision.max(0), ..before };
    assert_eq!(Point::of_replay(&json), expected, "{json:#}");
    let restored = peer.start_on(peer.restore(&out, &[]), &[], None);
    assert_eq!(restored.keys(&[]), keys);
}
