//! What a running etcd had at an entry, and what a replay to that entry has.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use etcd_medic::internals::etcd::apply::Machine;
use etcd_medic::internals::etcd::schema::State;
use etcd_medic::{Lock, Progress, ReplayReport};
use serde_json::{Value, json};

use crate::support::gateway::{Gateway, id, integer};
use crate::support::peers::Member;

/// The keys, by etcd's own hash.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Point {
    pub index: u64,
    pub revision: i64,
    /// 0 or less for never.
    pub compact_revision: i64,
    pub hash: i64,
}

#[derive(Clone, PartialEq, Eq, Debug)]
struct OneMember {
    is_learner: bool,
    name: String,
    peer_urls: Vec<String>,
    client_urls: Vec<String>,
}

/// All that is no key.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Others {
    /// As (id, seconds).
    leases: BTreeSet<(i64, i64)>,
    /// As (kind, member).
    alarms: BTreeSet<(i32, u64)>,
    members: BTreeMap<u64, OneMember>,
    cluster_version: String,
}

/// What etcd has when nothing is left to be applied: asked until nothing happens meanwhile, as leases end on their own.
pub fn settled(member: &Member, gateway: &mut Gateway, with_others: bool) -> (Point, Option<Others>) {
    for _ in 0..100 {
        // asking for them makes an entry
        let alarms = with_others.then(|| alarms(gateway));
        // answered when all entries before it are applied; refused as long as CORRUPT is in force, but not before that
        let _ = gateway.ask("/v3/kv/range", &json!({"key": "AA==", "count_only": true}));
        let before = status(gateway);
        let (hash, compact_revision) = hash_kv(member, gateway);
        let others = alarms.map(|alarms| Others::of_etcd(gateway, alarms));
        if status(gateway) == before {
            let (index, revision) = before;
            let point = Point { index, revision, compact_revision: compact_revision.max(0), hash };
            return (point, others);
        }
    }
    panic!("etcd did not come to rest; its log:\n{}", member.log());
}

/// Index and revision.
fn status(gateway: &mut Gateway) -> (u64, i64) {
    let status = gateway.ask("/v3/maintenance/status", &json!({})).expect("a status");
    (id(&status["raftAppliedIndex"]), integer(&status["header"]["revision"]))
}

/// Hash and compact revision. Where there is no path for it (3.4, 3.5.1), `etcdctl` asks.
fn hash_kv(member: &Member, gateway: &mut Gateway) -> (i64, i64) {
    match gateway.ask("/v3/maintenance/hashkv", &json!({})) {
        Ok(said) => (integer(&said["hash"]), integer(&said["compact_revision"])),
        Err(_) => member.hash_kv(0),
    }
}

/// As (kind, member).
fn alarms(gateway: &mut Gateway) -> BTreeSet<(i32, u64)> {
    let said = gateway.ask("/v3/maintenance/alarm", &json!({"action": "GET"})).expect("alarms");
    let alarms = list(&said["alarms"]);
    // a kind of 0, NONE, is left out
    let kind = |alarm: &Value| match alarm["alarm"].as_str() {
        Some("NOSPACE") => 1,
        Some("CORRUPT") => 2,
        _ => 0,
    };
    alarms.iter().map(|alarm| (kind(alarm), id(&alarm["memberID"]))).collect()
}

/// A list, which this JSON leaves out if it is empty.
fn list(value: &Value) -> Vec<Value> {
    value.as_array().cloned().unwrap_or_default()
}

impl Point {
    pub fn of_replay(report: &ReplayReport) -> Self {
        Self {
            index: report.to.index,
            revision: report.to.revision,
            compact_revision: report.to.compact_revision.max(0),
            hash: report.hash_kv.map_or(-1, i64::from),
        }
    }
}

impl Others {
    fn of_etcd(gateway: &mut Gateway, alarms: BTreeSet<(i32, u64)>) -> Self {
        let mut ask = |path: &str, request: Value| gateway.ask(path, &request).expect("an answer");
        let texts = |value: &Value| -> Vec<String> {
            list(value).iter().map(|text| text.as_str().expect("text").to_owned()).collect()
        };
        let leases = list(&ask("/v3/lease/leases", json!({}))["leases"]);
        let leases = leases.iter().map(|lease| {
            let time = ask("/v3/lease/timetolive", json!({"ID": lease["ID"]}));
            (integer(&lease["ID"]), integer(&time["grantedTTL"]))
        });
        let leases = leases.collect();
        let members = list(&ask("/v3/cluster/member/list", json!({}))["members"]);
        let members = members.iter().map(|member| {
            let name = member["name"].as_str().unwrap_or_default().to_owned();
            let (peer_urls, client_urls) = (texts(&member["peerURLs"]), texts(&member["clientURLs"]));
            let is_learner = member["isLearner"] == true;
            (id(&member["ID"]), OneMember { is_learner, name, peer_urls, client_urls })
        });
        Self {
            leases,
            alarms,
            members: members.collect(),
            cluster_version: gateway.get("/version")["etcdcluster"].as_str().expect("a version").to_owned(),
        }
    }

    /// As a new db has it.
    pub fn of_db(path: &Path) -> Self {
        // a process that another test starts may have it open for a moment
        let file = etcd_medic::open_with(path, &Lock::None.into(), Progress::SILENT).expect("a db");
        let state = State::read(&file.db);
        let members = state.members.iter().map(|member| {
            let [peer_urls, client_urls] =
                [&member.peer_urls, &member.client_urls].map(|urls| urls.clone().unwrap_or_default());
            let (is_learner, name) = (member.is_learner, member.name.clone());
            (member.id.0, OneMember { is_learner, name, peer_urls, client_urls })
        });
        Self {
            leases: state.leases.iter().map(|lease| (lease.id, lease.ttl)).collect(),
            alarms: state.alarms.iter().map(|alarm| (alarm.alarm, alarm.member_id)).collect(),
            members: members.collect(),
            cluster_version: state.cluster_version.unwrap_or_default(),
        }
    }

    /// As the entries make it from nothing.
    pub fn of_machine(machine: &Machine<'_>) -> Self {
        let members = machine.members.rows.values().map(|row| {
            let [peer_urls, client_urls] =
                [&row.peer_urls, &row.client_urls].map(|urls| urls.clone().unwrap_or_default());
            let (is_learner, name) = (row.is_learner, row.name.clone());
            (row.id, OneMember { is_learner, name, peer_urls, client_urls })
        });
        Self {
            leases: machine.store.leases.iter().map(|(id, time)| (*id, time.ttl)).collect(),
            alarms: machine.alarms.iter().collect(),
            members: members.collect(),
            cluster_version: machine.members.cluster_version.clone().unwrap_or_default(),
        }
    }
}
