//! What a resource may be called, as kubectl has it: its plural, singular, kind or short name, with its group or without.

use serde_json::{Map, Value};

use crate::k8s::GroupResource;
use crate::k8s::render::render;
use crate::k8s::resources::{by_name, guess_plural};
use crate::scan::Scan;

/// Short names of built-in resources (kubernetes `pkg/registry/*/*/storage/storage.go`, `ShortNames`; OpenShift's registries),
/// with their plurals.
const SHORT: &[(&str, &str)] = &[
    ("bc", "buildconfigs"),
    ("cj", "cronjobs"),
    ("cm", "configmaps"),
    ("crd", "customresourcedefinitions"),
    ("crds", "customresourcedefinitions"),
    ("csr", "certificatesigningrequests"),
    ("dc", "deploymentconfigs"),
    ("deploy", "deployments"),
    ("ds", "daemonsets"),
    ("ep", "endpoints"),
    ("ev", "events"),
    ("hpa", "horizontalpodautoscalers"),
    ("ing", "ingresses"),
    ("ip", "ipaddresses"),
    ("is", "imagestreams"),
    ("limits", "limitranges"),
    ("netpol", "networkpolicies"),
    ("no", "nodes"),
    ("ns", "namespaces"),
    ("pc", "priorityclasses"),
    ("pdb", "poddisruptionbudgets"),
    ("po", "pods"),
    ("psp", "podsecuritypolicies"),
    ("pv", "persistentvolumes"),
    ("pvc", "persistentvolumeclaims"),
    ("quota", "resourcequotas"),
    ("rc", "replicationcontrollers"),
    ("rs", "replicasets"),
    ("sa", "serviceaccounts"),
    ("sc", "storageclasses"),
    ("scc", "securitycontextconstraints"),
    ("sts", "statefulsets"),
    ("svc", "services"),
    ("vac", "volumeattributesclasses"),
];

/// What else a resource is called, as far as it is known.
pub(super) fn other_names<'n>(group: &str, plural: &[u8], custom: &'n [Custom]) -> Vec<&'n str> {
    let Ok(plural) = str::from_utf8(plural) else { return Vec::new() };
    let built_in = by_name(group, plural).is_some();
    let short = SHORT.iter().filter(|(_, of)| built_in && *of == plural).map(|(short, _)| *short);
    let own = custom.iter().filter(|names| names.group == group && names.plural == plural);
    short.chain(own.flat_map(|names| names.others.iter().map(String::as_str))).collect()
}

/// A user's word for a resource.
#[derive(Clone, Copy, Debug)]
pub(super) struct Word<'w>(&'w str);

impl<'w> Word<'w> {
    pub(super) fn of(word: &'w str) -> Self {
        Self(word)
    }

    /// Whether it is the resource's own name: `pods`, `deployments.apps`, `apps/deployments`.
    pub(super) fn is_name_of(self, group: &str, plural: &[u8]) -> bool {
        let name = String::from_utf8_lossy(plural);
        self.0 == name || self.0 == format!("{name}.{group}") || self.0 == format!("{group}/{name}")
    }

    /// Whether kubectl would take it for the resource: `Pod`, `po`, `deploy.apps`, `deployments.v1.apps`.
    pub(super) fn may_name(self, group: &str, plural: &[u8], custom: &[Custom]) -> bool {
        if self.is_name_of(group, plural) {
            return true;
        }
        let Ok(plural) = str::from_utf8(plural) else { return false };
        let word = self.0.to_lowercase();
        let (word, of_group) =
            word.split_once('.').map_or((word.as_str(), None), |(word, of)| (word, Some(of)));
        of_group.is_none_or(|of| is_group(of, group)) && is_called(word, group, plural, custom)
    }
}

/// Whether what stands behind a resource's dot is its group, or its version and group.
fn is_group(text: &str, group: &str) -> bool {
    let versioned = || text.split_once('.').filter(|(version, _)| version.starts_with('v'));
    text == group || versioned().is_some_and(|(_, of)| of == group)
}

fn is_called(word: &str, group: &str, plural: &str, custom: &[Custom]) -> bool {
    let is_short = || SHORT.iter().any(|&(short, of)| short == word && of == plural);
    word == plural
        || guess_plural(word) == plural
        || (by_name(group, plural).is_some() && is_short())
        || custom.iter().any(|names| names.group == group && names.plural == plural && names.has(word))
}

/// What a CustomResourceDefinition calls its resource.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Custom {
    group: String,
    plural: String,
    others: Vec<String>,
}

impl Custom {
    /// Those of the definitions that a file has.
    pub(super) fn all_of(scan: &Scan<'_>) -> Vec<Self> {
        let is_definition = |resource: GroupResource<'_>| resource.resource == b"customresourcedefinitions";
        let shards = scan.keyspace.shards().iter();
        let keys = shards.flat_map(|shard| shard.keys().map(move |key| (shard.resource(key), key)));
        let definitions = keys.filter(|(resource, key)| key.is_live() && is_definition(*resource));
        let mut all: Vec<_> =
            definitions.filter_map(|(_, key)| Self::of(&render(key.newest().value).ok()?.object)).collect();
        // one for each tenant
        all.sort_by(|a, b| (&a.group, &a.plural, &a.others).cmp(&(&b.group, &b.plural, &b.others)));
        all.dedup();
        all
    }

    fn of(definition: &Map<String, Value>) -> Option<Self> {
        let spec = definition.get("spec")?;
        let names = spec.get("names")?;
        let text = |value: Option<&Value>| value.and_then(Value::as_str).map(str::to_owned);
        let short = names.get("shortNames").and_then(Value::as_array).into_iter().flatten();
        let others = [names.get("singular"), names.get("kind")].into_iter().chain(short.map(Some));
        let others = others.filter_map(|name| Some(text(name)?.to_lowercase())).collect();
        Some(Self { group: text(spec.get("group"))?, plural: text(names.get("plural"))?, others })
    }

    fn has(&self, word: &str) -> bool {
        self.others.iter().any(|name| name == word)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::k8s::resources::{KUBERNETES, OPENSHIFT};

    #[test]
    fn every_short_name_is_a_resources() {
        for (short, plural) in SHORT {
            let of = KUBERNETES.iter().chain(OPENSHIFT).find(|resource| resource.resource == *plural);
            let resource = of.unwrap_or_else(|| panic!("{plural}"));
            assert!(Word::of(short).may_name(resource.group, plural.as_bytes(), &[]), "{short}");
        }
        assert!(SHORT.is_sorted(), "in order, each once");
    }

    #[test]
    fn a_resource_has_many_names() {
        let names =
            |word: &str, group: &str, plural: &str| Word::of(word).may_name(group, plural.as_bytes(), &[]);
        for word in ["pods", "pod", "Pod", "po", "PO"] {
            assert!(names(word, "", "pods"), "{word}");
            assert!(!names(word, "metrics.k8s.io", "things"), "{word}");
        }
        for word in [
            "deployments",
            "deployment",
            "deploy",
            "deployments.apps",
            "deployment.apps",
            "deploy.apps",
            "deployments.v1.apps",
            "apps/deployments",
        ] {
            assert!(names(word, "apps", "deployments"), "{word}");
            assert!(!names(word, "", "pods"), "{word}");
        }
        for (word, group, plural) in [
            ("ingress", "networking.k8s.io", "ingresses"),
            ("NetworkPolicy", "networking.k8s.io", "networkpolicies"),
            ("endpoints", "", "endpoints"),
            ("storageclass.storage.k8s.io", "storage.k8s.io", "storageclasses"),
            ("/app", "", "/app"),
        ] {
            assert!(names(word, group, plural), "{word}");
        }
        // a short name of a built-in one is not another's of that plural
        assert!(!names("po", "example.com", "pods"));
        assert!(!names("deploy.batch", "apps", "deployments"));
        assert!(!names("", "", "pods"));
    }

    #[test]
    fn a_definition_names_its_resource() {
        let definition = serde_json::json!({"spec": {"group": "example.com", "names": {
            "plural": "oxen", "singular": "ox", "kind": "Ox", "shortNames": ["x", "cattle"]}}});
        let custom = [Custom::of(definition.as_object().unwrap()).unwrap()];
        for word in ["ox", "Ox", "x", "cattle", "cattle.example.com", "x.v1.example.com"] {
            assert!(Word::of(word).may_name("example.com", b"oxen", &custom), "{word}");
            assert!(!Word::of(word).may_name("example.org", b"oxen", &custom), "{word}");
        }
        assert_eq!(Custom::of(serde_json::json!({"spec": {"names": 5}}).as_object().unwrap()), None);
    }
}
