//! Which entries are shown.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;

use crate::filter::{Filter, FilterWords, NoSuchName};
use crate::k8s::{KeyLayout, ObjectKey};
use crate::text::ByteStr;

use super::line::{EntryKind, LogLine, Operation};

/// Names that are remembered, to offer the nearest where one matches nothing.
const MAX_NAMES: usize = 10_000;

/// Which entries are shown: those that all of it admits.
#[derive(Clone, Debug)]
pub struct LogSelect {
    pub indices: RangeInclusive<u64>,
    /// Only keys that begin with this.
    pub prefix: Vec<u8>,
    /// Only entries or operations of these kinds; none for all.
    pub kinds: Vec<EntryKind>,
    pub words: FilterWords,
    filter: Filter,
}

impl Default for LogSelect {
    fn default() -> Self {
        Self::new(FilterWords::default())
    }
}

impl LogSelect {
    /// Of a resource and a namespace, in the user's words.
    pub fn new(words: FilterWords) -> Self {
        let filter = words.by_words_alone();
        Self { indices: 0..=u64::MAX, prefix: Vec::new(), kinds: Vec::new(), words, filter }
    }

    /// Whether an entry is asked for: an operation of it fits, or the entry itself where no keys are asked for.
    pub fn admits(&self, line: &LogLine<'_>) -> bool {
        let wants_keys = !self.prefix.is_empty() || !self.words.is_none();
        if !wants_keys {
            return self.kinds.is_empty()
                || self.is_kind(line.kind)
                || line.keys().any(|(kind, _)| self.is_kind(kind));
        }
        let is_whole_kind = self.kinds.is_empty() || self.is_kind(line.kind);
        let layout = KeyLayout::new();
        line.operations.iter().any(|operation| {
            (is_whole_kind || self.is_kind(operation.kind)) && self.admits_operation(operation)
        }) || (is_whole_kind || self.is_kind(EntryKind::Delete))
            && line.deleted.iter().any(|key| self.admits_key(&key.0, &layout))
    }

    /// Whether an operation is of the keys that were asked for.
    pub fn admits_operation(&self, operation: &Operation<'_>) -> bool {
        let object = ObjectKey {
            group: operation.group,
            resource: operation.resource.0,
            tenant: None,
            namespace: operation.namespace.map(|name| name.0),
            name: &[],
        };
        operation.touches(&self.prefix) && self.filter.admits(&object)
    }

    /// Whether a key was asked for.
    pub fn admits_key(&self, key: &[u8], layout: &KeyLayout<'_>) -> bool {
        key.starts_with(&self.prefix) && self.filter.admits(&layout.classify(key, None))
    }

    fn is_kind(&self, kind: EntryKind) -> bool {
        self.kinds.contains(&kind)
    }
}

/// The names that a log has, to say which are nearest to one that it does not have.
#[derive(Debug, Default)]
pub struct NamesSeen {
    resources: BTreeSet<Vec<u8>>,
    namespaces: BTreeSet<Vec<u8>>,
    keys: BTreeSet<Vec<u8>>,
}

impl NamesSeen {
    pub fn see(&mut self, line: &LogLine<'_>) {
        let see = |set: &mut BTreeSet<Vec<u8>>, name: ByteStr<'_>| {
            if set.len() < MAX_NAMES && !set.contains(name.0) {
                set.insert(name.0.to_vec());
            }
        };
        for operation in &line.operations {
            see(&mut self.resources, operation.resource);
            operation.namespace.into_iter().for_each(|namespace| see(&mut self.namespaces, namespace));
            see(&mut self.keys, operation.key);
        }
    }

    /// The first name that was asked for, and that the log does not have.
    ///
    /// # Errors
    /// There is one.
    pub fn check(&self, select: &LogSelect) -> Result<(), NoSuchName> {
        let of = |set: &'_ BTreeSet<Vec<u8>>| set.iter().cloned().collect::<Vec<_>>();
        if let Some(name) = &select.words.namespace
            && !self.namespaces.contains(name.as_bytes())
        {
            return Err(NoSuchName::among("namespace", name.as_bytes(), &of(&self.namespaces)));
        }
        if let Some(name) = &select.words.resource {
            let admits = |resource: &Vec<u8>| {
                let words = FilterWords { resource: Some(name.clone()), namespace: None };
                let group = crate::k8s::GroupResource { group: "", resource };
                words.by_words_alone().admits_resource(&group)
            };
            if !self.resources.iter().any(admits) && self.resources.len() < MAX_NAMES {
                return Err(NoSuchName::among("resource", name.as_bytes(), &of(&self.resources)));
            }
        }
        if !self.keys.iter().any(|key| key.starts_with(&select.prefix)) && self.keys.len() < MAX_NAMES {
            return Err(NoSuchName::prefix(&select.prefix, self.keys.iter().map(Vec::as_slice)));
        }
        Ok(())
    }
}
