//! What the report says of authentication, members and alarms that are lost, or are not.

use etcd_medic::internals::etcd::schema::User;
use etcd_medic::internals::salvage::document::SalvageReport;
use etcd_medic::internals::salvage::lacks::{Lack, LackState, What};
use etcd_medic::internals::salvage::request::Trust;
use prost::Message;

use super::first_start::only;
use super::salvage;
use super::support::builder::{Entry, FileBuilder, bucket, inline_bucket, plain};
use super::support::etcd_file;

const PAGE: usize = 4096;

/// An etcd with these users, each of whose small buckets has a page of its own; those of `lost` are zeroed.
fn report(enabled: u8, users: &[&str], lost: &[&str]) -> SalvageReport {
    let mut file = FileBuilder::new(PAGE as u32);
    let user = |name: &&str| {
        let password = b"$2a$10$throwaway".to_vec();
        let user =
            User { name: name.as_bytes().to_vec(), password, roles: vec![(*name).to_owned()], options: None };
        plain(name, user.encode_to_vec())
    };
    let role = |name: &str| {
        let role = etcd_medic::internals::etcd::schema::Role {
            name: name.as_bytes().to_vec(),
            permissions: Vec::new(),
        };
        plain(name, role.encode_to_vec())
    };
    let small: [(&str, Vec<Entry>); 5] = [
        ("alarm", Vec::new()),
        ("auth", vec![plain("authEnabled", [enabled]), plain("authRevision", 9u64.to_be_bytes())]),
        ("authRoles", vec![role("ops"), role("root")]),
        ("authUsers", users.iter().map(user).collect()),
        ("members", vec![plain("7", r#"{"id":7,"peerURLs":["http://127.0.0.1:2380"]}"#)]),
    ];
    let records: Vec<_> = (2..20)
        .map(|main| etcd_file::put(main, format!("/app/{main}").as_bytes(), main, 1, b"text", 0))
        .collect();
    let mut entries = Vec::new();
    let mut pages = Vec::new();
    for (name, content) in &small {
        let page = file.leaf(content);
        entries.push(bucket(name, page));
        pages.extend(lost.contains(name).then_some(page));
    }
    let key = file.leaf(&records);
    entries.push(bucket("key", key));
    entries.push(inline_bucket("meta", &[plain("consistent_index", 77u64.to_be_bytes())]));
    entries.sort_by(|a, b| a.key.cmp(&b.key));
    let root = file.leaf(&entries);
    file.root(root);
    let mut bytes = file.bytes();
    for page in pages {
        let start = usize::try_from(page).expect("a page") * PAGE;
        bytes[start..start + PAGE].fill(0);
    }
    salvage(&only(bytes), Trust::Usual).expect("saved").report
}

fn only_lack(report: &SalvageReport) -> Lack {
    assert_eq!(report.lacks.len(), 1, "{:?}", report.lacks);
    report.lacks[0].clone()
}

#[test]
fn nothing_where_nothing_is_lost() {
    for users in [&[][..], &["ops", "root"]] {
        assert_eq!(report(0, users, &[]).lacks, []);
    }
}

/// Each thing that may be lost of authentication: whether it was on, and who may log in.
#[test]
fn authentication() {
    let users = ["ops", "root"];
    let lack = |enabled, users: &[&str], lost: &[&str]| {
        let lack = only_lack(&report(enabled, users, lost));
        assert_eq!(lack.what, What::Auth);
        lack
    };
    let makes_root = |lack: &Lack| lack.commands.iter().any(|command| command.contains("user add root:"));
    let enables = |lack: &Lack| lack.commands.last().is_some_and(|command| command == "etcdctl auth enable");
    // whether it was on is lost, and all users stand: it has to be turned on only
    let open = lack(1, &users, &["auth"]);
    assert!(open.means.contains("without a login") && enables(&open) && !makes_root(&open), "{open:?}");
    let open = lack(1, &users, &["auth", "authUsers"]);
    assert!(open.means.contains("without a login") && enables(&open) && makes_root(&open), "{open:?}");
    assert_eq!(open.state, LackState::Lost);
    // without a user `root` it can't have been on
    let off = lack(0, &["ops"], &["auth"]);
    assert!(off.means.contains("stays off") && off.commands.is_empty(), "{off:?}");
    let off = lack(0, &users, &["authUsers"]);
    assert!(off.means.contains("stays off") && off.commands.is_empty(), "{off:?}");
    let on = lack(1, &users, &["authRoles"]);
    assert!(on.means.contains("`root` can log in") && !enables(&on), "{on:?}");
    let locked = lack(1, &users, &["authUsers"]);
    assert!(locked.means.contains("--disable-auth") && makes_root(&locked), "{locked:?}");
    // what etcd does not read as on is off (`server/storage/schema/auth.go`, `UnsafeReadAuthEnabled`)
    let off = lack(7, &users, &["authUsers"]);
    assert!(off.means.contains("stays off"), "{off:?}");
}

/// The newest root is lost, and in the one before it authentication was not on yet: so it is in the copy, and that is said.
#[test]
fn an_older_state_without_authentication() {
    let record = |main: i64| etcd_file::put(main, format!("/app/{main}").as_bytes(), main, 1, b"text", 0);
    let records: Vec<_> = (2..20).map(record).collect();
    for enabled in [0, 1] {
        let mut file = FileBuilder::new(PAGE as u32);
        let key = file.leaf(&records);
        let meta = inline_bucket("meta", &[plain("consistent_index", 77u64.to_be_bytes())]);
        let auth = |enabled| inline_bucket("auth", &[plain("authEnabled", [enabled])]);
        let older =
            file.leaf(&[auth(enabled), inline_bucket("authUsers", &[]), bucket("key", key), meta.clone()]);
        let newer = file.leaf(&[auth(1), inline_bucket("authUsers", &[]), bucket("key", key), meta]);
        file.root(older);
        // meta 1 is the active one
        file.meta(1, |meta| meta.root.root.set(newer));
        let mut bytes = file.bytes();
        let start = usize::try_from(newer).expect("a page") * PAGE;
        bytes[start..start + PAGE].fill(0);
        let report = salvage(&only(bytes), Trust::Usual).expect("saved").report;
        let lack = only_lack(&report);
        assert_eq!((lack.what, lack.state), (What::Auth, LackState::Older), "{enabled}");
        let open = lack.means.contains("without a login");
        assert_eq!(open, enabled == 0, "{}", lack.means);
    }
}

#[test]
fn members_and_alarms() {
    let lacks = report(0, &[], &["members", "alarm"]).lacks;
    let what: Vec<_> = lacks.iter().map(|lack| (lack.what, lack.state)).collect();
    assert_eq!(what, [(What::Members, LackState::Lost), (What::Alarms, LackState::Lost)]);
}
