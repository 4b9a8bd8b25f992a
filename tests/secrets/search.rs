//! Looks for data in what was printed. By its own means: nothing of the program's code is used.

use std::collections::HashSet;
use std::io::Read;

use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use flate2::read::{DeflateDecoder, GzDecoder, ZlibDecoder};
use foldhash::fast::RandomState;
use memchr::memmem;

const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Data that must not be shown.
#[derive(Debug)]
pub struct Needles {
    /// Every run of so many bytes, which must not stand there in clear.
    clear: Runs,
    /// And of one byte more, in any other form: what is decoded though it is none has all sorts of four bytes.
    encoded: Runs,
    /// Shorter values, whole.
    whole: HashSet<Vec<u8>, RandomState>,
}

#[derive(Debug)]
struct Runs {
    len: usize,
    runs: HashSet<Vec<u8>, RandomState>,
    /// A bit for each three bytes that one may begin with: most of what is searched is ruled out by it.
    starts: Vec<u64>,
}

impl Runs {
    fn new(len: usize) -> Self {
        Self { len, runs: HashSet::default(), starts: vec![0; 1 << 18] }
    }

    fn start(run: &[u8]) -> (usize, u64) {
        let start = run.iter().take(3).fold(0, |start, byte| start << 8 | usize::from(*byte));
        (start >> 6, 1 << (start & 63))
    }

    fn add(&mut self, value: &[u8]) {
        for run in value.windows(self.len) {
            let (word, bit) = Self::start(run);
            self.starts[word] |= bit;
            self.runs.insert(run.to_vec());
        }
    }

    fn places<'b>(&self, bytes: &'b [u8]) -> impl Iterator<Item = &'b [u8]> {
        bytes.windows(self.len).filter(|run| {
            let (word, bit) = Self::start(run);
            self.starts[word] & bit != 0 && self.runs.contains(*run)
        })
    }

    fn find(&self, bytes: &[u8]) -> Option<Vec<u8>> {
        self.places(bytes).next().map(<[u8]>::to_vec)
    }

    fn forget(&mut self, public: &[u8]) {
        let known: Vec<&[u8]> = self.places(public).collect();
        for run in known {
            self.runs.remove(run);
        }
    }
}

impl Needles {
    /// Looks for every run of so many bytes; shorter values as a whole, of four bytes at least.
    pub fn of_runs(len: usize) -> Self {
        Self { clear: Runs::new(len), encoded: Runs::new(len + 1), whole: HashSet::default() }
    }

    pub fn add(&mut self, value: &[u8]) {
        self.clear.add(value);
        self.encoded.add(value);
        if (4..=self.clear.len).contains(&value.len()) {
            self.whole.insert(value.to_vec());
        }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.clear.runs.len() + self.whole.len()
    }

    /// Forgets what is known from elsewhere, and base64 of it.
    pub fn forget(&mut self, public: &[u8]) {
        let encoded =
            (0..3).filter_map(|skip| public.get(skip..)).map(|public| LENIENT.encode(public).into_bytes());
        for public in std::iter::once(public.to_vec()).chain(encoded) {
            self.clear.forget(&public);
            self.encoded.forget(&public);
            self.whole.retain(|value| memmem::find(&public, value).is_none());
        }
    }

    /// What of the data is in there, in any form.
    pub fn find(&self, bytes: &[u8]) -> Option<Vec<u8>> {
        self.find_below(bytes, 0)
    }

    fn find_below(&self, bytes: &[u8], level: usize) -> Option<Vec<u8>> {
        let runs = if level == 0 { &self.clear } else { &self.encoded };
        let whole = || self.whole.iter().find(|value| memmem::find(bytes, value).is_some()).cloned();
        let as_is = runs.find(bytes).or_else(whole);
        if as_is.is_some() || level > 9 {
            return as_is;
        }
        forms(bytes).into_iter().find_map(|form| self.find_below(&form, level + 1))
    }
}

/// What is in there in another form.
fn forms(bytes: &[u8]) -> Vec<Vec<u8>> {
    let mut forms = Vec::new();
    let is_base64 = |byte: &u8| byte.is_ascii_alphanumeric() || b"+/-_".contains(byte);
    for run in bytes.split(|byte| !is_base64(byte)).filter(|run| run.len() >= 6) {
        let digits: Vec<u8> = run
            .iter()
            .map(|byte| {
                if *byte == b'-' {
                    b'+'
                } else if *byte == b'_' {
                    b'/'
                } else {
                    *byte
                }
            })
            .collect();
        for skip in 0..4.min(digits.len()) {
            let digits = &digits[skip..];
            let whole = digits.len() - usize::from(digits.len() % 4 == 1);
            forms.extend(LENIENT.decode(&digits[..whole]));
        }
    }
    for run in bytes.split(|byte| !byte.is_ascii_hexdigit()).filter(|run| run.len() >= 8) {
        for skip in 0..2 {
            let pairs = run[skip..].chunks_exact(2);
            forms.push(
                pairs.map(|pair| u8::from_str_radix(str::from_utf8(pair).unwrap(), 16).unwrap()).collect(),
            );
        }
    }
    for at in memmem::find_iter(bytes, b"\x1f\x8b\x08") {
        forms.push(unpacked(GzDecoder::new(&bytes[at..])));
    }
    for at in memmem::find_iter(bytes, b"PK\x03\x04") {
        let len = |from: usize| bytes.get(at + from).map_or(0, |len| usize::from(*len));
        forms.push(unpacked(DeflateDecoder::new(
            bytes.get(at + 30 + len(26) + len(28)..).unwrap_or_default(),
        )));
    }
    if bytes.first() == Some(&0x78) {
        forms.push(unpacked(ZlibDecoder::new(bytes)));
    }
    let squeezed = squeezed(bytes);
    if squeezed.len() < bytes.len() {
        forms.push(squeezed);
    }
    forms.retain(|form| form.len() >= 4);
    forms
}

/// Without the ends of lines, as they are or as JSON writes them, however often.
fn squeezed(bytes: &[u8]) -> Vec<u8> {
    let mut squeezed: Vec<u8> = Vec::with_capacity(bytes.len());
    let mut escaped = false;
    for &byte in bytes {
        let is_end = byte == b'\n' || (escaped && byte == b'n');
        escaped = byte == b'\\';
        if !is_end && !escaped {
            squeezed.push(byte);
        }
    }
    squeezed
}

fn unpacked(reader: impl Read) -> Vec<u8> {
    let mut bytes = Vec::new();
    let _ = reader.take(16 << 20).read_to_end(&mut bytes);
    bytes
}
