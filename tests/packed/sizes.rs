//! The sizes that packed files state: hints, which change no answer.

use std::fs;
use std::io::Write;

use sha2::{Digest, Sha256};
use tempfile::TempDir;
use zip::CompressionMethod;

use super::hostile::assert_refused;
use super::support::fixture;
use super::support::packing::{bzip2, gzip, lz4, tar, xz, zip, zip_as_a_stream, zstd};
use super::support::program::{path_in, run};

/// A frame that states its size.
fn sized_zstd(bytes: &[u8]) -> Vec<u8> {
    ::zstd::bulk::compress(bytes, 3).unwrap()
}

/// A frame that states this size.
fn lz4_of_size(bytes: &[u8], size: u64) -> Vec<u8> {
    let info = lz4_flex::frame::FrameInfo::new().content_size(Some(size));
    let mut encoder = lz4_flex::frame::FrameEncoder::with_frame_info(info, Vec::new());
    encoder.write_all(bytes).unwrap();
    // it checks what it was told, so the last frame is made by hand: the blocks, and the end mark
    encoder.flush().unwrap();
    let mut frame = encoder.get_ref().clone();
    frame.extend_from_slice(&[0; 4]);
    frame
}

fn db() -> Vec<u8> {
    fixture("k8s-frag/frag.db")
}

#[test]
fn a_snapshots_trailer_is_judged_whatever_size_is_stated() {
    let db = db();
    assert_eq!(db.len() % 512, 0, "a whole db");
    let valid = [&db[..], &Sha256::digest(&db)].concat();
    let mut invalid = valid.clone();
    invalid[db.len()] ^= 1;
    // parts, so that the sizes that are stated are not the whole's
    let cut = db.len() / 2;
    for (trailer, snapshot) in [("none", &db), ("valid", &valid), ("invalid", &invalid)] {
        let (head, tail) = snapshot.split_at(cut);
        let last = snapshot.len() - 512;
        for (form, bytes) in [
            ("zstd", zstd(snapshot)),
            ("zstd with its size", sized_zstd(snapshot)),
            ("zstd frames", [sized_zstd(head), sized_zstd(tail)].concat()),
            ("gzip", gzip(snapshot)),
            ("gzip parts", [gzip(&snapshot[..last]), gzip(&snapshot[last..])].concat()),
            ("xz", xz(snapshot)),
            ("bzip2", bzip2(snapshot)),
            ("lz4", lz4(snapshot)),
            ("lz4 with its size", lz4_of_size(snapshot, snapshot.len() as u64)),
            ("lz4 frames", [lz4_of_size(head, head.len() as u64), lz4(tail)].concat()),
            ("zip", zip(&[("db", snapshot)], CompressionMethod::Deflated)),
            ("zip as a stream", zip_as_a_stream(&[("db", snapshot)])),
            ("zip in gzip", gzip(&zip(&[("db", snapshot)], CompressionMethod::Stored))),
            ("tar in zstd", sized_zstd(&tar(&[("db", snapshot)]))),
        ] {
            let folder = TempDir::new().unwrap();
            let packed = path_in(&folder, "packed");
            fs::write(&packed, bytes).unwrap();
            let ran = run(["status", "--output", "json", &packed]);
            let json: serde_json::Value = serde_json::from_str(&ran.out).expect(&ran.err);
            assert_eq!(json["files"][0]["snapshot_trailer"], *trailer, "{form}");
            let code = if trailer == "invalid" { 1 } else { 0 };
            assert_eq!(ran.code, code, "{form}, {trailer}: {}", ran.out);
        }
    }
}

#[test]
fn a_size_that_is_not_true_is_refused() {
    let db = db();
    let (few, many) = (db.len() as u64 - 4096, db.len() as u64 + 4096);
    for size in [few, many] {
        let mut zstd = sized_zstd(&db);
        // the frame's header: 4 bytes of the magic, the descriptor, the window, and 4 bytes of size
        assert_eq!(zstd[6..10], (db.len() as u32).to_le_bytes(), "where the size is");
        zstd[6..10].copy_from_slice(&(size as u32).to_le_bytes());
        assert_refused("zstd", &zstd, &[], "zstd compressed that is damaged");
        let mut gzip = gzip(&db);
        let end = gzip.len() - 4;
        gzip[end..].copy_from_slice(&(size as u32).to_le_bytes());
        assert_refused("gzip", &gzip, &[], "gzip compressed that is damaged");
    }
}

#[test]
fn more_than_is_allowed_is_said_before_anything_is_unpacked() {
    let db = db();
    let limit = ["--max-unpacked", "1MiB"];
    for (form, bytes) in [
        ("zstd", sized_zstd(&db)[..100].to_vec()),
        ("lz4", lz4_of_size(&db, 1 << 60)[..100].to_vec()),
        ("gzip", [&gzip(&db)[..100], &u32::MAX.to_le_bytes()].concat()),
    ] {
        assert_refused(form, &bytes, &limit, "more than 1.0 MiB come out of it");
    }
}
