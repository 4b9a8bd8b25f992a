//! Which names are most like one that is not there.

use crate::text::ByteText;

/// Names that are told.
const MAX_NAMES: usize = 3;
/// Longer ones are no names of Kubernetes': comparing them takes the product of two lengths.
const MAX_LEN: usize = 253;

/// The names that are most like a wanted one, of all that are offered.
#[derive(Debug)]
pub(super) struct Nearest<'w> {
    wanted: &'w [u8],
    /// Edits, from the fewest on, and names.
    found: Vec<(usize, Vec<u8>)>,
}

impl<'w> Nearest<'w> {
    pub(super) fn to(wanted: &'w [u8]) -> Self {
        Self { wanted, found: Vec::new() }
    }

    /// Offers a name, which may be met by any of these spellings.
    pub(super) fn offer(&mut self, spellings: &[&[u8]], name: &[u8]) {
        let Some(edits) = spellings.iter().filter_map(|spelling| edits(self.wanted, spelling)).min() else {
            return;
        };
        let place = self.found.partition_point(|(other, known)| (*other, known.as_slice()) < (edits, name));
        if place < MAX_NAMES && self.found.get(place).is_none_or(|(_, known)| known != name) {
            self.found.insert(place, (edits, name.to_vec()));
            self.found.truncate(MAX_NAMES);
        }
    }

    pub(super) fn into_names(self) -> Vec<ByteText> {
        self.found.into_iter().map(|(_, name)| ByteText(name)).collect()
    }
}

/// How many letters to change, put in, leave out or exchange; half as much for what only goes on, or is left to be typed.
fn edits(wanted: &[u8], name: &[u8]) -> Option<usize> {
    if wanted.len().max(name.len()) > MAX_LEN {
        return None;
    }
    let lower = |bytes: &[u8]| String::from_utf8_lossy(bytes).to_lowercase();
    let (wanted, name) = (lower(wanted), lower(name));
    let all = strsim::osa_distance(&wanted, &name).saturating_mul(2);
    let begins = !wanted.is_empty() && (name.starts_with(&wanted) || wanted.starts_with(&name));
    Some(if begins { all / 2 } else { all })
}

/// The prefixes of keys that are most like one of which no key is: those of the deepest folder that is there.
pub fn nearest_prefixes<'k>(wanted: &[u8], keys: impl Iterator<Item = &'k [u8]>) -> Vec<ByteText> {
    let mut deepest = 0;
    let mut nearest = Nearest::to(segment(wanted, 0).1);
    for key in keys {
        let common = wanted.iter().zip(key).take_while(|(a, b)| a == b).count();
        let folder =
            wanted.get(..common).and_then(|common| memchr::memrchr(b'/', common)).map_or(0, |at| at + 1);
        if folder > deepest {
            deepest = folder;
            nearest = Nearest::to(segment(wanted, folder).1);
        }
        if folder == deepest {
            let (up_to, name) = segment(key, folder);
            nearest.offer(&[name], up_to);
        }
    }
    nearest.into_names()
}

/// A key up to the end of the segment that begins at a place, its slash included; and that segment by itself.
fn segment(key: &[u8], from: usize) -> (&[u8], &[u8]) {
    let behind = key.get(from..).unwrap_or_default();
    let len = memchr::memchr(b'/', behind).map_or(behind.len(), |at| at + 1);
    let up_to = key.get(..from + len).unwrap_or(key);
    let name = behind.get(..len).unwrap_or_default();
    (up_to, name.strip_suffix(b"/").unwrap_or(name))
}
