//! `status` for a fleet: headroom on quotas and disks, many files, Prometheus' text format, and what docs/monitoring/
//! makes of it; and what history costs.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{Write, stderr};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::support::documents::{self, parse};
use crate::support::program::{document, folder_of, path_in, program, run};
use crate::support::{etcd_file, fixture, testdata};

/// 4,128,768 bytes, all allocated.
fn frag() -> String {
    testdata("k8s-frag/frag.db").display().to_string()
}

fn monitoring(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/monitoring").join(name)
}

fn monitoring_text(name: &str) -> String {
    fs::read_to_string(monitoring(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

mod headroom {
    use super::*;

    fn status(options: &[&str]) -> documents::FileStatus {
        let document: documents::Status = document("status", &frag(), options);
        document.files[0].clone()
    }

    #[test]
    fn on_a_quota() {
        let quota = |quota| status(&["--quota", quota]).quota.expect("a quota");
        let room = quota("8257536");
        assert_eq!((room.quota_bytes, room.headroom_bytes), (8_257_536, 4_128_768));
        assert!((room.headroom_share - 0.5).abs() < 1e-12);
        let over = quota("2064384");
        assert_eq!(over.headroom_bytes, -2_064_384);
        assert!((over.headroom_share - -1.0).abs() < 1e-12);
        assert_eq!(quota("18446744073709551615").headroom_bytes, i64::MAX);
        assert!(status(&[]).quota.is_none());
        let ran = run(["status", &frag(), "--quota", "2064384", "--bytes"]);
        assert!(ran.out.contains("-2,064,384 (-100.0 %)"), "{}", ran.out);
    }

    /// The quota counts pages below the high water mark: the tail and the trailer are of no account.
    #[test]
    fn on_a_quota_the_tail_does_not_count() {
        let longer = [fixture("k8s-frag/frag.db"), vec![0; 8192]].concat();
        let folder = folder_of(&[("db", &longer)]);
        let document: documents::Status =
            document("status", &path_in(&folder, "db"), &["--quota", "8257536", "--disk", "10MB"]);
        let file = &document.files[0];
        assert_eq!(file.file_bytes, 4_136_960);
        assert_eq!(file.quota.as_ref().expect("a quota").headroom_bytes, 4_128_768);
        assert_eq!(file.disk.as_ref().expect("a disk").headroom_bytes, 10_000_000 - 4_136_960);
    }

    #[test]
    fn on_a_disk() {
        let disk = |options: &[&str]| status(options).disk.expect("a disk");
        let room = disk(&["--disk", "100GB"]);
        assert_eq!((room.disk_bytes, room.headroom_bytes), (100_000_000_000, 99_995_871_232));
        assert_eq!((room.guide.from_disk_bytes, room.guide.quota_bytes), (100_000_000_000, 16 << 30));
        assert_eq!((room.guide.revisions, room.advised_quota_bytes), (2000, Some(16 << 30)));
        assert!(room.defrag_fits && room.quota_fits.is_none());
        assert_eq!(disk(&["--disk", "100GB", "--quota", "16GiB"]).quota_fits, Some(true));
        assert_eq!(disk(&["--disk", "48GB", "--quota", "16GiB"]).quota_fits, Some(false));
        // the file, and not a byte less than a copy of it
        assert!(disk(&["--disk", "8257536"]).defrag_fits);
        let tight = disk(&["--disk", "8257535"]);
        assert!(!tight.defrag_fits && tight.advised_quota_bytes.is_none());
        assert_eq!(disk(&["--disk", "1000000"]).headroom_bytes, 1_000_000 - 4_128_768);
    }

    /// The table in the guide is the one in the program.
    #[test]
    fn the_guide_says_the_same() {
        let guide = fs::read_to_string(monitoring("../space-guide.md")).expect("the guide");
        for row in etcd_medic::internals::guide::ROWS {
            let disk = match row.from_disk_bytes / 1_000_000_000 {
                0 => "below 48 GB".to_owned(),
                disk => format!("from {disk} GB"),
            };
            let revisions = etcd_medic::internals::units::grouped(row.revisions);
            let line =
                format!("| {disk} | {} GiB | {} | {revisions} |", row.quota_bytes >> 30, row.quota_bytes);
            assert!(guide.contains(&line), "docs/space-guide.md lacks: {line}");
        }
    }

    #[test]
    fn in_text() {
        let text = |options: &[&str]| {
            let ran = run([&["status", &frag()][..], options].concat());
            assert_eq!((ran.code, ran.err.as_str()), (0, ""), "{options:?}: advice is no problem");
            ran.out.split_whitespace().collect::<Vec<_>>().join(" ")
        };
        let out = text(&["--disk", "200GB"]);
        assert!(out.contains("--quota-backend-bytes=34359738368"), "{out}");
        assert!(out.contains("--auto-compaction-retention=5000"), "{out}");
        assert!(out.contains("above the 8.0 GiB that etcd suggests"), "{out}");
        assert!(
            text(&["--disk", "40GB"]).contains("2.0 GiB (--quota-backend-bytes=2147483648): etcd's default")
        );
        assert!(text(&["--disk", "4GiB"]).contains("at most 1.0 GiB (--quota-backend-bytes=1073741824)"));
        assert!(text(&["--disk", "1GB"]).contains("quota none"));
        assert!(text(&["--disk", "5MB"]).contains("NO ROOM"));
        assert!(text(&["--disk", "40GB", "--quota", "16GiB"]).contains("TOO LARGE for this disk"));
        assert!(
            text(&["--disk", "90GB", "--quota", "16GiB"]).contains("fits, and is above what the guide has")
        );
        assert!(!text(&["--quota", "8GiB"]).contains("On a disk"), "one line a file, as before");
    }
}

mod retention {
    use super::*;

    fn retention(path: &str) -> documents::Retention {
        let document: documents::Analyze = document("analyze", path, &[]);
        document.retention.expect("etcd's")
    }

    /// A pod that says when it was created, as the API server writes it: magic, envelope, metadata, timestamp.
    fn pod(seconds: u64) -> Vec<u8> {
        let field = |number: u8, content: &[u8]| {
            [&[number << 3 | 2, u8::try_from(content.len()).expect("short")], content].concat()
        };
        let mut time = vec![0x08];
        let mut rest = seconds;
        while rest >= 0x80 {
            time.push(rest as u8 | 0x80);
            rest >>= 7;
        }
        time.push(rest as u8);
        let kind = field(1, &[field(1, b"v1"), field(2, b"Pod")].concat());
        let object = field(1, &[field(1, b"web"), field(8, &time)].concat());
        [b"k8s\0", &kind[..], &field(2, &object)].concat()
    }

    /// Pods created at these revisions, at these seconds; each put once.
    fn pods(times: &[(i64, u64)]) -> Vec<u8> {
        let put = |&(main, seconds): &(i64, u64)| {
            let key = format!("/registry/pods/default/web-{main}");
            etcd_file::put(main, key.as_bytes(), main, 1, &pod(seconds), 0)
        };
        etcd_file::file_of(4096, &times.iter().map(put).collect::<Vec<_>>(), 4).bytes()
    }

    fn rate_of(times: &[(i64, u64)]) -> Option<(i64, i64, u64, f64)> {
        let folder = folder_of(&[("db", &pods(times))]);
        let rate = retention(&path_in(&folder, "db")).rate;
        rate.map(|rate| (rate.first_revision, rate.last_revision, rate.seconds, rate.revisions_per_hour))
    }

    const START: u64 = 1_700_000_000;

    #[test]
    fn the_rate_is_what_objects_tell() {
        let (first, last, seconds, rate) =
            rate_of(&[(10, START), (20, START + 1000), (100, START + 7200)]).expect("a rate");
        assert_eq!((first, last, seconds), (10, 100, 7200));
        assert!((rate - 45.0).abs() < 1e-9, "{rate}");
    }

    #[test]
    fn a_time_that_lies_tells_nothing() {
        assert_eq!(rate_of(&[(10, START), (100, START - 7200)]), None);
        assert_eq!(rate_of(&[(10, START), (100, u64::MAX)]), None);
        assert_eq!(rate_of(&[(10, 0), (100, START)]), None);
        assert_eq!(rate_of(&[(10, START), (100, START + 9)]), None);
        // a create revision that is none
        let record = |main, create| {
            etcd_file::put(
                main,
                format!("/registry/pods/default/{main}").as_bytes(),
                create,
                1,
                &pod(START + 9999),
                0,
            )
        };
        for create in [0, -1, i64::MIN, i64::MAX] {
            let bytes = etcd_file::file_of(4096, &[record(10, 10), record(20, create)], 4).bytes();
            let folder = folder_of(&[("db", &bytes)]);
            let ran = run(["analyze", &path_in(&folder, "db"), "--output", "json"]);
            let analysis: documents::Analyze = parse("analyze", &ran.out);
            assert!(analysis.retention.expect("etcd's").rate.is_none(), "{create}");
        }
    }

    #[test]
    fn history_is_what_a_compaction_drops() {
        let analysis: documents::Analyze = document("analyze", &frag(), &[]);
        let (mvcc, retention) = (analysis.mvcc.expect("etcd's"), analysis.retention.expect("etcd's"));
        assert_eq!(retention.revisions, 23, "4321 - 4298");
        let history = mvcc.superseded.disk_bytes + mvcc.tombstones.disk_bytes;
        assert_eq!(retention.history_bytes, history);
        let each = retention.bytes_per_revision.expect("23 revisions");
        assert!((each * 23.0 - history as f64).abs() < 1e-6, "{each}");
        let kept: Vec<u64> = retention.choices.iter().map(|choice| choice.revisions).collect();
        assert_eq!(kept, [1000, 2000, 5000]);
        let cost = retention.choices[0].bytes.expect("known");
        assert!(cost.abs_diff(history * 1000 / 23) <= 1, "{cost}");
    }

    /// Whoever wrote no times, or was never Kubernetes, is told so; other files have no such section.
    #[test]
    fn what_is_not_known_is_said() {
        let folder =
            folder_of(&[("etcd", &etcd_file::small().bytes()), ("other", &fixture("bolt/empty.db"))]);
        assert!(retention(&path_in(&folder, "etcd")).rate.is_none());
        let other: documents::Analyze = document("analyze", &path_in(&folder, "other"), &[]);
        assert!(other.retention.is_none());
        let ran = run(["analyze", &frag()]);
        assert!(ran.out.contains("keep revisions"), "{}", ran.out);
    }

    /// A real API server sets the time when it creates: revisions and times ascend together.
    #[test]
    fn times_of_real_objects_ascend_with_their_revisions() {
        use etcd_medic::internals::bolt::Db;
        use etcd_medic::internals::etcd::schema::State;
        use etcd_medic::internals::k8s::metadata::creation_seconds;
        use etcd_medic::internals::scan::{ScanOptions, scan};
        for (name, least) in [("k8s-frag/frag.db", 300), ("k8s-3.5/k8s.db", 100), ("k8s-3.6/k8s.db", 100)] {
            let db = Db::new(fixture(name)).expect("a db");
            let state = State::read(&db);
            let scan = scan(&db, &state, ScanOptions::default());
            let shards = scan.keyspace.shards().iter().flat_map(|shard| shard.keys());
            let mut times: Vec<_> = shards
                .filter(|key| key.is_live())
                .filter_map(|key| Some((key.create_revision(), creation_seconds(key.newest().value)?)))
                .collect();
            times.sort_unstable();
            assert!(times.len() >= least, "{name}: {}", times.len());
            // to the second, and set a moment before the write
            let ascend = times.windows(2).all(|pair| pair[0].1 <= pair[1].1 + 2);
            assert!(ascend, "{name}: {times:?}");
        }
    }
}

mod prometheus {
    use super::*;

    /// A metric: its type, its help, and its samples by their labels.
    #[derive(Debug, Default)]
    struct Family {
        kind: String,
        samples: BTreeMap<BTreeMap<String, String>, f64>,
    }

    /// Reads the text format as strictly as node_exporter's textfile collector and `promtool check metrics` do, and
    /// more so: HELP, then TYPE, then all samples of that metric and of no other, none twice, none with a timestamp.
    fn strictly(text: &str) -> BTreeMap<String, Family> {
        assert!(text.ends_with('\n'), "the last line has an end");
        let mut families: BTreeMap<String, Family> = BTreeMap::new();
        let mut current = String::new();
        for line in text.lines() {
            if let Some(help) = line.strip_prefix("# HELP ") {
                let (name, help) = help.split_once(' ').expect("a name and a help");
                assert!(!help.is_empty() && help.ends_with('.'), "{line}");
                assert!(name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'), "{line}");
                let family = Family::default();
                assert!(families.insert(name.to_owned(), family).is_none(), "twice: {line}");
                current = name.to_owned();
            } else if let Some(kind) = line.strip_prefix("# TYPE ") {
                let family = families.get_mut(&current).expect("behind its HELP");
                assert_eq!(kind, format!("{current} gauge"));
                assert!(
                    family.samples.is_empty() && family.kind.is_empty(),
                    "before its samples, once: {line}"
                );
                family.kind = "gauge".to_owned();
            } else {
                let (name, labels, value) = sample(line);
                assert_eq!(name, current, "grouped: {line}");
                let family = families.get_mut(name).expect("behind its HELP");
                assert_eq!(family.kind, "gauge", "behind its TYPE: {line}");
                assert!(family.samples.insert(labels, value).is_none(), "twice: {line}");
            }
        }
        assert!(families.values().all(|family| !family.samples.is_empty()), "none without samples");
        families
    }

    fn sample(line: &str) -> (&str, BTreeMap<String, String>, f64) {
        let end = line.find(['{', ' ']).expect("a name");
        let (name, mut rest) = line.split_at(end);
        let mut labels = BTreeMap::new();
        if let Some(mut inner) = rest.strip_prefix('{') {
            loop {
                let (label, behind) = inner.split_once("=\"").expect("a label");
                let (value, behind) = quoted(behind);
                assert!(labels.insert(label.to_owned(), value).is_none(), "{line}");
                match behind.strip_prefix(',') {
                    Some(more) => inner = more,
                    None => break rest = behind.strip_prefix('}').expect("an end of the labels"),
                }
            }
        }
        let value = rest.strip_prefix(' ').expect("a value");
        assert!(!value.contains(' '), "a timestamp: {line}");
        let value: f64 = value.parse().expect("a number");
        assert!(value.is_finite(), "{line}");
        (name, labels, value)
    }

    /// Up to the quote that ends it, without its escapes.
    fn quoted(text: &str) -> (String, &str) {
        let mut value = String::new();
        let mut chars = text.char_indices();
        while let Some((at, char)) = chars.next() {
            match char {
                '"' => return (value, &text[at + 1..]),
                '\\' => value.push(match chars.next().expect("escaped").1 {
                    'n' => '\n',
                    char @ ('"' | '\\') => char,
                    char => panic!("\\{char} is no escape"),
                }),
                char => value.push(char),
            }
        }
        panic!("no end: {text}")
    }

    fn value(families: &BTreeMap<String, Family>, name: &str, file: &str) -> Option<f64> {
        let of_file =
            |labels: &BTreeMap<String, String>| labels.get("file").is_some_and(|label| label == file);
        let family = families.get(&format!("etcd_medic_{name}"))?;
        family.samples.iter().find(|(labels, _)| of_file(labels)).map(|(_, &value)| value)
    }

    /// A run over files of every kind, with every option that adds a metric: all names that there are.
    fn everything() -> (String, BTreeMap<String, Family>) {
        let folder = folder_of(&[("small.db", &etcd_file::small().bytes())]);
        let small = path_in(&folder, "small.db");
        let args = ["status", &frag(), &small, "/nowhere/db", "--quota", "5MiB", "--disk", "100GB"];
        let ran = run([&args[..], &["--output", "prometheus"]].concat());
        assert_eq!(ran.code, 2, "{}", ran.err);
        let families = strictly(&ran.out);
        (ran.out, families)
    }

    #[test]
    fn figures_are_those_of_the_json() {
        let frag = frag();
        let options = ["--quota", "5MiB", "--disk", "100GB"];
        let ran = run([&["status", &frag, "--output", "prometheus"], &options[..]].concat());
        assert_eq!((ran.code, ran.err.as_str()), (0, ""));
        let families = strictly(&ran.out);
        let document: documents::Status = document("status", &frag, &options);
        let file = &document.files[0];
        let quota = file.quota.as_ref().expect("a quota");
        let disk = file.disk.as_ref().expect("a disk");
        let expected = [
            ("up", 1.0),
            ("file_size_bytes", file.file_bytes as f64),
            ("allocated_bytes", file.allocated_bytes as f64),
            ("in_use_bytes", file.in_use_bytes as f64),
            ("free_bytes", file.free_bytes as f64),
            ("quota_bytes", quota.quota_bytes as f64),
            ("quota_used_ratio", file.quota_use.expect("a quota")),
            ("quota_headroom_bytes", quota.headroom_bytes as f64),
            ("disk_bytes", disk.disk_bytes as f64),
            ("disk_headroom_bytes", disk.headroom_bytes as f64),
            ("revision", file.revision.expect("etcd's") as f64),
            ("compact_revision", file.compact_revision.expect("etcd's") as f64),
            ("keys", file.keys.expect("etcd's") as f64),
            ("records", file.records.expect("etcd's") as f64),
            ("sound", 1.0),
        ];
        for (name, figure) in expected {
            assert_eq!(value(&families, name, &frag), Some(figure), "{name}");
        }
        assert!(!families.contains_key("etcd_medic_alarm"), "none is raised");
        let modified = fs::metadata(&frag).expect("there").modified().expect("known");
        let modified = modified.duration_since(std::time::UNIX_EPOCH).expect("after 1970").as_secs();
        assert_eq!(value(&families, "file_mtime_timestamp_seconds", &frag), Some(modified as f64));
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970");
        let run_at = families["etcd_medic_last_run_timestamp_seconds"].samples[&BTreeMap::new()];
        assert!((now.as_secs_f64() - run_at).abs() < 60.0, "{run_at}");
    }

    #[test]
    fn what_cannot_be_read_is_told_and_hides_nothing() {
        let folder = folder_of(&[("small.db", &etcd_file::small().bytes()), ("no.db", b"not a db")]);
        let [small, no, gone] = ["small.db", "no.db", "gone.db"].map(|name| path_in(&folder, name));
        let ran = run(["status", &no, &small, &gone, &frag(), "--output", "prometheus"]);
        assert_eq!(ran.code, 2);
        assert!(ran.err.contains("no.db") && ran.err.contains("gone.db"), "{}", ran.err);
        let families = strictly(&ran.out);
        let up = |file: &str| value(&families, "up", file);
        assert_eq!([&no, &small, &gone, &frag()].map(|file| up(file)), [0.0, 1.0, 0.0, 1.0].map(Some));
        assert_eq!(value(&families, "sound", &gone), None, "nothing is known");
        // all gone: still an answer
        let ran = run(["status", &gone, "--output", "prometheus"]);
        assert_eq!(ran.code, 2);
        assert_eq!(value(&strictly(&ran.out), "up", &gone), Some(0.0));
    }

    #[test]
    fn alarms_and_faults_are_told() {
        let mut damaged = etcd_file::small();
        damaged.header(2).id.set(99);
        let folder =
            folder_of(&[("small.db", &etcd_file::small().bytes()), ("damaged.db", &damaged.bytes())]);
        let [small, damaged] = ["small.db", "damaged.db"].map(|name| path_in(&folder, name));
        let ran = run(["status", &small, &damaged, "--output", "prometheus"]);
        assert_eq!(ran.code, 1);
        let families = strictly(&ran.out);
        assert_eq!(value(&families, "sound", &damaged), Some(0.0));
        let alarms = &families["etcd_medic_alarm"].samples;
        let expected =
            [("alarm", "NOSPACE"), ("file", &small), ("member_id", &format!("{:x}", etcd_file::MEMBER))]
                .map(|(label, value)| (label.to_owned(), value.to_owned()));
        assert_eq!(alarms.get(&BTreeMap::from(expected)), Some(&1.0), "{alarms:?}");
    }

    /// The label is the path as it was given, whether or not the file can be read; other files than etcd's have the
    /// figures that they have.
    #[test]
    fn labels_stay() {
        let folder = folder_of(&[("data/member/snap/db", &fixture("bolt/empty.db"))]);
        let dir = path_in(&folder, "data");
        let families = strictly(&run(["status", &dir, "--output", "prometheus"]).out);
        assert_eq!(value(&families, "up", &dir), Some(1.0));
        assert_eq!(value(&families, "revision", &dir), None);
        fs::remove_file(folder.path().join("data/member/snap/db")).expect("removed");
        let families = strictly(&run(["status", &dir, "--output", "prometheus"]).out);
        assert_eq!(value(&families, "up", &dir), Some(0.0));
    }

    #[cfg(unix)]
    #[test]
    fn hostile_names_of_files_stay_one_label() {
        use std::ffi::OsStr;
        use std::os::unix::ffi::OsStrExt;
        let names: [&[u8]; 5] = [b"a\"} 1\nfake 1", b"back\\slash", b"\x1b[31m", b"\xff\xfe", b"caf\xc3\xa9"];
        let folder = folder_of(&[]);
        let paths = names.map(|name| folder.path().join(OsStr::from_bytes(name)));
        paths.iter().for_each(|path| fs::write(path, etcd_file::small().bytes()).expect("written"));
        let mut command = program();
        command.arg("status").args(&paths).args(["--output", "prometheus"]);
        let out = String::from_utf8(command.output().expect("ran").stdout).expect("UTF-8");
        let families = strictly(&out);
        let files: BTreeSet<_> =
            families["etcd_medic_up"].samples.keys().map(|labels| labels["file"].clone()).collect();
        assert_eq!(files.len(), names.len(), "{files:?}");
        let expected = [r#"a"} 1\nfake 1"#, r"back\\slash", r"\u{1b}[31m", r"\xff\xfe", "caf\u{e9}"];
        for name in expected {
            assert!(files.iter().any(|file| file.ends_with(name)), "{name} in {files:?}");
        }
    }

    #[test]
    fn a_file_that_was_named_twice_is_told_of_once() {
        let ran = run(["status", &frag(), &frag(), "--output", "prometheus"]);
        assert_eq!(strictly(&ran.out)["etcd_medic_up"].samples.len(), 1);
    }

    #[test]
    fn the_lock_is_told_of() {
        let without = ["status", &frag(), "--no-lock", "--output", "prometheus"];
        for (args, expected) in [(&without[..], 1.0), (&["status", &frag(), "--output", "prometheus"], 0.0)] {
            let families = strictly(&run(args).out);
            assert_eq!(families["etcd_medic_read_without_lock"].samples[&BTreeMap::new()], expected);
        }
    }

    #[test]
    fn only_status_has_it() {
        let frag = frag();
        let others: [&[&str]; 6] = [
            &["analyze", &frag],
            &["check", &frag],
            &["pages", &frag],
            &["hash", &frag],
            &["plan", &frag],
            &["completions", "bash"],
        ];
        for other in others {
            let ran = run([other, &["--output", "prometheus"]].concat());
            assert_eq!((ran.code, ran.out.as_str()), (2, ""), "{other:?}");
            assert!(ran.err.contains("--output prometheus is for `status` only"), "{other:?}: {}", ran.err);
        }
    }

    /// Prometheus' conventions, as `promtool check metrics` has them (client_golang, `promlint`).
    #[test]
    fn names_follow_the_conventions() {
        let (_, families) = everything();
        for name in families.keys() {
            assert!(name.starts_with("etcd_medic_"), "{name}");
            for word in ["_total", "_count", "_sum", "_bucket", "_mib", "_kb", "_ms", "_percent", "gauge"] {
                assert!(!name.ends_with(word), "{name}");
            }
        }
    }

    /// Words of a text that name our metrics.
    fn names_in_text(text: &str) -> BTreeSet<String> {
        let words = text.split(|char: char| !(char.is_ascii_alphanumeric() || char == '_'));
        words.filter(|word| word.starts_with("etcd_medic_")).map(str::to_owned).collect()
    }

    #[test]
    fn rules_and_dashboard_name_metrics_that_exist() {
        let (_, families) = everything();
        let known: BTreeSet<String> = families.into_keys().collect();
        for name in
            ["etcd-medic.rules.yml", "etcd-medic.rules.test.yml", "grafana-dashboard.json", "README.md"]
        {
            let used = names_in_text(&monitoring_text(name));
            assert!(!used.is_empty(), "{name}");
            assert!(used.is_subset(&known), "{name}: {:?}", used.difference(&known));
        }
        // and each is in the list that explains them, and on a panel
        let explained = names_in_text(&monitoring_text("README.md"));
        assert_eq!(known.difference(&explained).collect::<Vec<_>>(), [] as [&String; 0], "README.md");
        let shown = names_in_text(&monitoring_text("grafana-dashboard.json"));
        assert_eq!(
            known.difference(&shown).collect::<Vec<_>>(),
            [] as [&String; 0],
            "grafana-dashboard.json"
        );
    }

    #[test]
    fn the_dashboard_can_be_imported() {
        let dashboard: serde_json::Value =
            serde_json::from_str(&monitoring_text("grafana-dashboard.json")).expect("JSON");
        let variables = dashboard["templating"]["list"].as_array().expect("variables");
        let names: Vec<_> =
            variables.iter().map(|variable| variable["name"].as_str().expect("a name")).collect();
        assert_eq!(names, ["datasource", "instance", "file"]);
        let panels = dashboard["panels"].as_array().expect("panels");
        let ids: BTreeSet<_> = panels.iter().map(|panel| panel["id"].as_u64().expect("an id")).collect();
        assert_eq!(ids.len(), panels.len());
        for panel in panels {
            let title = panel["title"].as_str().expect("a title");
            assert_eq!(panel["datasource"]["uid"], "${datasource}", "{title}");
            let targets = panel["targets"].as_array().expect("targets");
            assert!(!targets.is_empty(), "{title}");
            for target in targets {
                let expr = target["expr"].as_str().expect("an expression");
                assert!(expr.contains("instance=~\"$instance\""), "{title}: {expr}");
                assert_eq!(target["datasource"]["uid"], "${datasource}", "{title}");
            }
        }
    }

    /// Every alert has what whoever it wakes needs, and its runbook exists.
    #[test]
    fn alerts_lead_somewhere() {
        let rules = monitoring_text("etcd-medic.rules.yml");
        let alerts: Vec<_> = rules.split("- alert: ").skip(1).collect();
        assert!(alerts.len() >= 8);
        let runbook = fs::read_to_string(monitoring("../recovery.md")).expect("the runbook");
        let anchor = |heading: &str| {
            let words = heading.trim_start_matches('#').trim().to_lowercase();
            words.replace(' ', "-").replace(|char: char| !(char.is_alphanumeric() || char == '-'), "")
        };
        let anchors: BTreeSet<_> =
            runbook.lines().filter(|line| line.starts_with("## ")).map(anchor).collect();
        let tests = monitoring_text("etcd-medic.rules.test.yml");
        for alert in alerts {
            let name = alert.lines().next().expect("a name");
            for field in ["expr: ", "for: ", "severity: ", "summary: ", "runbook_url: "] {
                assert!(alert.contains(field), "{name}: {field}");
            }
            let url = alert.split("runbook_url: docs/recovery.md#").nth(1).expect("a link");
            let target = url.split_whitespace().next().expect("an anchor");
            assert!(anchors.contains(target), "{name}: {target} of {anchors:?}");
            assert!(tests.contains(&format!("alertname: {name}")), "{name} has no test");
        }
    }

    /// What Prometheus itself says. `ETCD_MEDIC_PROMTOOL` names the program where it is not on the path.
    #[test]
    fn promtool_agrees() {
        let promtool = std::env::var_os("ETCD_MEDIC_PROMTOOL").unwrap_or("promtool".into());
        if Command::new(&promtool).arg("--version").output().is_err() {
            assert!(std::env::var_os("ETCD_MEDIC_REQUIRE_PEERS").is_none(), "promtool is missing");
            // not captured, as what eprintln! writes would be
            writeln!(stderr(), "!!! SKIPPED: no promtool: metrics and rules were NOT checked by it")
                .expect("written");
            return;
        }
        let (text, _) = everything();
        let mut check = Command::new(&promtool)
            .args(["check", "metrics"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("started");
        check.stdin.take().expect("piped").write_all(text.as_bytes()).expect("written");
        let checked = check.wait_with_output().expect("ended");
        let said = [checked.stdout, checked.stderr].concat();
        assert!(checked.status.success() && said.is_empty(), "{}", String::from_utf8_lossy(&said));
        for args in
            [["check", "rules", "etcd-medic.rules.yml"], ["test", "rules", "etcd-medic.rules.test.yml"]]
        {
            let ran = Command::new(&promtool).args(args).current_dir(monitoring("")).output().expect("ran");
            let said = String::from_utf8_lossy(&[&ran.stdout[..], &ran.stderr].concat()).into_owned();
            assert!(ran.status.success() && said.contains("SUCCESS"), "{args:?}: {said}");
        }
    }
}

/// A fleet's snapshots, in each form; one that is damaged and one that is missing hide no other.
#[test]
fn two_hundred_files() {
    let mut damaged = etcd_file::small();
    damaged.header(2).id.set(99);
    let folder = folder_of(&[]);
    let sound = fixture("k8s-frag/frag.db");
    let mut paths: Vec<String> =
        (0..200).map(|number| path_in(&folder, &format!("{number:03}.db"))).collect();
    fs::write(&paths[0], &sound).expect("written");
    paths[1..].iter().for_each(|path| fs::hard_link(&paths[0], path).expect("linked"));
    for (place, bytes) in [(70, damaged.bytes()), (71, b"nonsense".to_vec())] {
        fs::remove_file(&paths[place]).expect("removed");
        fs::write(&paths[place], bytes).expect("written");
    }
    paths.insert(100, path_in(&folder, "gone.db"));
    let ran = |output: &str| {
        let mut args = vec!["status", "--output", output];
        args.extend(paths.iter().map(String::as_str));
        let ran = run(&args);
        assert_eq!(ran.code, 2, "{output}");
        assert_eq!(ran.err.lines().count(), 2, "{output}: {}", ran.err);
        ran.out
    };
    let text = ran("text");
    assert_eq!(text.lines().count(), 1 + 199);
    assert_eq!(text.matches("FAULTS").count(), 1);
    let document: documents::Status = parse("status", &ran("json"));
    assert_eq!((document.files.len(), document.errors.len()), (199, 2));
    let metrics = ran("prometheus");
    let up = |value: u8| {
        metrics
            .lines()
            .filter(|line| line.starts_with("etcd_medic_up{") && line.ends_with(&format!(" {value}")))
            .count()
    };
    assert_eq!((up(1), up(0)), (199, 2));
}
