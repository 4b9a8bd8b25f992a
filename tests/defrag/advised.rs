//! What `analyze` advises: each command is taken as it is printed, and gives back the bytes that stand beside it.

use etcd_medic::internals::bolt::write::{Packing, Settings};
use support::member_log::{FIRST_SEGMENT, log_of};
use support::memory::Tree;

use super::*;

/// A file as it is, and as the db of a data dir.
pub fn prove_advice(source: &Path, of: &str) {
    let folder = TempDir::new().expect("a folder");
    let alone = folder.path().join("alone.db");
    let db = folder.path().join("data/member/snap/db");
    fs::create_dir_all(db.parent().expect("a folder")).expect("made");
    for copy in [&alone, &db] {
        fs::copy(source, copy).expect("a copy");
        taken_literally(copy, &format!("{of}: {}", copy.display()));
    }
}

/// Runs each `defrag` that is advised by `sh`, and gives back the advice.
fn taken_literally(db: &Path, of: &str) -> Vec<documents::Advice> {
    let report: documents::Analyze = analyze(db);
    let before = fs::read(db).expect("a file");
    for advice in report.advice.iter().filter(|advice| advice.command.starts_with("etcd-medic defrag ")) {
        let of = format!("{of}: {}", advice.command);
        let script = format!("{} --output json", advice.command);
        let ran = plain("sh").args(["-c", &script]).env("PATH", path()).output().expect("sh");
        assert!(ran.status.success(), "{of}: {}", String::from_utf8_lossy(&ran.stderr));
        let done: documents::Defrag = parse("defrag", &String::from_utf8(ran.stdout).expect("UTF-8"));
        let saved = u64::try_from(done.saved_bytes).ok().filter(|&saved| saved > 0);
        assert_eq!(advice.gives_back_bytes, saved, "{of}");
        if done.target.path == done.source.path {
            fs::write(db, &before).expect("as it was");
        } else {
            let is_in_snap =
                Path::new(&done.target.path).parent().is_some_and(|folder| folder.ends_with("snap"));
            assert!(!is_in_snap, "{of}: snap is etcd's");
            fs::remove_file(&done.target.path).expect("the copy");
        }
    }
    report.advice
}

/// With the program's folder in front.
fn path() -> String {
    let folder = Path::new(PROGRAM).parent().expect("a folder");
    format!("{}:{}", folder.display(), std::env::var("PATH").expect("a PATH"))
}

/// Whatever it says of the file's soundness.
fn analyze(db: &Path) -> documents::Analyze {
    let ran = run(["analyze", "--output", "json", text(db)]);
    assert!(matches!(ran.code, 0 | 1), "{}", ran.err);
    parse("analyze", &ran.out)
}

fn advice_of<'a>(advice: &'a [documents::Advice], kind: &str) -> Option<&'a documents::Advice> {
    advice.iter().find(|advice| advice.kind == kind)
}

/// Values of a quarter of a page, three on each: only nodes of several pages hold more.
fn quarters() -> Vec<u8> {
    let value = [b'v'; 1024];
    let put = |n: i64| etcd_file::put(n + 2, format!("/app/{n:05}").as_bytes(), n + 2, 1, &value, 0);
    etcd_file::file_of(4096, &(0..1500).map(put).collect::<Vec<_>>(), 3).bytes()
}

fn without_alarm(file: &[u8]) -> Vec<u8> {
    let source = memory::open(file.to_vec());
    let mut tree = Tree::of(&contents(&source));
    let bucket = tree.number("alarm");
    tree.clear(bucket);
    memory::file_of(
        &tree.memory(),
        Settings { packing: Packing::AsBbolt { fill: 0.9 }, ..memory::settings(4096) },
    )
}

/// A member that goes on is kept small by `--steady`; where that gives nothing back, nothing is promised.
#[test]
fn a_defrag_that_gives_nothing_back_is_not_advised() {
    let folder = folder_of(&[("data/member/snap/db", &without_alarm(&quarters()))]);
    let advice = taken_literally(&folder.path().join("data/member/snap/db"), "quarters");
    assert!(advice_of(&advice, "defrag").is_none(), "{advice:?}");
    assert!(advice_of(&advice, "defrag-useless").is_some(), "{advice:?}");
}

/// A snapshot whose SHA-256 is not its own: the command says that it is known.
#[test]
fn a_wrong_trailer_is_skipped_by_the_command() {
    let records: Vec<_> =
        (2..400).map(|n| etcd_file::put(n, b"/app/same", 2, n - 1, &[b'v'; 300], 0)).collect();
    let file = [etcd_file::file_of(4096, &records, 2).bytes(), vec![0; 32]].concat();
    let folder = folder_of(&[("snapshot.db", &file)]);
    let advice = taken_literally(&folder.path().join("snapshot.db"), "a trailer of zeros");
    let defrag = advice_of(&advice, "defrag").expect("worth it");
    assert!(defrag.command.contains(" --skip-hash-check "), "{defrag:?}");
}

/// A tail is no page of etcd's, but it is a part of the file.
#[test]
fn a_tail_counts_as_what_it_is() {
    let folder = folder_of(&[("source.db", &etcd_file::small().bytes())]);
    let db = folder.path().join("source.db");
    let file = File::options().write(true).open(&db).expect("ours");
    file.set_len(100 << 20).expect("sparse");
    let advice = taken_literally(&db, "a tail of 100 MiB");
    let defrag = advice_of(&advice, "defrag").expect("worth it");
    assert!(defrag.gives_back_bytes.is_some_and(|bytes| bytes > 99 << 20), "{defrag:?}");
    assert!(defrag.text.contains("of the allocated pages"), "{defrag:?}");
}

/// Room is needed now: `--steady` would give back next to nothing, so it is left out, and that is said.
#[test]
fn a_full_member_gets_the_layout_that_gives_room() {
    let log = log_of(etcd_file::MEMBER, &[etcd_file::MEMBER], 77);
    let wal = format!("data/member/wal/{FIRST_SEGMENT}");
    let folder = folder_of(&[("data/member/snap/db", &quarters()), (&wal, &log)]);
    let advice = taken_literally(&folder.path().join("data/member/snap/db"), "full");
    let cure = advice_of(&advice, "alarm-nospace").expect("raised");
    assert!(cure.command.contains("--in-place") && !cure.command.contains("--steady"), "{cure:?}");
    assert!(cure.text.contains("Without --steady"), "{cure:?}");
}
