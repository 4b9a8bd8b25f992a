//! Which of etcd's small buckets an entry belongs to, by its content: a leaf that no root reaches does not name its bucket.
//!
//! Sources: `server/storage/schema/{bucket,alarm,auth,auth_users,auth_roles,cindex,confstate,lease,membership,version}.go`,
//! `client/pkg/types/id.go`, `api/authpb/auth.proto`.

use prost::Message;
use serde_json::Value;

use crate::bolt::orphan::OrphanLeaf;
use crate::bolt::page::Entry;
use crate::etcd::Revision;
use crate::etcd::schema::{
    Alarm, FINISHED_COMPACT, LEASE_BUCKET, Lease, META_BUCKET, Role, SCHEDULED_COMPACT, User,
};

/// What a hash by bcrypt begins with: a password is stored so (`server/auth/store.go`, `selectPassword`). A role's permission, which has
/// the same field number, never does.
const BCRYPT: &[u8] = b"$2";

/// A bucket of etcd's besides `key`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Small {
    Alarm,
    /// Whether authentication is on, and its revision.
    Auth,
    AuthRoles,
    AuthUsers,
    Cluster,
    Lease,
    /// Members of the cluster.
    Members,
    /// Members that were removed.
    MembersRemoved,
    /// Consistent index, term, compactions.
    Meta,
}

impl Small {
    /// Each of them. Roles come before users: one with a name and nothing else may be either, and a role without permissions is
    /// what `etcdctl role add` makes, while a user has a password, or the option to have none.
    pub const ALL: [Self; 9] = [
        Self::Alarm,
        Self::Auth,
        Self::AuthRoles,
        Self::AuthUsers,
        Self::Cluster,
        Self::Lease,
        Self::Members,
        Self::MembersRemoved,
        Self::Meta,
    ];

    pub fn name(self) -> &'static [u8] {
        match self {
            Self::Alarm => b"alarm",
            Self::Auth => b"auth",
            Self::AuthRoles => b"authRoles",
            Self::AuthUsers => b"authUsers",
            Self::Cluster => b"cluster",
            Self::Lease => LEASE_BUCKET,
            Self::Members => b"members",
            Self::MembersRemoved => b"members_removed",
            Self::Meta => META_BUCKET,
        }
    }

    /// The bucket whose entries most of a leaf's are.
    pub fn of_leaf(leaf: &OrphanLeaf<'_>) -> Option<Self> {
        let most = |kind: &Self| {
            let fitting = leaf.entries.iter().filter(|entry| kind.takes(entry)).count();
            fitting > leaf.entries.len() / 2
        };
        Self::ALL.into_iter().find(most)
    }

    /// Whether an entry is one of this bucket's: its key and its value agree.
    pub fn takes(self, entry: &Entry<'_>) -> bool {
        let (key, value) = (entry.key, entry.value);
        !entry.is_bucket()
            && match self {
                // the key is the message (`alarm.go`, `mustUnsafePutAlarm`)
                Self::Alarm => value.is_empty() && is_alarm(key),
                Self::Auth => match key {
                    b"authEnabled" => matches!(value, [0 | 1]),
                    b"authRevision" => value.len() == 8,
                    _ => false,
                },
                Self::AuthRoles => is_exactly::<Role>(value, |role| role.name == key),
                Self::AuthUsers => is_exactly::<User>(value, |user| {
                    user.name == key && (user.password.is_empty() || user.password.starts_with(BCRYPT))
                }),
                Self::Cluster => match key {
                    b"clusterVersion" => is_version(value),
                    b"downgrade" => is_object(value),
                    _ => false,
                },
                Self::Lease => lease_id(entry).is_some(),
                Self::Members => member_id(key).is_some_and(|id| says_id(value, id)),
                Self::MembersRemoved => member_id(key).is_some() && value == b"removed",
                Self::Meta => match key {
                    b"consistent_index" | b"term" => value.len() == 8,
                    b"confState" => is_object(value),
                    b"storageVersion" => is_version(value),
                    FINISHED_COMPACT | SCHEDULED_COMPACT => Revision::parse(value).is_some(),
                    _ => false,
                },
            }
    }

    /// A number in a leaf that only increases: the later of two versions of the leaf has the higher one.
    pub fn version_of(self, leaf: &OrphanLeaf<'_>) -> u64 {
        let counter: &[u8] = match self {
            Self::Auth => b"authRevision",
            Self::Meta => b"consistent_index",
            _ => return 0,
        };
        let entry = leaf.entries.iter().find(|entry| entry.key == counter);
        entry.and_then(|entry| entry.value.try_into().ok()).map_or(0, u64::from_be_bytes)
    }
}

/// The id of a lease: the key has it in 8 bytes, big-endian, and the value has it, too (`lease.go`, `leaseIDToBytes`).
pub fn lease_id(entry: &Entry<'_>) -> Option<u64> {
    let id = u64::from_be_bytes(entry.key.try_into().ok()?);
    let lease = Lease::decode(entry.value).ok()?;
    (id != 0 && lease.id.cast_unsigned() == id).then_some(id)
}

/// A message that has these fields and no others, as a program that knows them writes it.
fn is_exactly<M: Message + Default>(bytes: &[u8], fits: impl Fn(&M) -> bool) -> bool {
    M::decode(bytes).is_ok_and(|message| fits(&message) && message.encode_to_vec() == bytes)
}

fn is_alarm(key: &[u8]) -> bool {
    is_exactly::<Alarm>(key, |alarm| alarm.member_id != 0 && matches!(alarm.alarm, 1 | 2))
}

/// A member's id, as its key has it: hexadecimal, without leading zeros (`id.go`, `String`).
fn member_id(key: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(key).ok()?;
    let id = u64::from_str_radix(text, 16).ok()?;
    (format!("{id:x}") == text).then_some(id)
}

fn says_id(json: &[u8], id: u64) -> bool {
    serde_json::from_slice(json).is_ok_and(|value: Value| value.get("id").and_then(Value::as_u64) == Some(id))
}

fn is_object(json: &[u8]) -> bool {
    serde_json::from_slice(json).is_ok_and(|value: Value| value.is_object())
}

/// `3.6.0`, or with a suffix after a hyphen.
fn is_version(value: &[u8]) -> bool {
    let text = std::str::from_utf8(value).unwrap_or_default();
    let numbers = text.split('-').next().unwrap_or_default();
    let is_number = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    numbers.split('.').count() == 3 && numbers.split('.').all(is_number)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::etcd::schema::{Permission, UserOptions};

    fn kinds(key: &[u8], value: &[u8]) -> Vec<Small> {
        let entry = Entry { flags: 0, key, value, start: 0 };
        Small::ALL.into_iter().filter(|kind| kind.takes(&entry)).collect()
    }

    #[test]
    fn each_entry_is_told_by_its_content() {
        let lease = Lease { id: 0x7d7b, ttl: 60, remaining_ttl: 0 }.encode_to_vec();
        assert_eq!(kinds(&0x7d7b_u64.to_be_bytes(), &lease), [Small::Lease]);
        assert_eq!(kinds(&0x7d7c_u64.to_be_bytes(), &lease), [], "another lease's");
        let alarm = Alarm { member_id: 7, alarm: 1 }.encode_to_vec();
        assert_eq!(kinds(&alarm, b""), [Small::Alarm]);
        assert_eq!(kinds(&alarm, b"x"), []);
        assert_eq!(kinds(b"ddd6", br#"{"id":56790,"peerURLs":["http://a"]}"#), [Small::Members]);
        assert_eq!(kinds(b"ddd7", br#"{"id":56790}"#), [], "another member's");
        assert_eq!(kinds(b"0ddd6", br#"{"id":56790}"#), [], "no key that etcd writes");
        assert_eq!(kinds(b"ddd6", b"removed"), [Small::MembersRemoved]);
        assert_eq!(kinds(b"clusterVersion", b"3.5.0"), [Small::Cluster]);
        assert_eq!(kinds(b"storageVersion", b"3.6.0"), [Small::Meta]);
        assert_eq!(kinds(b"storageVersion", b"3.6"), []);
        assert_eq!(kinds(b"consistent_index", &[0; 8]), [Small::Meta]);
        assert_eq!(kinds(b"consistent_index", &[0; 7]), []);
        assert_eq!(kinds(b"authEnabled", &[1]), [Small::Auth]);
    }

    #[test]
    fn users_and_roles_are_told_apart() {
        let password = b"$2a$10$abcdefghijklmnopqrstuuNopqrstuvwxyzABCDEFGHIJKLMNOPQRS".to_vec();
        let user = User { name: b"eve".to_vec(), password, roles: vec!["ops".into()], options: None };
        assert_eq!(kinds(b"eve", &user.encode_to_vec()), [Small::AuthUsers]);
        assert_eq!(kinds(b"bob", &user.encode_to_vec()), [], "another name");
        let options = Some(UserOptions { no_password: true });
        let without = User { name: b"eve".to_vec(), options, ..User::default() };
        assert_eq!(kinds(b"eve", &without.encode_to_vec()), [Small::AuthUsers]);
        let permission = Permission { kind: 2, key: b"/a".to_vec(), range_end: b"/b".to_vec() };
        let role = Role { name: b"ops".to_vec(), permissions: vec![permission] };
        assert_eq!(kinds(b"ops", &role.encode_to_vec()), [Small::AuthRoles]);
        let empty = Role { name: b"ops".to_vec(), permissions: Vec::new() };
        assert_eq!(kinds(b"ops", &empty.encode_to_vec()), [Small::AuthRoles, Small::AuthUsers]);
    }
}
