//! The 32 bytes after a snapshot: the SHA-256 of everything before them.
//!
//! `etcdctl snapshot save` appends what the server sends after the db (`server/etcdserver/api/v3rpc/maintenance.go`,
//! `Snapshot`), and `etcdutl snapshot restore` tells such a file by its size (`etcdutl/snapshot/v3_snapshot.go`,
//! `hasChecksum`: size mod 512 = 32).

use sha2::{Digest, Sha256};
use strum::IntoStaticStr;

/// Bytes of the trailer.
pub const TRAILER_SIZE: usize = 32;

/// What is after the db.
#[derive(Clone, Copy, PartialEq, Eq, Debug, IntoStaticStr, serde::Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[strum(serialize_all = "lowercase")]
#[serde(rename_all = "lowercase")]
pub enum Trailer {
    /// Nothing: a db as a member has it.
    None,
    /// A SHA-256, and it is the file's.
    Valid,
    /// 32 bytes that are not the file's SHA-256: cut short, changed, or never a snapshot.
    Invalid,
}

/// Bytes that the trailer takes of a file of this size: 32, or 0 where the size says that there is none.
pub fn trailer_size(file_size: u64) -> u64 {
    if file_size % 512 == TRAILER_SIZE as u64 { TRAILER_SIZE as u64 } else { 0 }
}

/// Whether there is a trailer, and whether it is right: reads the whole file.
pub fn verify(data: &[u8]) -> Trailer {
    if trailer_size(data.len() as u64) == 0 {
        return Trailer::None;
    }
    match data.split_last_chunk::<TRAILER_SIZE>() {
        Some((content, trailer)) if Sha256::digest(content).as_slice() == trailer => Trailer::Valid,
        _ => Trailer::Invalid,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn told_by_size_and_proved_by_content() {
        let db = vec![7u8; 1024];
        assert_eq!(verify(&db), Trailer::None);
        let mut snapshot = db.clone();
        snapshot.extend_from_slice(&Sha256::digest(&db));
        assert_eq!(verify(&snapshot), Trailer::Valid);
        snapshot[0] ^= 1;
        assert_eq!(verify(&snapshot), Trailer::Invalid);
        assert_eq!(verify(&[]), Trailer::None);
        assert_eq!(verify(&[0; 32]), Trailer::Invalid);
    }
}
