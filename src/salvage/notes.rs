//! What the user should know of a salvage.

use crate::etcd::schema::KEY_BUCKET;
use crate::text::ByteText;
use crate::units::count;

use super::finds::Finds;
use super::open::Wreck;
use super::request::{SalvageRequest, Trust};
use super::roots::RootSource;

/// Sentences, each by itself.
pub(super) fn of(wreck: &Wreck, finds: &Finds<'_>, request: &SalvageRequest) -> Vec<String> {
    let mut warnings: Vec<String> = of_root(finds).map(str::to_owned).into_iter().collect();
    if finds.is_sound() && finds.buckets.iter().all(|bucket| bucket.num_values() == 0) {
        warnings.push("the file is sound, and has no entry: there is nothing to save".to_owned());
    }
    if !finds.readable && finds.is_sound() {
        warnings.push(
            "nothing is missing below the root, but other commands stop at faults of this file: `check` names them"
                .to_owned(),
        );
    }
    if finds.restored_flags > 0 {
        let buckets = count(finds.restored_flags, "bucket");
        warnings.push(format!(
            "{buckets} in the root had lost the flag that marks a bucket, and were read as buckets"
        ));
    }
    let log_completes = finds.log.as_ref().is_some_and(|log| log.completes);
    if finds.newer_may_be_lost && !log_completes {
        warnings.push(
            "one meta is damaged: if it was the later one, what the last transaction wrote is not in the copy".to_owned(),
        );
    }
    if wreck.page_size_derived {
        warnings.push(format!("the page size, {} bytes, was derived from the pages", wreck.db.page_size()));
    }
    if wreck.read_without_lock {
        warnings.push(finds.owner().unlocked());
    }
    if finds.is_etcd && !finds.compaction_is_known && finds.searched {
        warnings.push(
            "how far the last compaction went is lost: records that it removed, and keys that were deleted, may be among those saved"
                .to_owned(),
        );
    }
    // for records, more is known
    let others = finds.buckets.iter().filter(|bucket| bucket.name != KEY_BUCKET || !finds.is_etcd);
    for bucket in others.filter(|bucket| bucket.from_orphans > 0 && !bucket.gaps.is_empty()) {
        warnings.push(format!(
            "bucket {}: {} come from leaves that no root reaches: whether they still existed is not known (--strict leaves them \
             out){}",
            ByteText::from(bucket.name),
            count(bucket.from_orphans, "entry"),
            match bucket.conflicts {
                0 => String::new(),
                conflicts => format!("; {conflicts} of them were found with two values"),
            }
        ));
    }
    if request.trust == Trust::BestEffort {
        let gone = if finds.is_etcd { "deleted or superseded" } else { "deleted or replaced" };
        warnings.push(format!("--best-effort: what was {gone} may have come back to life"));
    }
    warnings
}

/// Where the root was found, unless it is the active meta's.
fn of_root(finds: &Finds<'_>) -> Option<&'static str> {
    Some(match finds.root.from {
        RootSource::ActiveMeta => return None,
        RootSource::OlderMeta => "the active meta is damaged: the other one's root was taken",
        RootSource::UnsealedMeta => {
            "both metas are damaged: the root is the one of a meta whose checksum is wrong and whose other fields are valid"
        }
        RootSource::Searched if finds.is_etcd => {
            "no meta leads to the buckets: the root was found by its content, the one of the latest consistent index"
        }
        RootSource::Searched => {
            "no meta leads to the buckets: the root is the node that no other node refers to and that reaches most. It may be the \
             root of one bucket, or of an older state"
        }
        RootSource::Nowhere if finds.is_etcd => {
            "no root was found: records, leases, members, users and roles were found by their content"
        }
        RootSource::Nowhere => "no root was found",
    })
}
