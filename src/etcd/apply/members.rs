//! The members, and the version that all of them speak (`server/etcdserver/api/membership/{member,cluster}.go`,
//! `server/storage/schema/{membership,confstate}.go`).

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::member::ConfState;
use crate::member::conf_change::{ConfChange, ConfChangeType};

use super::refused::Refused;
use super::rules::Rules;

/// Learners that a cluster may have, unless its members are started with `--max-learners`, from 3.6 on
/// (`server/etcdserver/api/membership/cluster.go`).
pub const USUAL_MAX_LEARNERS: usize = 1;

/// A member, as the bucket `members` has it: etcd's own JSON, in its order.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct MemberRow {
    #[serde(default)]
    pub id: u64,
    #[serde(rename = "peerURLs", default)]
    pub peer_urls: Option<Vec<String>>,
    #[serde(rename = "isLearner", default, skip_serializing_if = "std::ops::Not::not")]
    pub is_learner: bool,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub name: String,
    #[serde(rename = "clientURLs", default, skip_serializing_if = "Option::is_none")]
    pub client_urls: Option<Vec<String>>,
}

/// What a change of the members says of one.
#[derive(Deserialize)]
struct ChangeContext {
    #[serde(flatten)]
    member: MemberRow,
    #[serde(rename = "isPromote", default)]
    is_promote: bool,
}

/// A change names one member, and describes another, or none.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NotThatMember;

/// What a member says of itself when it starts.
#[derive(Deserialize)]
struct Attributes {
    #[serde(default)]
    name: String,
    #[serde(rename = "clientURLs", default)]
    client_urls: Option<Vec<String>>,
}

/// The members of a cluster.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Members {
    pub rows: BTreeMap<u64, MemberRow>,
    pub removed: BTreeSet<u64>,
    /// As raft counts.
    pub config: ConfState,
    /// As `3.5.0`.
    pub cluster_version: Option<String>,
    /// Whether a downgrade is enabled, and to which version.
    pub downgrade: Option<(bool, String)>,
    /// Learners that it may have: a setting.
    pub max_learners: usize,
    /// Whether anything is different from what the db had.
    pub changed: bool,
}

impl Default for Members {
    /// None yet.
    fn default() -> Self {
        Self {
            rows: BTreeMap::new(),
            removed: BTreeSet::new(),
            config: ConfState::default(),
            cluster_version: None,
            downgrade: None,
            max_learners: USUAL_MAX_LEARNERS,
            changed: false,
        }
    }
}

impl Members {
    /// Changes a member, unless etcd refuses it.
    ///
    /// # Errors
    /// The context is not the member that the change names.
    pub fn change(
        &mut self,
        change: ConfChange,
        context: &[u8],
        rules: Rules,
    ) -> Result<Option<Refused>, NotThatMember> {
        let id = change.node_id;
        if self.removed.contains(&id) {
            return Ok(Some(Refused::Member));
        }
        match change.kind {
            ConfChangeType::Add | ConfChangeType::AddLearner => {
                let ChangeContext { member, is_promote } =
                    serde_json::from_slice(context).map_err(|_| NotThatMember)?;
                if member.id != id {
                    return Err(NotThatMember);
                }
                let is_possible = match self.rows.get(&id) {
                    Some(row) => is_promote && row.is_learner,
                    None => !is_promote && !self.has_url_of(&member) && self.has_room_for(&member),
                };
                if !is_possible {
                    return Ok(Some(Refused::Member));
                }
                let row = self.rows.entry(id).or_insert(member);
                row.is_learner &= !is_promote;
            }
            ConfChangeType::Remove => {
                if self.rows.remove(&id).is_none() {
                    return Ok(Some(Refused::Member));
                }
                self.removed.insert(id);
            }
            ConfChangeType::Update => {
                let member: MemberRow = serde_json::from_slice(context).map_err(|_| NotThatMember)?;
                if member.id != id {
                    return Err(NotThatMember);
                }
                if self.has_url_of(&member) {
                    return Ok(Some(Refused::Member));
                }
                let Some(row) = self.rows.get_mut(&id) else { return Ok(Some(Refused::Member)) };
                row.peer_urls = member.peer_urls;
                // the request names no learner, so older patches forget that it is one; raft does not
                row.is_learner &= rules.keeps_learner_at_update || member.is_learner;
            }
        }
        self.config.apply(change);
        self.changed = true;
        Ok(None)
    }

    /// Whether another member has one of its peer URLs.
    fn has_url_of(&self, member: &MemberRow) -> bool {
        let others = self.rows.values().filter(|row| row.id != member.id);
        let mut urls = others.filter_map(|row| row.peer_urls.as_ref()).flatten();
        let own = member.peer_urls.as_deref().unwrap_or_default();
        urls.any(|url| own.contains(url))
    }

    fn has_room_for(&self, member: &MemberRow) -> bool {
        !member.is_learner || self.num_learners() < self.max_learners
    }

    pub fn num_learners(&self) -> usize {
        self.rows.values().filter(|row| row.is_learner).count()
    }

    /// What a member says of itself. One that is not there is passed over.
    pub(super) fn set_attributes(&mut self, id: u64, name: &str, client_urls: Vec<String>) {
        if let Some(row) = self.rows.get_mut(&id) {
            row.name = name.to_owned();
            row.client_urls = Some(client_urls).filter(|urls| !urls.is_empty());
            self.changed = true;
        }
    }

    /// The same as JSON, by a v2 request.
    pub(super) fn set_attributes_by_json(&mut self, id: u64, json: &[u8]) {
        if let Ok(Attributes { name, client_urls }) = serde_json::from_slice(json) {
            self.set_attributes(id, &name, client_urls.unwrap_or_default());
        }
    }

    pub(super) fn set_downgrade(&mut self, enabled: bool, version: &str) {
        self.downgrade = Some((enabled, version.to_owned()));
        self.changed = true;
    }

    /// Whether all members speak version 3 of this minor, or a later one.
    pub fn speaks_at_least(&self, minor: u32) -> bool {
        let mut parts = self.cluster_version.as_deref().unwrap_or_default().split('.');
        parts.next() == Some("3")
            && parts.next().and_then(|part| part.parse().ok()).is_some_and(|of: u32| of >= minor)
    }

    pub(super) fn set_version(&mut self, version: &str) {
        self.cluster_version = Some(version.to_owned());
        self.changed = true;
    }
}

/// JSON as Go writes it, with `<`, `>` and `&` in strings as escapes (`encoding/json`, `HTMLEscape`).
pub fn go_json(value: &impl Serialize) -> Vec<u8> {
    let text = serde_json::to_string(value).unwrap_or_default();
    let escaped = text.replace('<', "\\u003c").replace('>', "\\u003e").replace('&', "\\u0026");
    escaped.replace('\u{2028}', "\\u2028").replace('\u{2029}', "\\u2029").into_bytes()
}
