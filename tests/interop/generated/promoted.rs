//! A second member that joins as a learner, becomes a voter, and is removed again: a replay to each of these has the members that etcd
//! had.

use std::fs::File;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use etcd_medic::LogFiles;
use etcd_medic::internals::etcd::apply::{Machine, Rules};
use etcd_medic::internals::replay::steps;
use serde_json::json;

use crate::support::gateway::{Gateway, bytes, id};
use crate::support::peers::{Peer, Process, free_ports, with_each_etcd, without_settings};

use super::recorded::{Others, Point, settled};
use super::requests::{ADD, PROMOTE, PUT, REMOVE};
use super::{replay, version};

with_each_etcd!(a_learner_becomes_a_voter);

fn a_learner_becomes_a_voter(peer: &Peer) {
    let mut member = peer.start(&[]);
    member.ctl(["put", "/promoted/a", "text"]);
    let base = member.snapshot("base.db");
    let mut gateway = Gateway::to(member.endpoint());
    let [client, port] = free_ports().map(|port| format!("http://127.0.0.1:{port}"));
    let cluster = format!("interop={},second={port}", gateway.peer_url());
    let added = gateway.ask(ADD, &json!({"peerURLs": [port], "isLearner": true})).expect("added");
    let second = id(&added["member"]["ID"]).to_string();
    let process = join(peer, member.folder(), &cluster, &client, &port);
    let mut recorded = Vec::new();
    // a learner that has not caught up is not promoted
    for (path, request) in [(PROMOTE, json!({"ID": second})), (REMOVE, json!({"ID": second}))] {
        let deadline = Instant::now() + Duration::from_secs(30);
        while let Err(said) = gateway.ask(path, &request) {
            assert!(Instant::now() < deadline, "{path}: {said}");
            std::thread::sleep(Duration::from_millis(100));
        }
        gateway.ask(PUT, &json!({"key": bytes(b"/promoted/b"), "value": bytes(b"text")})).expect("a put");
        recorded.push(settled(&member, &mut gateway, true));
    }
    member.kill();
    drop(process);

    let base = etcd_medic::open(base).expect("a db");
    let log = LogFiles::open(member.data_dir(), None).expect("a log");
    let read = log.read();
    let mut machine = Machine::empty(Rules::of(version(peer)));
    for (point, others) in recorded {
        steps::run(&mut machine, &read, point.index, &mut |_| {}, &mut |_| true).expect("applied");
        assert_eq!(Some(Others::of_machine(&machine)), others);
        let target = member.folder().join(format!("{}.db", point.index));
        let report = replay(&base, &log, version(peer), point.index, &target);
        assert_eq!(Point::of_replay(&report), point);
        // what its db lacks, the db made of it lacks, too
        if !peer.keeps_rows_of_members() {
            assert_eq!(Some(Others::of_db(&target)), others);
        }
    }
}

fn join(peer: &Peer, folder: &Path, cluster: &str, client: &str, port: &str) -> Process {
    let mut etcd = without_settings(Command::new(peer.bin().join("etcd")));
    etcd.args(["--name=second", "--initial-cluster-state=existing", "--initial-cluster", cluster]);
    etcd.arg("--data-dir").arg(folder.join("second"));
    etcd.args(["--listen-client-urls", client, "--advertise-client-urls", client]);
    etcd.args(["--listen-peer-urls", port, "--initial-advertise-peer-urls", port]);
    let log = File::create(folder.join("second.log")).expect("a log");
    etcd.stdin(Stdio::null()).stdout(log.try_clone().expect("a handle")).stderr(log);
    Process(etcd.spawn().expect("etcd"))
}
