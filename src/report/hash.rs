//! `hash` as text.

use std::io::{self, Write};

use crate::hash::{BucketHash, FileHashes, Hashes};
use crate::text::brief;
use crate::units::{count, grouped};

use super::table::{self, Align, Column};
use super::view::{BAD, GOOD, View, styled};

use Align::{Left, Right};

/// One line a file, for comparing: HashKV in decimal and the snapshot status' hash in hexadecimal, as etcd's tools print them.
///
/// # Errors
/// The writer's.
pub fn write_all(out: &mut impl Write, files: &[FileHashes]) -> io::Result<()> {
    if files.is_empty() {
        return Ok(());
    }
    let columns = [
        Column("HashKV", Right),
        Column("revision", Right),
        Column("compacted", Right),
        Column("snapshot status", Right),
        Column("verdict", Left),
        Column("file", Left),
    ];
    let row = |FileHashes { path, hashes }: &FileHashes| {
        let of_kv = hashes
            .hash_kv
            .map(|of| [of.hash.to_string(), of.revision.to_string(), of.compact_revision.to_string()]);
        let verdict = if hashes.sound { styled(GOOD, "sound") } else { styled(BAD, "FAULTS") };
        let status = format!("{:08x}", hashes.snapshot_status.hash);
        let of_kv = of_kv.unwrap_or_else(|| ["-"; 3].map(str::to_owned));
        of_kv.into_iter().chain([status, verdict, path.to_string()]).collect()
    };
    table::write_unwrapped(out, &columns, files.iter().map(row).collect())
}

/// etcd's hashes, in decimal as its JSON has them and in hexadecimal as its snapshot status has it, then the buckets.
///
/// # Errors
/// The writer's.
pub fn write(out: &mut impl Write, view: &View, hashes: &Hashes) -> io::Result<()> {
    let row = |name: &str, hash: u32, of: String| {
        vec![name.to_owned(), hash.to_string(), format!("{hash:08x}"), of]
    };
    let mut rows = Vec::new();
    if let Some(hash_kv) = hashes.hash_kv {
        let compacted = match hash_kv.compact_revision {
            ..0 => "never compacted".to_owned(),
            revision => format!("compacted at {revision}"),
        };
        rows.push(row("HashKV", hash_kv.hash, format!("revision {}, {compacted}", hash_kv.revision)));
    }
    let status = hashes.snapshot_status;
    let size =
        if view.exact_bytes { count(status.total_size, "byte") } else { view.bytes(status.total_size) };
    let of = match hashes.hash_kv {
        Some(_) => format!("revision {}, {}, {size}", status.revision, count(status.total_key, "key")),
        None => size,
    };
    let name = if hashes.owner.is_etcd() { "snapshot status" } else { "all buckets" };
    rows.push(row(name, status.hash, of));
    let headings = [Column("hash", Left), Column("decimal", Right), Column("hex", Right), Column("of", Left)];
    table::write(out, view, &headings, rows)?;
    writeln!(out)?;
    let cells = |bucket: &BucketHash| {
        vec![brief(&bucket.name.0), grouped(bucket.entries), bucket.fingerprint.clone()]
    };
    let headings = [Column("bucket", Left), Column("entries", Right), Column("content", Right)];
    table::write(out, view, &headings, hashes.buckets.iter().map(cells))?;
    if hashes.values_left_out > 0 {
        let values = format!("{}: ", count(hashes.values_left_out, "plain value"));
        let text = if hashes.owner.is_etcd() {
            "beside the buckets, in none of these hashes: etcd's own tools end at such a value, so there is nothing to compare with"
        } else {
            "beside the buckets, in none of these hashes"
        };
        writeln!(out)?;
        table::prose(out, view, &values, text)?;
    }
    if hashes.sound {
        return Ok(());
    }
    let faults = format!("{}: ", styled(BAD, &count(hashes.num_faults, "fault")));
    writeln!(out)?;
    let text = if hashes.readable {
        "all could be read that these hashes are of. `etcd-medic check` says what is wrong"
    } else {
        "these are hashes of what could be read; don't compare them. `etcd-medic check` says what is wrong"
    };
    table::prose(out, view, &faults, text)
}
