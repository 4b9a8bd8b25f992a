//! Logs of real etcds, rolled forward: at each entry the db is what etcd had, and etcd starts from it.

use std::io::{Write, stderr};
use std::path::Path;

use serde_json::Value;

use crate::support::peers::{Member, Peer, medic_json, number, parse, with_each_etcd};
use crate::support::random::Random;

with_each_etcd!(each_entry_is_what_etcd_had, all_keys_are_back_after_an_accident);

/// Requests that are made.
const REQUESTS: u32 = 45;

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

/// A request by chance; about one in eight is refused.
fn request(member: &Member, random: &mut Random, leases: &mut Vec<String>) {
    let key = format!("/replay/{}", random.below(12));
    let other = format!("/replay/{}", random.below(12));
    let value = format!("value {}", random.next());
    let _ = match random.below(16) {
        0..=4 => member.try_ctl(["put", &key, &value]),
        5 => member.try_ctl([
            "put",
            &key,
            "--ignore-value",
            &format!("--lease={}", leases.last().map_or("1f", String::as_str)),
        ]),
        6 => member.try_ctl(["put", &key, &value, "--lease=1234567"]),
        7 => member.try_ctl(["del", &key]),
        8 => member.try_ctl(["del", &key, &other]),
        9 => {
            leases.push(member.grant(7200));
            member.try_ctl(["put", &key, &value, &format!("--lease={}", leases.last().expect("a lease"))])
        }
        10 => match leases.pop() {
            Some(lease) => member.try_ctl(["lease", "revoke", &lease]),
            None => member.try_ctl(["put", &key, ""]),
        },
        11 if random.percent(40) => {
            let revision = member.revision() - 2;
            member.try_ctl(["compact", &revision.to_string()])
        }
        _ => {
            member.txn(&[
                format!("put {key} \"{value}\""),
                format!("del {other}x"),
                format!("put {other}y \"\""),
            ]);
            return;
        }
    };
}

fn replayed(peer: &Peer, base: &Path, member: &Member, out: &Path, until: &[&str]) -> Value {
    let [base, log, out] = [base, member.data_dir(), out].map(|path| path.to_str().expect("UTF-8"));
    let version = format!("--etcd=3.{}.{}", peer.minor(), peer.patch());
    let args = ["replay", base, "--log", log, "-o", out, "--force", &version];
    medic_json(0, [&args, until].concat())
}

fn each_entry_is_what_etcd_had(peer: &Peer) {
    let mut member = peer.start(&[]);
    member.ctl(["put", "/replay/0", "first"]);
    let base = member.snapshot("base.db");
    let mut random = Random(u64::from(peer.minor()) * 1000 + u64::from(peer.patch()));
    let (mut leases, mut points) = (Vec::new(), Vec::new());
    for _ in 0..REQUESTS {
        request(&member, &mut random, &mut leases);
        points.push(Point::of(&member));
    }
    member.kill();
    let out = member.folder().join("out.db");
    for point in &points {
        let json = replayed(peer, &base, &member, &out, &["--until-index", &point.index.to_string()]);
        let expected = Point { compact_revision: point.compact_revision.max(0), ..point.clone() };
        assert_eq!(Point::of_replay(&json), expected, "{json:#}");
    }
    writeln!(
        stderr(),
        "{} entries compared with etcd {}",
        points.len(),
        format_args!("3.{}.{}", peer.minor(), peer.patch())
    )
    .expect("written");
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
