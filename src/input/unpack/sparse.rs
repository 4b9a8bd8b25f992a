//! Sparse files of a pax archive, as `tar --sparse --format=posix` and bsdtar write them: their holes are in no byte of it (GNU tar's
//! manual, "Storing Sparse Files", formats 0.0, 0.1 and 1.0). A segment of a log is one: it is made 64 MB long at once.

use std::io::{self, BufReader, Read};

use tar::Entry;

/// Parts of a file between holes; more are in no file that is made in the usual way.
const MAX_PARTS: usize = 1 << 18;
/// The map of a file's parts takes whole blocks of this size.
const BLOCK: u64 = 512;

/// What the headers of a sparse file say.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Sparse {
    /// Its path: the header's own is another.
    pub(super) name: Option<Vec<u8>>,
    /// Its size, holes included.
    pub(super) size: u64,
    /// Its parts as (offset, bytes); `None` where they come first in its data.
    parts: Option<Vec<(u64, u64)>>,
}

impl Sparse {
    /// `None` for any other file.
    pub(super) fn of(entry: &mut Entry<'_, impl Read>) -> io::Result<Option<Self>> {
        let Some(extensions) = entry.pax_extensions()? else { return Ok(None) };
        let (mut name, mut size, mut is_in_data) = (None, None, false);
        let mut numbers = Vec::new();
        for extension in extensions {
            let extension = extension?;
            let value = extension.value_bytes();
            match extension.key_bytes() {
                b"GNU.sparse.name" => name = Some(value.to_vec()),
                b"GNU.sparse.size" | b"GNU.sparse.realsize" => size = Some(number(value)?),
                b"GNU.sparse.major" => is_in_data = number(value)? > 0,
                b"GNU.sparse.offset" | b"GNU.sparse.numbytes" => numbers.push(number(value)?),
                b"GNU.sparse.map" => {
                    for value in value.split(|&byte| byte == b',') {
                        numbers.push(number(value)?);
                    }
                }
                _ => {}
            }
        }
        let Some(size) = size else { return Ok(None) };
        let parts = if is_in_data { None } else { Some(pairs(&numbers)?) };
        Ok(Some(Self { name, size, parts }))
    }

    /// The file, its holes as zeros.
    pub(super) fn whole<R: Read>(self, data: R) -> io::Result<Whole<R>> {
        let mut data = BufReader::new(data);
        let parts = match self.parts {
            Some(parts) => parts,
            None => read_map(&mut data)?,
        };
        Ok(Whole { data, parts: parts.into_iter(), part: (0, 0), at: 0, size: self.size })
    }
}

/// The map at the beginning of the data: how many parts, and two numbers of each, each on a line.
fn read_map(data: &mut impl Read) -> io::Result<Vec<(u64, u64)>> {
    let mut read = 0_u64;
    let mut line = || {
        let mut digits = Vec::new();
        loop {
            let mut byte = [0];
            data.read_exact(&mut byte)?;
            read = read.saturating_add(1);
            match byte {
                [b'\n'] => return number(&digits),
                [byte] => digits.push(byte),
            }
            if digits.len() > 20 {
                return Err(lies());
            }
        }
    };
    let count = usize::try_from(line()?).ok().filter(|&count| count <= MAX_PARTS).ok_or_else(lies)?;
    let mut parts = Vec::new();
    for _ in 0..count {
        parts.push((line()?, line()?));
    }
    let padding = read.next_multiple_of(BLOCK).saturating_sub(read);
    io::copy(&mut data.take(padding), &mut io::sink())?;
    Ok(parts)
}

fn number(digits: &[u8]) -> io::Result<u64> {
    str::from_utf8(digits).ok().and_then(|digits| digits.parse().ok()).ok_or_else(lies)
}

fn pairs(numbers: &[u64]) -> io::Result<Vec<(u64, u64)>> {
    let (pairs, []) = numbers.as_chunks::<2>() else { return Err(lies()) };
    Ok(pairs.iter().map(|&[offset, bytes]| (offset, bytes)).collect())
}

fn lies() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "the map of a sparse file is wrong")
}

/// A sparse file as it was.
pub(super) struct Whole<R> {
    data: BufReader<R>,
    parts: std::vec::IntoIter<(u64, u64)>,
    /// The part that is read, or comes next, as (begin, end).
    part: (u64, u64),
    at: u64,
    size: u64,
}

impl<R: Read> Read for Whole<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.at >= self.part.1 {
            let Some((begin, bytes)) = self.parts.next() else {
                self.part = (self.size, u64::MAX);
                break;
            };
            let end = begin.checked_add(bytes).filter(|&end| begin >= self.at && end <= self.size);
            self.part = (begin, end.ok_or_else(lies)?);
            if bytes == 0 {
                self.part = (self.at, self.at);
            }
        }
        let (begin, end) = self.part;
        let is_hole = self.at < begin;
        let left = if is_hole { begin } else { end.min(self.size) }.saturating_sub(self.at);
        let len = buffer.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        let buffer = buffer.get_mut(..len).unwrap_or_default();
        let read = if is_hole {
            buffer.fill(0);
            len
        } else {
            self.data.read(buffer)?
        };
        if read == 0 && len > 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.at = self.at.saturating_add(read as u64);
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole(parts: Option<&[(u64, u64)]>, size: u64, data: &[u8]) -> io::Result<Vec<u8>> {
        let sparse = Sparse { name: None, size, parts: parts.map(<[_]>::to_vec) };
        let mut bytes = Vec::new();
        sparse.whole(data)?.read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    #[test]
    fn holes_are_zeros() {
        let parts: &[_] = &[(2, 3), (5, 0), (6, 1), (10, 0)];
        assert_eq!(whole(Some(parts), 10, b"abcd").unwrap(), b"\0\0abc\0d\0\0\0");
        assert_eq!(whole(Some(&[]), 3, b"").unwrap(), [0; 3]);
        assert_eq!(whole(Some(&[(0, 4)]), 4, b"abcd").unwrap(), b"abcd");
        let in_data = [&b"2\n0\n1\n4\n2\n"[..], &[0; 502], b"abc"].concat();
        assert_eq!(whole(None, 8, &in_data).unwrap(), b"a\0\0\0bc\0\0");
    }

    #[test]
    fn every_number_that_lies_is_an_error() {
        for (parts, size, data) in [
            (Some(&[(2, 3)][..]), 4, &b"abc"[..]),
            (Some(&[(0, 2), (1, 1)]), 4, b"abc"),
            (Some(&[(u64::MAX, 2)]), u64::MAX, b"ab"),
            (Some(&[(0, 5)]), 5, b"abc"),
            (None, 5, b"1\n0\n"),
            (None, 5, b"-1\n"),
            (None, 5, b"x\n"),
            (None, 5, b"9999999999999\n0\n0\n"),
            (None, 5, b"111111111111111111111111111111111111"),
        ] {
            // what is in a hole is not read from anywhere
            let found = whole(parts, size.min(100), data);
            assert!(found.is_err(), "{parts:?} {size}: {found:?}");
        }
        assert!(pairs(&[1]).is_err() && number(b"").is_err());
    }
}
