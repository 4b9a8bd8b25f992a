//! Every live object of real files, rendered, and read again by `k8s-openapi`'s types, which were made from Kubernetes' own
//! description of its JSON: not a field may be lost, or mean something else.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Write, stderr};
use std::path::Path;

use etcd_medic::internals::etcd::schema::State;
use etcd_medic::internals::k8s::render::{Unrenderable, change, render, yaml};
use etcd_medic::internals::travel::{SearchIn, Select, at};
use jiff::Timestamp;
use k8s_openapi::api;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::support::corpus::Corpus;
use super::support::testdata;

#[test]
fn the_corpora_of_testdata() {
    let mut kinds = BTreeMap::new();
    let objects: usize = Corpus::all_in(&testdata("")).iter().map(|corpus| compare(corpus, &mut kinds)).sum();
    assert!(objects > 4_000 && kinds.len() > 40, "{objects} objects of {} kinds", kinds.len());
    let unchecked: Vec<_> = kinds.iter().filter(|(_, checked)| !**checked).map(|(kind, _)| kind).collect();
    // custom resources and what Kubernetes describes nowhere: stored as JSON or CBOR, but for these
    let protobuf: BTreeSet<&str> =
        unchecked.iter().filter(|(stored, _)| stored == "protobuf").map(|(_, kind)| kind.as_str()).collect();
    assert_eq!(protobuf, BTreeSet::from(["v1 RangeAllocation"]), "kinds that no type was held against");
}

#[test]
fn the_large_corpora() {
    let Some(folder) = std::env::var_os("ETCD_MEDIC_CORPORA") else {
        let _ =
            writeln!(stderr(), "LEFT OUT: the large corpora. ETCD_MEDIC_CORPORA=FOLDER names where they are");
        return;
    };
    let corpora = Corpus::all_in(Path::new(&folder));
    assert!(!corpora.is_empty(), "no truth.json below {}", folder.display());
    let mut kinds = BTreeMap::new();
    let objects: usize = corpora.iter().map(|corpus| compare(corpus, &mut kinds)).sum();
    let _ = writeln!(stderr(), "{objects} objects of {} kinds", kinds.len());
}

/// (encoding, apiVersion and kind) → whether a type was held against it.
type Kinds = BTreeMap<(String, String), bool>;

/// Renders all live objects; gives back how many.
fn compare(corpus: &Corpus, kinds: &mut Kinds) -> usize {
    let mut objects = 0;
    for name in corpus.truth.files.keys() {
        let file = corpus.file(name);
        let source = etcd_medic::open(file.path()).expect("opened");
        let state = State::read(&source.db);
        let answer = at(&source.db, &state, SearchIn::Live, None, Select::Prefix(b"")).expect("an etcd file");
        assert_eq!(answer.found.len(), corpus.live.len(), "{name}: live keys");
        for found in answer.found.iter() {
            let name = format!("{}: {}", corpus.name(), String::from_utf8_lossy(found.kv.key));
            let rendered = match render(found.kv.value) {
                Ok(rendered) => rendered,
                Err(Unrenderable::Encrypted(prefix)) => {
                    assert!(found.kv.value.starts_with(prefix.as_bytes()), "{name}");
                    continue;
                }
                Err(Unrenderable::NoObject) if !found.kv.key.starts_with(b"/registry/") => continue,
                Err(error) => panic!("{name}: {error}"),
            };
            assert_eq!(rendered.unknown_fields, 0, "{name}");
            objects += 1;
            let object = Value::Object(rendered.object);
            let text = |field: &str| object[field].as_str().expect("text").to_owned();
            let encoding = etcd_medic::internals::k8s::Encoding::of(found.kv.value).label();
            let kind = format!("{} {}", text("apiVersion"), text("kind"));
            let checked = again(&kind, &object).map(|typed| assert_same(&name, &object, &typed)).is_some();
            kinds.entry((encoding.to_owned(), kind)).or_insert(checked);
            // as YAML it means the same, cleaned it still is an object; a custom resource's status may be its own data
            let Value::Object(mut object) = object else { unreachable!() };
            assert!(yaml::yaml(&object).contains("apiVersion: "), "{name}");
            change::clean(&mut object);
            assert!(!checked || !object.contains_key("status"), "{name}");
            assert!(object["metadata"].get("uid").is_none(), "{name}");
        }
    }
    objects
}

/// What Kubernetes' type makes of the JSON.
fn again(kind: &str, object: &Value) -> Option<Value> {
    fn through<T: DeserializeOwned + Serialize>(object: &Value) -> Value {
        let typed: T =
            serde_json::from_value(object.clone()).unwrap_or_else(|error| panic!("{error}: {object}"));
        serde_json::to_value(typed).expect("JSON")
    }
    macro_rules! through {
        ($($kind:literal $type:ty,)+) => { match kind { $($kind => through::<$type>(object),)+ _ => return None } };
    }
    Some(through! {
        "v1 ConfigMap" api::core::v1::ConfigMap,
        "v1 Endpoints" api::core::v1::Endpoints,
        "v1 Event" api::core::v1::Event,
        "v1 LimitRange" api::core::v1::LimitRange,
        "v1 Namespace" api::core::v1::Namespace,
        "v1 Node" api::core::v1::Node,
        "v1 PersistentVolume" api::core::v1::PersistentVolume,
        "v1 PersistentVolumeClaim" api::core::v1::PersistentVolumeClaim,
        "v1 Pod" api::core::v1::Pod,
        "v1 PodTemplate" api::core::v1::PodTemplate,
        "v1 ReplicationController" api::core::v1::ReplicationController,
        "v1 ResourceQuota" api::core::v1::ResourceQuota,
        "v1 Secret" api::core::v1::Secret,
        "v1 Service" api::core::v1::Service,
        "v1 ServiceAccount" api::core::v1::ServiceAccount,
        "apps/v1 ControllerRevision" api::apps::v1::ControllerRevision,
        "apps/v1 DaemonSet" api::apps::v1::DaemonSet,
        "apps/v1 Deployment" api::apps::v1::Deployment,
        "apps/v1 ReplicaSet" api::apps::v1::ReplicaSet,
        "apps/v1 StatefulSet" api::apps::v1::StatefulSet,
        "batch/v1 CronJob" api::batch::v1::CronJob,
        "batch/v1 Job" api::batch::v1::Job,
        "autoscaling/v1 HorizontalPodAutoscaler" api::autoscaling::v1::HorizontalPodAutoscaler,
        "autoscaling/v2 HorizontalPodAutoscaler" api::autoscaling::v2::HorizontalPodAutoscaler,
        "certificates.k8s.io/v1 CertificateSigningRequest" api::certificates::v1::CertificateSigningRequest,
        "coordination.k8s.io/v1 Lease" api::coordination::v1::Lease,
        "discovery.k8s.io/v1 EndpointSlice" api::discovery::v1::EndpointSlice,
        "events.k8s.io/v1 Event" api::events::v1::Event,
        "flowcontrol.apiserver.k8s.io/v1 FlowSchema" api::flowcontrol::v1::FlowSchema,
        "flowcontrol.apiserver.k8s.io/v1 PriorityLevelConfiguration"
            api::flowcontrol::v1::PriorityLevelConfiguration,
        "networking.k8s.io/v1 IPAddress" api::networking::v1::IPAddress,
        "networking.k8s.io/v1 Ingress" api::networking::v1::Ingress,
        "networking.k8s.io/v1 IngressClass" api::networking::v1::IngressClass,
        "networking.k8s.io/v1 NetworkPolicy" api::networking::v1::NetworkPolicy,
        "networking.k8s.io/v1 ServiceCIDR" api::networking::v1::ServiceCIDR,
        "node.k8s.io/v1 RuntimeClass" api::node::v1::RuntimeClass,
        "policy/v1 PodDisruptionBudget" api::policy::v1::PodDisruptionBudget,
        "rbac.authorization.k8s.io/v1 ClusterRole" api::rbac::v1::ClusterRole,
        "rbac.authorization.k8s.io/v1 ClusterRoleBinding" api::rbac::v1::ClusterRoleBinding,
        "rbac.authorization.k8s.io/v1 Role" api::rbac::v1::Role,
        "rbac.authorization.k8s.io/v1 RoleBinding" api::rbac::v1::RoleBinding,
        "resource.k8s.io/v1 DeviceClass" api::resource::v1::DeviceClass,
        "scheduling.k8s.io/v1 PriorityClass" api::scheduling::v1::PriorityClass,
        "storage.k8s.io/v1 CSIDriver" api::storage::v1::CSIDriver,
        "storage.k8s.io/v1 CSINode" api::storage::v1::CSINode,
        "storage.k8s.io/v1 CSIStorageCapacity" api::storage::v1::CSIStorageCapacity,
        "storage.k8s.io/v1 StorageClass" api::storage::v1::StorageClass,
        "storage.k8s.io/v1 VolumeAttachment" api::storage::v1::VolumeAttachment,
        "admissionregistration.k8s.io/v1 MutatingWebhookConfiguration"
            api::admissionregistration::v1::MutatingWebhookConfiguration,
        "admissionregistration.k8s.io/v1 ValidatingAdmissionPolicy"
            api::admissionregistration::v1::ValidatingAdmissionPolicy,
        "admissionregistration.k8s.io/v1 ValidatingAdmissionPolicyBinding"
            api::admissionregistration::v1::ValidatingAdmissionPolicyBinding,
        "admissionregistration.k8s.io/v1 ValidatingWebhookConfiguration"
            api::admissionregistration::v1::ValidatingWebhookConfiguration,
        "apiextensions.k8s.io/v1 CustomResourceDefinition"
            k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition,
        "apiregistration.k8s.io/v1 APIService"
            k8s_openapi::kube_aggregator::pkg::apis::apiregistration::v1::APIService,
    })
}

/// Equal, but for what a type leaves out as it is empty, and how times are written.
fn assert_same(name: &str, ours: &Value, theirs: &Value) {
    assert_eq!(plain(ours), plain(theirs), "{name}");
}

fn plain(value: &Value) -> Value {
    let is_empty = |value: &Value| match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        _ => false,
    };
    match value {
        Value::Object(fields) => {
            let fields = fields.iter().map(|(name, value)| (name.clone(), plain(value)));
            Value::Object(fields.filter(|(_, value)| !is_empty(value)).collect())
        }
        Value::Array(items) => Value::Array(items.iter().map(plain).collect()),
        Value::String(text) => {
            let time = text.parse::<Timestamp>().map(|time| time.to_string());
            Value::String(time.unwrap_or_else(|_| text.clone()))
        }
        other => other.clone(),
    }
}
