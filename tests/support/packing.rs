//! Files packed in each way that the field has.

use std::io::{Cursor, Write};

use zip::CompressionMethod;
use zip::write::SimpleFileOptions;

pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::new(3));
    encoder.write_all(bytes).expect("written");
    encoder.finish().expect("finished")
}

pub fn zstd(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = ::zstd::Encoder::new(Vec::new(), 3).expect("an encoder");
    encoder.include_checksum(true).expect("set");
    encoder.write_all(bytes).expect("written");
    encoder.finish().expect("finished")
}

/// With the window that `zstd --long=LOG` has.
pub fn zstd_with_window(bytes: &[u8], log: u32) -> Vec<u8> {
    let mut encoder = ::zstd::Encoder::new(Vec::new(), 1).expect("an encoder");
    encoder.window_log(log).expect("set");
    encoder.include_contentsize(false).expect("set");
    encoder.write_all(bytes).expect("written");
    encoder.finish().expect("finished")
}

pub fn xz(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = liblzma::write::XzEncoder::new(Vec::new(), 1);
    encoder.write_all(bytes).expect("written");
    encoder.finish().expect("finished")
}

pub fn bzip2(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = ::bzip2::write::BzEncoder::new(Vec::new(), ::bzip2::Compression::fast());
    encoder.write_all(bytes).expect("written");
    encoder.finish().expect("finished")
}

pub fn lz4(bytes: &[u8]) -> Vec<u8> {
    let mut info = lz4_flex::frame::FrameInfo::new();
    info.content_checksum = true;
    info.block_mode = lz4_flex::frame::BlockMode::Linked;
    let mut encoder = lz4_flex::frame::FrameEncoder::with_frame_info(info, Vec::new());
    encoder.write_all(bytes).expect("written");
    encoder.finish().expect("finished")
}

pub fn zip(files: &[(&str, &[u8])], method: CompressionMethod) -> Vec<u8> {
    let mut archive = ::zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in files {
        let options = SimpleFileOptions::default().compression_method(method);
        archive.start_file(*name, options).expect("begun");
        archive.write_all(bytes).expect("written");
    }
    archive.finish().expect("finished").into_inner()
}

/// As Go's `archive/zip` writes it, and so k3s: sizes and checksum come after each file.
pub fn zip_as_a_stream(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut archive = ::zip::ZipWriter::new_stream(Vec::new());
    for (name, bytes) in files {
        archive.start_file(*name, SimpleFileOptions::default()).expect("begun");
        archive.write_all(bytes).expect("written");
    }
    archive.finish().expect("finished").into_inner()
}

pub fn tar(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut archive = ::tar::Builder::new(Vec::new());
    for (name, bytes) in files {
        let mut header = ::tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o600);
        archive.append_data(&mut header, name, *bytes).expect("appended");
    }
    archive.into_inner().expect("finished")
}

/// Each form in which the field has a db, by a name for messages.
pub fn forms(db: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
    let long = format!("{}/snapshot.db", "a-folder-with-a-long-name/".repeat(12));
    let beside: [(&str, &[u8]); 3] =
        [("etcd/", b""), ("etcd/readme.txt", b"taken by cron\n"), ("etcd/snapshot.db", db)];
    let (half, rest) = db.split_at(db.len() / 2);
    let halves = |pack: fn(&[u8]) -> Vec<u8>| [pack(half), pack(rest)].concat();
    vec![
        ("gzip", gzip(db)),
        ("gzip, two members", halves(gzip)),
        ("zstd", zstd(db)),
        ("zstd, two frames", halves(zstd)),
        ("xz", xz(db)),
        ("xz, two streams", halves(xz)),
        ("bzip2", bzip2(db)),
        ("bzip2, two streams", halves(bzip2)),
        ("lz4", lz4(db)),
        ("lz4, two frames", halves(lz4)),
        ("gzip of zstd", gzip(&zstd(db))),
        ("zip, stored", zip(&[("snapshot.db", db)], CompressionMethod::Stored)),
        ("zip, deflated", zip(&[("backup/snapshot.db", db)], CompressionMethod::Deflated)),
        ("zip as a stream", zip_as_a_stream(&[("on-demand-node1-1642532094", db)])),
        ("zip of gzip", zip(&[("snapshot.db.gz", &gzip(db))], CompressionMethod::Stored)),
        ("tar", tar(&beside)),
        ("tar, long name", tar(&[(&long, db)])),
        ("tar.gz", gzip(&tar(&beside))),
        ("tar.zst", zstd(&tar(&beside))),
        ("tar.xz", xz(&tar(&beside))),
        (
            "tar of zstd, with another archive",
            tar(&[("pki.tar.gz", &gzip(&tar(&[("ca.crt", b"-----")]))), ("snapshot.db.zst", &zstd(db))]),
        ),
        ("zip in tar.gz", gzip(&tar(&[("snapshot.zip", &zip(&[("db", db)], CompressionMethod::Deflated))]))),
        ("a folder `snap` in tar", tar(&[("etcd/snap/snapshot.db", db), ("etcd/wal/0.tmp", b"")])),
    ]
}
