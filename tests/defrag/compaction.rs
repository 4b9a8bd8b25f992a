//! `--compact-to` and `--keep-revisions`: what etcd's own rule leaves, as `tests/support/mvcc.rs` has it, and nothing else
//! is changed.

use std::collections::BTreeSet;

use support::content::Content;
use support::memory::Tree;
use support::mvcc::{self, Record};

use super::*;

pub(super) const MARKS: [&[u8]; 2] = [b"finishedCompactRev", b"scheduledCompactRev"];

/// A revision as the marks have it.
fn mark(revision: i64) -> Vec<u8> {
    etcd_file::revision(revision)
}

/// Without the `key` bucket's entries and the marks, which [`Expected`] has.
fn rest_of<'a>(contents: &[Content<'a>]) -> Vec<Content<'a>> {
    let mut rest = contents.to_vec();
    for bucket in rest.iter_mut().filter(|bucket| bucket.parent == Some(0)) {
        match bucket.name {
            b"key" => bucket.entries.clear(),
            b"meta" => bucket.entries.retain(|(key, _)| !MARKS.contains(key)),
            _ => {}
        }
    }
    rest
}

fn marks_of(contents: &[Content<'_>]) -> Vec<(Vec<u8>, Vec<u8>)> {
    let meta = contents.iter().find(|bucket| bucket.parent == Some(0) && bucket.name == b"meta");
    let entries = meta.expect("a bucket meta").entries.iter().filter(|(key, _)| MARKS.contains(key));
    entries.map(|(key, value)| (key.to_vec(), value.expect("no bucket").to_vec())).collect()
}

/// Compacts a copy, and holds it against etcd's rule.
pub(super) fn prove(source: &Path, target: &Path, revision: i64, of: &str) -> documents::Defrag {
    let of = &format!("{of} at {revision}");
    let at = revision.to_string();
    let report = defrag_to(source, target, &["--force", "--compact-to", &at]);
    prove_content(source, target, revision, &report, of);
    prove_commands(source, target, revision, &report, of);
    report
}

fn prove_content(source: &Path, target: &Path, revision: i64, report: &documents::Defrag, of: &str) {
    let (source, target) = (open(source), open(target));
    let (before, after) = (contents(&source), contents(&target));
    let all = mvcc::records_of(&before);
    let expected = mvcc::compacted(&all, revision);
    let found = mvcc::records_of(&after);
    assert!(found == expected, "{of}: {} records, expected {}", found.len(), expected.len());
    assert_equal_contents(&rest_of(&before), &rest_of(&after), of);
    assert_eq!(marks_of(&after), MARKS.map(|key| (key.to_vec(), mark(revision))), "{of}");
    let tombstones = |records: &[Record<'_>]| {
        records.iter().filter(|(record, _)| mvcc::is_tombstone(record)).count() as u64
    };
    let dropped = tombstones(&all) - tombstones(&expected);
    assert_eq!(report.dropped.tombstones, dropped, "{of}");
    assert_eq!(report.dropped.superseded, (all.len() - expected.len()) as u64 - dropped, "{of}");
    assert_eq!(report.source.records, all.len() as u64, "{of}");
    assert_eq!(report.target.records, expected.len() as u64, "{of}");
}

fn prove_commands(source: &Path, target: &Path, revision: i64, report: &documents::Defrag, of: &str) {
    let compaction = report.compaction.as_ref().expect("a compaction");
    let [before, after] = [source, target].map(status);
    assert_eq!(compaction.revision, revision, "{of}");
    assert_eq!(Some(compaction.source_compact_revision), before.compact_revision, "{of}");
    assert_eq!(Some(compaction.current_revision), before.revision, "{of}");
    assert_eq!((after.revision, after.compact_revision), (before.revision, Some(revision)), "{of}");
    assert_eq!(after.keys, before.keys, "{of}: live keys");
    assert!(report.disarmed.is_empty() && report.left_out.is_none(), "{of}");
    let checked: documents::Check = document("check", text(target), &[]);
    assert!(checked.sound && checked.findings.is_empty(), "{of}: {:?}", checked.findings);
    let hashed: documents::Hash = document("hash", text(target), &[]);
    let db = open(target);
    let expected = mvcc::hash_kv(&mvcc::records_of(&contents(&db)), revision, i64::MAX - 1);
    let found = hashed.hash_kv.expect("a hash");
    assert_eq!((found.hash, found.compact_revision), (expected, revision), "{of}");
    let verified = report.verification.as_ref().expect("verified");
    assert_eq!(verified.hash_kv, Some(expected), "{of}");
    let entries: usize = contents(&db).iter().map(|bucket| bucket.entries.len()).sum();
    assert_eq!(verified.entries, entries as u64, "{of}");
}

pub(super) fn status(path: &Path) -> documents::FileStatus {
    let mut status: documents::Status = document("status", text(path), &[]);
    assert_eq!(status.files.len(), 1);
    status.files.remove(0)
}

/// Every revision of a short history. Of a long one those that matter: the lowest, the current one, some between, and those at and around tombstones.
fn revisions_of(source: &Path, between: usize, tombstones: usize) -> Vec<i64> {
    let status = status(source);
    let (lowest, current) =
        (status.compact_revision.expect("etcd's").max(1), status.revision.expect("etcd's"));
    if current - lowest < 40 {
        return (lowest..=current).collect();
    }
    let db = open(source);
    let buckets = contents(&db);
    let deleted = mvcc::records_of(&buckets).into_iter().filter(|(record, _)| mvcc::is_tombstone(record));
    let deleted: Vec<_> = deleted.map(|(record, _)| mvcc::revision_of(record).0).collect();
    let mut random = Random(current.cast_unsigned());
    let mut revisions = BTreeSet::from([lowest, current]);
    let width = (current - lowest).cast_unsigned();
    revisions.extend((0..between).map(|_| lowest + random.between(0, width).cast_signed()));
    for _ in 0..tombstones.min(deleted.len()) {
        let at = random.one_of(&deleted);
        revisions.extend([at - 1, at, at + 1]);
    }
    revisions.into_iter().filter(|at| (lowest..=current).contains(at)).collect()
}

/// How many compactions were proved.
fn prove_at_each(source: &Path, revisions: &[i64], of: &str) -> usize {
    let before = Seen::of(source);
    let folder = TempDir::new().expect("a folder");
    let target = folder.path().join("copy.db");
    revisions.iter().for_each(|&revision| drop(prove(source, &target, revision, of)));
    assert_eq!(names_of(folder.path()), ["copy.db"], "{of}");
    assert_eq!(Seen::of(source), before, "{of}: the source was touched");
    revisions.len()
}

fn prove_fixtures(names: &[String], at_least: usize) {
    let mut proved = 0;
    for name in names {
        let folder = folder_of(&[("source.db", &fixture(name))]);
        let source = folder.path().join("source.db");
        proved += prove_at_each(&source, &revisions_of(&source, 2, 2), name);
    }
    assert!(proved >= at_least, "{proved} compactions");
    let _ = writeln!(stderr(), "compared: {} files, {proved} compactions", names.len());
}

fn fixtures_in(folder: &str) -> Vec<String> {
    names_in(folder, ".db.zst").iter().map(|name| format!("{folder}/{name}.db")).collect()
}

#[test]
fn of_etcd_3_4() {
    prove_fixtures(&fixtures_in("etcd-3.4"), 60);
}

#[test]
fn of_etcd_3_5() {
    prove_fixtures(&fixtures_in("etcd-3.5"), 60);
}

#[test]
fn of_kubernetes() {
    let names = ["k8s-3.5/k8s", "k8s-3.5/snapshot", "k8s-3.6/k8s", "k8s-3.6/snapshot", "k8s-frag/frag"];
    prove_fixtures(&names.map(|name| format!("{name}.db")), 40);
}

#[test]
fn of_the_large_corpora() {
    const CORPORA: &str = "ETCD_MEDIC_CORPORA";
    let Some(folder) = std::env::var_os(CORPORA) else {
        left_out("the large corpora", &format!("{CORPORA}=FOLDER names where they are"));
        return;
    };
    let is_new = |corpus: &Corpus| !testdata("").join(corpus.name()).exists();
    let corpora: Vec<_> = Corpus::all_in(Path::new(&folder)).into_iter().filter(is_new).collect();
    assert!(!corpora.is_empty(), "{CORPORA} is {}: no truth.json below it", folder.display());
    let (mut files, mut proved) = (0, 0);
    for corpus in &corpora {
        for name in corpus.truth.files.keys() {
            let file = corpus.file(name);
            files += 1;
            proved += prove_at_each(file.path(), &revisions_of(file.path(), 1, 1), name);
        }
    }
    let _ = writeln!(stderr(), "compared: {files} large files, {proved} compactions");
}

/// A history of many keys: put, put again, deleted, made anew; transactions of one to five changes.
struct History {
    records: Vec<(Vec<u8>, Vec<u8>)>,
    current: i64,
}

impl History {
    fn random(seed: u64, transactions: i64, keys: u64) -> Self {
        let mut random = Random(seed);
        // create revision and version of those that exist
        let mut live: BTreeMap<u64, (i64, i64)> = BTreeMap::new();
        let mut records = Vec::new();
        for main in 2..2 + transactions {
            let changed: BTreeSet<_> = (0..random.between(1, 5)).map(|_| random.below(keys)).collect();
            for (sub, key) in (0i64..).zip(changed) {
                let name = format!("/registry/things/{key:03}");
                let entry = if live.contains_key(&key) && random.percent(35) {
                    live.remove(&key);
                    etcd_file::tombstone(main, name.as_bytes())
                } else {
                    let (create, version) = live.entry(key).or_insert((main, 0));
                    *version += 1;
                    let len = usize::try_from(random.below(60)).expect("small");
                    etcd_file::put(main, name.as_bytes(), *create, *version, &random.bytes(len), 0)
                };
                let mut place = entry.key;
                place[9..17].copy_from_slice(&sub.to_be_bytes());
                records.push((place, entry.value));
            }
        }
        Self { records, current: 1 + transactions }
    }

    /// A file of it with everything else that etcd's files have, and these marks.
    fn file(&self, marks: &[(&[u8], Vec<u8>)]) -> Vec<u8> {
        let records: Vec<_> = self.records.iter().map(|(key, value)| (&**key, &**value)).collect();
        file_of(&records, marks)
    }

    /// The rule of the model, applied to it.
    fn compacted(&self, at: i64) -> Self {
        let records: Vec<_> = self.records.iter().map(|(key, value)| (&**key, &**value)).collect();
        let records = mvcc::compacted(&records, at).into_iter();
        let records = records.map(|(key, value)| (key.to_vec(), value.to_vec())).collect();
        Self { records, current: self.current }
    }
}

fn file_of(records: &[Record<'_>], marks: &[(&[u8], Vec<u8>)]) -> Vec<u8> {
    tree_of(records, marks).file(1024)
}

fn tree_of(records: &[Record<'_>], marks: &[(&[u8], Vec<u8>)]) -> Tree {
    let small = memory::open(etcd_file::small().bytes());
    let mut tree = Tree::of(&contents(&small));
    let (key, meta) = (tree.number("key"), tree.number("meta"));
    tree.clear(key);
    records.iter().for_each(|(record, value)| tree.put(key, record, value));
    MARKS.iter().for_each(|name| drop(tree.take(meta, name)));
    marks.iter().for_each(|(name, value)| tree.put(meta, name, value));
    tree
}

fn both_marks(revision: i64) -> Vec<(&'static [u8], Vec<u8>)> {
    MARKS.map(|name| (name, mark(revision))).to_vec()
}

#[test]
fn of_random_histories() {
    let mut proved = 0;
    for seed in 0..5 {
        let history = History::random(seed, 40, [6, 20, 60][usize::try_from(seed % 3).expect("small")]);
        let folder = folder_of(&[("source.db", &history.file(&[]))]);
        let revisions: Vec<_> = (1..=history.current).collect();
        proved += prove_at_each(&folder.path().join("source.db"), &revisions, &format!("seed {seed}"));
    }
    assert_eq!(proved, 5 * 41);
}

/// A compaction to one revision and then to another leaves, to the byte, what one to the latter leaves.
#[test]
fn twice_is_as_once() {
    for seed in 10..14 {
        let history = History::random(seed, 60, 15);
        let folder = folder_of(&[("source.db", &history.file(&[]))]);
        let [source, first, second, once] =
            ["source.db", "first.db", "second.db", "once.db"].map(|name| folder.path().join(name));
        let deleted: Vec<_> = history.records.iter().filter(|(key, _)| mvcc::is_tombstone(key)).collect();
        let mut random = Random(seed);
        for _ in 0..6 {
            // a tombstone of the first one's own revision stays until the second
            let earlier = mvcc::revision_of(&random.one_of(&deleted).0).0;
            let later =
                earlier + random.between(0, (history.current - earlier).cast_unsigned()).cast_signed();
            prove(&source, &first, earlier, "first");
            prove(&first, &second, later, "second");
            prove(&source, &once, later, "once");
            assert_eq!(digest(&second), digest(&once), "seed {seed}: {earlier}, {later}");
        }
    }
}

/// All of the rule's cases in one small history, with what each leaves written down by hand.
#[test]
fn one_by_hand() {
    let put = |main, key: &[u8], create, version| etcd_file::put(main, key, create, version, b"text", 0);
    let records = [
        put(2, b"/a", 2, 1),
        put(3, b"/a", 2, 2),
        put(4, b"/b", 4, 1),
        etcd_file::tombstone(5, b"/a"),
        put(6, b"/a", 6, 1),
        put(7, b"/c", 7, 1),
        etcd_file::tombstone(8, b"/b"),
    ];
    let records: Vec<_> = records.iter().map(|entry| (&*entry.key, &*entry.value)).collect();
    let folder = folder_of(&[("source.db", &file_of(&records, &[]))]);
    let source = folder.path().join("source.db");
    let target = folder.path().join("copy.db");
    let left: [(i64, &[i64], (u64, u64)); 8] = [
        (1, &[2, 3, 4, 5, 6, 7, 8], (0, 0)),
        (2, &[2, 3, 4, 5, 6, 7, 8], (0, 0)),
        (3, &[3, 4, 5, 6, 7, 8], (1, 0)),
        (4, &[3, 4, 5, 6, 7, 8], (1, 0)),
        (5, &[4, 5, 6, 7, 8], (2, 0)),
        (6, &[4, 6, 7, 8], (2, 1)),
        (7, &[4, 6, 7, 8], (2, 1)),
        (8, &[6, 7, 8], (3, 1)),
    ];
    for (revision, expected, dropped) in left {
        let report = prove(&source, &target, revision, "by hand");
        let db = open(&target);
        let buckets = contents(&db);
        let found: Vec<_> =
            mvcc::records_of(&buckets).iter().map(|(record, _)| mvcc::revision_of(record).0).collect();
        assert_eq!(found, expected, "{revision}");
        assert_eq!((report.dropped.superseded, report.dropped.tombstones), dropped, "{revision}");
    }
}

#[test]
fn as_text() {
    let history = History::random(20, 30, 10);
    let folder = folder_of(&[("source.db", &history.file(&both_marks(4)))]);
    let (source, target) = (path_in(&folder, "source.db"), path_in(&folder, "copy.db"));
    let ran = run(["defrag", &source, "-o", &target, "--compact-to", "20"]);
    assert_eq!((ran.code, ran.err.as_str()), (0, ""));
    for words in ["compacted  to revision 20 (before: to 4; current: 31); dropped", "superseded", "tombstone"]
    {
        assert!(ran.out.contains(words), "{words}: {}", ran.out);
    }
}

mod revisions {
    use super::*;

    /// A file compacted to 9, its current revision 31.
    fn sample() -> (TempDir, PathBuf) {
        let history = History::random(30, 30, 10).compacted(9);
        let folder = folder_of(&[("source.db", &history.file(&both_marks(9)))]);
        let path = folder.path().join("source.db");
        (folder, path)
    }

    fn digest_of(source: &Path, options: &[&str]) -> (String, documents::Defrag) {
        let target = source.with_file_name("some-copy.db");
        let report = defrag_to(source, &target, &[&["--force"], options].concat());
        (digest(&target), report)
    }

    #[test]
    fn current_and_newest_are_revisions_too() {
        let (_folder, source) = sample();
        let (named, report) = digest_of(&source, &["--compact-to", "31"]);
        assert_eq!(report.compaction.map(|done| done.revision), Some(31));
        for options in [&["--compact-to", "current"][..], &["--keep-revisions", "0"]] {
            assert_eq!(digest_of(&source, options).0, named, "{options:?}");
        }
        for keep in [1, 5, 21] {
            let at = (31 - keep).to_string();
            let (by_revision, _) = digest_of(&source, &["--compact-to", &at]);
            let (by_number, report) = digest_of(&source, &["--keep-revisions", &keep.to_string()]);
            assert_eq!(by_number, by_revision, "{keep}");
            assert_eq!(report.compaction.map(|done| done.revision), Some(31 - keep));
        }
    }

    /// To where it is compacted already, or less far: the copy is a plain one.
    #[test]
    fn that_leave_everything() {
        let (_folder, source) = sample();
        let (plain, report) = digest_of(&source, &[]);
        assert!(report.compaction.is_none() && report.warnings.iter().all(|note| !note.contains("compact")));
        let (same, report) = digest_of(&source, &["--compact-to", "9"]);
        assert_eq!(same, plain);
        assert_eq!((report.dropped.superseded, report.dropped.tombstones), (0, 0));
        for keep in ["22", "23", "1000", "9223372036854775807", "18446744073709551615"] {
            let (same, report) = digest_of(&source, &["--keep-revisions", keep]);
            assert_eq!(same, plain, "{keep}");
            assert!(report.compaction.is_none(), "{keep}: {report:?}");
            let noted = report.warnings.iter().any(|note| note.contains("nothing to compact"));
            assert!(noted, "{keep}: {:?}", report.warnings);
        }
        // and of a file that never was
        let history = History::random(31, 30, 10);
        fs::write(&source, history.file(&[])).expect("written");
        let (plain, _) = digest_of(&source, &[]);
        for keep in ["31", "32", "18446744073709551615"] {
            let (same, report) = digest_of(&source, &["--keep-revisions", keep]);
            assert!(same == plain && report.compaction.is_none(), "{keep}: {report:?}");
        }
        let (_, report) = digest_of(&source, &["--keep-revisions", "30"]);
        assert_eq!(report.compaction.map(|done| done.revision), Some(1));
    }

    #[test]
    fn out_of_range() {
        let (folder, source) = sample();
        let target = path_in(&folder, "copy.db");
        let refused = |revision: &str, says: &[&str]| {
            for options in [&["-o", &*target][..], &["-o", &target, "--dry-run"], &["--in-place"]] {
                let args = [&["defrag", text(&source), "--compact-to", revision], options].concat();
                assert_refused(folder.path(), &args, says);
            }
        };
        for revision in ["1", "8"] {
            refused(
                revision,
                &[&format!("revision {revision} "), "compact revision is 9", "31", "from 9 to 31"],
            );
        }
        for revision in ["32", "9223372036854775807"] {
            refused(revision, &[&format!("revision {revision} "), "future", "31", "compact revision 9"]);
        }
        let before = seen_in(folder.path());
        for revision in ["0", "-1", "9223372036854775808", "", "now", "1.5", " 9", "9 "] {
            let args = ["defrag", text(&source), "-o", &target, &format!("--compact-to={revision}")];
            let ran = run(args);
            assert_eq!((ran.code, ran.out.as_str()), (2, ""), "{revision}");
            assert!(ran.err.contains("--compact-to") && ran.err.contains(revision), "{}", ran.err);
        }
        for options in [
            &["--compact-to", "-1"][..],
            &["--keep-revisions=-1"],
            &["--keep-revisions", "many"],
            &["--compact-to", "9", "--keep-revisions", "9"],
            &["--compact-to"],
        ] {
            let ran = run([&["defrag", text(&source), "-o", &target], options].concat());
            assert_eq!((ran.code, ran.out.as_str(), ran.err.is_empty()), (2, "", false), "{options:?}");
        }
        assert_eq!(seen_in(folder.path()), before);
    }

    /// Of an etcd that was just started: revision 1, and nothing in it.
    #[test]
    fn of_an_empty_etcd() {
        let folder = folder_of(&[("source.db", &file_of(&[], &[]))]);
        let source = folder.path().join("source.db");
        let target = folder.path().join("copy.db");
        prove(&source, &target, 1, "empty");
        let other = path_in(&folder, "other.db");
        let args = ["defrag", text(&source), "-o", &other, "--compact-to", "2"];
        assert_refused(folder.path(), &args, &["revision 2 is in the future", "current revision is 1"]);
    }
}

/// A compaction to 20 that was cut short: the first half of what it drops is gone. The one before was to 9, or none.
mod cut_short {
    use super::*;

    fn sample(before: Option<i64>) -> (History, Vec<u8>) {
        let whole = History::random(40, 30, 10);
        let whole =
            before.map_or(History { records: whole.records.clone(), ..whole }, |at| whole.compacted(at));
        let kept: BTreeSet<_> = whole.compacted(20).records.into_iter().map(|(key, _)| key).collect();
        let gone = |key: &[u8]| mvcc::revision_of(key).0 <= 12 && !kept.contains(key);
        let records: Vec<_> = whole.records.iter().filter(|(key, _)| !gone(key)).cloned().collect();
        assert!(records.len() < whole.records.len() && records.len() > kept.len(), "some are gone");
        let mut marks = vec![(MARKS[1], mark(20))];
        marks.extend(before.map(|at| (MARKS[0], mark(at))));
        let history = History { records, current: whole.current };
        let bytes = history.file(&marks);
        (history, bytes)
    }

    #[test]
    fn is_kept_noted_or_finished() {
        for before in [None, Some(9)] {
            let (history, bytes) = sample(before);
            let folder = folder_of(&[("source.db", &bytes)]);
            let source = folder.path().join("source.db");
            let target = folder.path().join("copy.db");
            let note = |report: &documents::Defrag, words: &str| {
                let found = report.warnings.iter().filter(|note| note.contains("was cut short"));
                let found: Vec<_> = found.collect();
                assert!(found.len() == 1 && found[0].contains(words), "{words}: {:?}", report.warnings);
            };
            let report = defrag_to(&source, &target, &[]);
            assert_copy(&source, &target, "cut short");
            note(&report, "--compact-to 20 finishes it here");
            assert!(report.compaction.is_none());

            let report = prove(&source, &target, 20, "finished");
            note(&report, "finished with the one to 20");
            let compaction = report.compaction.expect("one");
            assert!(compaction.finishes_earlier && compaction.source_compact_revision == 20);
            let finished = digest(&target);
            let db = open(&target);
            assert_eq!(
                mvcc::records_of(&contents(&db)).len(),
                history.compacted(20).records.len(),
                "as if it had never been cut short"
            );
            for keep in ["11", "12", "22", "1000", "18446744073709551615"] {
                let report = defrag_to(&source, &target, &["--force", "--keep-revisions", keep]);
                assert_eq!(report.compaction.as_ref().map(|done| done.revision), Some(20), "{keep}");
                assert_eq!(digest(&target), finished, "{keep}");
                note(&report, "finished with the one to 20");
            }
            let report = prove(&source, &target, 25, "further");
            note(&report, "finished with the one to 25");
            // finished once, there is nothing to say any more
            let report = prove(&target, &folder.path().join("again.db"), 25, "again");
            assert!(report.warnings.iter().all(|note| !note.contains("cut short")), "{report:?}");
            assert!(!report.compaction.expect("one").finishes_earlier);

            for below in ["9", "19"] {
                let other = path_in(&folder, "other.db");
                let args = ["defrag", text(&source), "-o", &other, "--compact-to", below];
                assert_refused(folder.path(), &args, &[below, "compact revision is 20", "from 20 to 31"]);
            }
        }
    }
}

/// What can't be compacted is refused, with where it lies; and a plain copy of it can still be made.
mod refused {
    use super::*;

    fn changed(change: impl FnOnce(&mut Tree, usize)) -> (TempDir, PathBuf) {
        let history = History::random(50, 30, 10);
        let records: Vec<_> = history.records.iter().map(|(key, value)| (&**key, &**value)).collect();
        let mut tree = tree_of(&records, &both_marks(1));
        let key = tree.number("key");
        change(&mut tree, key);
        let folder = folder_of(&[("source.db", &tree.file(1024))]);
        let source = folder.path().join("source.db");
        (folder, source)
    }

    /// Where these bytes stand in the file.
    fn offset_of(source: &Path, bytes: &[u8]) -> usize {
        let file = fs::read(source).expect("read");
        file.windows(bytes.len()).position(|window| window == bytes).expect("in the file")
    }

    #[test]
    fn records_whose_key_can_not_be_told() {
        const PLACE: i64 = 7;
        let place = |main| etcd_file::revision(main);
        let put = etcd_file::put(PLACE, b"/registry/things/odd", PLACE, 1, b"text", 0).value;
        let key_behind = [&put[22..], &put[..22]].concat();
        assert_eq!(mvcc::key_of(&key_behind), b"/registry/things/odd");
        let sub = |main| [&place(main)[..16], &[99]].concat();
        let odd: [(&str, Vec<u8>, Vec<u8>); 10] = [
            ("no revision, before all others", b"\0".to_vec(), put.clone()),
            ("16 bytes", place(PLACE)[..16].to_vec(), put.clone()),
            ("19 bytes", [&place(PLACE)[..], b"tt"].concat(), put.clone()),
            ("not a tombstone's mark", [&place(PLACE)[..], b"x"].concat(), put.clone()),
            ("no separator", [&place(PLACE)[..8], b"-\0\0\0\0\0\0\0\x63"].concat(), put.clone()),
            (
                "a negative revision",
                [&(-7i64).to_be_bytes()[..], b"_\0\0\0\0\0\0\0\x63"].concat(),
                put.clone(),
            ),
            ("its key does not stand first", sub(PLACE), key_behind),
            ("cut within the key's length", sub(PLACE), put[..1].to_vec()),
            ("cut within the key", sub(PLACE), put[..9].to_vec()),
            ("a tombstone of nothing", [&sub(PLACE)[..], b"t"].concat(), Vec::new()),
        ];
        for (what, record, value) in odd {
            let (folder, source) = changed(|tree, key| tree.put(key, &record, &value));
            let target = path_in(&folder, "copy.db");
            let offset = offset_of(&source, &[&record[..], &value].concat());
            for to in ["10", "current"] {
                let args = ["defrag", text(&source), "-o", &target, "--compact-to", to];
                assert_refused(folder.path(), &args, &[&format!("byte {offset} of the file"), "check"]);
            }
            // a plan warns of what can't be read; a key that does not stand first can, but by a full scan only
            let plan: documents::Plan = document("plan", text(&source), &[]);
            assert_eq!(plan.warnings.is_empty(), what == "its key does not stand first", "{what}: {plan:?}");
            let report = defrag_to(&source, Path::new(&target), &[]);
            assert!(report.verified, "{what}");
            let (db, copy) = (open(&source), open(Path::new(&target)));
            assert_equal_contents(&contents(&db), &contents(&copy), what);
        }
    }

    /// Above the revision nothing is dropped, so it does not matter whose records these are.
    #[test]
    fn but_not_for_what_lies_above() {
        let odd = [&etcd_file::revision(25)[..16], &[99]].concat();
        let (folder, source) = changed(|tree, key| tree.put(key, &odd, [0x0a, 0x7f]));
        let target = path_in(&folder, "copy.db");
        let report = defrag_to(&source, Path::new(&target), &["--compact-to", "24"]);
        assert!(report.verified && report.dropped.superseded > 0, "{report:?}");
        let args = ["defrag", text(&source), "-o", &target, "--force", "--compact-to", "25"];
        assert_refused(folder.path(), &args, &["byte "]);
    }

    #[test]
    fn a_bucket_among_the_records() {
        let (folder, source) = changed(|tree, key| {
            tree.bucket(key, [&etcd_file::revision(3)[..16], &[99]].concat());
        });
        let target = path_in(&folder, "copy.db");
        let args = ["defrag", text(&source), "-o", &target, "--compact-to", "current"];
        assert_refused(folder.path(), &args, &["byte "]);
        defrag_to(&source, Path::new(&target), &[]);
        // and one in the place of a mark
        let (folder, source) = changed(|tree, _| {
            let meta = tree.number("meta");
            tree.take(meta, MARKS[0]);
            tree.bucket(meta, MARKS[0]);
        });
        let target = path_in(&folder, "copy.db");
        let args = ["defrag", text(&source), "-o", &target, "--compact-to", "current"];
        assert_refused(folder.path(), &args, &[]);
        defrag_to(&source, Path::new(&target), &[]);
    }

    #[test]
    fn files_that_are_not_etcds() {
        let folder = folder_of(&[("source.db", &fixture("bolt/nested.db"))]);
        let (source, target) = (path_in(&folder, "source.db"), path_in(&folder, "copy.db"));
        for options in [
            &["--compact-to", "current"][..],
            &["--compact-to", "5"],
            &["--keep-revisions", "5"],
            &["--disarm"],
            &["--compact-to", "current", "--drop-prefix", "/a", "--confirm-keys", "0"],
        ] {
            let args = [&["defrag", &*source, "-o", &target], options].concat();
            assert_refused(folder.path(), &args, &["has no bucket `key`", "leave them out"]);
        }
        let report = defrag_to(Path::new(&source), Path::new(&target), &[]);
        assert_eq!((report.members, report.verified), (0, true));
    }

    #[test]
    fn files_without_a_place_for_the_marks() {
        let mut tree = Tree::default();
        let key = tree.bucket(0, "key");
        for (record, value) in &History::random(51, 10, 5).records {
            tree.put(key, record, value);
        }
        let folder = folder_of(&[("source.db", &tree.file(1024))]);
        let (source, target) = (path_in(&folder, "source.db"), path_in(&folder, "copy.db"));
        let args = ["defrag", &source, "-o", &target, "--compact-to", "current"];
        assert_refused(folder.path(), &args, &["no bucket meta"]);
        assert_copy_of_odd(&source, &target);
    }

    fn assert_copy_of_odd(source: &str, target: &str) {
        assert!(defrag_to(Path::new(source), Path::new(target), &[]).verified);
        let (db, copy) = (open(Path::new(source)), open(Path::new(target)));
        assert_equal_contents(&contents(&db), &contents(&copy), source);
    }

    /// In a bucket of another, these names mean nothing.
    #[test]
    fn buckets_of_these_names_elsewhere_are_left_alone() {
        let (folder, source) = changed(|tree, _| {
            let other = tree.bucket(0, "other");
            for name in ["key", "meta", "alarm"] {
                let bucket = tree.bucket(other, name);
                tree.put(bucket, MARKS[0], "text");
                tree.put(bucket, etcd_file::revision(2), "no record");
            }
        });
        prove(&source, &folder.path().join("copy.db"), 31, "elsewhere");
    }
}

/// Marks that no etcd writes.
mod marks_that_lie {
    use super::*;

    fn sample(scheduled: &[u8], finished: &[u8]) -> (TempDir, PathBuf) {
        let history = History::random(60, 30, 10);
        let folder = folder_of(&[(
            "source.db",
            &history.file(&[(MARKS[1], scheduled.into()), (MARKS[0], finished.into())]),
        )]);
        let source = folder.path().join("source.db");
        (folder, source)
    }

    /// Negative, of 16 or 18 bytes, of other separators: they count as none, as for `status`, and a compaction makes
    /// them right.
    #[test]
    fn that_are_no_revisions() {
        let good = mark(9);
        let no = [&good[..8], b"-", &good[9..]].concat();
        let bad = [
            mark(-1),
            mark(i64::MIN),
            good[..16].to_vec(),
            [&good[..], b"t"].concat(),
            no,
            Vec::new(),
            vec![0xff; 17],
        ];
        for bad in &bad {
            for (scheduled, finished) in [(bad, bad), (&good, bad), (bad, &good)] {
                let (folder, source) = sample(scheduled, finished);
                let target = folder.path().join("copy.db");
                for at in [9, 20, 31] {
                    prove(&source, &target, at, &format!("{scheduled:?} {finished:?}"));
                }
                let report = defrag_to(&source, &target, &["--force"]);
                assert!(report.verified, "copied as they are");
                let (db, copy) = (open(&source), open(&target));
                assert_equal_contents(&contents(&db), &contents(&copy), "lying marks");
                defrag_to(&source, &target, &["--force", "--keep-revisions", "5"]);
            }
        }
    }

    /// Far above all records: etcd would take the current revision from them, and so do we; there is no other to
    /// compact to.
    #[test]
    fn above_all_records() {
        for at in [32, 1 << 40, i64::MAX - 1, i64::MAX] {
            for (scheduled, finished) in [(mark(at), mark(at)), (mark(at), mark(9)), (mark(9), mark(at))] {
                let (folder, source) = sample(&scheduled, &finished);
                let target = folder.path().join("copy.db");
                let report = prove(&source, &target, at, "above all");
                assert_eq!(report.compaction.map(|done| done.current_revision), Some(at));
                for options in [&["--compact-to", "current"][..], &["--keep-revisions", "0"]] {
                    let again = defrag_to(&source, &target, &[&["--force"], options].concat());
                    let done = again.compaction.map(|done| done.revision);
                    let is_finished = finished == mark(at);
                    assert!(done == Some(at) || (is_finished && done.is_none()), "{at}: {options:?}");
                }
                let other = path_in(&folder, "other.db");
                let args = ["defrag", text(&source), "-o", &other, "--compact-to", "31"];
                assert_refused(folder.path(), &args, &["31", &at.to_string()]);
                defrag_to(&source, &target, &["--force"]);
                assert_copy(&source, &target, "plain");
            }
        }
    }
}

/// A file may say that it was compacted further than its records reach: then both of these are asked for a compaction to the
/// same revision, and must come to the same.
#[test]
fn to_current_is_to_keep_no_revision_whatever_the_marks_say() {
    let history = History::random(3, 40, 6);
    for marks in [vec![], both_marks(history.current), both_marks(history.current + 30_000)] {
        let folder = folder_of(&[("source.db", &history.file(&marks))]);
        let [source, by_revision, by_number] =
            ["source.db", "by-revision.db", "by-number.db"].map(|name| folder.path().join(name));
        let plan: documents::Plan = document("plan", text(&source), &[]);
        let one = defrag_to(&source, &by_revision, &["--compact-to", "current"]);
        let other = defrag_to(&source, &by_number, &["--keep-revisions", "0"]);
        assert_eq!(digest(&by_revision), digest(&by_number));
        assert_eq!(one.dropped.superseded, other.dropped.superseded);
        let planned = plan.choices.iter().find(|choice| choice.keep_revisions == Some(0)).expect("planned");
        assert_eq!(planned.file_bytes, one.target.file_bytes);
    }
}
