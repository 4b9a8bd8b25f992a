//! A file without a name, written on a thread of its own, so that decoding and writing go on at once.

use std::fs::File;
use std::io::{self, Read};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use sha2::{Digest, Sha256};

use crate::etcd::trailer::{TRAILER_SIZE, Trailer, trailer_size};
use crate::platform::FileAt;

use super::error::UnpackError;
use super::place::SpoolFolder;

/// Bytes of one buffer, and how many of them there are.
const BUFFER: usize = 1 << 20;
const BUFFERS: usize = 4;
/// Where a block has zeros only, nothing is written: the file has a hole there.
const BLOCK: usize = 4096;
const ZEROS: &[u8] = &[0; BLOCK];
/// Bytes after which the room on the disk is looked at again.
const STRETCH: u64 = 64 << 20;

/// A file that was written.
#[derive(Debug)]
pub(super) struct Spooled {
    pub(super) file: File,
    /// `None` where it was not looked at.
    pub(super) trailer: Option<Trailer>,
}

/// Whether what is written is hashed on the way, so that a snapshot's trailer can be judged without a second pass.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Hashed {
    OnTheWay,
    Never,
}

impl Hashed {
    /// Where the size is known, and is not a snapshot's, nothing would come of it.
    pub(super) fn if_snapshot(size: Option<u64>) -> Self {
        if size.is_some_and(|size| trailer_size(size) == 0) { Self::Never } else { Self::OnTheWay }
    }
}

/// Why it was not.
pub(super) enum SpoolError {
    /// What was read failed.
    Read(io::Error),
    Write(UnpackError),
}

/// Writes all that `input` gives. `expected` is how much that is, where it is known.
pub(super) fn spool(
    place: &SpoolFolder,
    input: &mut dyn Read,
    expected: Option<u64>,
    hashed: Hashed,
) -> Result<Spooled, SpoolError> {
    let file = place.file().map_err(SpoolError::Write)?;
    place.need(&file, expected.unwrap_or(0)).map_err(SpoolError::Write)?;
    let (full, to_write) = sync_channel(BUFFERS);
    let (written, empty) = sync_channel(BUFFERS);
    let (read, written) = thread::scope(|scope| {
        let write = || Writer::new(place, file, hashed).run(to_write, written);
        match thread::Builder::new().spawn_scoped(scope, write) {
            Ok(writer) => (read_all(input, full, &empty), writer.join()),
            Err(error) => (Ok(()), Ok(Err(place.failed(error)))),
        }
    });
    let ended = |_| Err(place.failed(io::Error::other("the thread that writes ended")));
    let writer = written.unwrap_or_else(ended).map_err(SpoolError::Write)?;
    read.map_err(SpoolError::Read)?;
    writer.finish().map_err(SpoolError::Write)
}

/// Reads to the end, or until nobody writes any more.
fn read_all(input: &mut dyn Read, full: SyncSender<Vec<u8>>, empty: &Receiver<Vec<u8>>) -> io::Result<()> {
    let mut made = 0_usize;
    loop {
        let mut buffer = if made < BUFFERS {
            made = made.saturating_add(1);
            vec![0; BUFFER]
        } else {
            let Ok(buffer) = empty.recv() else { return Ok(()) };
            buffer
        };
        let len = fill(input, &mut buffer)?;
        buffer.truncate(len);
        if len == 0 || full.send(buffer).is_err() {
            return Ok(());
        }
    }
}

/// Reads until the buffer is full, or the input ends.
pub(super) fn fill(input: &mut dyn Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut len = 0_usize;
    while let Some(rest) = buffer.get_mut(len..).filter(|rest| !rest.is_empty()) {
        match input.read(rest) {
            Ok(0) => break,
            Ok(read) => len = len.saturating_add(read),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(len)
}

struct Writer<'p> {
    place: &'p SpoolFolder,
    file: File,
    bytes: u64,
    checked_at: u64,
    hash: Option<Sha256>,
    /// The last bytes so far, which may be the trailer.
    last: Vec<u8>,
}

impl<'p> Writer<'p> {
    fn new(place: &'p SpoolFolder, file: File, hashed: Hashed) -> Self {
        let hash = (hashed == Hashed::OnTheWay).then(Sha256::new);
        Self { place, file, bytes: 0, checked_at: 0, hash, last: Vec::new() }
    }

    fn run(mut self, full: Receiver<Vec<u8>>, empty: SyncSender<Vec<u8>>) -> Result<Self, UnpackError> {
        for mut buffer in full {
            self.write(&buffer)?;
            buffer.resize(BUFFER, 0);
            // the reader may have ended
            let _ = empty.send(buffer);
        }
        Ok(self)
    }

    fn write(&mut self, buffer: &[u8]) -> Result<(), UnpackError> {
        if self.bytes.saturating_sub(self.checked_at) >= STRETCH {
            self.place.need(&self.file, STRETCH)?;
            self.checked_at = self.bytes;
        }
        let is_zero = |block: &&[u8]| *block == ZEROS;
        let mut rest = buffer;
        let mut at = self.bytes;
        while !rest.is_empty() {
            let holes = rest.chunks_exact(BLOCK).take_while(is_zero).count().saturating_mul(BLOCK);
            let after = rest.get(holes..).unwrap_or_default();
            let blocks = after.chunks(BLOCK).take_while(|block| !is_zero(block));
            let len = blocks.map(<[u8]>::len).fold(0, usize::saturating_add);
            let (data, next) = after.split_at_checked(len).unwrap_or((after, &[]));
            at = at.saturating_add(holes as u64);
            self.file.write_all_at(data, at).map_err(|error| self.place.failed(error))?;
            at = at.saturating_add(len as u64);
            rest = next;
        }
        self.bytes = self.bytes.saturating_add(buffer.len() as u64);
        self.hash_all_but_the_last(buffer);
        Ok(())
    }

    fn hash_all_but_the_last(&mut self, buffer: &[u8]) {
        let Some(hash) = &mut self.hash else { return };
        if let Some((before, last)) = buffer.split_last_chunk::<TRAILER_SIZE>() {
            hash.update(&self.last);
            hash.update(before);
            self.last = last.to_vec();
            return;
        }
        self.last.extend_from_slice(buffer);
        let over = self.last.len().saturating_sub(TRAILER_SIZE);
        hash.update(self.last.drain(..over).as_slice());
    }

    fn finish(self) -> Result<Spooled, UnpackError> {
        let Self { place, file, bytes, hash, last, .. } = self;
        // a hole at the end has no bytes that were written
        file.set_len(bytes).map_err(|error| place.failed(error))?;
        let judged = |hash: Sha256| match hash.finalize().as_slice() == last {
            true => Trailer::Valid,
            false => Trailer::Invalid,
        };
        let trailer = if trailer_size(bytes) == 0 { Some(Trailer::None) } else { hash.map(judged) };
        Ok(Spooled { file, trailer })
    }
}
