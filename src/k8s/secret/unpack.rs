//! What bytes are packed into, and back: base64, hexadecimal digits, gzip, zlib, and the files of a zip.
//!
//! Appliers keep what they applied so: Rancher's `objectset.rio.cattle.io/applied` in gzip and base64
//! (`rancher/wrangler`, `pkg/apply/desiredset_compare.go`), Banzai's `banzaicloud.com/last-applied` in zip and base64
//! (`banzaicloud/k8s-objectmatcher`, `patch/annotation.go`); and Helm its releases in gzip and base64.

use std::io::Read;

use ::base64::Engine;
use ::base64::alphabet::STANDARD;
use ::base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use flate2::bufread::{DeflateDecoder, MultiGzDecoder, ZlibDecoder};
use memchr::memmem;

const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Where in bytes gzip and zip are looked for at most: each costs a look.
const MAX_PLACES: usize = 64;

const GZIP: &[u8] = &[0x1f, 0x8b, 0x08];
const ZIP: &[u8] = b"PK\x03\x04";
/// Bytes of a zip's local header before its names (APPNOTE.TXT, 4.3.7).
const ZIP_HEADER: usize = 30;
/// What can't be unpacked here: zstd, xz, bzip2, LZ4, framed snappy, 7z.
const OTHERS: [&[u8]; 6] = [
    &[0x28, 0xb5, 0x2f, 0xfd],
    &[0xfd, b'7', b'z', b'X', b'Z', 0],
    b"BZh",
    &[0x04, 0x22, 0x4d, 0x18],
    &[0xff, 0x06, 0, 0, b's', b'N', b'a', b'P', b'p', b'Y'],
    b"7z\xbc\xaf\x27\x1c",
];

/// What base64 stands for, of either alphabet, with or without padding. A digit too many at its end is left out.
pub(super) fn base64(digits: &[u8]) -> Option<Vec<u8>> {
    let digits = digits.trim_ascii();
    let end = digits.iter().rposition(|byte| *byte != b'=').map_or(0, |last| last.saturating_add(1));
    let mut digits: Vec<u8> = digits.get(..end)?.to_vec();
    for digit in &mut digits {
        match digit {
            b'-' => *digit = b'+',
            b'_' => *digit = b'/',
            _ => {}
        }
    }
    if digits.len() % 4 == 1 {
        digits.pop();
    }
    LENIENT.decode(digits).ok().filter(|bytes| !bytes.is_empty())
}

/// What hexadecimal digits stand for.
pub(super) fn hex(digits: &[u8]) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let pairs = digits.chunks_exact(2);
    let bytes: Option<Vec<u8>> = pairs
        .map(|pair| match pair {
            [high, low] => Some(digit(*high)? << 4 | digit(*low)?),
            _ => None,
        })
        .collect();
    bytes.filter(|bytes| !bytes.is_empty())
}

/// Whether they begin as something that is packed in a way which is not known here.
pub(super) fn is_packed_otherwise(bytes: &[u8]) -> bool {
    OTHERS.iter().any(|magic| bytes.starts_with(magic))
}

/// All that is packed in these bytes, from wherever it begins, each up to a limit. Where an end is missing, what
/// there is.
pub(super) fn packed(bytes: &[u8], most: usize) -> impl Iterator<Item = Vec<u8>> {
    let gzip = memmem::find_iter(bytes, GZIP).take(MAX_PLACES);
    let gzip = gzip.filter_map(move |at| Some(read(MultiGzDecoder::new(bytes.get(at..)?), most)));
    let zip = memmem::find_iter(bytes, ZIP).take(MAX_PLACES);
    let zip = zip.filter_map(move |at| zipped(bytes.get(at..)?, most));
    let zlib = (bytes.first() == Some(&0x78)).then(|| read(ZlibDecoder::new(bytes), most));
    gzip.chain(zip).chain(zlib).filter(|unpacked| !unpacked.is_empty())
}

/// The file of a zip, after its local header.
fn zipped(bytes: &[u8], most: usize) -> Option<Vec<u8>> {
    let len_at = |at: usize| bytes.get(at..)?.first_chunk().map(|len| usize::from(u16::from_le_bytes(*len)));
    let content = ZIP_HEADER.checked_add(len_at(26)?)?.checked_add(len_at(28)?)?;
    Some(read(DeflateDecoder::new(bytes.get(content..)?), most))
}

fn read(decoder: impl Read, most: usize) -> Vec<u8> {
    let mut unpacked = Vec::new();
    // an error leaves what came before it
    let _ = decoder.take(most as u64).read_to_end(&mut unpacked);
    unpacked
}
