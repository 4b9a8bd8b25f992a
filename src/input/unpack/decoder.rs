//! Compressed files as streams of what was compressed. Each checks the checksums that its format has, and reads files that were
//! written one after the other as one (as `gzip -d`, `zstd -d`, `xz -d`, `bzip2 -d` and `lz4 -d` do).

use std::io::{self, BufReader, Read};
use std::rc::Rc;

use bzip2::bufread::MultiBzDecoder;
use flate2::bufread::MultiGzDecoder;
use liblzma::bufread::XzDecoder;
use liblzma::stream::{CONCATENATED, Stream};
use lz4_flex::frame::FrameDecoder;

use crate::content::packing::ArchiveFormat;

use super::error::{Limit, UnpackError, of_reading};
use super::watched::{Seen, Watched};

/// Bytes that are read from below at once.
const BUFFER: usize = 64 << 10;
/// The largest window of zstd's, unless another is allowed: what `zstd -d` takes without `--long`.
const ZSTD_WINDOW: u64 = 128 << 20;
/// The largest of xz's: what `xz -9` makes.
const XZ_WINDOW: u64 = 64 << 20;
/// What liblzma takes beside the window (its `lzma_stream_decoder`, about 32 KiB, and the tables of a block's header).
const XZ_REST: u64 = 1 << 20;

/// Decodes a compressed file; `None` for a format that is none, or that nothing here reads.
pub(super) fn decoder<'r>(
    format: ArchiveFormat,
    input: impl Read + 'r,
    max_window: Option<u64>,
) -> Result<Option<Box<dyn Read + 'r>>, UnpackError> {
    let input = BufReader::with_capacity(BUFFER, input);
    let failed = |error| of_reading(format, &error);
    Ok(Some(match format {
        ArchiveFormat::Gzip => Box::new(MultiGzDecoder::new(input)),
        ArchiveFormat::Bzip2 => Box::new(MultiBzDecoder::new(input)),
        ArchiveFormat::Lz4 => Box::new(Lz4::new(input)),
        ArchiveFormat::Xz => {
            let max_window = max_window.unwrap_or(XZ_WINDOW);
            let memory = max_window.saturating_add(XZ_REST);
            let stream =
                Stream::new_stream_decoder(memory, CONCATENATED).map_err(|error| failed(error.into()))?;
            Box::new(Windowed { decoder: XzDecoder::new_stream(input, stream), max_window })
        }
        ArchiveFormat::Zstd => {
            let mut decoder = zstd::Decoder::with_buffer(input).map_err(failed)?;
            let max_window = max_window.unwrap_or(ZSTD_WINDOW);
            // zstd's own limits of the logarithm are 10 and 31
            let log = max_window.checked_ilog2().unwrap_or(0).clamp(10, 31);
            decoder.window_log_max(log).map_err(failed)?;
            Box::new(Windowed { decoder, max_window })
        }
        ArchiveFormat::Compress | ArchiveFormat::Zip | ArchiveFormat::Tar | ArchiveFormat::SevenZip => {
            return Ok(None);
        }
    }))
}

/// A decoder whose window is limited: what it says of a larger one becomes [`Limit::Window`].
struct Windowed<R> {
    decoder: R,
    max_window: u64,
}

impl<R: Read> Read for Windowed<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.decoder.read(buffer).map_err(|error| match is_of_window(&error) {
            true => Limit::Window(self.max_window).passed(),
            false => error,
        })
    }
}

fn is_of_window(error: &io::Error) -> bool {
    let of_xz = error.get_ref().and_then(|inner| inner.downcast_ref::<liblzma::stream::Error>());
    // `ZSTD_error_frameParameter_windowTooLarge` in its `error_private.c`: it comes as words only
    matches!(of_xz, Some(liblzma::stream::Error::MemLimit))
        || error.to_string().contains("requires too much memory")
}

/// LZ4 frames. Their decoder takes a file that ends between two blocks for one that is whole, so what it read is watched: a
/// file is whole if it ends after a frame's end mark.
struct Lz4<R: Read> {
    frames: FrameDecoder<Watched<R>>,
    seen: Rc<Seen>,
    /// Whether the last thing read was the end of a frame.
    is_between_frames: bool,
}

impl<R: Read> Lz4<R> {
    fn new(input: R) -> Self {
        let (input, seen) = Watched::new(input);
        Self { frames: FrameDecoder::new(input), seen, is_between_frames: false }
    }
}

impl<R: Read> Read for Lz4<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        loop {
            let before = self.seen.bytes.get();
            let read = self.frames.read(buffer)?;
            if read > 0 {
                self.is_between_frames = false;
                return Ok(read);
            }
            if !self.seen.end.get() {
                self.is_between_frames = true;
                continue;
            }
            let is_whole = self.is_between_frames && self.seen.bytes.get() == before;
            return if is_whole { Ok(0) } else { Err(io::ErrorKind::UnexpectedEof.into()) };
        }
    }
}
