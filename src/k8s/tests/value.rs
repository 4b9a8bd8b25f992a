//! Encodings and type metas, as literal bytes.

use super::super::{Encoding, type_meta};
use super::{json, meta, protobuf};

#[test]
fn encodings_are_told_by_their_first_bytes() {
    let cases: &[(&[u8], &str)] = &[
        (b"k8s\0\x0a\x09", "protobuf"),
        (b"k8s\0", "protobuf"),
        (b"k8s", "other"),
        (b"{}", "json"),
        (b" \t\r\n{\"kind\":", "json"),
        (b"[1]", "other"),
        (b"\xd9\xd9\xf7\xa0", "cbor"),
        (b"\xd9\xd9", "other"),
        (b"k8s:enc:aescbc:v1:key1:\x00\xff", "encrypted"),
        (b"k8s:enc:", "encrypted"),
        (b"", "other"),
        (b"s1", "other"),
        (b"    ", "other"),
    ];
    for (value, label) in cases {
        assert_eq!(Encoding::of(value).label(), *label, "{}", value.escape_ascii());
    }
    let spaces = [vec![b' '; 1 << 20], b"{".to_vec()].concat();
    assert_eq!(Encoding::of(&spaces), Encoding::Other, "the look at a value is bounded");
}

#[test]
fn encrypted_values_name_their_provider() {
    let cases: &[(&[u8], &str, Option<&str>)] = &[
        (b"k8s:enc:aescbc:v1:key1:\xff\xfe5678901234567890", "k8s:enc:aescbc:v1:key1", Some("aescbc")),
        (b"k8s:enc:aesgcm:v1:gcmkey:::::::::::::::::", "k8s:enc:aesgcm:v1:gcmkey", Some("aesgcm")),
        (b"k8s:enc:kms:v2:vault:\x0a\x405678901234567890", "k8s:enc:kms:v2:vault", Some("kms")),
        // no ciphertext: what looks like a key's name may be anything
        (b"k8s:enc:kms:v2:vault:\x0a\x4056789012345678", "k8s:enc:kms:v2:vault", Some("kms")),
        (b"k8s:enc:kms:v2:vault:\x0a\x405678901234567", "k8s:enc:kms:v2", Some("kms")),
        (b"k8s:enc:secretbox:v1:k:", "k8s:enc:secretbox:v1", Some("secretbox")),
        (b"k8s:enc:password:v1:k:", "k8s:enc", None),
        (b"k8s:enc:aescbc:v1:key1", "k8s:enc", None),
        (b"k8s:enc:\xff:v1:key1:", "k8s:enc", None),
        (b"k8s:enc:", "k8s:enc", None),
    ];
    for (value, prefix, provider) in cases {
        let encoding = Encoding::of(value);
        assert_eq!(encoding, Encoding::Encrypted { prefix }, "{}", value.escape_ascii());
        assert_eq!(encoding.provider(), *provider);
        assert_eq!(type_meta(value), None);
    }
    let long = [b"k8s:enc:kms:v2:".to_vec(), vec![b'n'; 1 << 20], b":".to_vec()].concat();
    assert_eq!(Encoding::of(&long), Encoding::Encrypted { prefix: "k8s:enc" });
    assert_eq!(Encoding::Json.provider(), None);
}

#[test]
fn type_meta_of_protobuf() {
    assert_eq!(type_meta(&protobuf("apps/v1", "Deployment")), meta("apps", "v1", "Deployment"));
    assert_eq!(type_meta(&protobuf("v1", "Pod")), meta("", "v1", "Pod"));
    assert_eq!(type_meta(&protobuf("", "Pod")), None);
    assert_eq!(type_meta(&protobuf("apps/", "Pod")), None);
    assert_eq!(type_meta(&protobuf("a/b/c", "Pod")), None);
    assert_eq!(type_meta(&protobuf("v1", "")), None);
    // The start of a real pod of the corpora.
    assert_eq!(type_meta(b"k8s\0\x0a\x09\x0a\x02v1\x12\x03Pod\x12"), meta("", "v1", "Pod"));
    // An unknown field of each wire type in front of the envelope's first.
    let odd = b"k8s\0\x28\xff\x01\x31........\x3d....\x42\x01x\x0a\x09\x0a\x02v1\x12\x03Pod";
    assert_eq!(type_meta(odd), meta("", "v1", "Pod"));
    // A varint that doesn't end, and a deprecated group.
    assert_eq!(type_meta(&[b"k8s\0".as_slice(), &[0xff; 64]].concat()), None);
    assert_eq!(type_meta(b"k8s\0\x2b\x2c\x0a\x09\x0a\x02v1\x12\x03Pod"), None);
}

#[test]
fn type_meta_of_json() {
    assert_eq!(type_meta(&json("apps/v1", "Deployment")), meta("apps", "v1", "Deployment"));
    let a = meta("", "v1", "A");
    let cases = [
        (r#"{"kind":"A","apiVersion":"b.c/v1"}"#, meta("b.c", "v1", "A")),
        (r#" { "s" : {"kind":"X","a":[1,{"b":"}"}]} , "kind":"A","apiVersion":"v1" }"#, a),
        (r#"{"kind":"A","apiVersion":"v1","spec":{"its end is lo"#, a),
        (r#"{"\u006bind":"A","apiVersion":"v1"}"#, a),
        (r#"{"metadata":{"kind":"A","apiVersion":"v1"}}"#, None),
        (r#"{"kind":"A"}"#, None),
        (r#"{"kind":1,"apiVersion":"v1"}"#, None),
        (r#"{"kind":null,"apiVersion":"v1"}"#, None),
        (r#"{"apiVersion":"apps\/v1","kind":"A"}"#, None),
        ("{\"kind\":\"\u{7}\",\"apiVersion\":\"v1\"}", None),
        ("{", None),
        ("{}", None),
        ("{]", None),
    ];
    for (value, expected) in cases {
        assert_eq!(type_meta(value.as_bytes()), expected, "{value}");
    }
    assert_eq!(type_meta(b"{\"kind\":\"\xff\",\"apiVersion\":\"v1\"}"), None);
}

/// As Kubernetes writes it: strings are byte strings, keys sorted by length.
const REAL_CBOR: &[u8] = b"\xd9\xd9\xf7\xa4DkindNVirtualServiceDspec\xa7Dnone\xf6Ehosts\x81Qapi-0.\
    example.comEratio\xfb?\xb9\xcb\x0f<\x86\xb2\x88Fnested\xa1Dlist\x82\xa2Aa\x00AbX\x1bbumohon \
    nopewo-svc danumoho\xa2Aa\x01AbCohoFweight\x18\x22Genabled\xf5Hselector\xa0Hmetadata\xa0\
    JapiVersionVnetworking.istio.io/v1";

#[test]
fn type_meta_of_cbor() {
    assert_eq!(type_meta(REAL_CBOR), meta("networking.istio.io", "v1", "VirtualService"));
    for end in 0..REAL_CBOR.len() {
        assert_eq!(type_meta(&REAL_CBOR[..end]), None, "cut at {end}");
    }
    // With text strings, and a tagged item between.
    let text = b"\xd9\xd9\xf7\xa3dkindcFooat\xc0\x60japiVersionfb.c/v1";
    assert_eq!(type_meta(text), meta("b.c", "v1", "Foo"));
}

#[test]
fn broken_cbor_has_no_type_meta() {
    let broken: &[&[u8]] = &[
        b"",
        // An indefinite length, an array in the map's place, a key that is a number.
        b"\xbfdkindcFoojapiVersionfb.c/v1\xff",
        b"\x82dkindcFoo",
        b"\xa1\x01\x02",
        // Lengths beyond all that there is: of the map, of a map and arrays in it, of a string.
        b"\xbb\xff\xff\xff\xff\xff\xff\xff\xffaa",
        b"\xa1aa\xbb\xff\xff\xff\xff\xff\xff\xff\xff",
        b"\xa1aa\x9b\xff\xff\xff\xff\xff\xff\xff\xff\x9b\xff\xff\xff\xff\xff\xff\xff\xff",
        b"\xa1aa\x5b\xff\xff\xff\xff\xff\xff\xff\xff",
    ];
    for rest in broken {
        let value = [b"\xd9\xd9\xf7", *rest].concat();
        assert_eq!(type_meta(&value), None, "{}", value.escape_ascii());
    }
}

#[test]
fn depth_costs_no_stack() {
    for opening in ["[", "{\"a\":"] {
        let deep = format!("{{\"spec\":{}", opening.repeat(1 << 20));
        assert_eq!(type_meta(deep.as_bytes()), None);
    }
    let (open, close) = ("[".repeat(1 << 20), "]".repeat(1 << 20));
    let closed = format!(r#"{{"spec":{open}{close},"kind":"A","apiVersion":"v1"}}"#);
    assert_eq!(type_meta(closed.as_bytes()), meta("", "v1", "A"));
    for nest in [b'\x81', b'\xc0'] {
        let deep = [b"\xd9\xd9\xf7\xa1\x61a".to_vec(), vec![nest; 1 << 20]].concat();
        assert_eq!(type_meta(&deep), None);
    }
}
