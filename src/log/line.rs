//! An entry, as it is shown.

use serde::Serialize;
use strum::IntoStaticStr;

use crate::etcd::HexId;
use crate::etcd::apply::Refused;
use crate::etcd::request::{Action, AlarmAction, KeyRange, Op, Put, Request, Txn};
use crate::etcd::schema::Alarm;
use crate::k8s::KeyLayout;
use crate::member::conf_change::ConfChangeType;
use crate::member::message::{EntryData, RaftEntry};
use crate::text::{ByteStr, ByteText, escape};
use crate::travel::shown::VisibleObject;

use super::known::Effect;

/// What an entry is, or an operation of it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, IntoStaticStr)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(feature = "cli", derive(clap::ValueEnum))]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum EntryKind {
    /// A new leader's first entry, which asks for nothing
    Empty,
    /// A key is put
    Put,
    /// Keys are deleted
    Delete,
    /// A transaction
    Txn,
    /// Keys are read
    Range,
    /// History is compacted
    Compaction,
    /// A lease is granted
    LeaseGrant,
    /// A lease is revoked, or ran out: its keys are deleted
    LeaseRevoke,
    /// What is left of leases' time is noted
    LeaseCheckpoint,
    /// An alarm is raised, disarmed or asked for
    Alarm,
    /// A change of users, roles, or of authentication
    Auth,
    /// The version that all members speak
    ClusterVersion,
    /// A member says its name and its client URLs
    MemberAttributes,
    /// A downgrade is enabled or cancelled
    Downgrade,
    /// A change of the members
    ConfigChange,
    /// A request of the API v2
    V2,
    /// Nothing that is known here
    Unknown,
}

/// An entry of a log.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct LogLine<'a> {
    /// Its index.
    pub index: u64,
    /// The term in which a leader wrote it.
    pub term: u64,
    /// What it is.
    pub kind: EntryKind,
    /// Bytes of its request.
    pub bytes: u64,
    /// Who asked for it; `null` where authentication was off.
    pub user: Option<ByteText>,
    /// The revision that it made; `null` where it made none, or that is not known.
    pub revision: Option<i64>,
    /// Why etcd refused it; `null` where it did not, or that is not known.
    pub refused: Option<Refused>,
    /// Whether it is known what became of it.
    pub effect_known: bool,
    /// Changes of keys that it made; `null` where that is not known.
    pub changes: Option<u64>,
    /// What it asks for of keys: of a transaction, the operations of both branches.
    pub operations: Vec<Operation<'a>>,
    /// The first 100 keys that it deleted, where that is known.
    pub deleted: Vec<ByteText>,
    /// The lease that it grants or revokes, in hexadecimal digits.
    pub lease: Option<HexId>,
    /// What else it says, in words.
    pub detail: Option<String>,
    /// The entry itself.
    #[serde(skip)]
    pub request: Option<Request<'a>>,
}

/// What an entry asks for of a key, or of a range of them.
#[derive(Clone, PartialEq, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Operation<'a> {
    /// `put`, `delete` or `range`.
    pub kind: EntryKind,
    /// The key, or the first one.
    pub key: ByteStr<'a>,
    /// The first key after a range; `null` for one key. A single zero byte stands for all keys from the first on.
    pub range_end: Option<ByteStr<'a>>,
    /// The API group.
    pub group: &'a str,
    /// The resource; for keys that are not Kubernetes', their leading path.
    pub resource: ByteStr<'a>,
    /// The namespace, if the key has one.
    pub namespace: Option<ByteStr<'a>>,
    /// Bytes of the value that is put.
    pub value_bytes: Option<u64>,
    /// The lease that it is attached to, in hexadecimal digits; `0` for none.
    pub lease: HexId,
    /// Of a transaction: `then` or `else`.
    pub branch: Option<&'static str>,
    /// With `--values`: the value that is put, as an object. Data of Secrets is left out unless it was asked for.
    pub object: Option<VisibleObject>,
    /// With `--values`: the value as it is, where it is no object, and holds nothing of a Secret.
    pub value: Option<ByteText>,
}

impl<'a> LogLine<'a> {
    pub(super) fn of(entry: &RaftEntry<'a>, effect: Option<Effect<'a>>, layout: &KeyLayout<'_>) -> Self {
        let mut line = Self {
            index: entry.index,
            term: entry.term,
            kind: EntryKind::Unknown,
            bytes: 0,
            user: None,
            revision: None,
            refused: None,
            effect_known: effect.is_some(),
            changes: None,
            operations: Vec::new(),
            deleted: Vec::new(),
            lease: None,
            detail: None,
            request: None,
        };
        if let Some(Effect { applied, deleted }) = effect {
            (line.revision, line.refused, line.changes) =
                (applied.revision, applied.refused, Some(applied.changes));
            line.deleted = deleted.into_iter().map(ByteText::from).collect();
        }
        match entry.content {
            EntryData::ConfChange(change, context) => {
                line.kind = EntryKind::ConfigChange;
                line.bytes = context.len() as u64;
                line.detail = Some(config_change(change.kind, change.node_id, context));
            }
            EntryData::Request(data) => {
                line.bytes = data.len() as u64;
                match Request::parse(data) {
                    Ok(request) => line.fill(request, layout),
                    Err(error) => line.detail = Some(error.to_string()),
                }
            }
        }
        line
    }

    fn fill(&mut self, request: Request<'a>, layout: &KeyLayout<'_>) {
        self.user = (!request.user.is_empty()).then(|| request.user.into());
        self.kind = EntryKind::of(&request.action);
        match &request.action {
            Action::Put(put) => self.operations.push(Operation::put(put, layout)),
            Action::Delete(keys) => self.operations.push(Operation::of(EntryKind::Delete, keys, layout)),
            Action::Range(range) => {
                self.operations.push(Operation::of(EntryKind::Range, &range.keys, layout))
            }
            Action::Txn(txn) => self.operations = operations(txn, layout),
            Action::LeaseGrant { id, ttl } => {
                self.lease = Some(HexId::from(*id));
                self.detail = Some(format!("for {ttl} s"));
            }
            Action::LeaseRevoke { id } => self.lease = Some(HexId::from(*id)),
            other => self.detail = detail(other),
        }
        self.request = Some(request);
    }

    /// Keys that it names or deleted, with what it does to them.
    pub fn keys(&self) -> impl Iterator<Item = (EntryKind, &[u8])> {
        let named = self.operations.iter().map(|operation| (operation.kind, operation.key.0));
        named.chain(self.deleted.iter().map(|key| (EntryKind::Delete, key.0.as_slice())))
    }
}

impl EntryKind {
    fn of(action: &Action<'_>) -> Self {
        match action {
            Action::Nothing => Self::Empty,
            Action::Range(_) => Self::Range,
            Action::Put(_) => Self::Put,
            Action::Delete(_) => Self::Delete,
            Action::Txn(_) => Self::Txn,
            Action::Compact { .. } => Self::Compaction,
            Action::LeaseGrant { .. } => Self::LeaseGrant,
            Action::LeaseRevoke { .. } => Self::LeaseRevoke,
            Action::LeaseCheckpoint(_) => Self::LeaseCheckpoint,
            Action::Alarm { .. } => Self::Alarm,
            Action::Auth(_) => Self::Auth,
            Action::ClusterVersion(_) => Self::ClusterVersion,
            Action::MemberAttributes { .. } => Self::MemberAttributes,
            Action::Downgrade { .. } => Self::Downgrade,
            Action::V2(_) => Self::V2,
        }
    }

    /// As `lease-grant`.
    pub fn name(self) -> &'static str {
        self.into()
    }
}

impl<'a> Operation<'a> {
    fn of(kind: EntryKind, keys: &KeyRange<'a>, layout: &KeyLayout<'_>) -> Self {
        let object = layout.classify(keys.key, None);
        Self {
            kind,
            key: ByteStr(keys.key),
            range_end: (!keys.is_one()).then_some(ByteStr(keys.range_end)),
            group: object.group,
            resource: ByteStr(object.resource),
            namespace: object.namespace.map(ByteStr),
            value_bytes: None,
            lease: HexId(0),
            branch: None,
            object: None,
            value: None,
        }
    }

    fn put(put: &Put<'a>, layout: &KeyLayout<'_>) -> Self {
        let keys = KeyRange { key: put.key, range_end: &[] };
        let value_bytes = (!put.ignore_value).then_some(put.value.len() as u64);
        Self { value_bytes, lease: HexId::from(put.lease), ..Self::of(EntryKind::Put, &keys, layout) }
    }

    /// Whether a key that begins with this may be among those that it is about.
    pub fn touches(&self, prefix: &[u8]) -> bool {
        let first = self.key.0;
        match &self.range_end {
            None => first.starts_with(prefix),
            Some(end) if end.0 == [0] => first <= prefix || first.starts_with(prefix),
            Some(end) => first.starts_with(prefix) || (first <= prefix && prefix < end.0),
        }
    }
}

/// The operations of both branches, those of transactions within too.
fn operations<'a>(txn: &Txn<'a>, layout: &KeyLayout<'_>) -> Vec<Operation<'a>> {
    let mut found = Vec::new();
    for (branch, ops) in [("then", &txn.success), ("else", &txn.failure)] {
        for op in ops {
            let mut add = |op: &Op<'a>| {
                let operation = match op {
                    Op::Put(put) => Operation::put(put, layout),
                    Op::Delete(keys) => Operation::of(EntryKind::Delete, keys, layout),
                    Op::Range(range) => Operation::of(EntryKind::Range, &range.keys, layout),
                    Op::Nothing | Op::Txn(_) => return,
                };
                found.push(Operation { branch: Some(branch), ..operation });
            };
            match op {
                Op::Txn(txn) => txn.all_ops(&mut add),
                op => add(op),
            }
        }
    }
    found
}

fn config_change(kind: ConfChangeType, id: u64, context: &[u8]) -> String {
    let what = match kind {
        ConfChangeType::Add => "add, or promote,",
        ConfChangeType::AddLearner => "add learner",
        ConfChangeType::Remove => "remove",
        ConfChangeType::Update => "update",
    };
    let context = if context.is_empty() { String::new() } else { format!(": {}", escape(context)) };
    format!("{what} {id:x}{context}")
}

fn detail(action: &Action<'_>) -> Option<String> {
    Some(match action {
        Action::Compact { revision } => format!("to revision {revision}"),
        Action::LeaseCheckpoint(checkpoints) => {
            let each = checkpoints.iter().take(3).map(|(id, left)| format!("{id:x}: {left} s"));
            each.collect::<Vec<_>>().join(", ")
        }
        Action::Alarm { action, member_id, alarm } => {
            let what = match action {
                AlarmAction::Get => "get",
                AlarmAction::Raise => "raise",
                AlarmAction::Disarm => "disarm",
            };
            let name = Alarm { member_id: *member_id, alarm: *alarm }.name();
            format!("{what} {name} of member {member_id:x}")
        }
        Action::Auth(auth) => {
            let subject = escape(auth.subject);
            if subject.is_empty() { auth.name.to_owned() } else { format!("{} {subject}", auth.name) }
        }
        Action::ClusterVersion(version) => format!("{}", escape(version.as_bytes())),
        Action::MemberAttributes { member_id, name, client_urls } => {
            let urls = client_urls.join(" ");
            format!("{member_id:x} is {} at {}", escape(name.as_bytes()), escape(urls.as_bytes()))
        }
        Action::Downgrade { enabled: true, version } => format!("to {}", escape(version.as_bytes())),
        Action::Downgrade { enabled: false, .. } => "cancelled".to_owned(),
        Action::V2(request) => {
            // below `/0` is the cluster's own; elsewhere are users' values
            let value = if request.path.starts_with("/0/") { escape(request.value) } else { "".into() };
            format!("{} {} {value}", escape(request.method.as_bytes()), escape(request.path.as_bytes()))
        }
        _ => return None,
    })
}
