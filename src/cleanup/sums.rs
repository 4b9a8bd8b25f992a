//! Bytes by class and namespace, and the largest objects.

use std::collections::BTreeMap;

use crate::analyze::share::DiskBytes;
use crate::k8s::{GroupResource, KeyLayout, Tenant, resource_name};
use crate::scan::key_sum::KeySum;
use crate::scan::shard::PlacedKey;
use crate::scan::tenants::Tenants;
use crate::text::ByteText;
use crate::top_n::TopN;

use super::rows::{ClassNamespace, LargestObject, Use};

/// What the keys of one class add up to.
#[derive(Debug)]
pub(super) struct Sums<'s, 'a> {
    pub(super) all: KeySum,
    homes: BTreeMap<(Option<Tenant<'a>>, Option<&'a [u8]>), KeySum>,
    /// By the bytes of all their records.
    largest: TopN<u64, &'a [u8], PlacedKey<'s, 'a>>,
}

impl<'s, 'a> Sums<'s, 'a> {
    pub(super) fn new(top: usize) -> Self {
        Self { all: KeySum::default(), homes: BTreeMap::new(), largest: TopN::new(top) }
    }

    pub(super) fn add(&mut self, place: PlacedKey<'s, 'a>) {
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

    pub(super) fn namespaces(&self, disk: DiskBytes, tenants: Tenants) -> Vec<ClassNamespace> {
        // what isn't Kubernetes' and what is cluster-wide is one row where there is one tenant
        let mut named: BTreeMap<_, KeySum> = BTreeMap::new();
        for (&(tenant, namespace), sum) in &self.homes {
            named.entry((tenants.name(tenant), namespace)).or_default().append(sum);
        }
        let finished = |((tenant, namespace), sum): ((Option<ByteText>, Option<&[u8]>), KeySum)| {
            ClassNamespace { tenant, namespace: namespace.map(ByteText::from), sum: Use::of(&sum, disk) }
        };
        let mut rows: Vec<_> = named.into_iter().map(finished).collect();
        rows.sort_by(|a, b| {
            let bytes = |row: &ClassNamespace| row.sum.live_bytes + row.sum.history_bytes;
            (bytes(b), &a.tenant, &a.namespace).cmp(&(bytes(a), &b.tenant, &b.namespace))
        });
        rows
    }

    pub(super) fn top(self, layout: &KeyLayout<'_>, tenants: Tenants) -> Vec<LargestObject> {
        self.largest.into_items().map(|place| top_object(&place, layout, tenants)).collect()
    }
}

fn top_object(place: &PlacedKey<'_, '_>, layout: &KeyLayout<'_>, tenants: Tenants) -> LargestObject {
    let key = place.key;
    let kv = key.newest();
    let object = layout.classify(kv.key, key.is_live().then_some(kv.value));
    LargestObject {
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
fn delete_command(place: &PlacedKey<'_, '_>, name: &[u8]) -> Option<String> {
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
