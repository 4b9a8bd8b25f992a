//! What a failing disk still gives of a file: a copy of it, read block by block, with zeros where it gives nothing.

use std::fs::File;
use std::io;
use std::path::Path;

use crate::platform::FileAt;

/// Bytes that are given up together if one of them can't be read: a sector of a disk, and a page of bbolt's.
const BLOCK: u64 = 4096;
/// Bytes that are read at a time, as long as the disk gives them.
const STRETCH: u64 = 1 << 20;

/// A copy without a name, and what is missing in it.
#[derive(Debug)]
pub struct Readable {
    /// The copy, of the source's size.
    pub copy: File,
    /// Parts that the disk did not give, as (byte offset, bytes), in order: they are zeros in the copy.
    pub unreadable: Vec<(u64, u64)>,
}

/// Reads at an offset, as [`FileAt::read_at`] does.
pub type ReadAt<'r> = &'r dyn Fn(&mut [u8], u64) -> io::Result<usize>;

/// Copies what can be read of a file into one without a name, in this folder.
///
/// # Errors
/// The copy's: no folder, no room. Parts that the source does not give are in the result.
pub fn copy(read_at: ReadAt<'_>, size: u64, folder: &Path, progress: &dyn Fn(u64)) -> io::Result<Readable> {
    let copy = tempfile::tempfile_in(folder)?;
    copy.set_len(size)?;
    let mut unreadable: Vec<(u64, u64)> = Vec::new();
    let mut give_up = |start: u64, end: u64| match unreadable.last_mut() {
        Some((first, bytes)) if first.saturating_add(*bytes) == start => {
            *bytes = bytes.saturating_add(end.saturating_sub(start));
        }
        _ => unreadable.push((start, end.saturating_sub(start))),
    };
    let mut buffer = vec![0; usize::try_from(STRETCH).unwrap_or(usize::MAX)];
    let (mut offset, mut stretch) = (0, STRETCH);
    while offset < size {
        // up to the next whole block, or stretch of them
        let end = offset
            .saturating_add(stretch)
            .checked_div(stretch)
            .unwrap_or(1)
            .saturating_mul(stretch)
            .min(size);
        let wanted = usize::try_from(end.saturating_sub(offset)).unwrap_or(usize::MAX);
        let part = buffer.get_mut(..wanted).unwrap_or_default();
        let read = match read_at(part, offset) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            // one of many blocks: each by itself from here
            Err(_) if stretch > BLOCK => {
                stretch = BLOCK;
                continue;
            }
            Err(_) => {
                give_up(offset, end);
                progress(end.saturating_sub(offset));
                offset = end;
                continue;
            }
            Ok(read) => part.get(..read).unwrap_or_default(),
        };
        // the file was truncated meanwhile
        if read.is_empty() {
            give_up(offset, size);
            break;
        }
        copy.write_all_at(read, offset)?;
        progress(read.len() as u64);
        offset = offset.saturating_add(read.len() as u64);
        if offset.is_multiple_of(STRETCH) {
            stretch = STRETCH;
        }
    }
    Ok(Readable { copy, unreadable })
}

#[cfg(test)]
mod tests {
    use super::*;

    const EIO: i32 = 5;

    /// A disk of these bytes that gives nothing of what overlaps one of these parts.
    fn copied(content: &[u8], bad: &[(u64, u64)], size: u64) -> (Vec<u8>, Vec<(u64, u64)>) {
        let read_at = |part: &mut [u8], offset: u64| {
            let end = offset + part.len() as u64;
            if bad.iter().any(|&(start, bytes)| start < end && offset < start + bytes) {
                return Err(io::Error::from_raw_os_error(EIO));
            }
            let rest = &content[usize::try_from(offset).unwrap().min(content.len())..];
            // as a read may, not all at once
            let len = rest.len().min(part.len()).min(100_000);
            part[..len].copy_from_slice(&rest[..len]);
            Ok(len)
        };
        let folder = tempfile::tempdir().unwrap();
        let done = std::cell::Cell::new(0);
        let found = copy(&read_at, size, folder.path(), &|bytes| done.set(done.get() + bytes)).unwrap();
        assert_eq!(folder.path().read_dir().unwrap().count(), 0, "the copy has no name");
        let given = content.len() as u64;
        assert!(given < size || done.get() == size, "{} of {size}", done.get());
        let mut bytes = vec![0; usize::try_from(size).unwrap()];
        found.copy.read_exact_at(&mut bytes, 0).unwrap();
        (bytes, found.unreadable)
    }

    fn content(len: usize) -> Vec<u8> {
        (0..len).map(|at| (at % 251) as u8 + 1).collect()
    }

    #[test]
    fn what_a_sound_disk_gives_is_all() {
        for len in [0, 1, 4095, 4096, 1 << 20, 3_000_001] {
            let content = content(len);
            assert_eq!(copied(&content, &[], len as u64), (content.clone(), vec![]));
        }
    }

    #[test]
    fn nothing_but_the_bad_blocks_is_lost() {
        let content = content(3_000_001);
        let bad = [(0, 1), (8192, 4096), (12_288, 10), (1_048_576 - 512, 1024), (2_999_999, 2)];
        let (bytes, unreadable) = copied(&content, &bad, 3_000_001);
        let expected = [(0, 4096), (8192, 8192), (1_044_480, 8192), (2_998_272, 1729)];
        assert_eq!(unreadable, expected);
        for (at, (byte, expected_byte)) in bytes.iter().zip(&content).enumerate() {
            let lost = expected.iter().any(|&(start, len)| (start..start + len).contains(&(at as u64)));
            assert_eq!(*byte, if lost { 0 } else { *expected_byte }, "byte {at}");
        }
    }

    #[test]
    fn a_disk_that_gives_nothing() {
        let (bytes, unreadable) = copied(&content(10_000), &[(0, 10_000)], 10_000);
        assert_eq!(unreadable, [(0, 10_000)]);
        assert!(bytes.iter().all(|byte| *byte == 0));
    }

    #[test]
    fn a_file_that_is_cut_short_meanwhile() {
        let (_, unreadable) = copied(&content(5000), &[], 20_000);
        assert_eq!(unreadable, [(5000, 15_000)]);
    }
}
