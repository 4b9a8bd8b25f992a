//! Every sound file comes out smaller, sound and equal, in each layout; and `plan` knew how large.

use super::*;

/// All that must hold for any sound file.
fn prove(source: &Path, of: &str) {
    let before = Seen::of(source);
    let folder = TempDir::new().expect("a folder");
    let target = folder.path().join("copy.db");
    let first = prove_defaults(source, &target, of);
    prove_again(&target, &first, of);
    prove_layouts(source, &target, of);
    prove_snapshot(source, &folder.path().join("snapshot.db"), of);
    assert_eq!(names_of(folder.path()), ["again.db", "copy.db", "snapshot.db"], "{of}");
    assert_eq!(Seen::of(source), before, "{of}: the source was touched");
}

fn prove_defaults(source: &Path, target: &Path, of: &str) -> documents::Defrag {
    let metadata = source.metadata().expect("there");
    let plan: documents::Plan = document("plan", text(source), &[]);
    let report = defrag_to(source, target, &[]);
    assert_copy(source, target, of);
    assert!(report.target.file_bytes <= metadata.len(), "{of}: larger than its source: {report:?}");
    assert_eq!((plan.now_bytes, report.source.file_bytes), (metadata.len(), metadata.len()), "{of}");
    let saved = i64::try_from(metadata.len()).expect("small")
        - i64::try_from(report.target.file_bytes).expect("small");
    assert_eq!(report.saved_bytes, saved, "{of}");
    let choice = &plan.choices[0];
    assert_eq!(choice.compact_to, None, "{of}: plan");
    assert_eq!(choice.file_bytes, report.target.file_bytes, "{of}: plan");
    assert_eq!((choice.keep_revisions, choice.records), (None, report.target.records), "{of}: plan");
    assert_eq!(plan.entry_bytes, report.target.entry_bytes, "{of}");
    assert_eq!(report.source.records, report.target.records, "{of}");
    assert!(report.verified && !report.dry_run && report.kept_old.is_none(), "{of}: {report:?}");
    assert_eq!((report.dropped.superseded, report.dropped.tombstones), (0, 0), "{of}");
    assert_eq!(
        (report.source.page_size, report.target.page_size),
        (plan_page_size(source), plan_page_size(source))
    );
    assert_eq!(report.target.sha256, None, "{of}");
    let of_target = target.metadata().expect("written");
    assert_eq!(of_target.mode() & 0o777, metadata.mode() & 0o777, "{of}: mode");
    assert_eq!((of_target.uid(), of_target.gid()), (metadata.uid(), metadata.gid()), "{of}: owner");
    prove_counts(source, &report, of);
    prove_gains(source, &plan, of);
    advised::prove_advice(source, of);
    prove_histories(source, &plan, target, of);
    report
}

/// What `analyze` promises is what `defrag` then gives back.
fn prove_gains(source: &Path, plan: &documents::Plan, of: &str) {
    let report: documents::Analyze = document("analyze", text(source), &[]);
    let allocated = report.file.allocated_bytes;
    let gains = report.gains;
    let expected = allocated.saturating_sub(plan.choices[0].file_bytes);
    assert_eq!(gains.defrag_bytes, expected, "{of}: gains");
    assert!(gains.exact, "{of}: {gains:?}");
    let none = plan.choices.iter().find(|choice| choice.keep_revisions == Some(0));
    let expected = none.map_or(gains.defrag_bytes, |none| allocated.saturating_sub(none.file_bytes));
    assert_eq!(gains.compact_and_defrag_bytes, expected, "{of}: gains");
}

/// Each length of history comes out as planned, to the byte; so do those that only this test asks for.
fn prove_histories(source: &Path, usual: &documents::Plan, target: &Path, of: &str) {
    let Some(revision) = usual.revision else {
        assert_eq!((usual.choices.len(), usual.history.len()), (1, 0), "{of}: not etcd's");
        return;
    };
    let oldest = usual.compact_revision.expect("etcd's").max(1);
    let middle = (oldest + revision) / 2;
    let asked = [&oldest.to_string(), &middle.to_string(), "current"].join(",");
    let options = ["--compact-to", &asked, "--keep-revisions", "7,300"];
    let plan: documents::Plan = document("plan", text(source), &options);
    let first = &plan.choices[..usual.choices.len()];
    assert_eq!(format!("{first:?}"), format!("{:?}", usual.choices), "{of}: the usual ones come first");
    assert_eq!(plan.choices.len(), usual.choices.len() + 5, "{of}");
    for (number, choice) in plan.choices.iter().enumerate() {
        let history = match (choice.keep_revisions, choice.compact_to) {
            (Some(revisions), _) => vec!["--keep-revisions".to_owned(), revisions.to_string()],
            (None, Some(revision)) => vec!["--compact-to".to_owned(), revision.to_string()],
            (None, None) => Vec::new(),
        };
        let history: Vec<_> = history.iter().map(String::as_str).collect();
        let report = defrag(source, &[&["-o", text(target), "--dry-run", "--force"], &*history].concat());
        let of = format!("{of}: {history:?}");
        assert_eq!(choice.file_bytes, report.target.file_bytes, "{of}");
        assert_eq!(choice.records, report.target.records, "{of}");
        assert_eq!(choice.entry_bytes, report.target.entry_bytes, "{of}");
        assert_eq!(choice.compact_to, report.compaction.map(|compaction| compaction.revision), "{of}");
        let dropped = report.dropped.superseded + report.dropped.tombstones;
        assert_eq!(plan.history.iter().map(|row| row.dropped[number].records).sum::<u64>(), dropped, "{of}");
        let bytes: u64 = plan.history.iter().map(|row| row.dropped[number].bytes).sum();
        // a copy has the marks of its compaction, where its source may have none yet: 51 and 52 bytes, and 16 of a page
        // header where the bucket gets its first entries
        let marks = (choice.entry_bytes + bytes) - plan.entry_bytes;
        assert!(marks == 0 || (marks <= 119 && choice.compact_to.is_some()), "{of}: {marks}");
    }
}

fn plan_page_size(source: &Path) -> u64 {
    open(source).page_size()
}

/// The numbers of buckets, entries and records, counted by another reading.
fn prove_counts(source: &Path, report: &documents::Defrag, of: &str) {
    let db = open(source);
    let contents = contents(&db);
    let entries: u64 = contents.iter().map(|bucket| bucket.entries.len() as u64).sum();
    let key = contents.iter().find(|bucket| bucket.parent == Some(0) && bucket.name == b"key");
    let pairs = entries - (contents.len() as u64 - 1);
    let records = key.map_or(pairs, |key| key.entries.len() as u64);
    assert_eq!(report.target.records, records, "{of}: records");
    let verification = report.verification.as_ref().expect("verified");
    assert_eq!(verification.entries, entries, "{of}: entries");
    assert_eq!(verification.buckets, contents.len() as u64, "{of}: buckets");
    let freelist = db.meta().freelist.is_some() && key.is_none();
    assert_eq!(open(Path::new(&report.target.path)).meta().freelist.is_some(), freelist, "{of}: freelist");
}

/// A copy's copy is the same file, byte by byte.
fn prove_again(copy: &Path, first: &documents::Defrag, of: &str) {
    let again = copy.with_file_name("again.db");
    let report = defrag_to(copy, &again, &[]);
    assert_eq!(report.saved_bytes, 0, "{of}");
    assert_eq!(report.target.file_bytes, first.target.file_bytes, "{of}");
    assert_eq!(digest(&again), digest(copy), "{of}: a copy's copy");
}

fn prove_layouts(source: &Path, target: &Path, of: &str) {
    let plan: documents::Plan = document("plan", text(source), &["--max-node-pages", "3"]);
    let (steady, rest): (Vec<_>, Vec<_>) = plan.node_pages.iter().partition(|row| row.steady);
    let spans: Vec<_> = rest.iter().map(|row| row.max_node_pages).collect();
    assert_eq!(spans, [1, 2, 3, 4, 8, 16], "{of}");
    assert!(rest.is_sorted_by_key(|row| std::cmp::Reverse(row.file_bytes)), "{of}: {plan:?}");
    assert_eq!(plan.choices[0].file_bytes, rest[2].file_bytes, "{of}");
    assert!(matches!(steady.as_slice(), [row] if row.max_node_pages == 3), "{of}: {steady:?}");
    assert!(steady[0].file_bytes >= rest[2].file_bytes, "{of}: {plan:?}");
    let tried = [1, 2, 8, 16];
    for row in rest.into_iter().filter(|row| tried.contains(&row.max_node_pages)).chain(steady) {
        assert!(!row.default, "{of}");
        let pages = row.max_node_pages.to_string();
        let options = ["--max-node-pages", &pages, "--force", "--steady"];
        let options = if row.steady { &options[..] } else { &options[..3] };
        let report = defrag_to(source, target, options);
        assert_eq!(
            (report.target.file_bytes, report.target.steady),
            (row.file_bytes, row.steady),
            "{of}: {pages}"
        );
        assert_copy(source, target, &format!("{of}: --max-node-pages {pages}, steady: {}", row.steady));
    }
    for page_size in ["1024", "16384"] {
        let plan: documents::Plan = document("plan", text(source), &["--page-size", page_size]);
        let report = defrag_to(source, target, &["--page-size", page_size, "--force"]);
        assert_eq!(report.target.file_bytes, plan.choices[0].file_bytes, "{of}: --page-size {page_size}");
        assert_eq!(open(target).page_size().to_string(), page_size, "{of}");
        assert_copy(source, target, &format!("{of}: --page-size {page_size}"));
    }
}

fn prove_snapshot(source: &Path, target: &Path, of: &str) {
    let plan: documents::Plan = document("plan", text(source), &[]);
    let report = defrag_to(source, target, &["--snapshot"]);
    assert_eq!(report.target.file_bytes, plan.choices[0].file_bytes + 32, "{of}: a snapshot's size");
    assert_eq!(report.target.file_bytes % 512, 32, "{of}");
    let bytes = open(target).data().clone();
    assert_eq!(trailer::verify(&bytes), Trailer::Valid, "{of}");
    let last: String = bytes[bytes.len() - 32..].iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(report.target.sha256.as_ref(), Some(&last), "{of}");
    assert_copy(source, target, &format!("{of}: --snapshot"));
}

fn prove_bytes(name: &str, bytes: &[u8]) {
    let folder = folder_of(&[("source.db", bytes)]);
    let path = folder.path().join("source.db");
    fs::set_permissions(&path, Permissions::from_mode(0o640)).expect("its own");
    prove(&path, name);
}

#[test]
fn of_bbolt() {
    let names = [names_in("bolt", ".db"), names_in("bolt", ".db.zst")].concat();
    assert_eq!(names.len(), 13);
    for name in names {
        prove_bytes(&name, &fixture(&format!("bolt/{name}.db")));
    }
    prove_bytes("damaged/base", &fixture("bolt/damaged/base.db"));
}

fn prove_all_in(folder: &str) {
    let names = names_in(folder, ".db.zst");
    assert_eq!(names.len(), 10);
    for name in names {
        prove_bytes(&name, &fixture(&format!("{folder}/{name}.db")));
    }
}

#[test]
fn of_etcd_3_4() {
    prove_all_in("etcd-3.4");
}

#[test]
fn of_etcd_3_5() {
    prove_all_in("etcd-3.5");
}

#[test]
fn of_kubernetes() {
    let files = ["k8s-3.5/k8s", "k8s-3.5/snapshot", "k8s-3.6/k8s", "k8s-3.6/snapshot", "k8s-frag/frag"];
    for name in files {
        prove_bytes(name, &fixture(&format!("{name}.db")));
    }
}

/// What etcd never makes, but bbolt reads: no entry, two metas of which one is damaged, small pages.
#[test]
fn made_by_hand() {
    prove_bytes("etcd_file::small", &etcd_file::small().bytes());
    prove_bytes("lies::sample", &lies::sample().bytes());
    prove_bytes("the deepest tree", &lies::chain_of_branches(40).bytes());
}

/// The time grows as the number of buckets, and not as its square: that were minutes for a file of some 100 MB.
#[test]
fn with_buckets_without_end() {
    let (mut wide, mut deep) = (memory::Tree::default(), memory::Tree::default());
    for number in 0..40_000u32 {
        let outer = wide.bucket(0, number.to_be_bytes());
        wide.bucket(outer, "inner");
    }
    (0..40_000).fold(0, |parent, _| deep.bucket(parent, "b"));
    for (of, tree) in [("side by side", wide), ("in each other", deep)] {
        let bytes = memory::file_of(&tree.memory(), memory::settings(1024));
        let folder = folder_of(&[("source.db", &bytes)]);
        let (source, target) = (folder.path().join("source.db"), folder.path().join("copy.db"));
        let began = Instant::now();
        defrag_to(&source, &target, &[]);
        let took = began.elapsed();
        assert!(took < Duration::from_secs(5), "buckets {of}: {took:?}");
        assert_copy(&source, &target, of);
    }
}

#[test]
fn of_the_large_corpora() {
    const CORPORA: &str = "ETCD_MEDIC_CORPORA";
    let Some(folder) = std::env::var_os(CORPORA) else {
        left_out("the large corpora", &format!("{CORPORA}=FOLDER names where they are"));
        return;
    };
    let corpora = Corpus::all_in(Path::new(&folder));
    assert!(!corpora.is_empty(), "{CORPORA} is {}: no truth.json below it", folder.display());
    for corpus in &corpora {
        for name in corpus.truth.files.keys() {
            let file = corpus.file(name);
            prove(file.path(), name);
        }
    }
}
