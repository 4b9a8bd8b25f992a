//! What a user names: a resource as kubectl takes it, a namespace, a prefix; and the nearest names where a file has no such one.
//!
//! | file | what is in it |
//! |---|---|
//! | `words` | what a resource may be called: plural, singular, kind, short name, with its group or without |
//! | `nearest` | which names are most like one that is not there |

mod nearest;
mod words;

use std::collections::BTreeSet;

use thiserror::Error;

use crate::k8s::GroupResource;
use crate::k8s::ObjectKey;
use crate::scan::Scan;
use crate::text::{ByteText, escape};

use nearest::Nearest;
pub use nearest::nearest_prefixes;
use words::{Custom, Word};

/// What was asked for, in the user's words.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct FilterWords {
    /// `pods`, `po`, `deployments.apps`, `apps/deployments`.
    pub resource: Option<String>,
    /// A namespace's name.
    pub namespace: Option<String>,
}

/// What lets through the keys that were asked for. An empty one lets everything through.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Filter {
    resource: Option<Resources>,
    namespace: Option<Vec<u8>>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
enum Resources {
    /// Resources that the file has.
    These(BTreeSet<(String, Vec<u8>)>),
    /// It has none of that name: those that are called so, should there be any all the same.
    Called(String),
}

/// A name that nothing in the file has.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
#[error("no {what} {} in this file{}", quoted(.wanted), or_these(.nearest))]
pub struct NoSuchName {
    /// `resource`, `namespace`, or `key that begins with`.
    what: &'static str,
    wanted: Vec<u8>,
    nearest: Vec<ByteText>,
}

fn quoted(name: &[u8]) -> String {
    format!("'{}'", escape(name))
}

fn or_these(names: &[ByteText]) -> String {
    if names.is_empty() {
        return String::new();
    }
    let names: Vec<_> = names.iter().map(ToString::to_string).collect();
    format!(". The nearest: {}", names.join(", "))
}

impl NoSuchName {
    /// For a prefix of which no key is.
    pub fn prefix<'k>(wanted: &[u8], keys: impl Iterator<Item = &'k [u8]>) -> Self {
        let nearest = nearest_prefixes(wanted, keys);
        Self { what: "key that begins with", wanted: wanted.to_vec(), nearest }
    }
}

impl NoSuchName {
    /// For a name that is not one of these.
    pub fn among(what: &'static str, wanted: &[u8], names: &[Vec<u8>]) -> Self {
        let mut nearest = Nearest::to(wanted);
        names.iter().for_each(|name| nearest.offer(&[name], name));
        Self { what, wanted: wanted.to_vec(), nearest: nearest.into_names() }
    }
}

impl FilterWords {
    /// What lets through what was asked for, by the words alone: for what was not scanned.
    pub fn by_words_alone(&self) -> Filter {
        Filter {
            resource: self.resource.clone().map(Resources::Called),
            namespace: self.namespace.as_ref().map(|name| name.as_bytes().to_vec()),
        }
    }

    /// Whether nothing was asked for.
    pub fn is_none(&self) -> bool {
        self.resource.is_none() && self.namespace.is_none()
    }

    /// What lets through what was asked for.
    ///
    /// # Errors
    /// The file has no such resource or namespace.
    pub fn of(&self, scan: &Scan<'_>) -> Result<Filter, NoSuchName> {
        let (filter, missing) = self.of_any(scan);
        missing.map_or(Ok(filter), Err)
    }

    /// The same where something else than what was scanned is to be looked through, too; and what the scan does not know.
    pub fn of_any(&self, scan: &Scan<'_>) -> (Filter, Option<NoSuchName>) {
        let (mut resource, mut missing) = (None, None);
        if let Some(wanted) = &self.resource {
            let found = resources_called(wanted, scan);
            if found.is_empty() {
                missing = Some(no_such_resource(wanted, scan));
                resource = Some(Resources::Called(wanted.clone()));
            } else {
                resource = Some(Resources::These(found));
            }
        }
        let namespace = self.namespace.as_ref().map(|name| name.as_bytes().to_vec());
        let unknown =
            namespace.as_ref().filter(|name| !namespaces(scan).any(|known| known == name.as_slice()));
        let missing = missing.or_else(|| unknown.map(|name| no_such_namespace(name, scan)));
        (Filter { resource, namespace }, missing)
    }
}

impl Filter {
    /// Whether objects of a resource may be among those that were asked for.
    pub fn admits_resource(&self, &GroupResource { group, resource }: &GroupResource<'_>) -> bool {
        match &self.resource {
            None => true,
            Some(Resources::These(these)) => {
                these.iter().any(|(g, plural)| g == group && plural.as_slice() == resource)
            }
            Some(Resources::Called(word)) => Word::of(word).may_name(group, resource, &[]),
        }
    }

    /// Whether objects of a namespace are.
    pub fn admits_namespace(&self, namespace: Option<&[u8]>) -> bool {
        self.namespace.as_ref().is_none_or(|wanted| namespace == Some(wanted.as_slice()))
    }

    /// Whether an object is.
    pub fn admits(&self, object: &ObjectKey<'_>) -> bool {
        let resource = GroupResource { group: object.group, resource: object.resource };
        self.admits_namespace(object.namespace) && self.admits_resource(&resource)
    }
}

fn resources<'s, 'a>(scan: &'s Scan<'a>) -> impl Iterator<Item = GroupResource<'a>> + use<'s, 'a> {
    let all = scan.keyspace.shards().iter().flat_map(|shard| shard.resources().iter().copied());
    all.collect::<BTreeSet<_>>().into_iter()
}

fn namespaces<'s, 'a>(scan: &'s Scan<'a>) -> impl Iterator<Item = &'a [u8]> + use<'s, 'a> {
    let homes = scan.keyspace.shards().iter().flat_map(|shard| shard.homes().iter());
    homes.filter_map(|home| home.namespace)
}

/// The file's resources that a word names: exactly, or else as kubectl takes it.
fn resources_called(wanted: &str, scan: &Scan<'_>) -> BTreeSet<(String, Vec<u8>)> {
    let owned = |GroupResource { group, resource }: GroupResource<'_>| (group.to_owned(), resource.to_vec());
    let word = Word::of(wanted);
    let exact: BTreeSet<_> =
        resources(scan).filter(|it| word.is_name_of(it.group, it.resource)).map(owned).collect();
    if !exact.is_empty() {
        return exact;
    }
    let custom = Custom::all_of(scan);
    resources(scan).filter(|it| word.may_name(it.group, it.resource, &custom)).map(owned).collect()
}

fn no_such_resource(wanted: &str, scan: &Scan<'_>) -> NoSuchName {
    let mut nearest = Nearest::to(wanted.as_bytes());
    let custom = Custom::all_of(scan);
    for GroupResource { group, resource } in resources(scan) {
        let name =
            if group.is_empty() { resource.to_vec() } else { [resource, b".", group.as_bytes()].concat() };
        let others = words::other_names(group, resource, &custom);
        let spellings: Vec<&[u8]> =
            others.iter().map(|name| name.as_bytes()).chain([resource, name.as_slice()]).collect();
        nearest.offer(&spellings, &name);
    }
    NoSuchName { what: "resource", wanted: wanted.into(), nearest: nearest.into_names() }
}

fn no_such_namespace(wanted: &[u8], scan: &Scan<'_>) -> NoSuchName {
    let mut nearest = Nearest::to(wanted);
    namespaces(scan).for_each(|name| nearest.offer(&[name], name));
    NoSuchName { what: "namespace", wanted: wanted.to_vec(), nearest: nearest.into_names() }
}
