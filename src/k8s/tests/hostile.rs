//! Many mutated, truncated and random keys and values through everything.

use super::super::{Encoding, KeyLayout, type_meta};
use super::{json, protobuf};

/// xorshift64*: the same bytes on every run, without a crate.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() >> 33).unwrap() % end
    }

    fn byte(&mut self) -> u8 {
        self.next().to_le_bytes()[7]
    }

    fn bytes(&mut self, max: usize) -> Vec<u8> {
        (0..self.below(max)).map(|_| self.byte()).collect()
    }

    /// Truncates, overwrites, cuts out or doubles parts of a sample.
    fn mutate(&mut self, sample: &[u8]) -> Vec<u8> {
        let mut bytes = sample.to_vec();
        for _ in 0..self.below(4) {
            let at = self.below(bytes.len() + 1);
            match self.below(5) {
                0 => bytes.truncate(at),
                1 if at < bytes.len() => bytes[at] = self.byte(),
                2 => drop(bytes.drain(at / 2..at)),
                3 => bytes.insert(at, b"/.:{}\"\x81\xff\x00"[self.below(9)]),
                _ => bytes.extend_from_within(at..),
            }
        }
        bytes
    }
}

fn keys() -> Vec<Vec<u8>> {
    let paths = "pods/ns/x minions/n services/specs/a/b a.b/cs/ns/x oauth/clients/x x/y core/pods/c/ns/x \
                 a.b/cs/customresources/c/ns/x a.b/cs/c/x";
    let under = |prefix: &str| -> Vec<Vec<u8>> {
        paths.split(' ').map(|path| format!("{prefix}/{path}").into()).collect()
    };
    let others = [b"compact_rev_key".to_vec(), b"/app/sessions/1".to_vec(), vec![]];
    ["/registry", "/my", "", "/openshift.io"].into_iter().flat_map(under).chain(others).collect()
}

fn values() -> Vec<Vec<u8>> {
    vec![
        protobuf("v1", "Pod"),
        protobuf("extensions/v1beta1", "Ingress"),
        json("a.b/v1", "C"),
        b"\xd9\xd9\xf7\xa3DkindACDspec\xa2Aa\x82\x01\x02Ab\xf6JapiVersionFa.b/v1".to_vec(),
        b"k8s:enc:aescbc:v1:key1:\x00\x01\x02".to_vec(),
        vec![],
    ]
}

/// What must hold for any input.
#[track_caller]
fn assert_sound(layout: &KeyLayout, key: &[u8], value: Option<&[u8]>) {
    let object = layout.classify(key, value);
    assert!(key.ends_with(object.name), "{}", key.escape_ascii());
    assert_eq!(object.name.is_empty(), key.is_empty());
    assert_eq!(object.resource.is_empty(), key.is_empty());
    assert!(object.namespace.is_none_or(|ns| !ns.is_empty() && !ns.contains(&b'/')));
    assert!(object.group.bytes().all(|b| b.is_ascii_lowercase() || b"0123456789.-".contains(&b)));
    if object.resource.starts_with(b"/") {
        assert!(key.starts_with(object.resource));
    }
}

#[test]
fn any_bytes_are_survived() {
    let (keys, values) = (keys(), values());
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let mut layout = KeyLayout::new();
    for round in 0..200_000 {
        let key = match round % 8 {
            0 => random.bytes(40),
            _ => random.mutate(&keys[round % keys.len()]),
        };
        let value = match round % 7 {
            0 => random.bytes(200),
            _ => random.mutate(&values[round % values.len()]),
        };
        assert!(!Encoding::of(&value).label().is_empty());
        assert!(type_meta(&value).is_none_or(|meta| !meta.kind.is_empty()));
        layout.learn(key.clone().leak(), &value);
        assert_sound(&layout, &key, Some(&value));
        assert_sound(&layout, &key, None);
    }
    assert!(layout.learned_prefixes().len() > 1, "the samples are good enough to learn from");
}

#[test]
fn every_truncation_is_survived() {
    let (keys, values) = (keys(), values());
    let layout = KeyLayout::new();
    for value in &values {
        let whole = type_meta(value);
        for end in 0..value.len() {
            let cut = type_meta(&value[..end]);
            assert!(cut.is_none() || cut == whole, "cut at {end}: {cut:?}");
            for key in &keys {
                assert_sound(&layout, &key[..end.min(key.len())], Some(&value[..end]));
            }
        }
    }
}
