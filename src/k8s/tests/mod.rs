//! What the tests share: objects as the API server writes them, and rows as people write them.

#![expect(clippy::arithmetic_side_effects, reason = "small numbers of the tests' own")]

mod hostile;
mod key;
mod learn;
mod logical;
mod value;

use super::{KeyLayout, ObjectKey, TypeMeta};

/// A value as kube-apiserver writes it: the envelope, then `raw`, here a few bytes of anything.
fn protobuf(api_version: &str, kind: &str) -> Vec<u8> {
    let field = |number: u8, bytes: &[u8]| {
        let len = u8::try_from(bytes.len()).unwrap();
        assert!(len < 0x80, "one byte of varint is enough here");
        [&[number << 3 | 2, len], bytes].concat()
    };
    let type_meta = [field(1, api_version.as_bytes()), field(2, kind.as_bytes())].concat();
    [b"k8s\0".to_vec(), field(1, &type_meta), field(2, b"\x0a\x00raw"), field(4, b"")].concat()
}

/// A value as kube-apiserver writes a custom resource.
fn json(api_version: &str, kind: &str) -> Vec<u8> {
    format!(r#"{{"apiVersion":"{api_version}","kind":"{kind}","metadata":{{}}}}"#).into()
}

#[expect(clippy::unnecessary_wraps, reason = "compared with what type_meta gives")]
fn meta<'a>(group: &'a str, version: &'a str, kind: &'a str) -> Option<TypeMeta<'a>> {
    Some(TypeMeta { group, version, kind })
}

/// Classifies a key into `group|resource|namespace|name`, with `-` for no namespace.
fn classify(layout: &KeyLayout<'_>, key: &str, value: Option<&[u8]>) -> String {
    let ObjectKey { group, resource, namespace, name, .. } = layout.classify(key.as_bytes(), value);
    let text = String::from_utf8_lossy;
    let namespace = namespace.map_or("-".into(), text);
    format!("{group}|{}|{namespace}|{}", text(resource), text(name))
}

/// Checks lines of a key and the row that it must give without a value.
#[track_caller]
fn assert_rows(layout: &KeyLayout<'_>, lines: &str) {
    for [key, expected] in columns(lines) {
        assert_eq!(classify(layout, key, None), expected, "{key}");
    }
}

/// Lines of as many words as columns.
#[track_caller]
fn columns<const N: usize>(lines: &str) -> Vec<[&str; N]> {
    let cells = |line| str::split_whitespace(line).collect::<Vec<_>>().try_into();
    let lines = lines.lines().filter(|line| !line.trim().is_empty());
    lines.map(|line| cells(line).unwrap_or_else(|_| panic!("not {N} columns: {line}"))).collect()
}
