//! etcd's small buckets, which are not small here.

use etcd_medic::internals::etcd::schema::{Alarm, Lease};
use prost::Message;

use super::super::support::builder::{Entry, plain};
use super::super::support::etcd_file::put;
use super::files::{of_etcd, with_bucket};

pub fn members(n: usize) -> Vec<u8> {
    with_bucket("members", (0..n).map(|n| plain(format!("{n:016x}"), format!(r#"{{"id":{n}}}"#))).collect())
}

pub fn no_members(n: usize) -> Vec<u8> {
    with_bucket("members", (0..n).map(|n| plain(format!("{n:08x}"), "{}")).collect())
}

pub fn member_urls(n: usize) -> Vec<u8> {
    let urls = vec![r#""""#; n].join(",");
    with_bucket("members", vec![plain("0000000000000001", format!(r#"{{"id":1,"peerURLs":[{urls}]}}"#))])
}

pub fn member_name(n: usize) -> Vec<u8> {
    let name = "m".repeat(n);
    with_bucket("members", vec![plain("0000000000000001", format!(r#"{{"id":1,"name":"{name}"}}"#))])
}

pub fn members_of_long_names(n: usize) -> Vec<u8> {
    let member = |n| plain(format!("{n:016x}"), format!(r#"{{"id":{n},"name":"{}"}}"#, "m".repeat(29_000)));
    with_bucket("members", (0..n).map(member).collect())
}

pub fn removed_members(n: usize) -> Vec<u8> {
    with_bucket("members_removed", (0..n).map(|n| plain(format!("{n:016x}"), "removed")).collect())
}

pub fn leases(n: usize) -> Vec<u8> {
    let lease = |id: i64| plain(id.to_be_bytes(), Lease { id, ttl: 1, remaining_ttl: 0 }.encode_to_vec());
    with_bucket("lease", (1..).take(n).map(lease).collect())
}

pub fn alarms(n: usize) -> Vec<u8> {
    let mut alarms: Vec<_> =
        (1..).take(n).map(|member_id| plain(Alarm { member_id, alarm: 1 }.encode_to_vec(), "")).collect();
    alarms.sort_by(|a, b| a.key.cmp(&b.key));
    with_bucket("alarm", alarms)
}

pub fn users(n: usize) -> Vec<u8> {
    let named = || (0..n / 2).map(|n| plain(format!("{n:08x}"), "")).collect();
    of_etcd(&record(), &[("authUsers", named()), ("authRoles", named())])
}

pub fn cluster_version(n: usize) -> Vec<u8> {
    with_bucket("cluster", vec![plain("clusterVersion", "\u{1b}".repeat(n))])
}

pub fn storage_version(n: usize) -> Vec<u8> {
    with_bucket("meta", vec![plain("storageVersion", "3 .".repeat(n / 3))])
}

pub fn voters(n: usize) -> Vec<u8> {
    let voters = vec!["0"; n].join(",");
    with_bucket("meta", vec![plain("confState", format!(r#"{{"voters":[{voters}]}}"#))])
}

pub fn conf_state_of_objects(n: usize) -> Vec<u8> {
    let objects = vec![r#"{"":0}"#; n].join(",");
    with_bucket("meta", vec![plain("confState", format!(r#"{{"voters":[1],"x":[{objects}]}}"#))])
}

fn record() -> [Entry; 1] {
    [put(2, b"a", 2, 1, b"", 0)]
}
