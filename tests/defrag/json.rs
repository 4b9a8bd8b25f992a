//! The documents.

use super::*;

/// Every part of the document is held against the schema once: `document` does so.
#[test]
fn every_part_of_the_document() {
    let (folder, source) = small();
    let target = path_in(&folder, "copy.db");
    let options = ["-o", &target, "--snapshot", "--compact-to", "current", "--disarm"];
    let options = [&options[..], &["--drop-prefix", "/app/", "--confirm-keys", "1"]].concat();
    let report: documents::Defrag = document("defrag", text(&source), &options);
    let left_out = report.left_out.expect("left out");
    assert!(report.compaction.is_some() && !report.disarmed.is_empty());
    assert!(!left_out.keys.is_empty() && !left_out.prefixes.is_empty());
}

#[test]
fn read_without_lock_is_marked() {
    let (folder, source) = small();
    let target = folder.path().join("copy.db");
    let report = defrag_to(&source, &target, &["--no-lock"]);
    assert!(report.read_without_lock, "{report:?}");
    assert!(report.warnings.iter().any(|text| text.contains("without a lock")), "{:?}", report.warnings);
    let plan: documents::Plan = document("plan", text(&source), &["--no-lock"]);
    assert!(plan.read_without_lock);
}

#[test]
fn a_raised_alarm_and_a_damaged_meta_are_warned_of() {
    let mut file = etcd_file::small();
    file.meta_unsealed(0, |meta| meta.txid.set(1));
    let folder = folder_of(&[("source.db", &file.bytes())]);
    let (source, target) = (folder.path().join("source.db"), folder.path().join("copy.db"));
    let report = defrag_to(&source, &target, &[]);
    for words in ["NOSPACE", "meta 0"] {
        assert!(report.warnings.iter().any(|text| text.contains(words)), "{words}: {:?}", report.warnings);
    }
    assert_copy(&source, &target, "one meta");
}
