//! Plain values in the root bucket, where a program's buckets are. bbolt takes them for what they are, and so do we, but where they
//! show that buckets are lost.

use strum::IntoStaticStr;
use thiserror::Error;

use crate::bolt::Db;
use crate::bolt::bucket::{Bucket, BucketId, BucketRoot};
use crate::bolt::entries::for_each_entry;
use crate::etcd::schema::{ETCD_BUCKETS, KEY_BUCKET};
use crate::etcd::{KeyValue, RecordKey};

use super::structure::Structure;

/// Buckets that are lost, as the root bucket shows.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error, IntoStaticStr)]
#[cfg_attr(test, derive(strum::VariantNames))]
#[strum(serialize_all = "kebab-case")]
pub enum RootFault {
    /// A leaf of the `key` bucket in its place.
    #[error(
        "{count} of the root bucket's entries are records, where the names of buckets belong: mixed generations; its leaf \
         was written again, by a node of the `key` bucket, and all buckets are lost"
    )]
    RecordsInRoot { count: u64 },
    /// Another leaf in its place.
    #[error(
        "none of the root bucket's {count} entries is a bucket, and nothing refers to pages that are not known to be free: \
         another leaf took its place, and all buckets are lost"
    )]
    NoBucketInRoot { count: u64 },
    /// Buckets of etcd's that lost their flag.
    #[error(
        "{count} of the root bucket's entries have the names of etcd's buckets, and are plain values: etcd can't start from \
         it, and what was in these buckets is lost to it"
    )]
    ValuesInRoot { count: u64 },
}

impl RootFault {
    /// Looks for it in a file that was walked.
    pub fn find(db: &Db, structure: &Structure<'_>) -> Option<Self> {
        let (mut count, mut records, mut named, mut has_key) = (0, 0, 0, false);
        for_each_entry(db, &root_bucket(db), |entry| {
            count += 1;
            records += u64::from(is_record(entry.key, entry.value));
            named += u64::from(ETCD_BUCKETS.contains(&entry.key));
            has_key |= entry.key == KEY_BUCKET;
        });
        let mut names =
            structure.buckets.iter().filter(|bucket| bucket.parent == Some(BucketId::ROOT)).peekable();
        if count == 0 {
            None
        } else if names.peek().is_none() {
            let another = (structure.not_known_free() > 0).then_some(Self::NoBucketInRoot { count });
            if records > 0 { Some(Self::RecordsInRoot { count: records }) } else { another }
        } else {
            // UnsafeCreateBucket of server/storage/backend/batch_tx.go ends etcd at such a value
            let is_etcd = names
                .any(|bucket| bucket.name == KEY_BUCKET || (has_key && ETCD_BUCKETS.contains(&bucket.name)));
            (is_etcd && named > 0).then_some(Self::ValuesInRoot { count: named })
        }
    }
}

/// Plain values in the root bucket.
pub fn num_values(db: &Db) -> u64 {
    let mut count = 0;
    for_each_entry(db, &root_bucket(db), |_| count += 1);
    count
}

fn root_bucket<'a>(db: &Db) -> Bucket<'a> {
    let meta = db.meta();
    Bucket { parent: None, name: &[], sequence: meta.sequence, root: BucketRoot::Page(meta.root) }
}

fn is_record(key: &[u8], value: &[u8]) -> bool {
    let kv = KeyValue::parse(value).ok().filter(|kv| !kv.key.is_empty());
    let record = RecordKey::parse(key).zip(kv);
    record.is_some_and(|(place, kv)| place.tombstone || kv.mod_revision == place.revision.main)
}
