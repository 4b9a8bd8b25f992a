//! The size that a compressed file states of what comes out of it. It is a hint: for a first look at the disk, and to know
//! whether a snapshot's trailer will be at the end. It may be wrong, and nothing else depends on it.

use crate::content::packing::ArchiveFormat;

/// What a file's first bytes state: zstd's first frame (RFC 8878, 3.1.1.1.4), or lz4's (its frame format, "Content size").
pub(super) fn in_head(format: ArchiveFormat, head: &[u8]) -> Option<u64> {
    match format {
        ArchiveFormat::Zstd => zstd::zstd_safe::get_frame_content_size(head).ok().flatten(),
        ArchiveFormat::Lz4 => {
            const HAS_SIZE: u8 = 1 << 3;
            let (header, rest) = head.split_first_chunk::<6>()?;
            let flags = header.get(4)?;
            (flags & HAS_SIZE != 0).then(|| rest.first_chunk().copied().map(u64::from_le_bytes)).flatten()
        }
        _ => None,
    }
}

/// What a whole file's last bytes state: gzip's, modulo 2^32 (RFC 1952, 2.3.1, ISIZE).
pub(super) fn at_end(data: &[u8]) -> Option<u64> {
    let is_gzip = ArchiveFormat::of(data) == Some(ArchiveFormat::Gzip);
    let size = data.last_chunk().copied().map(u32::from_le_bytes).filter(|_| is_gzip)?;
    Some(size.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_headers_state() {
        let content = vec![7; 100_000];
        let zstd = zstd::bulk::compress(&content, 3).unwrap();
        assert_eq!(in_head(ArchiveFormat::Zstd, &zstd), Some(100_000));
        for (size, stated) in [(None, None), (Some(100_000), Some(100_000))] {
            let info = lz4_flex::frame::FrameInfo::new().content_size(size);
            let mut encoder = lz4_flex::frame::FrameEncoder::with_frame_info(info, Vec::new());
            std::io::Write::write_all(&mut encoder, &content).unwrap();
            assert_eq!(in_head(ArchiveFormat::Lz4, &encoder.finish().unwrap()), stated);
        }
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        std::io::Write::write_all(&mut encoder, &content).unwrap();
        assert_eq!(at_end(&encoder.finish().unwrap()), Some(100_000));
    }

    #[test]
    fn cut_headers_state_nothing() {
        for len in 0..14 {
            let lz4 = b"\x04\x22\x4d\x18\x68\x70\0\0\0\0\0\0\0\0";
            assert_eq!(in_head(ArchiveFormat::Lz4, &lz4[..len]), (len == 14).then_some(0), "{len}");
        }
        assert_eq!(in_head(ArchiveFormat::Zstd, b"\x28\xb5\x2f\xfd"), None);
        assert_eq!(at_end(b"\x1f\x8b\x08"), None);
    }
}
