//! Objects in each encoding, one or many, as whoever may write to etcd could write them.

use prost::encoding::bytes;

use super::files::of_values;

fn of_value(resource: &str, value: Vec<u8>) -> Vec<u8> {
    of_values([(format!("/registry/{resource}/d/a").into_bytes(), value)].into_iter())
}

fn json(content: impl AsRef<[u8]>) -> Vec<u8> {
    let object = [br#"{"apiVersion":"v1","kind":"Pod","x":"#, content.as_ref(), b"}"].concat();
    of_value("pods", object)
}

fn list(item: &str, n: usize) -> String {
    format!("[{}]", vec![item; n].join(","))
}

fn nest(item: &str, depth: usize) -> String {
    format!("{}{item}{}", r#"{"a":"#.repeat(depth), "}".repeat(depth))
}

pub fn json_objects(n: usize) -> Vec<u8> {
    json(list(r#"{"":0}"#, n))
}

pub fn json_objects_and_an_escape(n: usize) -> Vec<u8> {
    json(format!(r#"["\u001b",{}]"#, list(r#"{"":0}"#, n)))
}

pub fn json_one_key_objects(n: usize) -> Vec<u8> {
    json(list(r#"{"a":{}}"#, n))
}

pub fn json_arrays(n: usize) -> Vec<u8> {
    json(list("[]", n))
}

pub fn json_empty_lists(n: usize) -> Vec<u8> {
    json(list("{}", n))
}

pub fn json_numbers(n: usize) -> Vec<u8> {
    json(list("0", n))
}

pub fn json_deep(n: usize) -> Vec<u8> {
    json(["[".repeat(n), "]".repeat(n)].concat())
}

pub fn json_wide(n: usize) -> Vec<u8> {
    let fields: Vec<_> = (0..n).map(|n| format!(r#""{n:x}":0"#)).collect();
    json(format!("{{{}}}", fields.join(",")))
}

pub fn json_text_of_escapes(n: usize) -> Vec<u8> {
    json(format!("\"{}\"", "\u{9b}".repeat(n)))
}

pub fn json_lines(n: usize) -> Vec<u8> {
    json(format!("\"{}\"", r"\n".repeat(n)))
}

pub fn json_nests(n: usize) -> Vec<u8> {
    json(list(&nest("0", 60), n))
}

pub fn json_nests_of_lines(n: usize) -> Vec<u8> {
    json(list(&nest(r#""x\ny""#, 50), n))
}

pub fn json_deep_lines(n: usize) -> Vec<u8> {
    json(nest(&format!("\"{}\"", r"x\n".repeat(n)), 110))
}

pub fn many_objects(n: usize) -> Vec<u8> {
    let value =
        |n: usize| format!(r#"{{"apiVersion":"v1","kind":"Pod","metadata":{{"name":"p{n}"}}}}"#).into_bytes();
    of_values((0..n).map(|n| (format!("/registry/pods/d/p{n}").into_bytes(), value(n))))
}

fn cbor(content: &[&[u8]]) -> Vec<u8> {
    let head = b"\xd9\xd9\xf7\xa3\x4aapiVersion\x42v1\x44kind\x43Pod\x41x";
    of_value("pods", [&head[..], &content.concat()].concat())
}

fn len(n: usize) -> [u8; 4] {
    u32::try_from(n).expect("few").to_be_bytes()
}

pub fn cbor_objects(n: usize) -> Vec<u8> {
    cbor(&[b"\x9a", &len(n), &b"\xa1\x40\x00".repeat(n)])
}

pub fn cbor_arrays(n: usize) -> Vec<u8> {
    cbor(&[b"\x9a", &len(n), &b"\x80".repeat(n)])
}

pub fn cbor_numbers(n: usize) -> Vec<u8> {
    cbor(&[b"\x9a", &len(n), &vec![0; n]])
}

pub fn cbor_arrays_that_lie(n: usize) -> Vec<u8> {
    cbor(&[&b"\x9b\x00\x00\x00\x00\xff\xff\xff\xff".repeat(n)])
}

pub fn cbor_bytes_that_lie(_: usize) -> Vec<u8> {
    cbor(&[b"\x5b\x00\x00\x00\x7f\xff\xff\xff\xff"])
}

pub fn cbor_tags(n: usize) -> Vec<u8> {
    cbor(&[&b"\xc1".repeat(n), b"\x00"])
}

pub fn cbor_text_for_base64(n: usize) -> Vec<u8> {
    cbor(&[b"\xd7\x5a", &len(n), &vec![b'x'; n]])
}

pub fn cbor_deep_maps(n: usize) -> Vec<u8> {
    cbor(&[&b"\xa1\x40".repeat(n), b"\x00"])
}

/// Field 2 of the envelope; field `number` of the message within is repeated, each time empty but for `content`.
fn protobuf(resource: &str, api_version: &str, kind: &str, raw: &[u8]) -> Vec<u8> {
    let (mut meta, mut value) = (Vec::new(), b"k8s\0".to_vec());
    bytes::encode(1, &api_version.as_bytes().to_vec(), &mut meta);
    bytes::encode(2, &kind.as_bytes().to_vec(), &mut meta);
    bytes::encode(1, &meta, &mut value);
    bytes::encode(2, &raw.to_vec(), &mut value);
    of_value(resource, value)
}

/// A message of one field.
fn field(number: u32, content: &[u8]) -> Vec<u8> {
    let mut message = Vec::new();
    bytes::encode(number, &content.to_vec(), &mut message);
    message
}

pub fn volume_claim_templates(n: usize) -> Vec<u8> {
    protobuf("statefulsets", "apps/v1", "StatefulSet", &field(2, &b"\x22\x00".repeat(n)))
}

/// Conditions, in a Pod's status.
pub fn owner_references(n: usize) -> Vec<u8> {
    protobuf("pods", "v1", "Pod", &field(1, &b"\x6a\x00".repeat(n)))
}

pub fn volumes(n: usize) -> Vec<u8> {
    protobuf("pods", "v1", "Pod", &field(2, &b"\x0a\x00".repeat(n)))
}

pub fn pod_containers(n: usize) -> Vec<u8> {
    protobuf("pods", "v1", "Pod", &field(3, &b"\x42\x00".repeat(n)))
}

pub fn job_conditions(n: usize) -> Vec<u8> {
    protobuf("jobs", "batch/v1", "Job", &field(3, &b"\x0a\x00".repeat(n)))
}

/// JSON within protobuf: `fieldsV1` of `managedFields`.
pub fn managed_fields(n: usize) -> Vec<u8> {
    let fields: Vec<_> = (0..n).map(|n| format!(r#""f:{n:x}":{{"f:a":{{".":{{}}}}}}"#)).collect();
    let fields = field(1, format!("{{{}}}", fields.join(",")).as_bytes());
    protobuf("pods", "v1", "Pod", &field(1, &field(17, &field(7, &fields))))
}

pub fn long_annotation(n: usize) -> Vec<u8> {
    let annotation = [field(1, b"a"), field(2, &b"x\n".repeat(n / 2))].concat();
    protobuf("pods", "v1", "Pod", &field(1, &field(12, &annotation)))
}

fn keys(n: usize) -> Vec<u8> {
    (0..n).flat_map(|n| field(2, &[field(1, format!("{n:x}").as_bytes()), field(2, b"")].concat())).collect()
}

pub fn config_map_keys(n: usize) -> Vec<u8> {
    protobuf("configmaps", "v1", "ConfigMap", &keys(n))
}

pub fn secret_keys(n: usize) -> Vec<u8> {
    protobuf("secrets", "v1", "Secret", &keys(n))
}
