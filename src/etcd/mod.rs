//! What etcd keeps in its bbolt file.
//!
//! | file | what is in it |
//! |---|---|
//! | [`revision`] | the keys of the `key` bucket |
//! | [`key_value`] | the values of the `key` bucket |
//! | [`history`] | what one key's records must look like, one after the other |
//! | [`find`] | records wherever they lie: in the tree, the older root's, free pages |
//! | [`gaps`] | runs of revisions that never existed |
//! | [`kept`] | the records that a compaction keeps |
//! | [`known_revisions`] | from the compact revision to the current one, and those that are neither |
//! | [`hash`] | HashKV |
//! | [`crc`] | CRC-32C, in parts |
//! | [`hex_id`] | ids of members and leases |
//! | [`schema`] | the other buckets: meta, lease, alarm, members, auth |
//! | [`request`] | what an entry of the log asks for |
//! | [`apply`] | what etcd does with it |
//! | [`membership`] | whether a member is the only one of its cluster |
//! | [`v2_store`], [`new_v2_store`] | the store of the API before v3, read and made |
//! | [`tail`] | how far a db is in the log beside it |
//! | [`trailer`] | the SHA-256 after a snapshot |
//! | [`data_dir`] | from a path that a user names to the db in it |

pub mod apply;
pub mod crc;
pub mod data_dir;
pub mod find;
pub mod gaps;
pub mod hash;
pub mod hex_id;
pub mod history;
pub mod kept;
pub mod key_value;
pub mod known_revisions;
pub mod membership;
pub mod new_v2_store;
pub mod request;
pub mod revision;
pub mod schema;
pub mod tail;
pub mod trailer;
pub mod v2_store;

pub use gaps::{RevisionGap, RevisionGaps};
pub use hex_id::HexId;
pub use kept::Kept;
pub use key_value::KeyValue;
pub use known_revisions::{RevisionError, current_revision};
pub use revision::{RecordKey, Revision};
