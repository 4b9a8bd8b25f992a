//! Requests by chance, of every kind that makes an entry; about one in eight is refused.

use serde_json::{Value, json};

use crate::support::gateway::{bytes, id, integer};
use crate::support::peers::Peer;
use crate::support::random::Random;

use super::txn;

/// Where a request goes, and what it says.
pub type Request = (&'static str, Value);

pub const PUT: &str = "/v3/kv/put";
const DELETE: &str = "/v3/kv/deleterange";
const TXN: &str = "/v3/kv/txn";
const COMPACT: &str = "/v3/kv/compaction";
const GRANT: &str = "/v3/lease/grant";
const REVOKE: &str = "/v3/lease/revoke";
const ALARM: &str = "/v3/maintenance/alarm";
const DOWNGRADE: &str = "/v3/maintenance/downgrade";
pub const ADD: &str = "/v3/cluster/member/add";
pub const REMOVE: &str = "/v3/cluster/member/remove";
const UPDATE: &str = "/v3/cluster/member/update";
pub const PROMOTE: &str = "/v3/cluster/member/promote";

/// A lease that never exists.
pub const NO_LEASE: i64 = 0x00de_ad00;
/// A key that never exists.
pub const NO_KEY: &[u8] = b"never";

/// Makes requests, and learns from the answers what can be asked next.
pub struct Requests {
    pub random: Random,
    minor: u32,
    is_calm: bool,
    own_url: String,
    leases: Vec<i64>,
    /// Leases that were revoked, or have ended.
    old_leases: Vec<i64>,
    learners: Vec<u64>,
    /// As (kind, member).
    pub alarms: Vec<(&'static str, u64)>,
    had_both_alarms: bool,
    pub revision: i64,
    asked: u64,
    /// How many had been asked at the last request about an alarm.
    last_alarm: u64,
}

impl Requests {
    /// Calm ones end no lease, and etcd is not killed when its alarms are in doubt.
    pub fn new(seed: u64, peer: &Peer, own_url: String, is_calm: bool) -> Self {
        Self {
            is_calm,
            random: Random(seed),
            minor: peer.minor(),
            own_url,
            leases: Vec::new(),
            old_leases: Vec::new(),
            learners: Vec::new(),
            alarms: Vec::new(),
            had_both_alarms: false,
            revision: 1,
            asked: 0,
            last_alarm: 0,
        }
    }

    /// Whether a range of a transaction's outermost level may be at a revision that does not exist: until 3.6 the member that is asked
    /// refuses it, and carries it out when it is started anew (etcd#18667).
    pub fn checks_outer_ranges(&self) -> bool {
        self.minor >= 7
    }

    pub fn next(&mut self) -> Request {
        self.asked += 1;
        if !self.alarms.is_empty() && self.random.percent(30) {
            return self.disarm();
        }
        match self.random.below(200) {
            0..=54 => self.put(),
            55..=66 => self.put_that_keeps(),
            67..=70 => {
                (PUT, json!({"key": self.key(), "value": self.value(), "lease": NO_LEASE.to_string()}))
            }
            71..=86 => (DELETE, json!({"key": self.key()})),
            87..=96 => self.delete_range(),
            97..=146 => (TXN, txn::txn(self)),
            147..=154 => self.compact(),
            155..=170 => self.grant(),
            171..=180 => self.revoke(),
            181..=185 => self.raise(),
            186..=198 => self.member(),
            _ if self.minor >= 6 && self.random.percent(30) => self.downgrade(),
            _ => self.put(),
        }
    }

    /// Takes note of an answer.
    pub fn heard(&mut self, request: &Request, answer: &Result<Value, String>) {
        let (path, body) = request;
        let Ok(answer) = answer else {
            // it has ended
            let lease = integer(&body["lease"]);
            if answer.as_ref().is_err_and(|said| said.contains("lease not found"))
                && self.leases.contains(&lease)
            {
                self.forget(lease);
            }
            return;
        };
        match *path {
            GRANT => self.leases.push(integer(&answer["ID"])),
            REVOKE => self.forget(integer(&body["ID"])),
            ADD => self.learners.push(id(&answer["member"]["ID"])),
            REMOVE => self.learners.retain(|learner| json!(learner.to_string()) != body["ID"]),
            ALARM => {
                self.last_alarm = self.asked;
                let kinds = ["NONE", "NOSPACE", "CORRUPT"];
                let kind = kinds.into_iter().find(|kind| body["alarm"] == *kind).expect("a kind");
                let alarm = (kind, id(&body["memberID"]));
                self.alarms.retain(|set| *set != alarm);
                if body["action"] == "ACTIVATE" {
                    self.alarms.push(alarm);
                }
                let is_set = |kind| self.alarms.iter().any(|(set, _)| *set == kind);
                self.had_both_alarms |= is_set("CORRUPT") && is_set("NOSPACE");
                self.had_both_alarms &= !self.alarms.is_empty();
            }
            _ => {}
        }
    }

    fn forget(&mut self, lease: i64) {
        self.leases.retain(|known| *known != lease);
        self.old_leases.push(lease);
    }

    /// Whether alarms are set and not in force, until the next start: in 3.4 and 3.5 the last one that was raised takes the place of
    /// the other, and none is in force when one of them is disarmed.
    pub fn is_alarm_in_doubt(&self) -> bool {
        self.minor <= 5 && self.had_both_alarms
    }

    /// 3.4 applies again what came after the last change of a key that its db has, and may carry out then what an alarm refused before: it
    /// becomes another history. A tenth of a second later its db has all.
    pub fn may_be_killed(&self) -> bool {
        if self.is_calm && self.is_alarm_in_doubt() {
            return false;
        }
        self.minor >= 5 || self.alarms.is_empty() && self.asked > self.last_alarm + 30
    }

    pub fn killed(&mut self) {
        self.had_both_alarms = false;
    }

    pub fn key(&mut self) -> Value {
        let key = if self.random.percent(75) {
            format!("k/{:02}", self.random.below(24))
        } else {
            format!("r/{:02}", self.random.below(16))
        };
        bytes(key.as_bytes())
    }

    pub fn value(&mut self) -> Value {
        let len = self.random.index(300);
        let value = if self.random.percent(70) {
            format!("v{}", self.random.below(4)).into_bytes()
        } else {
            self.random.bytes(len)
        };
        bytes(&value)
    }

    /// A lease that exists, or did, or none.
    pub fn lease(&mut self) -> i64 {
        if self.leases.is_empty() || self.random.percent(60) { 0 } else { self.random.one_of(&self.leases) }
    }

    fn put(&mut self) -> Request {
        (PUT, json!({"key": self.key(), "value": self.value(), "lease": self.lease().to_string()}))
    }

    fn put_that_keeps(&mut self) -> Request {
        let key = if self.random.percent(8) { bytes(NO_KEY) } else { self.key() };
        match self.random.below(3) {
            0 => (PUT, json!({"key": key, "ignore_value": true, "lease": self.lease().to_string()})),
            1 => (PUT, json!({"key": key, "ignore_lease": true, "value": self.value()})),
            _ => (PUT, json!({"key": key, "ignore_lease": true, "ignore_value": true})),
        }
    }

    /// A range of keys: some, all from one on, none, all.
    pub fn range(&mut self) -> (Value, Value) {
        let (low, high) = (self.random.below(16), self.random.below(16));
        match self.random.below(12) {
            0 => (bytes(b"r/12"), bytes(b"\0")),
            1 => (bytes(b"r/08"), bytes(b"r/02")),
            2 => (bytes(b"s"), bytes(b"t")),
            3 => (bytes(b"r/"), bytes(b"r0")),
            _ => {
                let [key, end] =
                    [low.min(high), low.max(high)].map(|number| bytes(format!("r/{number:02}").as_bytes()));
                (key, end)
            }
        }
    }

    fn delete_range(&mut self) -> Request {
        if self.random.percent(4) {
            return (DELETE, json!({"key": "AA==", "range_end": "AA=="}));
        }
        let (key, range_end) = self.range();
        (DELETE, json!({"key": key, "range_end": range_end, "prev_kv": self.random.percent(20)}))
    }

    fn compact(&mut self) -> Request {
        let revision = match self.random.below(10) {
            0 => 1,
            1 | 2 => self.revision + 1000,
            // after one to revision 0 etcd takes every HashKV for that of revision 0 (`mvcc/hash.go`, `HashByRev`)
            _ => (self.revision - self.random.below(12).cast_signed()).max(1),
        };
        (COMPACT, json!({"revision": revision.to_string(), "physical": self.random.percent(30)}))
    }

    fn grant(&mut self) -> Request {
        let seconds: i64 =
            self.random.one_of(&[-1, 0, 2, 3, 60, 60, 600, 100_000, 9_000_000_000, 9_000_000_001]);
        let seconds = if self.is_calm { seconds.max(600) } else { seconds };
        let lease = match self.random.below(8) {
            0 => self.lease(),
            // until 3.4 a put that was refused for it might be carried out after a start: the grant may be in the db before its entry
            1 if self.minor >= 5 && !self.old_leases.is_empty() => self.random.one_of(&self.old_leases),
            2 => 0,
            _ => 1000 + self.asked.cast_signed(),
        };
        (GRANT, json!({"ID": lease.to_string(), "TTL": seconds.to_string()}))
    }

    fn revoke(&mut self) -> Request {
        let lease = match self.random.below(5) {
            0 => NO_LEASE,
            _ if self.leases.is_empty() => NO_LEASE,
            _ => self.random.one_of(&self.leases),
        };
        (REVOKE, json!({"ID": lease.to_string()}))
    }

    fn raise(&mut self) -> Request {
        let kind = match self.random.below(10) {
            0..=6 => "NOSPACE",
            7 | 8 => "CORRUPT",
            _ => "NONE",
        };
        let member = self.random.between(1, 3).to_string();
        (ALARM, json!({"action": "ACTIVATE", "memberID": member, "alarm": kind}))
    }

    fn disarm(&mut self) -> Request {
        let (kind, member) = self.random.one_of(&self.alarms);
        (ALARM, json!({"action": "DEACTIVATE", "memberID": member.to_string(), "alarm": kind}))
    }

    fn downgrade(&mut self) -> Request {
        let version = format!("3.{}.0", self.minor - 1);
        let action = self.random.one_of(&["ENABLE", "CANCEL", "CANCEL"]);
        (DOWNGRADE, json!({"action": action, "version": version}))
    }

    /// Learners only: they need no quorum. They never run.
    fn member(&mut self) -> Request {
        let url = format!("http://127.0.0.1:{}", self.random.between(1, 9));
        let learner = self.learners.last().copied();
        match (self.random.below(8), learner) {
            (0, _) => (REMOVE, json!({"ID": "77"})),
            // 3.7 refuses it, and takes it for its list of members when it is started again (`cluster.go`, `UpdateRaftAttributes`)
            (1, Some(learner)) if self.minor <= 6 => {
                (UPDATE, json!({"ID": learner.to_string(), "peerURLs": [self.own_url.clone()]}))
            }
            (2, Some(learner)) => (UPDATE, json!({"ID": learner.to_string(), "peerURLs": [url]})),
            (3, _) => (PROMOTE, json!({"ID": learner.unwrap_or(77).to_string()})),
            (4, _) => (ADD, json!({"peerURLs": [self.own_url.clone()], "isLearner": true})),
            (5, Some(learner)) => (REMOVE, json!({"ID": learner.to_string()})),
            (_, None) => (ADD, json!({"peerURLs": [url], "isLearner": true})),
            (6, _) => (ADD, json!({"peerURLs": [url], "isLearner": true})),
            _ => self.put(),
        }
    }
}
