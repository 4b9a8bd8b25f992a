//! The program as its users meet it: exit codes, messages, text, JSON, and what it never does.
#![cfg(test)]

mod support;

use std::fs;
use std::io::Read;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::LazyLock;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use support::builder::FileBuilder;
use support::documents::{self, Bytes, parse};
use support::program::{Ran, document, folder_of, path_in, program, run, run_with};
use support::{etcd_file, fixture, testdata};
use tempfile::TempDir;
use unicode_width::UnicodeWidthStr;

fn frag() -> String {
    testdata("k8s-frag/frag.db").display().to_string()
}

/// The commands that read one file, each in every form it has; page ids of the file are put in.
fn looks(path: &str) -> Vec<Vec<String>> {
    let looks: [&[&str]; 12] = [
        &["analyze"],
        &["analyze", "--top", "3", "--bytes"],
        &["status"],
        &["check"],
        &["check", "--max-findings", "0"],
        &["pages"],
        &["page", "0", "1", "2", "3"],
        &["buckets"],
        &["hash"],
        &["hash", "--rev", "0", "--bytes"],
        &["cleanup"],
        &["cleanup", "--large", "1", "--bytes"],
    ];
    let with = |look: &[&str], output: &str| {
        let (command, options) = look.split_first().expect("a command");
        let words = [&[*command, path][..], options, &["--output", output]].concat();
        words.iter().map(ToString::to_string).collect()
    };
    looks.iter().flat_map(|look| [with(look, "text"), with(look, "json")]).collect()
}

static DAMAGED: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let mut file = etcd_file::small();
    file.header(2).id.set(99);
    file.bytes()
});

mod exit_codes {
    use super::*;

    #[test]
    fn sound_is_0() {
        for look in looks(&frag()) {
            let ran = run(&look);
            assert_eq!((ran.code, ran.err.as_str()), (0, ""), "{look:?}");
            assert!(!ran.out.is_empty(), "{look:?}");
        }
    }

    #[test]
    fn damaged_is_1() {
        let folder = folder_of(&[("db", &DAMAGED)]);
        let path = path_in(&folder, "db");
        for command in ["analyze", "status", "check", "hash", "cleanup"] {
            let ran = run([command, &path]);
            assert_eq!((ran.code, ran.err.as_str()), (1, ""), "{command}");
        }
        // what only looks does not judge
        for command in ["pages", "buckets"] {
            assert_eq!(run([command, &path]).code, 0, "{command}");
        }
        assert_eq!(run(["page", &path, "2"]).code, 0);
        let check = run(["check", &path]);
        assert!(check.out.contains("page 2 (byte 2048)"), "{}", check.out);
        let damaged: documents::Check = document("check", &path, &[]);
        assert!(!damaged.sound && damaged.num_findings > 0);
    }

    #[test]
    fn a_snapshot_with_a_wrong_trailer_is_1() {
        let mut bytes = etcd_file::small().bytes();
        bytes.extend([7; 32]);
        let folder = folder_of(&[("snapshot.db", &bytes)]);
        let path = path_in(&folder, "snapshot.db");
        for command in ["analyze", "status", "check", "cleanup"] {
            assert_eq!(run([command, &path]).code, 1, "{command}");
        }
        let checked: documents::Check = document("check", &path, &[]);
        let kinds: Vec<_> = checked.findings.iter().map(|finding| finding.kind.as_str()).collect();
        assert_eq!(kinds, ["trailer-mismatch"]);
    }

    #[test]
    fn what_cannot_be_read_is_2_and_says_why_and_what_next() {
        let folder = folder_of(&[("empty", b""), ("text", b"no db\n"), ("folder/other", b"x")]);
        let cases = [
            ("missing", "No such file"),
            ("folder", "member/snap/db"),
            ("text", "not a bbolt file"),
            ("empty", "empty"),
        ];
        for (name, why) in cases {
            let path = path_in(&folder, name);
            for command in ["analyze", "status", "check", "pages", "buckets", "hash", "cleanup", "keys"] {
                for output in ["text", "json"] {
                    let ran = run([command, &path, "--output", output]);
                    assert_eq!(ran.code, 2, "{command} {name}");
                    assert!(ran.err.starts_with("etcd-medic: "), "{command} {name}: {}", ran.err);
                    assert!(
                        ran.err.contains(&path) && ran.err.contains(why),
                        "{command} {name}: {}",
                        ran.err
                    );
                    assert_eq!(ran.err.lines().count(), 1, "{command} {name}: {}", ran.err);
                    if name != "missing" {
                        let advice =
                            ["name ", "look for", "Fetch "].iter().any(|words| ran.err.contains(words));
                        assert!(advice, "{command} {name}: what to do? {}", ran.err);
                    }
                    let quiet = command == "status" && output == "json";
                    assert!(quiet || ran.out.is_empty(), "{command} {name}: {}", ran.out);
                }
            }
            assert_eq!(run(["page", &path, "0"]).code, 2, "{name}");
        }
    }

    #[test]
    fn a_missing_file_says_what_to_do() {
        let ran = run(["analyze", "/nowhere/db"]);
        assert!(ran.err.contains("/nowhere/db") && ran.err.contains("name "), "{}", ran.err);
    }

    #[test]
    fn a_page_that_is_not_there_is_2() {
        for id in ["1008", "18446744073709551615"] {
            let ran = run(["page", &frag(), id]);
            assert_eq!(ran.code, 2);
            assert!(ran.err.contains(id) && ran.err.contains(&frag()), "{}", ran.err);
        }
    }

    #[test]
    fn wrong_use_is_2() {
        let frag = frag();
        let wrong: [&[&str]; 16] = [
            &[],
            &["frobnicate"],
            &["analyze"],
            &["analyze", &frag, "--no-such-option"],
            &["analyze", &frag, "--output", "yaml"],
            &["analyze", &frag, "--sort", "colour"],
            &["analyze", &frag, "--top", "-1"],
            &["status"],
            &["status", &frag, "--quota", "many"],
            &["status", &frag, "--quota", "0"],
            &["status", &frag, "--quota", "8GiB", "--warn", "much"],
            &["page", &frag],
            &["hash"],
            &["hash", &frag, "--rev", "-1"],
            &["hash", &frag, "--rev", "9223372036854775808"],
            &["completions", "cmd"],
        ];
        for args in wrong {
            let ran = run(args);
            assert_eq!((ran.code, ran.out.as_str()), (2, ""), "{args:?}");
            assert!(!ran.err.is_empty(), "{args:?}");
        }
    }
}

mod status {
    use super::*;

    #[test]
    fn a_missing_file_does_not_keep_the_others_from_being_read() {
        let ran = run(["status", &frag(), "/nowhere/db", &frag()]);
        assert_eq!(ran.code, 2);
        assert_eq!(ran.out.matches("frag.db").count(), 2, "{}", ran.out);
        assert!(ran.err.contains("/nowhere/db"), "{}", ran.err);
        let ran = run(["status", &frag(), "/nowhere/db", &frag(), "--output", "json"]);
        let document: documents::Status = parse("status", &ran.out);
        assert_eq!((ran.code, document.files.len(), document.errors.len()), (2, 2, 1));
        assert_eq!(document.errors[0].path, "/nowhere/db");
    }

    #[test]
    fn thresholds_set_the_exit_code() {
        let frag = frag();
        // 4,128,768 bytes allocated
        let cases = [
            ("8GiB", &[][..], 0, "ok", "ok"),
            ("5161000", &[], 0, "ok", "ok"),
            ("5160960", &[], 1, "warning", "WARNING"),
            ("4128768", &[], 1, "critical", "CRITICAL"),
            ("5MiB", &["--warn", "78%"], 1, "warning", "WARNING"),
            ("5MiB", &["--warn", "79"], 0, "ok", "ok"),
            ("5MiB", &["--warn", "50%", "--crit", "70%"], 1, "critical", "CRITICAL"),
        ];
        for (quota, options, code, level, verdict) in cases {
            let args = [&["status", frag.as_str(), "--quota", quota], options].concat();
            let ran = run(&args);
            assert_eq!(ran.code, code, "{args:?}");
            assert!(ran.out.contains(verdict), "{args:?}: {}", ran.out);
            let document: documents::Status = document("status", &frag, &args[2..]);
            assert_eq!(document.files[0].level, level, "{args:?}");
            assert!(document.files[0].quota_use.is_some(), "{args:?}");
        }
        let document: documents::Status = document("status", &frag, &[]);
        assert!(document.files[0].quota_use.is_none());
    }

    #[test]
    fn one_line_a_file() {
        for width in ["80", "120", "160"] {
            let folder =
                folder_of(&[("a.db", &etcd_file::small().bytes()), ("b.db", &fixture("bolt/empty.db"))]);
            let mut command = program();
            command.current_dir(folder.path()).env("COLUMNS", width).args(["status", "a.db", "b.db"]);
            let ran = Ran::from(command.output().expect("ran"));
            // a.db has NOSPACE raised: a problem, whatever the width
            assert_eq!((ran.code, ran.out.lines().count()), (1, 3), "COLUMNS={width}\n{}", ran.out);
        }
    }
}

#[test]
fn a_data_dir_is_its_db() {
    let bytes = etcd_file::small().bytes();
    let folder = folder_of(&[("data/member/snap/db", &bytes), ("data/member/wal/0.wal", b"")]);
    for dir in ["data", "data/member", "data/member/snap", "data/member/snap/db"] {
        let document: documents::Status = document("status", &path_in(&folder, dir), &[]);
        assert_eq!(document.files[0].path, path_in(&folder, "data/member/snap/db"), "{dir}");
    }
}

/// What is shown is a name that the user gave, or one below it: another machine's results are the same.
#[test]
fn a_path_is_shown_as_it_was_named() {
    let archive =
        fs::read(testdata("field/disarm-behind-its-log/etcd-3.5/member.tar.zst")).expect("an archive");
    let archive = zstd::stream::read::Decoder::new(archive.as_slice()).expect("zstd");
    let folder = TempDir::new().expect("a folder");
    tar::Archive::new(archive).unpack(&folder).expect("unpacked");
    let all: [&[&str]; 3] =
        [&["log", "member/wal"], &["log", "--summary", "."], &["replay", ".", "--log", ".", "--dry-run"]];
    let all = all.into_iter().map(|words| words.iter().map(ToString::to_string).collect());
    let mut read = 0;
    for look in all.chain(["member", "member/snap/db"].into_iter().flat_map(looks)) {
        let ran: Ran = program().current_dir(&folder).args(&look).output().expect("ran").into();
        read += usize::from(ran.code < 2);
        for said in [&ran.out, &ran.err] {
            assert!(!said.contains(&path_in(&folder, "")), "{look:?}: {said}");
        }
    }
    assert_eq!(read, 51);
}

/// The `key` bucket's fingerprint, and the same over its entries as another reading of the file has them.
#[test]
fn fingerprints_tell_contents_apart() {
    let folder = folder_of(&[
        ("db", &fixture("k8s-3.6/k8s.db")),
        ("snapshot", &fixture("k8s-3.6/snapshot.db")),
        ("other", &fixture("k8s-3.5/k8s.db")),
    ]);
    let fingerprint = |name: &str| -> String {
        let document: documents::Buckets = document("buckets", &path_in(&folder, name), &[]);
        let key = Bytes::Text("key".to_owned());
        let row = document.buckets.into_iter().find(|bucket| bucket.name == key);
        row.expect("a key bucket").fingerprint
    };
    let db = etcd_medic::internals::bolt::Db::new(fixture("k8s-3.6/k8s.db")).expect("sound");
    let buckets = etcd_medic::internals::bolt::entries::top_level(&db);
    let key = buckets.iter().find(|bucket| bucket.name == b"key").expect("a key bucket");
    let mut bytes = Vec::new();
    etcd_medic::internals::bolt::entries::for_each_entry(&db, key, |entry| {
        for part in [entry.key, entry.value] {
            bytes.extend_from_slice(&(part.len() as u32).to_le_bytes());
            bytes.extend_from_slice(part);
        }
    });
    assert_eq!(fingerprint("db"), format!("{:08x}", crc32fast::hash(&bytes)));
    assert_eq!(fingerprint("db"), fingerprint("snapshot"), "the same records on other pages");
    assert_ne!(fingerprint("db"), fingerprint("other"));
}

mod hash {
    use super::*;

    #[test]
    fn text_has_both_hashes_and_every_bucket() {
        let out = run(["hash", &frag()]).out;
        for words in ["585464374", "22e57a36", "424939975", "195411c7", "revision 4321, compacted at 4298"] {
            assert!(out.contains(words), "no {words} in:\n{out}");
        }
        assert_eq!(out.lines().count(), 3 + 1 + 11, "{out}");
        assert!(run(["hash", &frag(), "--rev", "4309"]).out.contains("1443834476"), "{out}");
    }

    #[test]
    fn a_revision_that_is_not_there_is_2_and_the_numbers_are_named() {
        let cases = [("1", "compacted"), ("4297", "compacted"), ("4322", "future"), ("99999", "future")];
        for (revision, why) in cases {
            let ran = run(["hash", &frag(), "--rev", revision]);
            assert_eq!((ran.code, ran.out.as_str()), (2, ""), "{revision}");
            for words in [why, revision, "4298", "4321", &frag()] {
                assert!(ran.err.contains(words), "{revision}: no {words} in {}", ran.err);
            }
        }
        let other = testdata("bolt/nested.db").display().to_string();
        assert_eq!(run(["hash", &other]).code, 0);
        let ran = run(["hash", &other, "--rev", "5"]);
        assert!(ran.code == 2 && ran.err.contains("leave --rev out"), "{}", ran.err);
    }

    /// Whoever reads the output of a damaged file is told not to trust it.
    #[test]
    fn damage_is_named_beside_the_hashes() {
        let folder = folder_of(&[("db", &DAMAGED)]);
        let path = path_in(&folder, "db");
        let out = run(["hash", &path]).out;
        assert!(out.contains("HashKV") && out.contains("1 fault") && out.contains("check"), "{out}");
        let document: documents::Hash = document("hash", &path, &[]);
        assert_eq!((document.sound, document.num_faults), (false, 1));
    }
}

mod json {
    use super::*;

    /// Files of every sort: etcd's of three versions, with alarm, leases and users; plain bbolt's; damaged ones.
    fn files() -> TempDir {
        let mut one_meta = etcd_file::small();
        one_meta.meta_unsealed(0, |meta| meta.txid.set(1));
        folder_of(&[
            ("k8s.db", &fixture("k8s-3.6/k8s.db")),
            ("snapshot.db", &fixture("etcd-3.5/etcd-3.5.1-lease.snapshot.db")),
            ("nospace.db", &fixture("etcd-3.4/etcd-3.4.23-nospace.db")),
            ("auth.db", &fixture("etcd-3.5/etcd-3.5.1-auth.db")),
            ("small.db", &etcd_file::small().bytes()),
            ("damaged.db", &DAMAGED),
            ("one-meta.db", &one_meta.bytes()),
            ("nested.db", &fixture("bolt/nested.db")),
            ("inline.db", &fixture("bolt/inline.db")),
            ("empty.db", &fixture("bolt/empty.db")),
            ("freelist.db", &fixture("bolt/damaged/freelist-duplicate.db")),
        ])
    }

    #[test]
    fn documents_of_one_file_agree() {
        let folder = files();
        let mut names: Vec<_> =
            folder.path().read_dir().expect("read").map(|entry| entry.expect("entry").path()).collect();
        names.sort();
        assert_eq!(names.len(), 11);
        for path in &names {
            let path = path.to_str().expect("UTF-8");
            let analysis: documents::Analyze = document("analyze", path, &[]);
            let classes: u64 = analysis.space.classes.iter().map(|row| row.bytes).sum();
            assert_eq!(
                (classes, analysis.space.total_bytes),
                (analysis.file.file_bytes, analysis.file.file_bytes)
            );
            assert_eq!(analysis.mvcc.is_some(), analysis.file.is_etcd, "{path}");
            let status: documents::Status = document("status", path, &[]);
            assert_eq!(status.files[0].sound, analysis.health.sound, "{path}");
            let check: documents::Check = document("check", path, &[]);
            assert_eq!(check.sound, analysis.health.sound, "{path}");
            let pages: documents::Pages = document("pages", path, &[]);
            assert_eq!(pages.pages.iter().map(|row| row.pages).sum::<u64>(), pages.high_water_mark, "{path}");
            let ids: Vec<String> = pages.pages.iter().map(|row| row.page.to_string()).collect();
            let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
            let page: documents::Page = document("page", path, &ids);
            assert_eq!(page.pages.len(), ids.len(), "{path}");
            let buckets: documents::Buckets = document("buckets", path, &[]);
            assert_eq!(buckets.buckets.len(), analysis.buckets.len(), "{path}");
            let hash: documents::Hash = document("hash", path, &[]);
            assert_eq!(hash.hash_kv.is_some(), analysis.file.is_etcd, "{path}");
            assert_eq!(hash.snapshot_status.total_size, analysis.file.allocated_bytes, "{path}");
            let hashed = hash.buckets.into_iter().map(|row| (row.name, row.entries, row.fingerprint));
            // the root bucket is none of them
            let rows = buckets.buckets.into_iter().skip(1);
            assert!(hashed.eq(rows.map(|row| (row.name, row.entries, row.fingerprint))), "{path}");
        }
    }

    #[test]
    fn a_damaged_meta_has_an_error_in_place_of_its_fields() {
        let folder = files();
        let analysis: documents::Analyze = document("analyze", &path_in(&folder, "one-meta.db"), &[]);
        let errors: Vec<_> = analysis.file.metas.iter().map(|meta| meta["error"].is_string()).collect();
        assert_eq!(errors, [true, false], "{:?}", analysis.file);
        assert_eq!(analysis.file.active_meta, 1);
    }

    #[test]
    fn the_documents_of_several_files_and_of_none() {
        let ran = run(["status", "/nowhere/db", "--output", "json"]);
        let document: documents::Status = parse("status", &ran.out);
        assert_eq!((ran.code, document.files.len(), document.errors.len()), (2, 0, 1));
    }
}

#[test]
fn results_do_not_depend_on_the_number_of_threads() {
    let folder = folder_of(&[("k8s.db", &fixture("k8s-3.5/k8s.db")), ("damaged.db", &DAMAGED)]);
    for path in [path_in(&folder, "k8s.db"), path_in(&folder, "damaged.db"), frag()] {
        for look in looks(&path) {
            let one = run_with(&[("RAYON_NUM_THREADS", "1")], &look);
            for threads in ["2", "8"] {
                let more = run_with(&[("RAYON_NUM_THREADS", threads)], &look);
                assert_eq!((more.code, &more.out), (one.code, &one.out), "{threads} threads: {look:?}");
            }
        }
    }
}

mod analyze {
    use super::*;

    #[test]
    fn resource_narrows_resources_objects_and_namespaces() {
        let all: documents::Analyze = document("analyze", &frag(), &[]);
        for (wanted, group, resource) in [
            ("secrets", "", "secrets"),
            ("deployments.apps", "apps", "deployments"),
            ("apps/deployments", "apps", "deployments"),
        ] {
            let found: documents::Analyze = document("analyze", &frag(), &["--resource", wanted]);
            let names: Vec<_> =
                found.resources.iter().map(|row| (row.group.as_str(), &row.resource)).collect();
            assert_eq!(names, [(group, &Bytes::Text(resource.to_owned()))], "{wanted}");
            let whole = all
                .resources
                .iter()
                .find(|row| row.resource == found.resources[0].resource && row.group == group);
            let whole = whole.expect("in the whole report, too");
            let row = &found.resources[0];
            assert_eq!(
                (row.disk_bytes, row.objects, row.records),
                (whole.disk_bytes, whole.objects, whole.records)
            );
            assert!(
                found
                    .top_objects
                    .iter()
                    .all(|object| object.resource == row.resource && object.group == group)
            );
            assert!(!found.top_objects.is_empty(), "{wanted}");
            assert_eq!(found.namespaces.iter().map(|row| row.objects).sum::<u64>(), row.objects, "{wanted}");
            assert_eq!(found.space.total_bytes, all.space.total_bytes);
        }
        let none = run(["analyze", &frag(), "--resource", "unheard-of"]);
        assert_eq!((none.code, none.out.as_str()), (2, ""), "{}", none.err);
        assert!(none.err.contains("no resource 'unheard-of' in this file. The nearest: "), "{}", none.err);
    }

    #[test]
    fn namespace_narrows_namespaces_and_objects() {
        let all: documents::Analyze = document("analyze", &frag(), &[]);
        let wanted = "kube-system";
        for option in ["--namespace", "-n"] {
            let found: documents::Analyze = document("analyze", &frag(), &[option, wanted]);
            let [row] = found.namespaces.as_slice() else { panic!("{:?}", found.namespaces) };
            assert_eq!(row.namespace, Some(Bytes::Text(wanted.to_owned())));
            let whole =
                all.namespaces.iter().find(|other| other.namespace == row.namespace).expect("there, too");
            assert_eq!((row.disk_bytes, row.objects), (whole.disk_bytes, whole.objects));
            assert!(!found.top_objects.is_empty());
            assert!(found.top_objects.iter().all(|object| object.namespace == row.namespace));
        }
    }

    #[test]
    fn sort_and_top() {
        type Figure = fn(&documents::Resource) -> u64;
        let figures: [(&str, Figure); 5] = [
            ("disk", |row| row.disk_bytes),
            ("live", |row| row.live_bytes),
            ("history", |row| row.history_bytes + row.tombstone_bytes),
            ("objects", |row| row.objects),
            ("records", |row| row.records),
        ];
        let mut lengths = Vec::new();
        for (sort, figure) in figures {
            let found: documents::Analyze = document("analyze", &frag(), &["--sort", sort]);
            assert!(found.resources.is_sorted_by_key(|row| std::cmp::Reverse(figure(row))), "{sort}");
            lengths.push(found.resources.len());
        }
        lengths.dedup();
        assert_eq!(lengths.len(), 1, "no row is lost");
        let found: documents::Analyze = document("analyze", &frag(), &["--sort", "name"]);
        let name = |row: &documents::Resource| match &row.resource {
            Bytes::Text(name) if row.group.is_empty() => name.clone(),
            Bytes::Text(name) => format!("{name}.{}", row.group),
            Bytes::Other(_) => panic!("text"),
        };
        assert!(found.resources.iter().map(name).is_sorted());

        for top in [0, 1, 3, 50] {
            let found: documents::Analyze = document("analyze", &frag(), &["--top", &top.to_string()]);
            let ranks = found.top_objects.iter().map(|object| &object.ranks);
            type Rank = fn(&documents::Ranks) -> Option<u64>;
            let by: [Rank; 3] = [|at| at.live_bytes, |at| at.history_bytes, |at| at.revisions];
            for (number, by) in by.into_iter().enumerate() {
                let count = ranks.clone().filter_map(by).count();
                assert!(count <= top && (count > 0 || top == 0), "--top {top}: {count} by measure {number}");
            }
            assert_eq!(found.resources.len(), lengths[0], "JSON has all resources");
        }
        let text = run(["analyze", &frag(), "--top", "2"]).out;
        assert!(text.contains("more: --top "), "{text}");
    }

    #[test]
    fn bytes_are_exact_on_request() {
        let rounded = run(["analyze", &frag()]).out;
        assert!(rounded.contains("3.9 MiB") && !rounded.contains("4,128,768"), "{rounded}");
        let exact = run(["analyze", &frag(), "--bytes"]).out;
        assert!(exact.contains("4,128,768"), "{exact}");
        assert!(run(["status", &frag(), "--bytes"]).out.contains("4,128,768"));
    }
}

mod text {
    use super::*;

    /// Lines of `analyze`, `check` and `status` that are wider than `width`.
    fn too_wide(out: &str, width: usize) -> Vec<String> {
        out.lines()
            .filter(|line| line.width() > width)
            .map(|line| format!("{}: {line}", line.width()))
            .collect()
    }

    /// Commands to copy stand in one line, however long; so does each file of `status`, for grep and cron.
    /// `etcd-` at the end of a line, `medic` on the next: nobody could copy that.
    #[test]
    fn a_command_is_not_split_at_its_hyphens() {
        let folder = folder_of(&[]);
        for width in 60..140 {
            let copy = path_in(&folder, &format!("{width}.db"));
            let mut command = program();
            command.current_dir(testdata("k8s-frag")).env("COLUMNS", width.to_string());
            let ran = Ran::from(command.args(["defrag", "frag.db", "-o", &copy]).output().expect("ran"));
            assert_eq!(ran.code, 0, "{}", ran.err);
            let words: Vec<_> = ran.out.split_whitespace().collect();
            assert!(words.join(" ").contains("`defrag --in-place --steady`"), "{}", ran.out);
            assert!(!ran.out.lines().any(|line| line.ends_with('-')), "COLUMNS={width}\n{}", ran.out);
        }
    }

    #[test]
    fn no_line_is_wider_than_the_terminal() {
        // by a short path: a path stands in one line, too
        let mut found = Vec::new();
        for width in [60, 80, 120, 160] {
            for args in [
                &["analyze"][..],
                &["analyze", "--bytes"],
                &["check"],
                &["buckets"],
                &["pages"],
                &["hash"],
                &["cleanup"],
            ] {
                let mut command = program();
                command.current_dir(testdata("k8s-frag")).env("COLUMNS", width.to_string());
                let ran = Ran::from(command.args(args).arg("frag.db").output().expect("ran"));
                assert_eq!(ran.code, 0);
                let lines = too_wide(&ran.out, width).into_iter();
                let lines = lines.filter(|line| !line.contains("     $ "));
                found.extend(lines.map(|line| format!("COLUMNS={width} {args:?}: {line}")));
            }
        }
        assert!(found.is_empty(), "\n{}", found.join("\n"));
    }

    #[test]
    fn no_line_ends_in_spaces() {
        for look in looks(&frag()) {
            let out = run(&look).out;
            let found = out.lines().find(|line| line.ends_with(' '));
            assert_eq!(found, None, "{look:?}");
        }
    }

    #[test]
    fn colour_only_where_it_is_wanted() {
        let folder = folder_of(&[("damaged.db", &DAMAGED)]);
        for path in [frag(), path_in(&folder, "damaged.db")] {
            for look in looks(&path) {
                let text = look.contains(&"text".to_owned());
                let piped = run(&look);
                assert!(!piped.out.contains('\x1b') && !piped.err.contains('\x1b'), "{look:?}");
                let quiet = run_with(&[("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")], &look);
                assert_eq!(quiet.out, piped.out, "NO_COLOR: {look:?}");
                let forced = run_with(&[("CLICOLOR_FORCE", "1")], &look);
                let coloured = ["analyze", "status", "check"].contains(&look[0].as_str()) && text;
                assert!(forced.out.contains('\x1b') || !coloured, "CLICOLOR_FORCE: {look:?}");
                assert!(text || !forced.out.contains('\x1b'), "JSON is never coloured: {look:?}");
            }
        }
    }

    #[test]
    fn a_broken_pipe_is_quiet() {
        let folder = folder_of(&[("many.db", &fixture("bolt/freelist-ffff.db"))]);
        let many = path_in(&folder, "many.db");
        let frag = frag();
        let ids: Vec<String> = (0..1000).map(|id| id.to_string()).collect();
        let hex: Vec<&str> = ["page", &frag, "--hex", "--show-secrets"]
            .into_iter()
            .chain(ids.iter().map(String::as_str))
            .collect();
        let loud: [&[&str]; 4] = [
            &["page", &many, "65538"],
            &["page", &many, "65538", "--output", "json"],
            &["analyze", &frag, "--output", "json", "--top", "100000"],
            &hex,
        ];
        for args in loud {
            let mut command = program();
            command.args(args).stdout(Stdio::piped()).stderr(Stdio::piped());
            let mut child = command.spawn().expect("started");
            let mut stdout = child.stdout.take().expect("piped");
            stdout.read_exact(&mut [0; 16]).expect("some output");
            drop(stdout);
            let ran = Ran::from(child.wait_with_output().expect("ended"));
            assert_eq!((ran.code, ran.err.as_str()), (0, ""), "{:?}", &args[..2]);
        }
    }
}

mod help {
    use super::*;

    const COMMANDS: [&str; 13] = [
        "analyze",
        "status",
        "check",
        "pages",
        "page",
        "buckets",
        "hash",
        "keys",
        "history",
        "get",
        "export",
        "completions",
        "man",
    ];

    #[test]
    fn each_command_has_help_with_examples() {
        for command in COMMANDS {
            let ran = run([command, "--help"]);
            assert_eq!((ran.code, ran.err.as_str()), (0, ""), "{command}");
            assert!(ran.out.contains("Examples"), "{command} --help has no examples:\n{}", ran.out);
            assert!(ran.out.contains(&format!("etcd-medic {command}")), "{command}");
        }
        let all = run(["--help"]);
        assert!(COMMANDS.iter().all(|command| all.out.contains(command)), "{}", all.out);
        assert!(all.out.contains("Exit codes"), "{}", all.out);
    }

    /// What a report of a bug needs: the build script knows the target, and the commit where there is one to know.
    #[test]
    fn the_version_says_which_build_this_is() {
        let short = format!("etcd-medic {}", env!("CARGO_PKG_VERSION"));
        assert_eq!(run(["-V"]).out, format!("{short}\n"));
        let build = env!("ETCD_MEDIC_BUILD");
        assert!(build.contains(std::env::consts::ARCH) && build.contains(std::env::consts::OS), "{build}");
        assert_eq!(run(["--version"]).out, format!("{short} ({build})\n"));
    }

    #[test]
    fn completions() {
        for (shell, sign) in
            [("bash", "complete -F"), ("zsh", "#compdef etcd-medic"), ("fish", "complete -c etcd-medic")]
        {
            let ran = run(["completions", shell]);
            assert_eq!((ran.code, ran.err.as_str()), (0, ""), "{shell}");
            assert!(ran.out.contains(sign) && COMMANDS.iter().all(|name| ran.out.contains(name)), "{shell}");
        }
    }

    #[test]
    fn man_pages() {
        let folder = TempDir::new().expect("a folder");
        let ran = run(["man".as_ref(), folder.path().as_os_str()]);
        assert_eq!((ran.code, ran.out.as_str(), ran.err.as_str()), (0, "", ""));
        for page in ["etcd-medic.1", "etcd-medic-analyze.1", "etcd-medic-status.1", "etcd-medic-check.1"] {
            let text = fs::read_to_string(folder.path().join(page))
                .unwrap_or_else(|error| panic!("{page}: {error}"));
            assert!(text.contains(".TH etcd-medic"), "{page}");
        }
        let missing = run(["man", "/nowhere/man1"]);
        assert_eq!(missing.code, 2);
        assert!(missing.err.contains("/nowhere/man1"), "{}", missing.err);
    }
}

#[test]
fn a_locked_file_is_refused_and_read_only_on_request() {
    let folder = folder_of(&[("data/member/snap/db", &etcd_file::small().bytes())]);
    let path = path_in(&folder, "data/member/snap/db");
    // as bbolt has it while etcd runs
    let etcd = fs::File::options().read(true).write(true).open(&path).expect("opened");
    etcd.lock().expect("locked");
    for named in [&path, &path_in(&folder, "data")] {
        for look in looks(named) {
            let ran = run(&look);
            assert_eq!(ran.code, 2, "{look:?}");
            let says = ["locked", "etcdctl snapshot save", "--no-lock", path.as_str()];
            assert!(says.iter().all(|words| ran.err.contains(words)), "{look:?}: {}", ran.err);
            let anyway = run(look.iter().map(String::as_str).chain(["--no-lock"]));
            // the file has NOSPACE raised, which is a problem to `status`
            assert_eq!(anyway.code, i32::from(look[0] == "status"), "{look:?}");
            assert!(anyway.err.contains("without a lock"), "{look:?}: {}", anyway.err);
        }
    }
    let analysis: documents::Analyze = document("analyze", &path, &["--no-lock"]);
    assert!(analysis.read_without_lock);
    let text = run(["analyze", &path, "--no-lock"]).out;
    assert!(text.contains("without") && text.contains("lock"), "the result is marked: {text}");
    etcd.unlock().expect("unlocked");

    // other readers don't matter
    etcd.lock_shared().expect("locked");
    let analysis: documents::Analyze = document("analyze", &path, &[]);
    assert!(!analysis.read_without_lock);
}

#[test]
fn the_input_stays_as_it_was() {
    let snapshot = fixture("etcd-3.5/etcd-3.5.1-kv.snapshot.db");
    let small = etcd_file::small().bytes();
    let files: [(&str, &[u8]); 3] =
        [("snapshot.db", &snapshot), ("damaged.db", &DAMAGED), ("small.db", &small)];
    let folder = folder_of(&files);
    for (name, bytes) in files {
        let path = path_in(&folder, name);
        let before = fs::metadata(&path).expect("metadata");
        for look in looks(&path) {
            assert!(run(&look).code < 2, "{look:?}");
            assert!(run(look.iter().map(String::as_str).chain(["--no-lock"])).code < 2, "{look:?}");
        }
        let after = fs::metadata(&path).expect("metadata");
        assert_eq!(fs::read(&path).expect("read"), bytes, "{name}");
        assert_eq!(after.modified().expect("mtime"), before.modified().expect("mtime"), "{name}");
        assert_eq!((after.len(), after.permissions()), (before.len(), before.permissions()), "{name}");
    }
    let names = folder.path().read_dir().expect("read").count();
    assert_eq!(names, files.len(), "and nothing was put beside it");
}

#[cfg(unix)]
#[test]
fn a_file_that_may_only_be_read_is_enough() {
    use std::os::unix::fs::PermissionsExt;

    let folder = folder_of(&[("db", &etcd_file::small().bytes())]);
    let path = path_in(&folder, "db");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o400)).expect("set");
    assert_eq!(run(["analyze", &path]).code, 0);
}

mod hostile_text {
    use super::*;

    /// What must never reach a terminal as it is.
    const HOSTILE: [char; 6] = ['\x1b', '\x07', '\x08', '\r', '\u{202e}', '\u{9b}'];
    /// JSON escapes control characters of ASCII; what else is UTF-8 may stand in a string.
    const HOSTILE_IN_JSON: [char; 4] = ['\x1b', '\x07', '\x08', '\r'];

    fn assert_harmless(ran: &Ran, what: &str) {
        let hostile: &[char] = if ran.out.starts_with('{') { &HOSTILE_IN_JSON } else { &HOSTILE };
        for &char in hostile {
            assert!(!ran.out.contains(char), "{what}: {char:?} in {:?}", ran.out);
        }
        for char in HOSTILE {
            assert!(!ran.err.contains(char), "{what}: {char:?} in {:?}", ran.err);
        }
    }

    fn with_hostile_keys() -> FileBuilder {
        let records = [
            etcd_file::put(2, b"/registry/pods/default/\x1b[31mred\x07\x08\r\n", 2, 1, b"v", 0),
            etcd_file::put(3, "/registry/pods/\u{202e}ecaps/gpj.exe\u{9b}31m".as_bytes(), 3, 1, b"v", 0),
            etcd_file::put(4, b"/registry/pods/default/\xff\xfe", 4, 1, b"v", 0x77),
            etcd_file::put(5, b"/\x1b]0;title\x07/x", 5, 1, b"v", 0),
            etcd_file::put(6, b"\xc3\x28", 6, 1, b"k8s:enc:\x1b[2J\x1b:v1:k:xx", 0),
            // wrong on purpose: its version, so that the check names the key
            etcd_file::put(7, b"/registry/pods/default/\x1b[31mred\x07\x08\r\n", 2, 9, b"v", 0),
        ];
        etcd_file::file_of(1024, &records, 3)
    }

    #[test]
    fn keys_are_escaped_in_text_and_bytes_in_json() {
        let mut file = with_hostile_keys();
        let name = "caf\u{e9}\x1b[0m".as_bytes();
        let other = file.leaf(&[support::builder::plain(b"\x1b[5m\xff", "v")]);
        let plain_bolt = {
            let mut file = FileBuilder::new(1024);
            let leaf =
                file.leaf(&[support::builder::plain(b"\x1b[5m", "v"), support::builder::plain(b"\xff", "v")]);
            let root = file
                .leaf(&[support::builder::bucket(name, leaf), support::builder::bucket(b"\xff\x1b", other)]);
            file.root(root);
            file
        };
        let folder = folder_of(&[("etcd.db", &file.bytes()), ("plain.db", &plain_bolt.bytes())]);
        for name in ["etcd.db", "plain.db"] {
            for look in looks(&path_in(&folder, name)) {
                let ran = run(&look);
                assert_harmless(&ran, &format!("{look:?}"));
            }
        }
        let path = path_in(&folder, "etcd.db");
        let analysis: documents::Analyze = document("analyze", &path, &["--top", "100"]);
        let as_bytes = |bytes: &[u8]| Bytes::Other(documents::Base64 { bytes: STANDARD.encode(bytes) });
        let keys: Vec<_> = analysis.top_objects.iter().map(|object| object.key.clone()).collect();
        assert!(keys.contains(&as_bytes(b"/registry/pods/default/\xff\xfe")), "{keys:?}");
        assert!(keys.contains(&as_bytes(b"\xc3\x28")), "{keys:?}");
        let text = run(["analyze", &path, "--top", "100"]).out;
        assert!(text.contains("\\u{1b}[31mred"), "{text}");
        let check = run(["check", &path]);
        assert_eq!(check.code, 1);
        assert!(check.out.contains("\\u{1b}[31mred"), "{}", check.out);
    }

    #[cfg(unix)]
    #[test]
    fn paths_are_escaped() {
        use std::os::unix::ffi::OsStringExt;

        let names: [&[u8]; 4] =
            [b"with space.db", b"\x1b[31mred\x07.db", b"line\nfeed\r.db", b"not-utf8-\xff.db"];
        let folder = TempDir::new().expect("a folder");
        for name in names {
            let path: PathBuf = folder.path().join(std::ffi::OsString::from_vec(name.to_vec()));
            fs::write(&path, &*DAMAGED).expect("written");
            for command in ["analyze", "status", "check"] {
                for output in ["text", "json"] {
                    let ran = run([command.as_ref(), path.as_os_str(), "--output".as_ref(), output.as_ref()]);
                    assert_eq!(ran.code, 1, "{command} {path:?}");
                    assert_harmless(&ran, &format!("{command} {path:?}"));
                }
            }
            let missing = folder.path().join(std::ffi::OsString::from_vec([name, b"-gone"].concat()));
            let ran = run(["analyze".as_ref(), missing.as_os_str()]);
            assert_eq!(ran.code, 2);
            assert_harmless(&ran, "a missing file");
            assert_eq!(ran.err.lines().count(), 1, "{}", ran.err);
        }
    }
}

/// A snapshot holds Secrets: a value is shown by `page --hex` only, and that of etcd with `--show-secrets`.
#[test]
fn values_are_never_shown_unless_asked_for() {
    const MARKER: &str = "s3cr3t-m4rk3r";
    let value = format!("k8s\0\x0a\x0c\x0a\x02v1\x12\x06Secret\x12\x0d{MARKER}");
    let json = format!(r#"{{"kind":"Thing","apiVersion":"example.org/v1","data":"{MARKER}"}}"#);
    let mut records = vec![
        etcd_file::put(2, b"/registry/secrets/default/a", 2, 1, value.as_bytes(), 0),
        etcd_file::put(3, b"/registry/example.org/things/a/b", 3, 1, json.as_bytes(), 0),
        etcd_file::put(4, b"/app/plain", 4, 1, MARKER.as_bytes(), 0),
        etcd_file::put(5, b"/app/bad", 5, 7, MARKER.as_bytes(), 99),
    ];
    let mut damaged = etcd_file::put(6, b"/app/damaged", 6, 1, MARKER.as_bytes(), 0);
    damaged.value.push(0xff);
    records.push(damaged);
    let mut file = etcd_file::file_of(1024, &records, 2);
    let other = file.leaf(&[support::builder::plain("name", MARKER)]);
    assert!(other > 0);
    let mut broken = file.clone();
    broken.leaf_element(2, 0).value_size.set(3000);
    broken.leaf_element(3, 1).key_size.set(1);
    let folder = folder_of(&[("file.db", &file.bytes()), ("broken.db", &broken.bytes())]);
    let plain = {
        let mut file = FileBuilder::new(1024);
        let leaf = file.leaf(&[support::builder::plain("key", MARKER)]);
        let root = file.leaf(&[support::builder::bucket("data", leaf)]);
        file.root(root);
        file.bytes()
    };
    fs::write(folder.path().join("plain.db"), plain).expect("written");
    for name in ["file.db", "broken.db", "plain.db"] {
        let path = path_in(&folder, name);
        for mut look in looks(&path) {
            if look[0] == "page" {
                let last = fs::metadata(&path).expect("metadata").len() / 1024;
                look.truncate(2);
                look.extend((0..last).map(|id| id.to_string()));
            }
            for variant in ["--output=text", "--output=json"] {
                let base = look
                    .iter()
                    .map(String::as_str)
                    .filter(|word| !["--output", "text", "json"].contains(word));
                let ran = run(base.chain([variant]));
                // without a `key` bucket, there is nothing to clean up
                let refused = look[0] == "cleanup" && name == "plain.db";
                assert_eq!(ran.code == 2, refused, "{look:?}: {}", ran.err);
                assert!(!ran.out.contains(MARKER) && !ran.err.contains(MARKER), "{look:?}: {}", ran.out);
                let encoded = STANDARD.encode(MARKER);
                assert!(!ran.out.contains(&encoded[..12]), "{look:?}");
            }
        }
        // the marker is there, and asked for it shows
        if name != "plain.db" {
            let refused = run(["page", &path, "2", "--hex"]);
            assert!(refused.code == 2 && refused.out.is_empty() && refused.err.contains("--show-secrets"));
        }
        let option = (name != "plain.db").then_some("--show-secrets");
        let hex = run(["page", &path, "2", "--hex"].into_iter().chain(option)).out;
        let first: Vec<_> = MARKER.bytes().take(4).map(|byte| format!("{byte:02x}")).collect();
        let joined: String = hex.lines().filter_map(|line| line.get(12..59)).collect::<Vec<_>>().join(" ");
        assert!(joined.split_whitespace().collect::<Vec<_>>().join(" ").contains(&first.join(" ")), "{hex}");
    }
}

/// The file is cut short while it is read: a page that was there gives SIGBUS, as one on a failing disk does.
#[test]
#[cfg(target_os = "linux")]
fn a_page_that_is_gone_ends_in_a_message() {
    (0..5).for_each(|_| read_a_page_that_is_gone(program()));
}

/// The same where there is no `/proc`, as in an empty root.
#[test]
#[cfg(target_os = "linux")]
fn a_page_that_is_gone_ends_in_a_message_without_proc() {
    let script = r#"mount -t tmpfs none /proc && test ! -e /proc/self && exec "$@""#;
    let without_proc = |program: &str| {
        let mut command = std::process::Command::new("unshare");
        command.args(["--user", "--map-root-user", "--mount", "sh", "-c", script, "sh", program]);
        command
    };
    if !without_proc("true").status().is_ok_and(|status| status.success()) {
        let skipped = "SKIPPED: no mounts of its own here, so nothing was read without /proc";
        let _ = std::io::Write::write_fmt(&mut std::io::stderr(), format_args!("{skipped}\n"));
        return;
    }
    (0..5).for_each(|_| read_a_page_that_is_gone(without_proc(env!("CARGO_BIN_EXE_etcd-medic"))));
}

#[cfg(target_os = "linux")]
fn read_a_page_that_is_gone(mut command: std::process::Command) {
    let folder = folder_of(&[("db", &fixture("k8s-frag/frag.db"))]);
    let path = path_in(&folder, "db");
    command.args(["export", &path, "-o", "-", "--no-lock"]).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("started");
    let (mut out, mut err) = (child.stdout.take().expect("piped"), child.stderr.take().expect("piped"));
    // it writes, so it has found where all values lie; then the pipe is full, and it waits
    out.read_exact(&mut [0; 1]).expect("a byte");
    let file = fs::OpenOptions::new().write(true).open(&path).expect("opened");
    file.set_len(16_384).expect("cut");
    let reader = std::thread::spawn(move || out.read_to_end(&mut Vec::new()).map(drop));
    let mut said = String::new();
    err.read_to_string(&mut said).expect("text");
    reader.join().expect("read").expect("read");
    let status = child.wait().expect("ended");
    assert_eq!(status.code(), Some(2), "{status}: {said}");
    assert!(said.contains("a part of the file can't be read"), "{said}");
    let next = format!("     $ etcd-medic salvage --disk-errors {path} -o saved.db\n");
    assert!(said.contains(&next), "{said}");
}
