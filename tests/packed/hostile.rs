//! What is cut off, damaged, made to do harm, or no db at all: a message, exit code 2, and nothing is left.

use std::fs;

use tempfile::TempDir;
use zip::CompressionMethod;

use super::support::fixture;
use super::support::packing::{bzip2, gzip, lz4, tar, xz, zip, zip_as_a_stream, zstd, zstd_with_window};
use super::support::program::{Ran, path_in, run};

struct Tried {
    ran: Ran,
    /// Files that were left in the folder for what is unpacked.
    left: usize,
}

fn tried(bytes: &[u8], options: &[&str]) -> Tried {
    let folder = TempDir::new().unwrap();
    let (packed, tmp_dir) = (path_in(&folder, "packed"), path_in(&folder, "tmp"));
    fs::write(&packed, bytes).unwrap();
    fs::create_dir(&tmp_dir).unwrap();
    let ran = run([&["hash", &packed, "--tmp-dir", &tmp_dir], options].concat());
    Tried { ran, left: fs::read_dir(&tmp_dir).unwrap().count() }
}

pub fn assert_refused(name: &str, bytes: &[u8], options: &[&str], says: &str) {
    let Tried { ran: Ran { code, out, err }, left } = tried(bytes, options);
    assert_eq!(code, 2, "{name}: {out}{err}");
    assert!(err.contains(says), "{name}: {err}");
    assert!(out.is_empty() && left == 0, "{name}: {out}");
}

#[test]
fn what_was_cut_off_is_refused_wherever_that_was() {
    let db = fixture("k8s-frag/frag.db");
    let db = &db[..db.len().min(512 << 10)];
    for (name, bytes, end) in [
        ("gzip", gzip(db), 0),
        ("zstd", zstd(db), 0),
        ("xz", xz(db), 0),
        ("bzip2", bzip2(db), 0),
        ("lz4", lz4(db), 0),
        ("lz4, two frames", [lz4(&db[..9000]), lz4(&db[9000..])].concat(), 0),
        ("zip", zip(&[("db", db)], CompressionMethod::Deflated), 0),
        ("tar", tar(&[("db", db)]), 1024),
        ("tar.gz", gzip(&tar(&[("db", db)])), 0),
    ] {
        // what comes after the signature, and before the two blocks of zeros that end a tar archive
        let whole = bytes.len() - end;
        let cuts = (1..40).map(|part| 600 + (whole - 600) * part / 40).chain(whole.saturating_sub(12)..whole);
        for cut in cuts.filter(|cut| *cut > 600) {
            // a frame that ends there is a whole file
            if name == "lz4, two frames" && cut == lz4(&db[..9000]).len() {
                continue;
            }
            let Tried { ran: Ran { code, out, err }, left } = tried(&bytes[..cut], &[]);
            assert_eq!(code, 2, "{name} cut at {cut} of {whole}: {out}{err}");
            assert!(err.contains("Take another copy"), "{name} cut at {cut}: {err}");
            assert_eq!(left, 0, "{name} cut at {cut}");
        }
    }
}

#[test]
fn what_was_changed_is_refused_or_makes_no_difference() {
    let db = fixture("k8s-frag/frag.db");
    let db = &db[..db.len().min(512 << 10)];
    for (name, bytes) in [
        ("gzip", gzip(db)),
        ("zstd", zstd(db)),
        ("xz", xz(db)),
        ("bzip2", bzip2(db)),
        ("lz4", lz4(db)),
        ("zip", zip(&[("db", db)], CompressionMethod::Deflated)),
    ] {
        let sound = tried(&bytes, &[]).ran.out;
        for part in 0..60 {
            let mut changed = bytes.clone();
            let at = 8 + (bytes.len() - 9) * part / 60;
            changed[at] ^= 1 << (part % 8);
            let Tried { ran: Ran { code, out, err }, left } = tried(&changed, &[]);
            assert!(code == 2 || out == sound, "{name}, byte {at}: {code} {err}");
            assert_eq!(left, 0, "{name}, byte {at}");
        }
    }
}

#[test]
fn bombs_end_in_a_message() {
    // in an archive, a file that is no db is passed over
    let mut zeros = fixture("k8s-frag/frag.db");
    zeros.resize(64 << 20, 0);
    let limit = ["--max-unpacked", "16MiB"];
    for (name, bytes) in [
        ("gzip", gzip(&zeros)),
        ("zstd", zstd(&zeros)),
        ("xz", xz(&zeros)),
        ("bzip2", bzip2(&zeros)),
        ("lz4", lz4(&zeros)),
        ("zip", zip(&[("db", &zeros)], CompressionMethod::Deflated)),
        ("gzip of gzip", gzip(&gzip(&zeros))),
    ] {
        assert_refused(name, &bytes, &limit, "more than 16.0 MiB come out of it");
    }
}

#[test]
fn windows_are_limited() {
    let db = fixture("k8s-frag/frag.db");
    let large = zstd_with_window(&db, 28);
    assert_refused("a window of 256 MiB", &large, &[], "--max-window");
    let allowed = tried(&large, &["--max-window", "256MiB"]).ran;
    assert!(allowed.code < 2, "{}", allowed.err);
}

#[test]
fn archives_made_to_do_harm() {
    let db = fixture("k8s-frag/frag.db");
    let mut nested = db.clone();
    for _ in 0..10 {
        nested = gzip(&nested);
    }
    assert_refused("ten times over", &nested, &[], "packed more than 4 times over");
    let outside = zip(&[("../../etc/db", &db)], CompressionMethod::Stored);
    assert_refused("a path that leads out", &outside, &[], "leads out");
    let names: Vec<String> = (0..10_000).map(|number| format!("file-{number}")).collect();
    let files: Vec<(&str, &[u8])> = names.iter().map(|name| (name.as_str(), &b"text"[..])).collect();
    for (name, bytes) in [
        ("a tar of 10,000 files", tar(&files)),
        ("a zip of 10,000 files", zip(&files, CompressionMethod::Stored)),
    ] {
        assert_refused(name, &bytes, &[], "no file is a db; it has `file-0`");
        assert_refused(name, &bytes, &[], "and 9990 more");
    }
    for (name, kind) in [("a symbolic link", tar::EntryType::Symlink), ("a device", tar::EntryType::Char)] {
        let mut archive = tar::Builder::new(Vec::new());
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(kind);
        header.set_size(0);
        header.set_path("db").unwrap();
        header.set_link_name("/etc/passwd").unwrap();
        header.set_cksum();
        archive.append(&header, &[][..]).unwrap();
        assert_refused(name, &archive.into_inner().unwrap(), &[], "no file is a db; it has none");
    }
    let whole = tar(&[("db", &db)]);
    assert_refused("a tar without an end", &whole[..whole.len() - 1024], &[], "cut off");
}

/// The reader of tar archives keeps names in memory: one of 64 MiB is none.
#[test]
fn names_are_limited() {
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(tar::EntryType::GNULongName);
    header.set_path("././@LongLink").unwrap();
    header.set_size(64 << 20);
    header.set_cksum();
    let mut archive = tar::Builder::new(Vec::new());
    archive.append(&header, std::io::repeat(b'a').take_bytes(64 << 20)).unwrap();
    assert_refused("a name of 64 MiB", &archive.into_inner().unwrap(), &[], "names are larger");
}

trait TakeBytes: std::io::Read + Sized {
    fn take_bytes(self, bytes: u64) -> std::io::Take<Self> {
        std::io::Read::take(self, bytes)
    }
}
impl<R: std::io::Read> TakeBytes for R {}

#[test]
fn an_encrypted_file_is_said() {
    let db = fixture("k8s-frag/frag.db");
    let mut bytes = zip(&[("snapshot.db", &db)], CompressionMethod::Deflated);
    // bit 0 of the flags, in the file's own header and in the directory's (APPNOTE.TXT 4.4.4)
    bytes[6] |= 1;
    let directory = bytes.windows(4).rposition(|part| part == b"PK\x01\x02").unwrap();
    bytes[directory + 8] |= 1;
    assert_refused("encrypted", &bytes, &[], "`snapshot.db` is encrypted");
    assert_refused("encrypted", &bytes, &[], "unzip -d ");
}

/// A file of an archive that can't be read does not keep the others from being read.
#[test]
fn another_damaged_file_does_no_harm() {
    let db = fixture("k8s-frag/frag.db");
    let broken = &gzip(&db)[..1000];
    for bytes in
        [tar(&[("broken.gz", broken), ("db", &db)]), zip_as_a_stream(&[("broken.gz", broken), ("db", &db)])]
    {
        let Ran { code, err, .. } = tried(&bytes, &[]).ran;
        assert!(code < 2, "{err}");
    }
}

/// Its first pages are lost, so nothing shows that it is a db; by its name, it is read and saved.
#[test]
fn a_db_that_is_not_recognised_is_read_by_its_name() {
    let mut db = fixture("k8s-frag/frag.db");
    db[..300 << 10].fill(0);
    let folder = TempDir::new().unwrap();
    let (packed, saved) = (path_in(&folder, "packed.tar"), path_in(&folder, "saved.db"));
    fs::write(&packed, tar(&[("snapshot.db", &db)])).unwrap();
    let salvage = ["salvage", &packed, "-o", &saved];
    let ran = run(salvage);
    assert!(ran.code == 2 && ran.err.contains("--member NAME"), "{}", ran.err);
    let ran = run([&salvage[..], &["--member", "snapshot.db"]].concat());
    assert!(ran.code < 2, "{}", ran.err);
    assert_eq!(run(["check", &saved]).code, 0);
}
