//! A small etcd file made by hand, with something in each bucket.

use etcd_medic::internals::etcd::schema::{Alarm, Lease, Permission, Role, User};
use prost::Message;
use prost::encoding::{bytes, int64};

use super::builder::{Entry, FileBuilder, bucket, inline_bucket, plain};

/// The lease that exists.
pub const LEASE: i64 = 0x7d7b_a207_0000_0001;
/// The member.
pub const MEMBER: u64 = 0xddd6_0001_0002_0003;

/// A record of the `key` bucket: (main revision, key, create revision, version, value, lease).
pub fn put(main: i64, key: &[u8], create: i64, version: i64, value: &[u8], lease: i64) -> Entry {
    let mut message = Vec::new();
    bytes::encode(1, &key.to_vec(), &mut message);
    int64::encode(2, &create, &mut message);
    int64::encode(3, &main, &mut message);
    int64::encode(4, &version, &mut message);
    if !value.is_empty() {
        bytes::encode(5, &value.to_vec(), &mut message);
    }
    if lease != 0 {
        int64::encode(6, &lease, &mut message);
    }
    plain(revision(main), message)
}

/// A record that deletes a key.
pub fn tombstone(main: i64, key: &[u8]) -> Entry {
    let mut message = Vec::new();
    bytes::encode(1, &key.to_vec(), &mut message);
    plain([&revision(main)[..], b"t"].concat(), message)
}

/// The 17 bytes of a revision of one change.
pub fn revision(main: i64) -> Vec<u8> {
    [&main.to_be_bytes()[..], b"_", &0i64.to_be_bytes()].concat()
}

/// A file with these records, a few to a leaf, below a branch; and all other buckets of etcd's.
pub fn file_of(page_size: u32, records: &[Entry], per_leaf: usize) -> FileBuilder {
    let mut file = FileBuilder::new(page_size);
    let leaves: Vec<_> =
        records.chunks(per_leaf).map(|part| (part[0].key.clone(), file.leaf(part))).collect();
    let free = file.free_pages(1);
    assert!(free > 1, "a free page between others");
    let key = match leaves.as_slice() {
        [(_, only)] => *only,
        _ => file.branch(&leaves),
    };
    let lease = Lease { id: LEASE, ttl: 3600, remaining_ttl: 0 }.encode_to_vec();
    let alarm = Alarm { member_id: MEMBER, alarm: 1 }.encode_to_vec();
    let member = format!(
        r#"{{"id":{MEMBER},"peerURLs":["http://127.0.0.1:2380"],"name":"one","clientURLs":["http://127.0.0.1:2379"]}}"#
    );
    let meta = [
        plain("confState", format!(r#"{{"voters":[{MEMBER}],"auto_leave":false}}"#)),
        plain("consistent_index", 77u64.to_be_bytes()),
        plain("finishedCompactRev", revision(2)),
        plain("scheduledCompactRev", revision(2)),
        plain("storageVersion", "3.6.0"),
        plain("term", 3u64.to_be_bytes()),
    ];
    let meta = file.leaf(&meta);
    let root = file.leaf(&[
        inline_bucket("alarm", &[plain(alarm, "")]),
        inline_bucket("auth", &[plain("authEnabled", [0])]),
        inline_bucket("authRoles", &[]),
        inline_bucket("authUsers", &[]),
        inline_bucket("cluster", &[plain("clusterVersion", "3.6.0")]),
        bucket("key", key),
        inline_bucket("lease", &[plain(LEASE.to_be_bytes(), lease)]),
        inline_bucket("members", &[plain(format!("{MEMBER:x}"), member)]),
        inline_bucket("members_removed", &[]),
        bucket("meta", meta),
    ]);
    file.root(root);
    file
}

/// Sound: pods, a lease, several revisions, a deletion and a key made anew, over three leaves of 1 KiB.
pub fn small() -> FileBuilder {
    let pod = |number: u32| format!("/registry/pods/default/web-{number}").into_bytes();
    let value = b"k8s\0\x0a\x09\x0a\x02v1\x12\x03Pod\x12\x10some 16 bytes...";
    let records = [
        put(2, &pod(1), 2, 1, value, 0),
        put(3, &pod(2), 3, 1, value, LEASE),
        put(
            4,
            b"/registry/example.org/things/a/b",
            4,
            1,
            br#"{"kind":"Thing","apiVersion":"example.org/v1"}"#,
            0,
        ),
        put(5, &pod(1), 2, 2, value, LEASE),
        tombstone(6, &pod(2)),
        put(7, &pod(2), 7, 1, b"k8s:enc:aescbc:v1:key1:0123456789abcdef", 0),
        put(8, b"/app/plain", 8, 1, b"plain", 0),
        put(9, b"compact_rev_key", 9, 1, b"2", 0),
    ];
    file_of(1024, &records, 3)
}

/// Sound: forty objects over twelve leaves of 1 KiB below a branch, each put twice and a few deleted.
pub fn two_levels() -> FileBuilder {
    let key = |number: i64| format!("/registry/configmaps/default/c-{:02}", number % 40).into_bytes();
    let value = br#"{"kind":"ConfigMap","apiVersion":"v1","metadata":{"name":"c"},"data":{"a":"b"}}"#;
    let first = (2..42).map(|main| put(main, &key(main), main, 1, value, 0));
    let second = (42..82).map(|main| put(main, &key(main), main - 40, 2, value, 0));
    let deleted = (82..90).map(|main| tombstone(main, &key(main)));
    let records: Vec<_> = first.chain(second).chain(deleted).collect();
    file_of(1024, &records, 5)
}

/// An id as etcd gives it to the lease that a member grants as its `number`th.
pub fn lease_id(member: u64, number: u64) -> u64 {
    (member << 48) | (((1_700_000_000_000 << 8) & 0x0000_ffff_ffff_ffff) + number)
}

/// An entry of the `lease` bucket.
pub fn lease(id: u64) -> Entry {
    plain(id.to_be_bytes(), Lease { id: id.cast_signed(), ttl: 3600, remaining_ttl: 0 }.encode_to_vec())
}

/// An entry of the `members` bucket.
pub fn member(id: u64) -> Entry {
    let json = format!(r#"{{"id":{id},"peerURLs":["http://m-{id}.example:2380"],"name":"m-{id}"}}"#);
    plain(format!("{id:x}"), json)
}

/// An entry of the `authUsers` bucket.
pub fn user(number: u32) -> Entry {
    user_named(&format!("user-{number:03}"), number)
}

/// A user of another name.
pub fn user_named(name: &str, number: u32) -> Entry {
    let password = format!("$2a$10${number:053}").into_bytes();
    let user = User { name: name.as_bytes().to_vec(), password, roles: vec!["ops".into()], options: None };
    plain(name, user.encode_to_vec())
}

/// An entry of the `authRoles` bucket.
pub fn role(number: u32) -> Entry {
    let name = format!("role-{number:03}");
    let key = format!("/app/{number}").into_bytes();
    let permissions = vec![Permission { kind: 2, key, range_end: Vec::new() }];
    plain(name.clone(), Role { name: name.into_bytes(), permissions }.encode_to_vec())
}

/// A tree of leaves of so many entries each, below a branch. Gives its root, or its only leaf.
fn tree(file: &mut FileBuilder, entries: &[Entry], per_leaf: usize) -> u64 {
    let leaves: Vec<_> =
        entries.chunks(per_leaf).map(|part| (part[0].key.clone(), file.leaf(part))).collect();
    match leaves.as_slice() {
        [(_, only)] => *only,
        _ => file.branch(&leaves),
    }
}

/// Leases, of two members, that are in [`large`]; each fifth was revoked, and lies in an older version of its leaf.
pub fn leases() -> (Vec<Entry>, Vec<Vec<Entry>>) {
    let ids = (0..2).flat_map(|member| (0..100).map(move |number| lease_id(0x7d7b + member, number)));
    let all: Vec<u64> = ids.collect();
    let is_revoked = |id: u64| id % 5 == 2;
    let kept = all.iter().copied().filter(|&id| !is_revoked(id)).map(lease).collect();
    // an older version has what was revoked since, and lacks nothing but later ones
    let old = all.chunks(25).map(|ids| ids.iter().copied().map(lease).collect()).collect();
    (kept, old)
}

/// Sound, with small buckets that are large: 160 leases, 24 users, 40 roles and 9 members on pages of their own, in pages of 1 KiB.
/// Older versions of their leaves lie in free pages.
pub fn large() -> FileBuilder {
    let (leases, old_leases) = leases();
    let mut records = Vec::new();
    for (main, lease) in (2..).zip(leases.iter().step_by(3)) {
        let id = i64::from_be_bytes(lease.key.clone().try_into().expect("8 bytes"));
        records.push(put(main, format!("/app/{main:03}").as_bytes(), main, 1, b"text", id));
    }
    let mut file = FileBuilder::new(1024);
    let users: Vec<_> = (0..24).map(user).collect();
    let mut old_users = users[..8].to_vec();
    old_users.insert(4, user_named("user-003-removed", 3));
    file.leaf(&old_users);
    for leaf in &old_leases {
        file.leaf(leaf);
    }
    let key = tree(&mut file, &records, 10);
    let lease = tree(&mut file, &leases, 20);
    let auth_users = tree(&mut file, &users, 8);
    let auth_roles = tree(&mut file, &(0..40).map(role).collect::<Vec<_>>(), 10);
    let mut members: Vec<_> = (0x1001..=0x1009).map(member).collect();
    members.sort_by(|a, b| a.key.cmp(&b.key));
    let members = tree(&mut file, &members, 5);
    let meta = [
        plain("confState", r#"{"voters":[4097],"auto_leave":false}"#),
        plain("consistent_index", 300u64.to_be_bytes()),
        plain("term", 3u64.to_be_bytes()),
    ];
    let root = file.leaf(&[
        inline_bucket("alarm", &[]),
        inline_bucket("auth", &[plain("authEnabled", [1]), plain("authRevision", 9u64.to_be_bytes())]),
        bucket("authRoles", auth_roles),
        bucket("authUsers", auth_users),
        inline_bucket("cluster", &[plain("clusterVersion", "3.5.0")]),
        bucket("key", key),
        bucket("lease", lease),
        bucket("members", members),
        inline_bucket("members_removed", &[]),
        inline_bucket("meta", &meta),
    ]);
    file.root(root);
    file
}
