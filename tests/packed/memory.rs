//! How much memory unpacking takes, mappings aside: a format's window, and 16 MiB.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::process::Stdio;
use std::thread::sleep;
use std::time::Duration;

use liblzma::stream::{Check, LzmaOptions, Stream};
use tempfile::TempDir;
use zip::write::SimpleFileOptions;

use super::support::fixture;
use super::support::program::program;
use super::support::random::Random;

const MIB: usize = 1 << 20;

/// What is packed: a small db, and after its last page bytes that do not become smaller, again and again.
struct Content {
    db: Vec<u8>,
    rest: Vec<u8>,
}

impl Content {
    fn write(&self, size: usize, mut out: impl Write) {
        out.write_all(&self.db).expect("written");
        for _ in 0..size / self.rest.len() {
            out.write_all(&self.rest).expect("written");
        }
    }
}

/// The most anonymous memory that the program has while it reads this file, in bytes.
fn peak(packed: &Path, unpacked: &Path) -> u64 {
    let mut command = program();
    command.arg("hash").arg(packed).arg("--tmp-dir").arg(unpacked).stdout(Stdio::null());
    let mut child = command.spawn().expect("started");
    let status = format!("/proc/{}/status", child.id());
    let mut peak = 0;
    loop {
        // it counts mappings of files apart (proc(5))
        let text = fs::read_to_string(&status).unwrap_or_default();
        let anonymous = text.lines().find_map(|line| line.strip_prefix("RssAnon:"));
        let kib = anonymous.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<u64>().ok());
        peak = peak.max(kib.unwrap_or(0) << 10);
        if let Some(ended) = child.try_wait().expect("waited for") {
            assert!(ended.code().is_some_and(|code| code < 2), "{}: {ended}", packed.display());
            return peak;
        }
        sleep(Duration::from_micros(500));
    }
}

#[test]
fn no_more_than_the_window_and_16_mib() {
    let content = Content { db: fixture("etcd-3.5/etcd-3.5.1-kv.db"), rest: Random(15).bytes(MIB) };
    let folder = TempDir::new().expect("a folder");
    let packed = folder.path().join("packed");
    let unpacked = folder.path().join("tmp");
    fs::create_dir(&unpacked).expect("made");
    let create = || File::create(&packed).expect("created");
    let hold = |name: &str, window: usize| {
        let peak = peak(&packed, &unpacked);
        let bound = (window + 16) * MIB;
        let _ = writeln!(std::io::stderr(), "{name}: {:.1} MiB of {}", peak as f64 / MIB as f64, bound / MIB);
        assert!(peak > MIB as u64 && peak <= bound as u64, "{name}: {peak} of {bound} bytes");
    };

    content.write(64 * MIB, flate2::write::GzEncoder::new(create(), flate2::Compression::fast()));
    hold("gzip", 0);

    let mut zstd = zstd::Encoder::new(create(), 1).expect("an encoder");
    // as `zstd --long=27`
    zstd.window_log(27).expect("set");
    zstd.long_distance_matching(true).expect("set");
    content.write(160 * MIB, zstd.auto_finish());
    hold("zstd --long=27", 128);

    let mut options = LzmaOptions::new_preset(0).expect("a preset");
    // as `xz -9`
    options.dict_size(64 << 20);
    let mut filters = liblzma::stream::Filters::new();
    filters.lzma2(&options);
    let stream = Stream::new_stream_encoder(&filters, Check::Crc64).expect("an encoder");
    content.write(80 * MIB, liblzma::write::XzEncoder::new_stream(create(), stream));
    hold("xz -9", 64);

    content.write(4 * MIB, bzip2::write::BzEncoder::new(create(), bzip2::Compression::best()));
    hold("bzip2 -9", 0);

    let mut frame = lz4_flex::frame::FrameInfo::new();
    frame.block_size = lz4_flex::frame::BlockSize::Max4MB;
    frame.block_mode = lz4_flex::frame::BlockMode::Linked;
    content.write(64 * MIB, lz4_flex::frame::FrameEncoder::with_frame_info(frame, create()).auto_finish());
    // its blocks have up to 4 MiB
    hold("lz4 -9 -B7 -BD", 4);

    let mut zip = zip::ZipWriter::new(create());
    zip.start_file("db", SimpleFileOptions::default().compression_level(Some(1))).expect("begun");
    content.write(64 * MIB, &mut zip);
    zip.finish().expect("finished");
    hold("zip", 0);

    let mut header = tar::Header::new_gnu();
    header.set_path("db").expect("set");
    header.set_size((content.db.len() + 64 * MIB) as u64);
    header.set_cksum();
    let mut tar = create();
    tar.write_all(header.as_bytes()).expect("written");
    content.write(64 * MIB, &mut tar);
    let end = tar.metadata().expect("there").len().next_multiple_of(512) + 1024;
    tar.set_len(end).expect("set");
    hold("tar", 0);
}
