//! However many rows a table would have, `--top` says how many are shown, and how many more there are is said.

use super::support::builder::{Entry, FileBuilder, bucket, inline_bucket, plain};
use super::support::etcd_file::{self, put};
use super::support::program::{Ran, folder_of, path_in, run};

/// What a command prints of a file, with three rows of everything.
fn three_rows(file: &[u8], command: &str, options: &[&str]) -> String {
    let folder = folder_of(&[("db", file)]);
    let path = path_in(&folder, "db");
    let Ran { code, out, err } = run([&[command, &path, "--top", "3"], options].concat());
    assert!(code < 2, "{err}");
    assert!(out.lines().count() < 150, "{command}: {} lines", out.lines().count());
    out
}

/// As containerd, trivy-db and others have it: a bucket for each thing.
fn with_buckets(count: u32) -> Vec<u8> {
    let mut file = FileBuilder::new(4096);
    let entries: Vec<_> = (0..count)
        .map(|n| inline_bucket(format!("task{n:07}"), &[plain("d", vec![b'x'; n as usize % 40])]))
        .collect();
    let leaves: Vec<_> = entries.chunks(50).map(|part| (part[0].key.clone(), file.leaf(part))).collect();
    let tasks = file.branch(&leaves);
    let root = file.leaf(&[bucket("tasks", tasks)]);
    file.root(root);
    file.bytes()
}

fn with_keys(key: impl Fn(i64) -> String) -> Vec<u8> {
    let records: Vec<Entry> = (2..2002).map(|n| put(n, key(n).as_bytes(), n, 1, b"v", 0)).collect();
    etcd_file::file_of(4096, &records, 20).bytes()
}

#[test]
fn buckets() {
    let file = with_buckets(2000);
    let shown = three_rows(&file, "analyze", &[]);
    assert!(shown.contains("Buckets (2,002 rows)"), "{shown}");
    assert!(shown.contains("and 1999 more: etcd-medic buckets lists all"), "{shown}");
    assert!(shown.contains("tasks "), "the largest one: {shown}");
    assert_eq!(shown.matches("tasks/task").count(), 1, "{shown}");
    let folder = folder_of(&[("db", &file)]);
    let all = run(["buckets", &path_in(&folder, "db")]);
    assert_eq!(all.out.lines().count(), 2003, "a heading, the root, and all of them");
}

#[test]
fn resources_and_namespaces() {
    let shown = three_rows(&with_keys(|n| format!("/registry/a.{n:x}/b/{n}/c")), "analyze", &[]);
    assert!(shown.contains("and 1997 more"), "{shown}");
}

#[test]
fn floods() {
    let file = with_keys(|n| format!("/registry/a.{n:x}/b/{n}/c"));
    let shown = three_rows(&file, "cleanup", &["--flood-objects", "1"]);
    assert!(shown.contains("and 1,997 floods more"), "{shown}");
}

/// Alarms of members that were never there, and members that never were.
#[test]
fn alarms_and_members() {
    use etcd_medic::internals::etcd::schema::Alarm;
    use prost::Message;
    let mut file = etcd_file::file_of(4096, &[put(2, b"a", 2, 1, b"", 0)], 1);
    let key = file.leaf(&[put(2, b"a", 2, 1, b"", 0)]);
    let mut alarms: Vec<_> =
        (1..=200).map(|member_id| plain(Alarm { member_id, alarm: 1 }.encode_to_vec(), "")).collect();
    alarms.sort_by(|a, b| a.key.cmp(&b.key));
    let alarm = file.leaf(&alarms);
    let members: Vec<_> = (1..=90).map(etcd_file::member).collect();
    let mut members = members;
    members.sort_by(|a, b| a.key.cmp(&b.key));
    let members = file.leaf(&members);
    let root = file.leaf(&[
        bucket("alarm", alarm),
        bucket("key", key),
        bucket("members", members),
        inline_bucket("meta", &[]),
    ]);
    file.root(root);
    let file = file.bytes();
    let shown = three_rows(&file, "analyze", &[]);
    assert!(shown.contains("and 197 more"), "{shown}");
    assert!(shown.contains("and 87 more"), "{shown}");
    let folder = folder_of(&[("db", &file)]);
    let status = run(["status", &path_in(&folder, "db")]);
    assert_eq!(status.out.matches("NOSPACE").count(), 1, "{}", status.out);
}

/// A name of a resource that is a megabyte long is shown by its ends, wherever it is named, and is never wrapped for seconds.
#[test]
fn long_names() {
    let name = format!("begin{}end", "-x".repeat(500_000));
    let file = with_keys(|n| if n == 2 { format!("/registry/{name}/{name}/a") } else { format!("/a/{n}") });
    let begun = std::time::Instant::now();
    let shown = three_rows(&file, "analyze", &[]);
    assert!(shown.contains("…"), "{}", shown.len());
    assert!(shown.len() < 60_000, "{}", shown.len());
    assert!(begun.elapsed().as_secs() < 5, "{:?}", begun.elapsed());
}
