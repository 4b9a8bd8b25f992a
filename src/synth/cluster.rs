//! A cluster's objects: from the number of a key to its text, and from a version to its value.
//!
//! Nothing is stored of an object: all of it follows from the seed and its number within its kind, so a larger cluster
//! has the objects of a smaller one, and more.

use std::ops::Range;

use prost::encoding::{encode_varint, encoded_len_varint};

use super::kinds::{KINDS, Name, ResourceModel, ValueEncoding, WORDS};
use super::random::{Question, Random};

/// Bytes of the text that all values are cut from.
const FILLER_BYTES: u64 = 1 << 20;
/// What Kubernetes makes random names of (`apimachinery/pkg/util/rand`).
const ALPHABET: &[u8; 27] = b"bcdfghjklmnpqrstvwxz2456789";
/// Keys for each namespace.
const KEYS_A_NAMESPACE: u32 = 400;

/// All objects, also deleted ones.
#[derive(Debug)]
pub struct Cluster {
    seed: u64,
    num_namespaces: u64,
    /// The first key of each kind, then the number of all keys.
    starts: Vec<u32>,
    max_value: u32,
    filler: Vec<u8>,
}

/// One key: its kind, and its number within.
#[derive(Clone, Copy, Debug)]
pub struct Object {
    pub kind: &'static ResourceModel,
    /// Number of the kind, and of the object within it.
    id: u64,
}

/// A key's text, and what it consists of.
#[derive(Debug)]
pub struct KeyText<'t> {
    pub text: &'t [u8],
    namespace: Range<usize>,
    name: Range<usize>,
}

impl Cluster {
    /// A cluster of `num_keys` keys, with no value above `max_value` bytes.
    pub fn new(seed: u64, num_keys: u32, max_value: u32) -> Self {
        let total: u64 = KINDS.iter().map(|kind| u64::from(kind.share)).sum();
        let mut before = 0u64;
        let mut start = |share: u32| {
            let start = u64::from(num_keys) * before / total.max(1);
            before += u64::from(share);
            u32::try_from(start).unwrap_or(num_keys)
        };
        let mut starts: Vec<_> = KINDS.iter().map(|kind| start(kind.share)).collect();
        starts.push(num_keys);
        let num_namespaces = u64::from((num_keys / KEYS_A_NAMESPACE).max(4));
        Self { seed, num_namespaces, starts, max_value, filler: filler(seed) }
    }

    /// The keys of each kind.
    pub fn kinds(&self) -> impl Iterator<Item = (&'static ResourceModel, Range<u32>)> {
        let ranges = self.starts.iter().zip(self.starts.iter().skip(1));
        KINDS.iter().zip(ranges).map(|(kind, (&start, &end))| (kind, start..end))
    }

    /// The object of a key.
    pub fn object(&self, key: u32) -> Option<Object> {
        let number = self.starts.partition_point(|&start| start <= key).checked_sub(1)?;
        let (kind, start) = (KINDS.get(number)?, *self.starts.get(number)?);
        Some(Object { kind, id: (number as u64) << 32 | u64::from(key.checked_sub(start)?) })
    }

    /// Writes a key's text as kube-apiserver has it.
    pub fn key<'t>(&self, object: Object, text: &'t mut Vec<u8>) -> KeyText<'t> {
        let mut random = Random::new(self.seed, Question::Name, object.id);
        text.clear();
        text.extend_from_slice(b"/registry/");
        text.extend_from_slice(object.kind.path.as_bytes());
        text.push(b'/');
        let begin = text.len();
        if object.kind.namespaced {
            let namespace = random.skewed_below(self.num_namespaces);
            match object.kind.name {
                Name::Node => text.extend_from_slice(b"kube-node-lease"),
                _ => push_namespace(namespace, text),
            }
            text.push(b'/');
        }
        let namespace = begin..text.len().saturating_sub(1).max(begin);
        let begin = text.len();
        push_name(object, &mut random, text);
        KeyText { namespace, name: begin..text.len(), text }
    }

    /// Bytes that the value of a version has.
    pub fn value_len(&self, object: Object, key: &KeyText<'_>, version: u32) -> u64 {
        let filler = self.filler_len(object, key, version);
        value_len(object.kind, key, filler)
    }

    /// Appends the value of a version.
    pub fn value(&self, object: Object, key: &KeyText<'_>, version: u32, out: &mut Vec<u8>) {
        let filler = self.filler_len(object, key, version);
        let mut random = Random::new(self.seed, Question::Version, object.id ^ u64::from(version) << 40);
        let mut push_filler = |out: &mut Vec<u8>| {
            let mut rest = usize::try_from(filler).unwrap_or(0);
            while rest > 0 {
                let start = usize::try_from(random.below(FILLER_BYTES)).unwrap_or(0);
                let text = self.filler.get(start..).unwrap_or_default();
                let text = text.get(..rest).unwrap_or(text);
                out.extend_from_slice(text);
                rest -= text.len().min(rest).max(1);
            }
        };
        let uid = uid(self.seed, object);
        match object.kind.encoding {
            ValueEncoding::Protobuf => push_protobuf(object.kind, key, &uid, filler, push_filler, out),
            ValueEncoding::Json => {
                let [before @ .., last] = json_pieces(object.kind, key, &uid);
                before.iter().for_each(|piece| out.extend_from_slice(piece));
                push_filler(out);
                out.extend_from_slice(last);
            }
        }
    }

    /// How much text a version's value is filled with: a key's values are all of about one size.
    fn filler_len(&self, object: Object, key: &KeyText<'_>, version: u32) -> u64 {
        let mut random = Random::new(self.seed, Question::Size, object.id);
        let size = quantile(&object.kind.value_bytes, random.bits_32());
        let mut random = Random::new(self.seed, Question::Size, object.id ^ u64::from(version) << 40);
        let size = size - size / 32 + random.below(size / 16 + 1);
        size.min(u64::from(self.max_value)).saturating_sub(value_len(object.kind, key, 0))
    }
}

impl KeyText<'_> {
    fn namespace(&self) -> &[u8] {
        self.text.get(self.namespace.clone()).unwrap_or_default()
    }

    fn name(&self) -> &[u8] {
        self.text.get(self.name.clone()).unwrap_or_default()
    }
}

/// The text that values are cut from: words with spaces between.
fn filler(seed: u64) -> Vec<u8> {
    let mut random = Random::new(seed, Question::Filler, 0);
    let mut text = Vec::new();
    while text.len() as u64 <= FILLER_BYTES {
        text.extend_from_slice(random.one_of(WORDS).map_or(b"", |word| word.as_bytes()));
        text.push(b' ');
    }
    text
}

/// The size that `draw`, of 2^32 draws, has: between two of the known sizes by how far it lies between their shares.
fn quantile(known: &[u32; 5], draw: u32) -> u64 {
    const SHARES: [u64; 5] = [0, 500_000, 900_000, 990_000, 1_000_000];
    let share = (u64::from(draw) * 1_000_000) >> 32;
    let points = SHARES.iter().zip(known);
    let mut spans = points.clone().zip(points.skip(1));
    let span = spans.find(|((from, _), (to, _))| (**from..**to).contains(&share));
    span.map_or(0, |((from, low), (to, high))| {
        u64::from(*low) + u64::from(high.saturating_sub(*low)) * (share - from) / (to - from).max(1)
    })
}

/// Namespaces are named after teams and stages.
fn push_namespace(number: u64, out: &mut Vec<u8>) {
    const STAGES: [&str; 3] = ["prod", "staging", "dev"];
    let words = WORDS.len() as u64;
    let at = |number: u64, texts: &[&'static str]| {
        let text = usize::try_from(number % texts.len().max(1) as u64).ok().and_then(|at| texts.get(at));
        text.copied().unwrap_or_default()
    };
    out.extend_from_slice(at(number, WORDS).as_bytes());
    out.push(b'-');
    out.extend_from_slice(at(number / words, &STAGES).as_bytes());
    let round = number / words / STAGES.len() as u64;
    if round > 0 {
        out.extend_from_slice(format!("-{round}").as_bytes());
    }
}

fn push_name(object: Object, random: &mut Random, out: &mut Vec<u8>) {
    let number = object.id & 0xFFFF_FFFF;
    let word = random.one_of(WORDS).copied().unwrap_or_default();
    let push = |out: &mut Vec<u8>, text: &str| out.extend_from_slice(text.as_bytes());
    match object.kind.name {
        Name::Plain => {
            push(out, word);
            push_suffix(object, out);
        }
        Name::Pod => {
            push(out, word);
            push_letters(random.bits(), 9, out);
            push_suffix(object, out);
        }
        Name::Event => {
            push(out, word);
            push_letters(random.bits(), 9, out);
            push_letters(random.bits(), 5, out);
            // the time of the event in nanoseconds, as client-go has it: 65 microseconds apart
            push(out, &format!(".{:016x}", 0x18ea_0000_0000_0000 + (number << 16) + random.below(1 << 16)));
        }
        Name::HelmRelease => {
            push(out, "sh.helm.release.v1.");
            push(out, word);
            push_suffix(object, out);
            push(out, &format!(".v{}", 1 + random.below(10)));
        }
        Name::Node => {
            let [a, b, c, d] = u32::try_from(number).unwrap_or(0).to_be_bytes();
            push(out, &format!("ip-{}-{b}-{c}-{d}.eu-west-1.compute.internal", 10 + u16::from(a)));
        }
    }
}

/// Five letters that no other object of the kind has; seven if five are not enough.
fn push_suffix(object: Object, out: &mut Vec<u8>) {
    const FIVE: u64 = 27u64.pow(5);
    const SEVEN: u64 = 27u64.pow(7);
    // factors without a common divisor with 27 make each number another one, and hide their order
    let (kind, number) = (object.id >> 32, object.id & 0xFFFF_FFFF);
    match number < FIVE {
        true => push_letters((number * 8_675_309 + kind * 1_299_709) % FIVE, 5, out),
        false => push_letters((number * 86_028_121 + kind * 15_485_863) % SEVEN, 7, out),
    }
}

fn push_letters(mut number: u64, count: usize, out: &mut Vec<u8>) {
    out.push(b'-');
    for _ in 0..count {
        let letter = usize::try_from(number % 27).ok().and_then(|at| ALPHABET.get(at));
        out.push(letter.copied().unwrap_or(b'x'));
        number /= 27;
    }
}

const UID_LEN: u64 = 36;

fn uid(seed: u64, object: Object) -> [u8; UID_LEN as usize] {
    let mut random = Random::new(seed, Question::Name, !object.id);
    let (high, low) = (random.bits(), random.bits());
    let [time, middle, version] = [high >> 32, high >> 16 & 0xFFFF, high & 0xFFF];
    let [variant, node] = [low >> 48 & 0x3FFF | 0x8000, low & 0xFFFF_FFFF_FFFF];
    let text = format!("{time:08x}-{middle:04x}-4{version:03x}-{variant:04x}-{node:012x}");
    text.as_bytes().try_into().unwrap_or([b'0'; UID_LEN as usize])
}

/// Bytes of a protobuf field whose content has `len` bytes and whose number is below 16.
pub fn field_len(len: u64) -> u64 {
    1 + encoded_len_varint(len) as u64 + len
}

fn push_field(number: u8, len: u64, out: &mut Vec<u8>) {
    out.push(number << 3 | 2);
    encode_varint(len, out);
}

fn value_len(kind: &ResourceModel, key: &KeyText<'_>, filler: u64) -> u64 {
    match kind.encoding {
        ValueEncoding::Protobuf => {
            let Lengths { type_meta, raw, .. } = Lengths::of(kind, key, filler);
            4 + field_len(type_meta) + field_len(raw) + PROTOBUF_END.len() as u64
        }
        ValueEncoding::Json => {
            let pieces = json_pieces(kind, key, &[0; UID_LEN as usize]);
            pieces.iter().map(|piece| piece.len() as u64).sum::<u64>() + filler
        }
    }
}

/// An empty content encoding and content type, which kube-apiserver writes, too.
const PROTOBUF_END: &[u8] = b"\x1a\0\x22\0";

/// Bytes of the messages within a protobuf value (`apimachinery/pkg/runtime/generated.proto`, `Unknown`).
struct Lengths {
    /// `typeMeta`: apiVersion and kind.
    type_meta: u64,
    /// The object's `metadata`: name, namespace, uid.
    metadata: u64,
    /// `raw`, the object: its metadata, and a field 2 of text, where most kinds have their `spec`.
    raw: u64,
}

impl Lengths {
    fn of(kind: &ResourceModel, key: &KeyText<'_>, filler: u64) -> Self {
        let len = |text: &[u8]| field_len(text.len() as u64);
        let type_meta = len(kind.api_version.as_bytes()) + len(kind.kind.as_bytes());
        let namespace = if kind.namespaced { len(key.namespace()) } else { 0 };
        let metadata = len(key.name()) + namespace + field_len(UID_LEN);
        Self { type_meta, metadata, raw: field_len(metadata) + field_len(filler) }
    }
}

fn push_protobuf(
    kind: &ResourceModel,
    key: &KeyText<'_>,
    uid: &[u8],
    filler: u64,
    push_filler: impl FnOnce(&mut Vec<u8>),
    out: &mut Vec<u8>,
) {
    let Lengths { type_meta, metadata, raw } = Lengths::of(kind, key, filler);
    let push_text = |number: u8, text: &[u8], out: &mut Vec<u8>| {
        push_field(number, text.len() as u64, out);
        out.extend_from_slice(text);
    };
    out.extend_from_slice(b"k8s\0");
    push_field(1, type_meta, out);
    push_text(1, kind.api_version.as_bytes(), out);
    push_text(2, kind.kind.as_bytes(), out);
    push_field(2, raw, out);
    push_field(1, metadata, out);
    push_text(1, key.name(), out);
    if kind.namespaced {
        push_text(3, key.namespace(), out);
    }
    push_text(5, uid, out);
    push_field(2, filler, out);
    push_filler(out);
    out.extend_from_slice(PROTOBUF_END);
}

/// A JSON value; the text that fills it comes before the last piece.
fn json_pieces<'p>(kind: &ResourceModel, key: &'p KeyText<'_>, uid: &'p [u8]) -> [&'p [u8]; 12] {
    let (namespace_label, namespace): (&[u8], &[u8]) =
        if kind.namespaced { (br#"","namespace":""#, key.namespace()) } else { (b"", b"") };
    [
        br#"{"apiVersion":""#,
        kind.api_version.as_bytes(),
        br#"","kind":""#,
        kind.kind.as_bytes(),
        br#"","metadata":{"name":""#,
        key.name(),
        namespace_label,
        namespace,
        br#"","uid":""#,
        uid,
        br#""},"spec":{"description":""#,
        b"\"}}\n",
    ]
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use crate::k8s::{KeyLayout, type_meta};

    use super::*;

    #[test]
    fn every_key_is_another_and_where_kubernetes_has_it() {
        let cluster = Cluster::new(1, 60_000, 1 << 20);
        let layout = KeyLayout::new();
        let mut seen = BTreeSet::new();
        let mut text = Vec::new();
        for number in 0..60_000 {
            let object = cluster.object(number).unwrap();
            let key = cluster.key(object, &mut text);
            let found = layout.classify(key.text, None);
            assert_eq!(found.name, key.name());
            assert_eq!(found.namespace.unwrap_or_default(), key.namespace());
            assert!(seen.insert(key.text.to_vec()), "{}", String::from_utf8_lossy(key.text));
        }
        assert!(cluster.kinds().all(|(_, keys)| !keys.is_empty()));
    }

    #[test]
    fn values_are_as_long_as_foretold_and_say_what_they_are() {
        let cluster = Cluster::new(1, 6000, 1 << 20);
        let layout = KeyLayout::new();
        let (mut text, mut value) = (Vec::new(), Vec::new());
        for key in 0..6000 {
            let object = cluster.object(key).unwrap();
            let key = cluster.key(object, &mut text);
            value.clear();
            cluster.value(object, &key, 3, &mut value);
            assert_eq!(value.len() as u64, cluster.value_len(object, &key, 3));
            let said = type_meta(&value).unwrap();
            let group = object.kind.api_version.split_once('/').map_or("", |(group, _)| group);
            assert_eq!((said.group, said.kind), (group, object.kind.kind));
            assert_eq!(layout.classify(key.text, Some(&value)).group, group);
            if object.kind.encoding == ValueEncoding::Json {
                let json: serde_json::Value = serde_json::from_slice(&value).unwrap();
                assert_eq!(json["kind"], object.kind.kind);
            }
        }
    }

    #[test]
    fn sizes_lie_between_the_known_ones() {
        let known = [10, 20, 60, 1000, 5000];
        assert_eq!(quantile(&known, 0), 10);
        assert_eq!(quantile(&known, 1 << 31), 20);
        assert!((4500..5000).contains(&quantile(&known, u32::MAX - 1000)));
    }

    #[test]
    fn suffixes_are_unique_beyond_five_letters() {
        let mut seen = BTreeSet::new();
        for number in (0..1000).chain(14_348_000..14_349_500).chain(4_294_966_000..4_294_967_295) {
            let mut text = Vec::new();
            push_suffix(Object { kind: &KINDS[0], id: 3 << 32 | number }, &mut text);
            assert!(seen.insert(text));
        }
    }
}
