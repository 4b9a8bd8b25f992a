//! Requests: what each means, and that every one that lies is an error or another request, and never more.

use etcd_medic::internals::etcd::apply::{Machine, Refused, Rules, Version};
use etcd_medic::internals::etcd::request::{Action, Request, RequestError};
use etcd_medic::internals::member::conf_change::{ConfChange, ConfChangeType};
use etcd_medic::internals::member::message::{EntryData, RaftEntry};

use crate::support::requests::{Bytes, Number, all, compare_version, delete, message, put, request, txn};

fn parsed(bytes: &[u8]) -> Result<Action<'_>, RequestError> {
    Request::parse(bytes).map(|request| request.action)
}

#[test]
fn who_asked_for_what() {
    let bytes = request(4, &put(b"a", b"1", 7), b"eve");
    let found = Request::parse(&bytes).unwrap();
    assert_eq!(found.user, b"eve");
    let Action::Put(put) = found.action else { panic!("{found:?}") };
    assert_eq!((put.key, put.value, put.lease), (&b"a"[..], &b"1"[..], 7));
    assert_eq!(parsed(b""), Ok(Action::Nothing));
    for (name, requests) in all() {
        for request in requests {
            assert!(Request::parse(&request).is_ok(), "{name}: {request:02x?}");
        }
    }
}

/// etcd refuses it before it comes into a log, and a record without a key is none.
#[test]
fn a_put_without_a_key_is_no_request() {
    let nothing = put(b"", b"1", 0);
    let within = txn(&[], &[(2, put(b"a", b"1", 0))], &[(2, nothing.clone())]);
    let deep = txn(&[], &[(4, within.clone())], &[]);
    for (field, body) in [(4, nothing), (6, within), (6, deep)] {
        assert_eq!(parsed(&request(field, &body, b"")), Err(RequestError::NoKey), "{body:02x?}");
    }
}

#[test]
fn a_bare_v2_request_is_none_of_raft() {
    for method in ["PUT", "POST", "DELETE", "GET", "QGET", "SYNC"] {
        let bytes = message(&[
            (1, Number(3)),
            (2, Bytes(method.as_bytes())),
            (3, Bytes(b"/0/members/8e9e05c52164694d/attributes")),
            (4, Bytes(br#"{"name":"m1"}"#)),
        ]);
        assert!(matches!(parsed(&bytes), Ok(Action::V2(request)) if request.method == method), "{method}");
    }
    let unknown = message(&[(1, Number(3)), (2, Bytes(b"BREW")), (3, Bytes(b"/"))]);
    assert!(parsed(&unknown).is_err());
}

#[test]
fn every_number_that_lies_is_an_error() {
    for (bytes, error) in [
        (request(12, b"", b""), RequestError::Field(12)),
        (request(9900, b"", b""), RequestError::Field(9900)),
        (request(1, b"", b""), RequestError::Type(1)),
        (message(&[(100, Bytes(b""))]), RequestError::NotOne),
        (
            [request(5, &delete(b"a", b""), b"eve"), message(&[(100, Bytes(b""))])].concat(),
            RequestError::NotOne,
        ),
        (
            [request(4, &put(b"a", b"", 0), b""), request(5, &delete(b"a", b""), b"")].concat(),
            RequestError::NotOne,
        ),
        (request(4, &message(&[(7, Number(1))]), b""), RequestError::Field(7)),
        (request(4, &message(&[(1, Number(1))]), b""), RequestError::Type(1)),
        (request(10, &message(&[(1, Number(3))]), b""), RequestError::Value("alarm action")),
        (request(10, &message(&[(3, Number(1 << 40))]), b""), RequestError::Value("alarm")),
        (
            request(6, &txn(&[compare_version(b"a", b"", 4, 0)], &[], &[]), b""),
            RequestError::Value("comparison"),
        ),
        (
            request(6, &txn(&[message(&[(2, Number(5))])], &[], &[]), b""),
            RequestError::Value("compared field"),
        ),
        (request(6, &txn(&[], &[(5, Vec::new())], &[]), b""), RequestError::Field(5)),
        (request(1300, &message(&[(1, Bytes(b"\xff"))]), b""), RequestError::Type(1)),
        (request(1199, b"", b""), RequestError::Field(1199)),
    ] {
        assert_eq!(parsed(&bytes), Err(error), "{bytes:02x?}");
    }
    let mut deep = txn(&[], &[(2, put(b"a", b"", 0))], &[]);
    for _ in 0..101 {
        deep = txn(&[], &[(4, deep)], &[]);
    }
    assert_eq!(parsed(&request(6, &deep, b"")), Err(RequestError::TooDeep(100)));
    for request in all().into_iter().flat_map(|(_, requests)| requests) {
        for len in 0..request.len() {
            // cut anywhere, it is read as what is left of it, or refused
            let _ = Request::parse(&request[..len]);
        }
    }
}

/// A machine to which these requests were given; what became of the last one.
fn after(version: Version, requests: &[Vec<u8>]) -> (i64, Option<Refused>) {
    let mut machine = Machine::empty(Rules::of(version));
    let mut last = None;
    for bytes in requests {
        let request = Request::parse(bytes).unwrap();
        last = machine.request(&request, &mut |_| {}).unwrap().refused;
    }
    (machine.store.revision, last)
}

const OLD: Version = Version::new(3, 5, 1);
const NEW: Version = Version::new(3, 7, 3);

fn alarm(action: u64, kind: u64) -> Vec<u8> {
    request(10, &message(&[(1, Number(action)), (2, Number(9)), (3, Number(kind))]), b"")
}

#[test]
fn a_nested_put_takes_space_from_some_patches_on() {
    let nested = txn(&[], &[(4, txn(&[], &[(2, put(b"a", b"", 0))], &[]))], &[]);
    let requests = [alarm(1, 1), request(6, &nested, b"")];
    assert_eq!(after(OLD, &requests), (2, None));
    assert_eq!(after(Version::new(3, 5, 33), &requests), (1, Some(Refused::NoSpace)));
    assert_eq!(after(NEW, &requests), (1, Some(Refused::NoSpace)));
}

#[test]
fn the_last_alarm_replaces_the_other_up_to_3_5() {
    let write = request(4, &put(b"a", b"", 0), b"");
    let raised = [alarm(1, 2), alarm(1, 1)];
    let both = [&raised[..], std::slice::from_ref(&write)].concat();
    assert_eq!(after(OLD, &both), (1, Some(Refused::NoSpace)));
    assert_eq!(after(NEW, &both), (1, Some(Refused::Corrupt)));
    let disarmed = [&raised[..], &[alarm(2, 1), write]].concat();
    assert_eq!(after(OLD, &disarmed), (2, None), "none is in force, though CORRUPT is set");
    assert_eq!(after(NEW, &disarmed), (1, Some(Refused::Corrupt)));
}

#[test]
fn an_alarm_of_no_kind_is_raised_up_to_3_4() {
    let requests = [alarm(1, 1), alarm(1, 0)];
    let write = request(4, &put(b"a", b"", 0), b"");
    for (version, set) in
        [(Version::new(3, 4, 23), &[(0, 9), (1, 9)][..]), (OLD, &[(1, 9)]), (NEW, &[(1, 9)])]
    {
        let mut machine = Machine::empty(Rules::of(version));
        for bytes in &requests {
            machine.request(&Request::parse(bytes).unwrap(), &mut |_| {}).unwrap();
        }
        assert_eq!(machine.alarms.iter().collect::<Vec<_>>(), set, "{version}");
        let written = machine.request(&Request::parse(&write).unwrap(), &mut |_| {}).unwrap();
        assert_eq!(written.refused, Some(Refused::NoSpace), "{version}: it takes no other's place");
    }
}

/// Entries, one after the other, each of its term.
fn applied(
    version: Version,
    entries: &[(u64, EntryData<'static>)],
) -> (Machine<'static>, Vec<Option<Refused>>) {
    let mut machine = Machine::empty(Rules::of(version));
    let refused = entries.iter().zip(1..).map(|((term, content), index)| {
        let entry = RaftEntry { index, term: *term, content: *content };
        machine.apply(&entry, &mut |_| {}).unwrap().refused
    });
    let refused = refused.collect();
    (machine, refused)
}

fn change(kind: ConfChangeType, node_id: u64, context: &'static str) -> (u64, EntryData<'static>) {
    (1, EntryData::ConfChange(ConfChange { kind, node_id }, context.as_bytes()))
}

const LEARNER: &str = r#"{"id":8,"peerURLs":["http://8"],"isLearner":true}"#;

#[test]
fn a_start_puts_all_alarms_into_force() {
    let voter = change(ConfChangeType::Add, 7, r#"{"id":7,"peerURLs":["http://7"]}"#);
    let second = change(ConfChangeType::Add, 9, r#"{"id":9,"peerURLs":["http://9"]}"#);
    let requests = [alarm(1, 2), alarm(1, 1), alarm(2, 1), request(4, &put(b"a", b"", 0), b"")];
    let [corrupt, nospace, disarm, write] = requests.map(|bytes| EntryData::Request(bytes.leak()));
    let started = EntryData::Request(b"");
    let entries =
        [voter, (2, started), (2, corrupt), (2, nospace), (2, disarm), (2, write), (3, started), (3, write)];
    let carried_out = |version, entries: &[_]| {
        applied(version, entries).1.iter().rev().step_by(2).take(2).map(Option::is_none).collect::<Vec<_>>()
    };
    assert_eq!(carried_out(OLD, &entries), [false, true], "the last, and the one before the start");
    assert_eq!(carried_out(NEW, &entries), [false, false]);
    // in a cluster of two another leader does not mean that anybody was started
    assert_eq!(carried_out(OLD, &[&[second][..], &entries].concat()), [true, true]);
}

#[test]
fn a_cluster_has_one_learner() {
    let other = r#"{"id":9,"peerURLs":["http://9"],"isLearner":true}"#;
    let entries =
        [change(ConfChangeType::AddLearner, 8, LEARNER), change(ConfChangeType::AddLearner, 9, other)];
    for version in [OLD, NEW] {
        let (machine, refused) = applied(version, &entries);
        assert_eq!((refused, machine.members.rows.len()), (vec![None, Some(Refused::Member)], 1));
    }
    let mut machine = Machine::empty(Rules::of(NEW));
    machine.members.max_learners = 2;
    for ((_, content), index) in entries.into_iter().zip(1..) {
        assert_eq!(machine.apply(&RaftEntry { index, term: 1, content }, &mut |_| {}).unwrap().refused, None);
    }
    assert_eq!(machine.members.num_learners(), 2);
}

#[test]
fn a_learner_with_another_url_is_one_from_some_patches_on() {
    let update = r#"{"id":8,"peerURLs":["http://10"]}"#;
    let entries = [change(ConfChangeType::AddLearner, 8, LEARNER), change(ConfChangeType::Update, 8, update)];
    for (version, is_learner) in [
        (Version::new(3, 4, 23), false),
        (Version::new(3, 5, 30), false),
        (Version::new(3, 5, 31), true),
        (Version::new(3, 6, 11), false),
        (Version::new(3, 6, 12), true),
        (NEW, true),
    ] {
        let (machine, _) = applied(version, &entries);
        let row = &machine.members.rows[&8];
        assert_eq!(
            (row.is_learner, row.peer_urls.as_deref()),
            (is_learner, Some(&["http://10".to_owned()][..]))
        );
        assert!(machine.members.config.learners().contains(&8), "raft knows better");
    }
}

#[test]
fn a_range_at_a_wrong_revision_refuses_where_it_is_checked() {
    let range = message(&[(1, Bytes(b"a")), (4, Number(99))]);
    let outer = txn(&[], &[(2, put(b"a", b"", 0)), (1, range.clone())], &[]);
    let inner = txn(&[], &[(2, put(b"a", b"", 0)), (4, txn(&[], &[(1, range)], &[]))], &[]);
    assert_eq!(after(OLD, &[request(6, &outer, b"")]), (2, None), "as by a member that was not asked");
    assert_eq!(after(NEW, &[request(6, &outer, b"")]), (1, Some(Refused::FutureRevision)));
    for version in [OLD, NEW] {
        assert_eq!(after(version, &[request(6, &inner, b"")]), (1, Some(Refused::FutureRevision)));
    }
}

#[test]
fn branches_are_chosen_by_the_state_before() {
    // the put makes the key, and the nested compare still finds it absent
    let nested = txn(&[compare_version(b"a", b"", 0, 0)], &[(2, put(b"b", b"", 0))], &[]);
    let all = txn(&[], &[(2, put(b"a", b"", 0)), (4, nested)], &[]);
    let bytes = request(6, &all, b"");
    let mut machine = Machine::empty(Rules::of(NEW));
    let applied = machine.request(&Request::parse(&bytes).unwrap(), &mut |_| {}).unwrap();
    assert_eq!((applied.changes, machine.store.keys.len(), applied.revision), (2, 2, Some(2)));
}

#[test]
fn a_lease_takes_its_keys_along() {
    let grant = request(8, &message(&[(1, Number(60)), (2, Number(7))]), b"");
    let revoke = request(9, &message(&[(1, Number(7))]), b"");
    let write = request(4, &put(b"a", b"1", 7), b"");
    assert_eq!(after(NEW, std::slice::from_ref(&write)), (1, Some(Refused::LeaseNotFound)));
    assert_eq!(after(NEW, &[grant.clone(), write.clone(), revoke.clone()]), (3, None));
    assert_eq!(
        after(NEW, &[grant.clone(), write, revoke.clone(), revoke]),
        (3, Some(Refused::LeaseNotFound))
    );
    assert_eq!(after(NEW, &[grant.clone(), grant]), (1, Some(Refused::LeaseExists)));
}
