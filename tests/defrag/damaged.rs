//! Sources that are damaged.

use super::*;

/// Faults of what is not copied: the stored freelist, a meta that is not the active one, pages that nothing needs.
fn is_harmless(kind: &str) -> bool {
    let kinds = ["freelist", "meta/", "reachable-freed", "unreachable-unfreed", "file-cut-short"];
    kinds.iter().any(|harmless| kind.starts_with(harmless))
}

#[test]
fn trees_are_refused_and_freelists_are_made_afresh() {
    let places = [
        ("double-reference", Some("page 2 (byte 2048)")),
        ("key-out-of-order", Some("page 2 (byte 2096)")),
        ("wrong-page-type", Some("page 6 (byte 6144)")),
        ("freed-and-reachable", None),
        ("freelist-duplicate", None),
        ("unreachable-unfreed", None),
    ];
    let mut names: Vec<_> = places.iter().map(|(name, _)| (*name).to_owned()).collect();
    names.sort();
    assert_eq!(names, names_in("bolt/damaged", ".damage.txt"));
    for (name, place) in places {
        let folder = folder_of(&[("damaged.db", &fixture(&format!("bolt/damaged/{name}.db")))]);
        let (source, target) = (path_in(&folder, "damaged.db"), path_in(&folder, "copy.db"));
        match place {
            Some(place) => {
                let check = format!("etcd-medic check {source}");
                for args in [
                    &["defrag", &source, "-o", &target][..],
                    &["defrag", &source, "-o", &target, "--no-verify", "--no-lock"],
                    &["defrag", &source, "-o", &target, "--dry-run"],
                    &["defrag", &source, "--in-place"],
                    &["plan", &source],
                ] {
                    if args.contains(&"--no-lock") {
                        assert_eq!(run(args).code, 2);
                        continue;
                    }
                    assert_refused(folder.path(), args, &[place, &check, &source]);
                }
            }
            None => {
                defrag_to(Path::new(&source), Path::new(&target), &[]);
                assert_copy(Path::new(&source), Path::new(&target), name);
            }
        }
    }
}

/// Another page in the place of the root bucket's leaf: sound by itself, and so without a structural fault.
fn has_lost_its_buckets(source: &str) -> bool {
    let checked: documents::Check = document("check", source, &[]);
    checked.findings.iter().any(|finding| finding.kind.ends_with("-in-root"))
}

/// Every lie that is told to the reader: what makes an entry unreadable is refused, the rest is copied whole.
#[test]
fn every_lie() {
    let (mut refused, mut copied) = (0, 0);
    for case in lies::cases() {
        let mut file = lies::sample();
        (case.lie)(&mut file);
        let folder = folder_of(&[("damaged.db", &file.bytes())]);
        let (source, target) = (path_in(&folder, "damaged.db"), path_in(&folder, "copy.db"));
        let args = ["defrag", &source, "-o", &target];
        let harmful = case.faults.iter().find(|(kind, _, _)| !is_harmless(kind));
        match harmful {
            Some(_) => {
                refused += 1;
                assert_refused(folder.path(), &args, &["page ", "(byte ", "etcd-medic check "]);
            }
            None if has_lost_its_buckets(&source) => {
                refused += 1;
                assert_refused(folder.path(), &args, &["took its place", "etcd-medic check "]);
            }
            None => {
                copied += 1;
                let before = Seen::of(Path::new(&source));
                defrag_to(Path::new(&source), Path::new(&target), &[]);
                assert_copy(Path::new(&source), Path::new(&target), case.name);
                assert_eq!(Seen::of(Path::new(&source)), before, "{}", case.name);
                assert_eq!(names_of(folder.path()), ["copy.db", "damaged.db"], "{}", case.name);
            }
        }
    }
    assert!(refused > 50 && copied > 10, "{refused} refused, {copied} copied");
}

/// Cut short at any page: either all that was in use is still there, or it is refused.
#[test]
fn cut_short() {
    let bytes = fixture("k8s-frag/frag.db");
    let whole = memory::open(bytes.clone());
    let mut copied = 0;
    for pages in [2, 3, 10, 100, 300, 700, 900, 1000, 1004, 1005, 1006, 1007] {
        let folder = folder_of(&[("damaged.db", &bytes[..pages * 4096])]);
        let (source, target) = (path_in(&folder, "damaged.db"), path_in(&folder, "copy.db"));
        let args = ["defrag", &source, "-o", &target];
        if run([&args[..], &["--dry-run"]].concat()).code == 2 {
            assert_refused(folder.path(), &args, &[&source, "page ", "etcd-medic check "]);
        } else {
            copied += 1;
            let report = defrag_to(Path::new(&source), Path::new(&target), &[]);
            let warned = report.warnings.iter().any(|warning| warning.contains("cut short"));
            assert!(warned, "{pages} pages: {:?}", report.warnings);
            let copy = open(Path::new(&target));
            assert_equal_contents(&contents(&copy), &contents(&whole), &format!("{pages} pages"));
        }
    }
    assert!((1..6).contains(&copied), "{copied}: the last pages are free");
}

#[test]
fn no_db_at_all() {
    let folder = folder_of(&[("text", b"no db\n"), ("empty", b""), ("folder/other", b"x")]);
    for (name, why) in [
        ("text", "not a bbolt file"),
        ("empty", "empty"),
        ("missing", "No such file"),
        ("folder", "member/snap/db"),
    ] {
        let (source, target) = (path_in(&folder, name), path_in(&folder, "copy.db"));
        assert_refused(folder.path(), &["defrag", &source, "-o", &target], &[&source, why]);
        assert_refused(folder.path(), &["defrag", &source, "--in-place"], &[&source, why]);
        assert_refused(folder.path(), &["plan", &source], &[&source, why]);
    }
}

#[test]
fn a_snapshot_that_was_changed() {
    let mut bytes = fixture("etcd-3.5/etcd-3.5.1-kv.snapshot.db");
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    let folder = folder_of(&[("snapshot.db", &bytes)]);
    let (source, target) = (path_in(&folder, "snapshot.db"), path_in(&folder, "copy.db"));
    let args = ["defrag", &source, "-o", &target];
    assert_refused(folder.path(), &args, &["SHA-256", "--skip-hash-check", &source]);
    assert_refused(folder.path(), &["defrag", &source, "--in-place"], &["SHA-256"]);
    defrag_to(Path::new(&source), Path::new(&target), &["--skip-hash-check"]);
    assert_copy(Path::new(&source), Path::new(&target), "--skip-hash-check");
}

/// A new kind belongs to one side or the other.
#[test]
fn the_kinds_that_are_harmless() {
    let harmless: Vec<_> = support::found::EVERY_KIND.iter().filter(|kind| is_harmless(kind)).collect();
    assert_eq!(harmless.len(), 21, "{harmless:?}");
}
