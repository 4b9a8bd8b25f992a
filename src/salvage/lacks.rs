//! What the copy lacks besides records: authentication, members, leases, alarms. For each, what that means once etcd runs from the
//! copy, and the commands that set it up again.
//!
//! Sources: `server/auth/store.go` (`AuthEnable` refuses without a user `root` that has the role `root`, and while authentication is
//! on `UserDelete` and `UserRevokeRole` refuse to take these away), `server/lease/lessor.go` (`Attach`: a key whose lease does not
//! exist stays without one), `etcdutl/snapshot/v3_snapshot.go` (members are written anew).

use std::collections::{HashMap, HashSet};
use std::path::Path;

use prost::Message;
use serde::Serialize;

use crate::etcd::KeyValue;
use crate::etcd::schema::User;
use crate::shell::ShellCommand;
use crate::units::count;

use super::finds::Finds;
use super::found::Tier;
use super::kinds::{Small, lease_id};
use super::roots::RootSource;
use super::saved_bucket::SavedBucket;

/// The user and the role that authentication can't be without (`server/auth/store.go`).
const ROOT: &[u8] = b"root";
/// In the bucket `auth`: whether authentication is on (`server/storage/schema/auth.go`).
const ENABLED: &[u8] = b"authEnabled";

/// What the copy lacks, or may lack.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Lack {
    /// What.
    pub what: What,
    /// How much of it.
    pub state: LackState,
    /// What that means once etcd runs from the copy; for people.
    pub means: String,
    /// What sets it up again, with etcd running; words in capitals are to be replaced. Of leases, keys that are not UTF-8 are
    /// left out.
    pub commands: Vec<String>,
}

/// What is lacking.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum What {
    /// Whether authentication is on, users, roles.
    Auth,
    /// Members of the cluster, and those that were removed.
    Members,
    /// Leases.
    Leases,
    /// Raised alarms.
    Alarms,
}

impl What {
    /// Its name, for people.
    pub fn name(self) -> &'static str {
        match self {
            Self::Auth => "AUTH",
            Self::Members => "MEMBERS",
            Self::Leases => "LEASES",
            Self::Alarms => "ALARMS",
        }
    }
}

/// How much is lacking.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum LackState {
    /// It is there as an older state had it: the newest root is lost, or can't be told from an older one.
    Older,
    /// Some of it may be missing, or is what an old leaf has.
    Partly,
    /// All of it.
    Lost,
    /// Authentication was turned off by `--disable-auth`.
    Disabled,
}

impl LackState {
    /// Its name, for people.
    pub fn name(self) -> &'static str {
        match self {
            Self::Older => "of an older state",
            Self::Partly => "partly lost",
            Self::Lost => "lost",
            Self::Disabled => "turned off",
        }
    }
}

/// Turns authentication off; says whether it was on.
pub fn disable_auth(buckets: &mut [SavedBucket<'_>]) -> bool {
    let auth = buckets.iter_mut().find(|bucket| bucket.is_of(Small::Auth));
    let entry = auth.and_then(|auth| auth.entries.iter_mut().find(|entry| entry.key == ENABLED));
    entry.is_some_and(|entry| std::mem::replace(&mut entry.value, &[0]) == [1])
}

/// What the copy lacks, what matters most first. `target` is where the copy goes.
pub fn lacks(finds: &Finds<'_>, target: &Path) -> Vec<Lack> {
    if !finds.is_etcd {
        return Vec::new();
    }
    let auth = if finds.auth_disabled { Some(disabled(finds)) } else { auth(finds) };
    let all = [auth, leases(finds, target), members(finds), alarms(finds)];
    all.into_iter().flatten().collect()
}

/// How much is lacking of several buckets, the most of any; `None` where all of it is there.
fn state_of(finds: &Finds<'_>, kinds: &[Small]) -> Option<LackState> {
    kinds.iter().filter_map(|kind| state_of_one(finds, bucket(finds, *kind)?)).max()
}

fn state_of_one(finds: &Finds<'_>, bucket: &SavedBucket<'_>) -> Option<LackState> {
    if bucket.tier == Tier::Log {
        return None;
    }
    let is_older =
        matches!(finds.root.from, RootSource::OlderMeta | RootSource::Searched) || bucket.from_others > 0;
    match (bucket.gaps.is_empty(), bucket.entries.is_empty()) {
        (false, true) => Some(LackState::Lost),
        (false, false) => Some(LackState::Partly),
        (true, _) if bucket.from_orphans > 0 => Some(LackState::Partly),
        (true, _) => is_older.then_some(LackState::Older),
    }
}

fn bucket<'f, 'a>(finds: &'f Finds<'a>, kind: Small) -> Option<&'f SavedBucket<'a>> {
    finds.buckets.iter().find(|bucket| bucket.is_of(kind))
}

fn disabled(finds: &Finds<'_>) -> Lack {
    let means = "authentication was on, and --disable-auth turned it off: whoever reaches etcd reads and writes everything without a \
                 login. Keep clients out until it is on again";
    let root = if has_root(finds) { Vec::new() } else { root().to_vec() };
    let commands = root.into_iter().chain(users_and_roles()).chain([enable()]).collect();
    Lack { what: What::Auth, state: LackState::Disabled, means: means.to_owned(), commands }
}

fn auth(finds: &Finds<'_>) -> Option<Lack> {
    let state = state_of(finds, &[Small::Auth, Small::AuthUsers, Small::AuthRoles])?;
    let was_on = was_on(finds);
    let has_root = has_root(finds);
    let (means, commands) = match (was_on, has_root) {
        (Some(false), _) => {
            let means = "authentication was off, and stays off; users and roles that were kept for later may be missing";
            (means, Vec::new())
        }
        (Some(true), true) => {
            let means = "authentication is on, and `root` can log in; users and roles that are missing have to be made again, and one \
                         that was removed may be back (etcdctl user list, etcdctl role list)";
            (means, users_and_roles())
        }
        (Some(true), false) => {
            let means = "authentication is on and the user `root` is missing: nobody can log in as root, so nobody can make users or \
                         turn authentication off. Salvage again with --disable-auth, keep clients out, and set it up anew";
            (means, root().into_iter().chain(users_and_roles()).chain([enable()]).collect())
        }
        (None, true) => {
            let means = "it is not known whether authentication was on, and it is off in the copy: whoever reaches etcd reads and \
                         writes everything without a login. If it was on, keep clients out until it is on again";
            (means, users_and_roles().into_iter().chain([enable()]).collect())
        }
        (None, false) => {
            let means = "it is not known whether authentication was on, and it is off in the copy: whoever reaches etcd reads and writes \
                         everything without a login. If it was on, keep clients out until users and roles are made again and it is on";
            (means, root().into_iter().chain(users_and_roles()).chain([enable()]).collect())
        }
    };
    Some(Lack { what: What::Auth, state, means: means.to_owned(), commands })
}

/// Whether authentication was on; `None` where that is not known: the entry that says it was off may be older than the lost one.
fn was_on(finds: &Finds<'_>) -> Option<bool> {
    let auth = bucket(finds, Small::Auth)?;
    let users = bucket(finds, Small::AuthUsers)?;
    if auth.value(ENABLED).is_some_and(|value| value == [1]) {
        return Some(true);
    }
    let is_sure = |bucket| state_of_one(finds, bucket).is_none();
    (is_sure(auth) || (is_sure(users) && !has_root(finds))).then_some(false)
}

fn has_root(finds: &Finds<'_>) -> bool {
    let user = bucket(finds, Small::AuthUsers).and_then(|users| users.value(ROOT));
    let user = user.and_then(|value| User::decode(value).ok());
    user.is_some_and(|user| user.roles.iter().any(|role| role.as_bytes() == ROOT))
}

fn root() -> [String; 2] {
    ["etcdctl user add root:NEW_PASSWORD", "etcdctl user grant-role root root"].map(str::to_owned)
}

fn users_and_roles() -> Vec<String> {
    let commands = [
        "etcdctl role add ROLE",
        "etcdctl role grant-permission ROLE --prefix=true readwrite PREFIX",
        "etcdctl user add USER:USER_PASSWORD",
        "etcdctl user grant-role USER ROLE",
    ];
    commands.map(str::to_owned).to_vec()
}

fn enable() -> String {
    "etcdctl auth enable".to_owned()
}

fn leases(finds: &Finds<'_>, target: &Path) -> Option<Lack> {
    let state = state_of(finds, &[Small::Lease])?;
    let keys = keys_without_lease(finds);
    let (means, commands) = match keys {
        0 if state == LackState::Older => return None,
        0 => ("no key that exists needs one of them; clients ask for new ones".to_owned(), Vec::new()),
        keys => {
            let means = format!(
                "{} a lease that the copy does not have, and would never expire. Delete them, or give them a new lease, here of an \
                 hour (Kubernetes' own but events are written anew by their owners)",
                if keys == 1 { "1 key names".to_owned() } else { format!("{} name", count(keys, "key")) },
            );
            let command = ShellCommand::new("lease=$(etcdctl lease grant 3600 | cut -d ' ' -f 2); etcd-medic check").path(target).and(
                "--max-findings 0 --output json | jq -r '.findings[] | select(.kind == \"lease-missing\") | .key | strings \
                 | @base64' | while read -r key; do etcdctl put --ignore-value --lease=\"$lease\" -- \
                 \"$(echo \"$key\" | base64 -d)\"; done",
            );
            (means, vec![command.to_string()])
        }
    };
    Some(Lack { what: What::Leases, state, means, commands })
}

/// Keys that exist and whose newest record names a lease that the copy does not have.
fn keys_without_lease(finds: &Finds<'_>) -> u64 {
    let bucket = bucket(finds, Small::Lease);
    let leases: HashSet<u64> =
        bucket.into_iter().flat_map(|bucket| &bucket.entries).filter_map(lease_id).collect();
    let mut newest: HashMap<&[u8], u64> = HashMap::new();
    for found in &finds.records {
        let kv = KeyValue::parse(found.entry.value).unwrap_or_default();
        newest.insert(kv.key, if found.place.tombstone { 0 } else { kv.lease.cast_unsigned() });
    }
    newest.values().filter(|&&lease| lease != 0 && !leases.contains(&lease)).count() as u64
}

fn members(finds: &Finds<'_>) -> Option<Lack> {
    let state = state_of(finds, &[Small::Members, Small::MembersRemoved])
        .filter(|state| *state != LackState::Older)?;
    let means = "a restore writes the members anew, and the cluster gets a new id: no old member can join it. Look their names and URLs \
                 up in etcd's settings, not in the copy";
    Some(Lack { what: What::Members, state, means: means.to_owned(), commands: Vec::new() })
}

fn alarms(finds: &Finds<'_>) -> Option<Lack> {
    let state = state_of(finds, &[Small::Alarm]).filter(|state| *state != LackState::Older)?;
    let means = "an alarm that was raised is gone. etcd raises NOSPACE again by itself; CORRUPT said that members differ, and members \
                 that are all restored from this one file do not: this shows it";
    let commands = vec!["etcdctl endpoint hashkv --cluster".to_owned()];
    Some(Lack { what: What::Alarms, state, means: means.to_owned(), commands })
}
