//! Bytes by class and namespace, and the largest objects.

use std::collections::BTreeMap;

use crate::k8s::{GroupResource, Layout, Tenant, resource_name};
use crate::scan::key_state::KeyState;
use crate::scan::shard::Shard;
use crate::scan::tenants::Tenants;
use crate::text::ByteText;
use crate::top_n::TopN;

use super::{NamespaceUse, TopObject, Use};

/// A key, and where it belongs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place<'s, 'a> {
    pub(super) key: &'s KeyState<'a>,
    pub(super) resource: GroupResource<'a>,
    pub(super) tenant: Option<Tenant<'a>>,
    pub(super) namespace: Option<&'a [u8]>,
}

impl<'s, 'a> Place<'s, 'a> {
    pub(super) fn of(shard: &Shard<'a>, key: &'s KeyState<'a>) -> Self {
        let (tenant, namespace) = (shard.tenant(key), shard.namespace(key));
        Self { key, resource: shard.resource(key), tenant, namespace }
    }
}

/// Keys, and the bytes of their records.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Sum {
    pub(super) objects: u64,
    pub(super) records: u64,
    pub(super) own_bytes: u64,
    pub(super) live_bytes: u64,
    pub(super) leaf_bytes: u64,
}

impl Sum {
    pub(super) fn add(&mut self, key: &KeyState<'_>) {
        if key.is_live() {
            self.objects += 1;
            self.live_bytes += key.newest_own_bytes();
        }
        self.records += u64::from(key.records);
        self.own_bytes += key.own_bytes;
        self.leaf_bytes += key.leaf_bytes;
    }

    pub(super) fn append(&mut self, more: &Self) {
        self.objects += more.objects;
        self.records += more.records;
        self.own_bytes += more.own_bytes;
        self.live_bytes += more.live_bytes;
        self.leaf_bytes += more.leaf_bytes;
    }

    pub(super) fn finish(&self, disk: Disk) -> Use {
        Use {
            objects: self.objects,
            live_bytes: self.live_bytes,
            history_bytes: self.own_bytes.saturating_sub(self.live_bytes),
            disk_bytes: disk.share_of(self.leaf_bytes),
        }
    }
}

/// What the `key` bucket takes of the file, to be shared out as `analyze` does it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Disk {
    pub(super) bytes: u64,
    /// The leaf bytes of all records.
    pub(super) whole: u64,
}

impl Disk {
    fn share_of(self, leaf_bytes: u64) -> u64 {
        let share = u128::from(leaf_bytes) * u128::from(self.bytes) / u128::from(self.whole.max(1));
        u64::try_from(share).unwrap_or(u64::MAX)
    }
}

/// What the keys of one class add up to.
#[derive(Debug)]
pub(super) struct Sums<'s, 'a> {
    pub(super) all: Sum,
    homes: BTreeMap<(Option<Tenant<'a>>, Option<&'a [u8]>), Sum>,
    /// By the bytes of all their records.
    largest: TopN<u64, &'a [u8], Place<'s, 'a>>,
}

impl<'s, 'a> Sums<'s, 'a> {
    pub(super) fn new(top: usize) -> Self {
        Self { all: Sum::default(), homes: BTreeMap::new(), largest: TopN::new(top) }
    }

    pub(super) fn add(&mut self, place: Place<'s, 'a>) {
        self.all.add(place.key);
        self.homes.entry((place.tenant, place.namespace)).or_default().add(place.key);
        if place.key.is_live() {
            self.largest.add(place.key.own_bytes, || (place.key.key(), place));
        }
    }

    pub(super) fn append(&mut self, more: Self) {
        self.all.append(&more.all);
        for (home, sum) in more.homes {
            self.homes.entry(home).or_default().append(&sum);
        }
        self.largest.append(more.largest);
    }

    pub(super) fn namespaces(&self, disk: Disk, tenants: Tenants) -> Vec<NamespaceUse> {
        // what isn't Kubernetes' and what is cluster-wide is one row where there is one tenant
        let mut named: BTreeMap<_, Sum> = BTreeMap::new();
        for (&(tenant, namespace), sum) in &self.homes {
            named.entry((tenants.name(tenant), namespace)).or_default().append(sum);
        }
        let finished = |((tenant, namespace), sum): ((Option<ByteText>, Option<&[u8]>), Sum)| NamespaceUse {
            tenant,
            namespace: namespace.map(ByteText::from),
            sum: sum.finish(disk),
        };
        let mut rows: Vec<_> = named.into_iter().map(finished).collect();
        rows.sort_by(|a, b| {
            let bytes = |row: &NamespaceUse| row.sum.live_bytes + row.sum.history_bytes;
            (bytes(b), &a.tenant, &a.namespace).cmp(&(bytes(a), &b.tenant, &b.namespace))
        });
        rows
    }

    pub(super) fn top(self, layout: &Layout<'_>, tenants: Tenants) -> Vec<TopObject> {
        self.largest.into_items().map(|place| top_object(&place, layout, tenants)).collect()
    }
}

fn top_object(place: &Place<'_, '_>, layout: &Layout<'_>, tenants: Tenants) -> TopObject {
    let key = place.key;
    let kv = key.newest();
    let object = layout.classify(kv.key, key.is_live().then_some(kv.value));
    TopObject {
        key: kv.key.into(),
        tenant: tenants.name(place.tenant),
        namespace: place.namespace.map(ByteText::from),
        name: object.name.into(),
        live_bytes: key.newest_own_bytes(),
        history_bytes: key.own_bytes.saturating_sub(key.newest_own_bytes()),
        value_bytes: u64::from(key.value_len()),
        command: delete_command(place, object.name).unwrap_or_default(),
    }
}

/// A command with names from the file in it: made only where each is what the API allows as a name, and the resource
/// is one of Kubernetes'.
fn delete_command(place: &Place<'_, '_>, name: &[u8]) -> Option<String> {
    let resource = kubectl_name(place.resource)?;
    let name = plain(name)?;
    let namespace = match place.namespace {
        Some(namespace) => format!(" --namespace {}", plain(namespace)?),
        None => String::new(),
    };
    Some(format!("kubectl delete {resource} {name}{namespace}"))
}

/// A resource as kubectl takes it, where it can be one of Kubernetes'.
pub(super) fn kubectl_name(GroupResource { group, resource }: GroupResource<'_>) -> Option<String> {
    let plural = plain(resource)?;
    let known = !group.is_empty() || crate::k8s::resources::by_name("", plural).is_some();
    let name = resource_name(group, plural);
    (known && plain(name.as_bytes()).is_some()).then_some(name)
}

/// The text of a name that the API allows and a shell takes as it is: letters, digits, dashes and dots, and colons,
/// which names of roles have.
fn plain(name: &[u8]) -> Option<&str> {
    let text = str::from_utf8(name).ok()?;
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-.:".contains(&byte);
    let begins = text.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric());
    (begins && text.bytes().all(is_plain)).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_names_get_into_a_command() {
        for name in ["web-1", "a.b.c", "system:node", "0"] {
            assert_eq!(plain(name.as_bytes()), Some(name));
        }
        for name in ["", "-n", "--all", ".x", "a b", "a;b", "a$(b)", "a'b", "a\nb", "a/b", "a`b`", "ä", "*"]
        {
            assert_eq!(plain(name.as_bytes()), None, "{name}");
        }
        assert_eq!(plain(b"\xff"), None);
    }

    #[test]
    fn only_resources_of_kubernetes_do() {
        let name = |group, resource: &'static str| {
            kubectl_name(GroupResource { group, resource: resource.as_bytes() })
        };
        assert_eq!(name("", "pods").as_deref(), Some("pods"));
        assert_eq!(name("example.org", "things").as_deref(), Some("things.example.org"));
        assert_eq!(name("", "/app"), None);
        assert_eq!(name("", "sessions"), None);
        assert_eq!(name("example.org", "things --all"), None);
    }
}
