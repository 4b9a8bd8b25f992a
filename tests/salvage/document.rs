//! The document, field by field.

use super::support::documents::{self, parse};
use super::support::etcd_file::large;
use super::support::program::{folder_of, path_in, run};
use super::support::workshop::{Base, frag};
use super::{Damage, damaged};

fn document(damage: &Damage, flags: &[&str]) -> (i32, documents::Salvage) {
    let folder = folder_of(&[("damaged.db", &damage.bytes)]);
    let (source, target) = (path_in(&folder, "damaged.db"), path_in(&folder, "saved.db"));
    let args = ["salvage", &source, "-o", &target, "--output", "json"];
    let ran = run(args.iter().chain(flags));
    (ran.code, parse("salvage", &ran.out))
}

#[test]
fn every_field_of_the_document_is_known() {
    let base = frag();
    for name in ["half-cut", "branch-zeroed", "metas-zeroed", "pages-zeroed", "live-copy"] {
        let (code, document) = document(&damaged(&base, name), &[]);
        assert_eq!(code, 1, "{name}");
        assert_eq!(
            document.recovered.reachable + document.recovered.older_root + document.recovered.orphan,
            document.target.records
        );
    }
    let base = Base::of_bucket("large", large().bytes(), Some("lease"));
    let (code, document) = document(&damaged(&base, "key-root-zeroed"), &["--dry-run"]);
    assert_eq!(code, 1);
    let lease = document.buckets.iter().find(|row| row.orphan > 0).expect("a bucket of orphans");
    assert_eq!((lease.entries, lease.orphan, lease.left_out, lease.gaps.len()), (160, 160, 40, 1));
}
