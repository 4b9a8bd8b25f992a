//! Secrets that hide: in any field, annotation, object, text and encoding, on any level.

use std::io::Write;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use ciborium::Value as Cbor;
use flate2::Compression;
use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};
use k8s_pb::api::apps::v1::ControllerRevision;
use k8s_pb::api::core::v1::{ConfigMap, Secret};
use k8s_pb::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use k8s_pb::apimachinery::pkg::runtime::RawExtension;
use prost::Message;
use serde_json::{Map, Value, json};

use super::search::Needles;
use super::support::random::Random;

/// Annotations in which appliers and others keep what they applied, and some that nobody has heard of.
const ANNOTATIONS: [&str; 16] = [
    "kubectl.kubernetes.io/last-applied-configuration",
    "kapp.k14s.io/original",
    "kapp.k14s.io/original-diff",
    "objectset.rio.cattle.io/applied",
    "banzaicloud.com/last-applied",
    "kopf.zalando.org/last-handled-configuration",
    "config.k8s.io/original",
    "meta.helm.sh/release-name",
    "cert-manager.io/common-name",
    "kubernetes.io/service-account.name",
    "pulumi.com/autonamed",
    "operator.example.com/applied",
    "internal.kpt.dev/upstream",
    "reconcile.example.com/snapshot",
    "config.kubernetes.io/index",
    "x",
];
/// Letters that hardly follow each other elsewhere: a find is no chance.
const ALPHABETS: [&str; 3] = ["qxzjvwk", "QXZJqxzj", "~^QXZ|#"];

/// A key and its value, and whether the key is a Secret's.
pub struct Hidden {
    pub key: String,
    pub value: Vec<u8>,
}

pub struct Maker {
    pub random: Random,
    pub needles: Needles,
}

impl Maker {
    pub fn new(seed: u64) -> Self {
        Self { random: Random(seed), needles: Needles::of_runs(4) }
    }

    /// A piece of data, of any length, as text.
    fn text(&mut self) -> String {
        let alphabet: Vec<char> = self.random.one_of(&ALPHABETS).chars().collect();
        let len = self.random.between(5, 40);
        let text: String = (0..len).map(|_| self.random.one_of(&alphabet)).collect();
        self.needles.add(text.as_bytes());
        text
    }

    fn base64(&mut self) -> String {
        if self.random.percent(20) {
            let len = self.random.between(8, 60);
            let bytes = self.random.bytes(usize::try_from(len).unwrap());
            // no text
            let bytes: Vec<u8> = bytes.into_iter().map(|byte| byte | 0x80).collect();
            self.needles.add(&bytes);
            return STANDARD.encode(bytes);
        }
        STANDARD.encode(self.text())
    }

    /// Any of these is a Secret; some of its fields are of no type that a Secret's are of.
    fn secret(&mut self) -> Map<String, Value> {
        let mut object = Map::new();
        let kind =
            self.random.one_of(&["Secret", "Secret", "Secret", "Secret", "secret", "SECRET", "Secrets"]);
        let field = self.random.one_of(&["kind", "kind", "kind", "kind", "Kind", "KIND"]);
        object.insert("apiVersion".into(), json!("v1"));
        object.insert(field.into(), json!(kind));
        if field != "kind" {
            object.insert("kind".into(), json!("ConfigMap"));
        }
        object.insert("metadata".into(), json!({"name": "s", "namespace": "d"}));
        let data = json!({"password": self.base64(), "other": self.base64()});
        object.insert("data".into(), data);
        let mut repeated = Map::new();
        for number in 0..self.random.below(4) {
            for (form, data) in self.add_oddity(&mut object).into_iter().enumerate() {
                repeated.insert(format!("again-{number}-{form}"), json!(data));
            }
        }
        // what stands in names is data, too, however odd the rest of it is
        match object.get_mut("data") {
            Some(Value::Object(data)) => data.extend(repeated),
            _ => drop(object.insert("data".into(), Value::Object(repeated))),
        }
        object
    }

    /// Changes a field, or adds one. Gives the data that may stand in it as a name, in base64.
    fn add_oddity(&mut self, object: &mut Map<String, Value>) -> [String; 2] {
        let (base64, text) = (self.base64(), self.text());
        let data = [base64.clone(), STANDARD.encode(&text)];
        let copy = Value::Object(object.clone());
        match self.random.below(14) {
            0 => drop(object.insert("data".into(), json!([base64, {"a": text}]))),
            1 => drop(object.insert("data".into(), json!({"a": {"b": base64}, "c": [text], "d": null}))),
            2 => drop(object.insert("stringData".into(), json!({"a": text}))),
            3 => drop(object.insert("stringData".into(), json!(text))),
            4 => drop(object.insert("type".into(), json!(text))),
            5 => drop(object.insert("immutable".into(), json!(text))),
            6 => drop(object.insert("metadata".into(), json!(format!("m {text}")))),
            7 => drop(object.insert("spec".into(), json!({"a": copy}))),
            8 => drop(object.insert("Data".into(), json!({"a": base64}))),
            // a key of data that is its value
            9 => drop(object.insert("data".into(), json!({&text: STANDARD.encode(&text), "b": base64}))),
            _ => {
                let name = self.random.one_of(&ANNOTATIONS);
                let applied = self.pack(copy.to_string().into_bytes());
                let Some(Value::Object(metadata)) = object.get_mut("metadata") else { return data };
                let (name, value) = match self.random.below(8) {
                    0 => ("labels", json!({"app": text, "l": text, &text: "x"})),
                    1 => (
                        "managedFields",
                        json!([{"manager": text, "fieldsV1": {"f:data": {format!("v:{text}"): {}}}}]),
                    ),
                    2 => ("annotations", json!(format!("text {text}"))),
                    3 => ("finalizers", json!([text, format!("example.com/{text}")])),
                    4 => ("ownerReferences", json!([{"kind": "A", "name": text, "uid": text, "odd": text}])),
                    5 => ("generateName", json!(text)),
                    _ => (
                        "annotations",
                        json!({name: applied, "generic": text, "meta.helm.sh/release-name": base64}),
                    ),
                };
                metadata.insert(name.into(), value);
            }
        }
        data
    }

    /// Text of it: plain, or packed up to four times.
    fn pack(&mut self, mut bytes: Vec<u8>) -> String {
        for _ in 0..self.random.below(5) {
            bytes = match self.random.below(9) {
                0 => STANDARD.encode(&bytes).into_bytes(),
                1 => URL_SAFE_NO_PAD.encode(&bytes).into_bytes(),
                2 => hex(&bytes).into_bytes(),
                3 => STANDARD.encode(gzip(&bytes)).into_bytes(),
                4 => STANDARD.encode(zlib(&bytes)).into_bytes(),
                5 => STANDARD.encode(zip(&bytes)).into_bytes(),
                6 => wrapped(&STANDARD.encode(&bytes)).into_bytes(),
                7 => json!({"a": [String::from_utf8_lossy(&bytes)]}).to_string().into_bytes(),
                _ => format!("prefix:{}", STANDARD.encode(gzip(&bytes))).into_bytes(),
            };
        }
        String::from_utf8(bytes).expect("text")
    }

    /// A Secret as the text of a manifest.
    fn manifest(&mut self) -> String {
        let (base64, text) = (self.base64(), self.text());
        match self.random.below(6) {
            0 => format!("apiVersion: v1\nkind: Secret\nmetadata:\n  name: s\ndata:\n  password: {base64}\n"),
            1 => format!("{{apiVersion: v1, kind: 'Secret', stringData: {{a: '{text}'}}}}"),
            2 => format!("# {text}\r\nkind:   \"Secret\"\r\ndata:\r\n  a: {base64}\r\napiVersion: v1\r\n"),
            3 => format!("kind: ConfigMap\n---\ndata:\n  a: {base64}\nkind:\n  Secret\napiVersion: v1\n"),
            4 => format!("kind: !!str Secret\napiVersion: v1\nstringData:\n  a: {base64}\n"),
            _ => format!(
                "cat <<X | kubectl apply -f -\n{{\"kind\":\"Secret\",\"data\":{{\"a\":\"{base64}\"}}}}\nX\n"
            ),
        }
    }

    /// An object that is none, with a Secret in it somewhere.
    fn host(&mut self) -> Map<String, Value> {
        let secret = Value::Object(self.secret());
        let mut host = match self.random.below(9) {
            0 => json!({"apiVersion": "v1", "kind": "List", "items": [{"kind": "A"}, secret]}),
            1 => {
                let mut item = secret;
                item.as_object_mut().unwrap().retain(|name, _| !name.eq_ignore_ascii_case("kind"));
                json!({"apiVersion": "v1", "kind": "SecretList", "items": [item]})
            }
            2 => json!({"apiVersion": "template.openshift.io/v1", "kind": "Template", "objects": [secret]}),
            3 => {
                json!({"apiVersion": "bitnami.com/v1", "kind": "SealedSecret", "spec": {"template": secret}})
            }
            4 => json!({"apiVersion": "apps/v1", "kind": "ControllerRevision", "data": secret}),
            5 => json!({"apiVersion": "a.example/v1", "kind": "A", "spec": {"a": [[{"b": secret}]]}}),
            6 => {
                let manifest = self.manifest();
                let packed = self.pack(manifest.into_bytes());
                json!({"apiVersion": "v1", "kind": "ConfigMap", "data": {"a": packed}})
            }
            7 => {
                let text = self.pack(secret.to_string().into_bytes());
                json!({"apiVersion": "v1", "kind": "ConfigMap", "data": {text: "a name"}})
            }
            _ => {
                let text = self.pack(secret.to_string().into_bytes());
                json!({"apiVersion": "v1", "kind": "ConfigMap", "data": {"a": text}})
            }
        };
        let host = host.as_object_mut().unwrap();
        let again = Value::Object(self.secret()).to_string().into_bytes();
        let again = self.pack(again);
        let name = self.random.one_of(&ANNOTATIONS);
        host.insert("metadata".into(), json!({"name": "h", "annotations": {name: again}}));
        host.clone()
    }

    /// A value, under a key that is not a Secret's unless nothing else tells.
    pub fn hidden(&mut self, number: usize) -> Hidden {
        let open = self.random.one_of(&[
            "registry/configmaps",
            "app",
            "registry/example.com/things",
            "openshift.io/routes",
        ]);
        let own = self.random.one_of(&[
            "registry/secrets",
            "kubernetes.io/secrets",
            "tenants/a/secrets",
            "registry/core/secrets/root:org",
            "k8s/registry/Secrets",
        ]);
        let by_path = self.random.percent(30);
        let key = format!("/{}/d/{number}", if by_path { own } else { open });
        let value = match self.random.below(if by_path { 10 } else { 7 }) {
            0 => Value::Object(self.secret()).to_string().into_bytes(),
            1 => Value::Object(self.host()).to_string().into_bytes(),
            2 => self.said_twice(),
            3 => cbor(&Value::Object(if self.random.percent(50) { self.secret() } else { self.host() })),
            4 | 5 => self.protobuf(),
            6 => self.cbor_said_twice(),
            // and what only its key tells
            7 => {
                let mut cut = Value::Object(self.secret()).to_string().into_bytes();
                cut.truncate(cut.len() - 1);
                cut
            }
            8 => self.text().into_bytes(),
            _ => {
                let other = json!({"apiVersion": "v1", "kind": "ConfigMap", "data": {"a": self.text()}});
                if self.random.percent(50) { cbor(&other) } else { other.to_string().into_bytes() }
            }
        };
        Hidden { key, value }
    }

    fn said_twice(&mut self) -> Vec<u8> {
        let secret = Value::Object(self.secret()).to_string();
        let fields = secret.strip_prefix('{').and_then(|text| text.strip_suffix('}')).unwrap();
        let kind = self.random.one_of(&["\"kind\"", "\"k\\u0069nd\""]);
        match self.random.below(4) {
            0 => format!("{{{fields},\"kind\":\"ConfigMap\"}}"),
            1 => format!("{{\"kind\":\"ConfigMap\",{fields},{kind}:\"S\\u0065cret\"}}"),
            2 => format!("{{\"apiVersion\":\"v1\",\"kind\":\"A\",\"a\":{secret},\"a\":1}}"),
            _ => format!("{{\"apiVersion\":\"v1\",\"kind\":\"A\",\"a\":{{{fields},{kind}:\"B\"}}}}"),
        }
        .into_bytes()
    }

    fn cbor_said_twice(&mut self) -> Vec<u8> {
        let Cbor::Map(mut fields) = to_cbor(&Value::Object(self.secret())) else { unreachable!() };
        fields.retain(|(name, _)| {
            *name != Cbor::Bytes(b"Kind".to_vec()) && *name != Cbor::Bytes(b"KIND".to_vec())
        });
        let kind = |text: &str| (Cbor::Bytes(b"kind".to_vec()), Cbor::Text(text.into()));
        fields.insert(0, kind("Secret"));
        fields.push(kind("ConfigMap"));
        written(&Cbor::Map(fields))
    }

    fn protobuf(&mut self) -> Vec<u8> {
        let annotation = Value::Object(self.secret()).to_string().into_bytes();
        let annotation = self.pack(annotation);
        let text = self.text();
        let metadata = Some(ObjectMeta {
            name: Some("p".into()),
            annotations: [(self.random.one_of(&ANNOTATIONS).to_owned(), annotation)].into(),
            ..ObjectMeta::default()
        });
        let secret = Secret {
            metadata: metadata.clone(),
            data: [("password".to_owned(), text.clone().into_bytes())].into(),
            r#type: Some(text),
            ..Secret::default()
        };
        match self.random.below(5) {
            0 => {
                let map = ConfigMap {
                    metadata,
                    data: [("a".to_owned(), self.manifest())].into(),
                    ..ConfigMap::default()
                };
                envelope(&[("v1", "ConfigMap")], &map.encode_to_vec())
            }
            1 => {
                let raw = Some(Value::Object(self.secret()).to_string().into_bytes());
                let data = Some(RawExtension { raw });
                let revision = ControllerRevision { metadata, data, ..ControllerRevision::default() };
                envelope(&[("apps/v1", "ControllerRevision")], &revision.encode_to_vec())
            }
            2 => envelope(&[("v1", "Secret"), ("v1", "ConfigMap")], &secret.encode_to_vec()),
            3 => envelope(&[("v1", "ConfigMap"), ("v9", "Secret")], &secret.encode_to_vec()),
            _ => envelope(&[("v1", "Secret")], &secret.encode_to_vec()),
        }
    }
}

fn envelope(types: &[(&str, &str)], object: &[u8]) -> Vec<u8> {
    let mut value = b"k8s\0".to_vec();
    for (api_version, kind) in types {
        let mut meta = Vec::new();
        prost::encoding::string::encode(1, &(*api_version).to_owned(), &mut meta);
        prost::encoding::string::encode(2, &(*kind).to_owned(), &mut meta);
        prost::encoding::bytes::encode(1, &meta, &mut value);
    }
    prost::encoding::bytes::encode(2, &object.to_vec(), &mut value);
    value
}

fn to_cbor(value: &Value) -> Cbor {
    match value {
        Value::Null => Cbor::Null,
        Value::Bool(value) => Cbor::Bool(*value),
        Value::Number(number) => Cbor::Integer(number.as_i64().unwrap().into()),
        Value::String(text) => Cbor::Bytes(text.clone().into_bytes()),
        Value::Array(items) => Cbor::Array(items.iter().map(to_cbor).collect()),
        Value::Object(fields) => {
            let fields =
                fields.iter().map(|(name, value)| (Cbor::Bytes(name.clone().into_bytes()), to_cbor(value)));
            Cbor::Map(fields.collect())
        }
    }
}

fn written(value: &Cbor) -> Vec<u8> {
    let mut bytes = vec![0xd9, 0xd9, 0xf7];
    ciborium::into_writer(value, &mut bytes).expect("CBOR");
    bytes
}

fn cbor(value: &Value) -> Vec<u8> {
    written(&to_cbor(value))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// As MIME and `base64` have it: lines of 76.
fn wrapped(base64: &str) -> String {
    base64.as_bytes().chunks(76).map(|line| format!("{}\n", String::from_utf8_lossy(line))).collect()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).expect("memory");
    encoder.finish().expect("memory")
}

fn zlib(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).expect("memory");
    encoder.finish().expect("memory")
}

/// The file `original` of a zip, with its sizes behind it, as Go writes it.
fn zip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).expect("memory");
    let mut header = b"PK\x03\x04\x14\0\x08\0\x08\0".to_vec();
    header.extend([0; 16]);
    header.extend([8, 0, 0, 0]);
    [&header[..], b"original", &encoder.finish().expect("memory"), b"PK\x07\x08"].concat()
}
