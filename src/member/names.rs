//! Which files of a folder `wal/` are segments, and their order (`server/storage/wal/util.go`).

/// A segment's file name: `<sequence>-<first index>.wal`, both of 16 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct SegmentName {
    /// Its number: each segment's is one more than that of the one before.
    pub sequence: u64,
    /// The index after the last entry when it was begun.
    pub first_index: u64,
}

/// The end of every segment's name. Other files of the folder are none, such as those made in advance (`0.tmp`), and what a
/// repair keeps (`….wal.broken`).
const ENDING: &str = ".wal";

impl SegmentName {
    /// Reads a name; `None` where it is not a segment's.
    pub fn parse(name: &str) -> Option<Self> {
        let (sequence, first_index) = name.strip_suffix(ENDING)?.split_once('-')?;
        Some(Self { sequence: hex16(sequence)?, first_index: hex16(first_index)? })
    }

    /// Whether etcd tries to read a file of this name as a segment.
    pub fn is_taken_for_one(name: &str) -> bool {
        name.ends_with(ENDING)
    }
}

/// The name of the segment of which a repair by etcd made a copy, by the copy's (`server/storage/wal/repair.go`).
pub fn parse_broken(name: &str) -> Option<&str> {
    name.strip_suffix(".broken").filter(|name| SegmentName::parse(name).is_some())
}

/// The (term, index) of a `.snap` file's name.
pub fn parse_snap(name: &str) -> Option<(u64, u64)> {
    let (term, index) = name.strip_suffix(".snap")?.split_once('-')?;
    Some((hex16(term)?, hex16(index)?))
}

/// The index of a `.snap.db` file's name: of the snapshot that it came with.
pub fn parse_snap_db(name: &str) -> Option<u64> {
    hex16(name.strip_suffix(".snap.db")?)
}

/// The name of the db that a leader sent with the snapshot of this index.
pub fn snap_db_name(index: u64) -> String {
    format!("{index:016x}.snap.db")
}

/// A number of exactly 16 lower-case hexadecimal digits, as Go's `%016x` writes it.
fn hex16(text: &str) -> Option<u64> {
    let is_digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    if text.len() != 16 || !text.bytes().all(is_digit) {
        return None;
    }
    u64::from_str_radix(text, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_segment_is_told_by_its_name() {
        let parsed = SegmentName::parse("000000000000000a-00000000000002c4.wal");
        assert_eq!(parsed, Some(SegmentName { sequence: 10, first_index: 708 }));
        let largest = SegmentName::parse("ffffffffffffffff-ffffffffffffffff.wal");
        assert_eq!(largest, Some(SegmentName { sequence: u64::MAX, first_index: u64::MAX }));
        for name in [
            "0.tmp",
            "0000000000000000-0000000000000000.wal.broken",
            "0000000000000000-0000000000000000",
            "000000000000000-0000000000000000.wal",
            "0000000000000000-00000000000000000.wal",
            "000000000000000A-0000000000000000.wal",
            "+00000000000000a-0000000000000000.wal",
            "00000000000000000000000000000000.wal",
            ".wal",
            "",
        ] {
            assert_eq!(SegmentName::parse(name), None, "{name}");
        }
    }

    #[test]
    fn a_broken_copy_is_told_by_its_name() {
        let segment = "0000000000000000-0000000000000000.wal";
        assert_eq!(parse_broken(&format!("{segment}.broken")), Some(segment));
        for name in [segment, "other.wal.broken", "0000000000000002-0000000000000065.snap.broken", ".broken"]
        {
            assert_eq!(parse_broken(name), None, "{name}");
        }
    }

    #[test]
    fn a_snap_file_is_told_by_its_name() {
        assert_eq!(parse_snap("0000000000000002-0000000000000065.snap"), Some((2, 101)));
        for name in ["0000000000000065.snap.db", "0000000000000002-0000000000000065.snap.broken", "db"] {
            assert_eq!(parse_snap(name), None, "{name}");
        }
    }
}
