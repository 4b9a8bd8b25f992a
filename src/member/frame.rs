//! Frames: how records lie in a segment (`server/storage/wal/{encoder,decoder}.go`).
//!
//! ```text
//!  8 bytes, little-endian                          n bytes        (8 - n mod 8) mod 8 bytes
//! ┌──────────────────────────────────────────────┬──────────────┬────────────┐
//! │ bits 0–55: n    bits 56–58: padding          │ record       │ zeros      │
//! │                 bit 63: there is padding     │              │            │
//! └──────────────────────────────────────────────┴──────────────┴────────────┘
//! ```
//!
//! The log ends at a length field of 0; a segment that is not the last also ends with its last frame.

#![deny(clippy::arithmetic_side_effects)]

use super::fault::LogFaultKind;

/// Bytes of a length field, and what every frame is a multiple of.
const WORD: usize = 8;
/// The bits of a length field that count the record's bytes.
const LENGTH_BITS: u32 = 56;
/// Set in the highest byte where there is padding.
const HAS_PADDING: u8 = 0x80;

/// A record's bytes, and where its frame is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Frame<'a> {
    /// Byte offset of its first byte.
    pub begin: usize,
    /// Where the next one begins.
    pub end: usize,
    pub record: &'a [u8],
    /// Whether its padding is zeros, as etcd writes it. etcd reads it whatever it is.
    pub is_padded_with_zeros: bool,
}

/// How a segment ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FramesEnd {
    /// With zeros up to the end of the file.
    Zeros,
    /// With its last frame.
    File,
}

impl FramesEnd {
    /// Whether a segment may end so: the last one has room for more.
    pub(super) fn may_end(self, is_last: bool) -> bool {
        !is_last || self == Self::Zeros
    }
}

/// The frames of a segment, in order, up to its end or the first fault.
#[derive(Clone, Debug)]
pub struct Frames<'a> {
    data: &'a [u8],
    next: usize,
}

impl<'a> Frames<'a> {
    pub fn of(data: &'a [u8]) -> Self {
        Self::at(data, 0)
    }

    /// Those from an offset on.
    pub fn at(data: &'a [u8], next: usize) -> Self {
        Self { data, next }
    }

    /// Where the next frame begins.
    pub fn position(&self) -> usize {
        self.next
    }

    /// The next frame; `None` where the log ends, whatever follows.
    ///
    /// # Errors
    /// A frame that passes the end, a length field or padding that etcd does not write.
    pub fn next_frame(&mut self) -> Result<Option<Frame<'a>>, LogFaultKind> {
        let rest = self.data.get(self.next..).unwrap_or_default();
        if rest.is_empty() {
            return Ok(None);
        }
        let (field, behind) = rest.split_first_chunk::<WORD>().ok_or(LogFaultKind::Cut)?;
        if *field == [0; WORD] {
            return Ok(None);
        }
        let (len, padding) = lengths(*field)?;
        let (record, behind) = behind.split_at_checked(len).ok_or(LogFaultKind::Cut)?;
        let zeros = behind.get(..padding).ok_or(LogFaultKind::Cut)?;
        let is_padded_with_zeros = zeros.iter().all(|&byte| byte == 0);
        let size =
            WORD.checked_add(len).and_then(|size| size.checked_add(padding)).ok_or(LogFaultKind::Cut)?;
        let (begin, end) = (self.next, self.next.checked_add(size).ok_or(LogFaultKind::Cut)?);
        self.next = end;
        Ok(Some(Frame { begin, end, record, is_padded_with_zeros }))
    }

    /// How the segment ends, where there is no next frame.
    ///
    /// # Errors
    /// Something that is not zero lies after the end.
    pub fn end(&self) -> Result<FramesEnd, LogFaultKind> {
        let rest = self.data.get(self.next..).unwrap_or_default();
        match rest.iter().position(|&byte| byte != 0) {
            Some(at) => Err(LogFaultKind::BehindTheEnd { behind: self.next.saturating_add(at) as u64 }),
            None if rest.is_empty() => Ok(FramesEnd::File),
            None => Ok(FramesEnd::Zeros),
        }
    }
}

/// Bytes of a record and of its padding.
fn lengths(field: [u8; WORD]) -> Result<(usize, usize), LogFaultKind> {
    let number = u64::from_le_bytes(field);
    let [.., marks] = field;
    let len = number & ((1 << LENGTH_BITS) - 1);
    // up to the next multiple of eight
    let padding = len.wrapping_neg() & 0b111;
    let expected = if padding == 0 { 0 } else { HAS_PADDING | u8::try_from(padding).unwrap_or(0) };
    if len == 0 || marks != expected {
        return Err(LogFaultKind::LengthField);
    }
    let len = usize::try_from(len).map_err(|_| LogFaultKind::Cut)?;
    Ok((len, usize::try_from(padding).map_err(|_| LogFaultKind::Cut)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn first(data: &[u8]) -> Result<Option<Frame<'_>>, LogFaultKind> {
        Frames::of(data).next_frame()
    }

    #[test]
    fn frames_follow_each_other() {
        let data = b"\x05\0\0\0\0\0\0\x83abcde\0\0\0\x08\0\0\0\0\0\0\0abcdefgh\0\0\0\0\0\0\0\0";
        let mut frames = Frames::of(data);
        assert_eq!(
            frames.next_frame(),
            Ok(Some(Frame { begin: 0, end: 16, record: b"abcde", is_padded_with_zeros: true }))
        );
        assert_eq!(
            frames.next_frame(),
            Ok(Some(Frame { begin: 16, end: 32, record: b"abcdefgh", is_padded_with_zeros: true }))
        );
        assert_eq!((frames.next_frame(), frames.end()), (Ok(None), Ok(FramesEnd::Zeros)));
        let mut frames = Frames::of(&data[..16]);
        assert!(frames.next_frame().is_ok());
        assert_eq!((frames.next_frame(), frames.end()), (Ok(None), Ok(FramesEnd::File)));
    }

    #[test]
    fn every_number_that_lies_is_a_fault() {
        // padding that is not that of the length; none; too much of it; other bits
        for marks in (0..=u8::MAX).filter(|&marks| marks != 0x83) {
            let data = [b"\x05\0\0\0\0\0\0", &[marks][..], b"abcde\0\0\0"].concat();
            assert_eq!(first(&data), Err(LogFaultKind::LengthField), "{marks:02x}");
        }
        assert_eq!(first(b"\0\0\0\0\0\0\0\x80"), Err(LogFaultKind::LengthField));
        assert_eq!(first(b"\x08\0\0\0\0\0\0\x80abcdefgh"), Err(LogFaultKind::LengthField));
        // longer than the file, up to the largest number that there is
        assert_eq!(first(b"\xf8\xff\xff\xff\xff\xff\xff\0abcdefgh"), Err(LogFaultKind::Cut));
        assert_eq!(first(b"\xff\xff\xff\xff\xff\xff\xff\x81abcdefgh"), Err(LogFaultKind::Cut));
        assert_eq!(first(b"\x10\0\0\0\0\0\0\0abcdefgh"), Err(LogFaultKind::Cut));
        let odd = Frame { begin: 0, end: 16, record: b"abcde", is_padded_with_zeros: false };
        assert_eq!(first(b"\x05\0\0\0\0\0\0\x83abcde\0\x01\0"), Ok(Some(odd)));
        for len in 1..16 {
            assert_eq!(
                first(&b"\x05\0\0\0\0\0\0\x83abcde\0\0\0"[..len]),
                Err(LogFaultKind::Cut),
                "{len} bytes"
            );
        }
    }

    #[test]
    fn what_lies_behind_a_silent_end_is_seen() {
        let mut data = vec![0; 64];
        data[60] = 1;
        let mut frames = Frames::of(&data);
        assert_eq!(frames.next_frame(), Ok(None));
        assert_eq!(frames.end(), Err(LogFaultKind::BehindTheEnd { behind: 60 }));
    }
}
