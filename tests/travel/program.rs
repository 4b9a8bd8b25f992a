//! The program, as its users run it.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use k8s_pb::api::core::v1::Secret;
use k8s_pb::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use prost::Message;
use serde_json::Value;
use tempfile::TempDir;

use super::support::builder::Entry;
use super::support::documents::{Bytes, Deleted, Export, Get, HistoryOf, Keys};
use super::support::etcd_file::{file_of, put, tombstone};
use super::support::program::{document, folder_of, path_in, program, run};
use super::values::envelope;

/// In every Secret below, as it is and as base64 has it.
const MARKER: &str = "MARKERMARKER";
const MARKER_BASE64: &str = "TUFSS0VSTUFSS0VS";
const SECRET_KEYS: [&str; 5] = [
    "/registry/secrets/shop/by-protobuf",
    "/registry/secrets/shop/by-json",
    "/tenant/secrets/shop/other-prefix",
    "/tenant/secrets/shop/no-object",
    "/registry/secrets/shop/encrypted",
];

fn secrets() -> Vec<Entry> {
    let by_protobuf = Secret {
        metadata: Some(ObjectMeta {
            name: Some("by-protobuf".into()),
            annotations: [("kubectl.kubernetes.io/last-applied-configuration".into(), MARKER_BASE64.into())]
                .into(),
            ..Default::default()
        }),
        data: [("password".to_owned(), MARKER.into())].into(),
        string_data: [("password".to_owned(), MARKER.into())].into(),
        ..Default::default()
    };
    let by_protobuf = envelope("v1", "Secret", &by_protobuf.encode_to_vec());
    let by_json = format!(
        r#"{{"apiVersion":"v1","kind":"Secret","metadata":{{"name":"a","annotations":{{"kubectl.kubernetes.io/last-applied-configuration":"{MARKER}"}}}},"data":{{"a":"{MARKER_BASE64}"}}}}"#
    );
    // JSON may write its kind with escapes
    let other_prefix = by_json.replace("\"Secret\"", "\"Sec\\u0072et\"");
    let encrypted = format!("k8s:enc:aescbc:v1:key1:{MARKER}{MARKER}");
    let values = [
        by_protobuf,
        by_json.into_bytes(),
        other_prefix.into_bytes(),
        MARKER.as_bytes().to_vec(),
        encrypted.into_bytes(),
    ];
    let records = SECRET_KEYS.iter().zip(values).zip(3..);
    records.map(|((key, value), main)| put(main, key.as_bytes(), main, 1, &value, 0)).collect()
}

/// Key, value, and hostile names; deleted at the end: `/registry/configmaps/shop/gone`.
fn some_of_everything() -> Vec<Entry> {
    let map = |name: &str| {
        format!(
            r#"{{"apiVersion":"v1","kind":"ConfigMap","metadata":{{"name":"{name}","uid":"u"}},"data":{{"k":"v"}}}}"#
        )
    };
    let mut records = secrets();
    let gone = "/registry/configmaps/shop/gone";
    for (main, key, value) in [
        (10, gone, map("gone")),
        (11, "/registry/configmaps/shop/kept", map("old")),
        (12, "/registry/configmaps/shop/kept", map("kept")),
        (13, "/registry/configmaps/../../../escape", map("escape")),
        (14, "/registry/configmaps/shop/Kept", map("Kept")),
        (15, "/app/state", "no object".to_owned()),
        (16, "/registry/configmaps/shop/\u{1b}[31mred\n", map("red")),
    ] {
        let (create, version) = if main == 12 { (11, 2) } else { (main, 1) };
        records.push(put(main, key.as_bytes(), create, version, value.as_bytes(), 0));
    }
    records.push(put(17, b"\xff\xfe", 17, 1, b"\x00\xff", 0));
    records.push(tombstone(20, gone.as_bytes()));
    records
}

fn folder() -> (TempDir, String) {
    let folder = folder_of(&[("db", &file_of(4096, &some_of_everything(), 4).bytes())]);
    let path = path_in(&folder, "db");
    (folder, path)
}

fn every_file(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let mut files = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in next.read_dir().expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(folder).expect("below").to_str().expect("text").to_owned();
                assert_eq!(
                    fs::metadata(&path).expect("a file").permissions().mode() & 0o777,
                    0o600,
                    "{name}"
                );
                files.push((name, fs::read(&path).expect("a file")));
            }
        }
    }
    files.sort();
    files
}

/// No command shows a Secret's value, in any format, unless it is asked to.
#[test]
fn secrets_are_shown_when_asked_for_only() {
    let (folder, db) = folder();
    // bytes, as some of it is no text
    let run = |args: Vec<&str>| program().args(args).output().expect("ran");
    let mut shown = Vec::new();
    let mut say = |flags: &[&str]| {
        for format in ["yaml", "json", "raw"] {
            for output in ["text", "json"] {
                for from in ["live", "free", "any", "older-root"] {
                    let common = ["--format", format, "--output", output, "--from", from];
                    for key in SECRET_KEYS {
                        shown.push(run([&["get", &db, key], &common[..], flags].concat()));
                    }
                    shown.push(run([&["export", &db, "-o", "-"], &common[..], flags].concat()));
                }
            }
            let out = path_in(&folder, &format!("out-{format}{}", flags.len()));
            shown.push(run([&["export", &db, "-o", &out, "--format", format], flags].concat()));
            let file = format!("{out}.ndjson");
            shown.push(run([&["export", &db, "-o", &file, "--format", format], flags].concat()));
        }
        for command in
            [&["keys", &db, "--long"][..], &["keys", &db, "--deleted"], &["history", &db, SECRET_KEYS[0]]]
        {
            shown.push(run(command.to_vec()));
        }
        let mut all: Vec<u8> = shown.drain(..).flat_map(|ran| [ran.stdout, ran.stderr].concat()).collect();
        for entry in folder.path().read_dir().expect("a folder").map(|entry| entry.expect("an entry").path())
        {
            if entry.is_dir() {
                all.extend(every_file(&entry).into_iter().flat_map(|(_, bytes)| bytes));
            } else if entry.extension().is_some() {
                all.extend(fs::read(entry).expect("a file"));
            }
        }
        String::from_utf8_lossy(&all).into_owned()
    };
    let without = say(&[]);
    assert!(!without.contains(MARKER) && !without.contains(MARKER_BASE64), "a Secret's value was shown");
    assert!(without.contains("REDACTED (12 bytes)") && without.contains("--show-secrets"));
    let with = say(&["--show-secrets"]);
    assert!(with.contains(MARKER) && with.contains(MARKER_BASE64));
}

#[test]
fn one_object_at_any_revision() {
    let (_folder, db) = folder();
    let kept = "/registry/configmaps/shop/kept";
    let now = run(["get", &db, kept]);
    assert_eq!((now.code, now.err.as_str()), (0, ""));
    assert_eq!(
        now.out,
        "apiVersion: v1\ndata:\n  k: v\nkind: ConfigMap\nmetadata:\n  name: kept\n  uid: u\n"
    );
    assert!(run(["get", &db, kept, "--rev", "11"]).out.contains("name: old\n"));
    assert!(!run(["get", &db, kept, "--clean"]).out.contains("uid"));
    let json: Value = serde_json::from_str(&run(["get", &db, kept, "--format", "json"]).out).expect("JSON");
    assert_eq!(json["metadata"]["name"], "kept");
    let raw = run(["get", &db, "/app/state", "--format", "raw"]);
    assert_eq!((raw.code, raw.out.as_str()), (0, "no object"));

    for (args, code, says) in [
        (&["/app/state"][..], 2, "--format raw"),
        (&[SECRET_KEYS[4]], 2, "encrypted at rest (k8s:enc:aescbc:v1:key1)"),
        (&["/nowhere"], 1, "no record of it can be found anywhere"),
        (&["/registry/configmaps/shop/gone"], 1, "it was deleted at revision 20; its value of revision 10"),
        (&[kept, "--rev", "1"], 2, "revision 1 was compacted: the compact revision is 2, the current one 20"),
        (&[kept, "--rev", "21"], 2, "revision 21 is in the future: the current revision is 20"),
        (&[kept, "--rev", "5"], 1, "its value of revision 12"),
        (&[kept, "--clean", "--format", "raw"], 2, "--clean is for objects"),
        (&[kept, "--rev", "0"], 2, "0 is not in 1.."),
    ] {
        let ran = run([&["get", &db], args].concat());
        assert!(
            ran.code == code && ran.out.is_empty() && ran.err.contains(says),
            "{args:?}: {} {}",
            ran.code,
            ran.err
        );
    }
    // a deleted key at a revision at which it was there, and from wherever it lies
    assert!(run(["get", &db, "/registry/configmaps/shop/gone", "--rev", "19"]).out.contains("name: gone"));
    assert!(run(["get", &db, "/registry/configmaps/shop/gone", "--from", "any"]).out.contains("name: gone"));
}

#[test]
fn keys_are_lines_or_zero_terminated() {
    let (_folder, db) = folder();
    let lines = run(["keys", &db, "/registry/configmaps/"]);
    assert_eq!(
        lines.out,
        "/registry/configmaps/../../../escape\n/registry/configmaps/shop/\\u{1b}[31mred\\n\n\
         /registry/configmaps/shop/Kept\n/registry/configmaps/shop/kept\n"
    );
    let zeroes = run(["keys", &db, "/registry/configmaps/shop/", "-0"]);
    assert_eq!(zeroes.out.matches('\0').count(), 3);
    assert!(zeroes.out.starts_with("/registry/configmaps/shop/\u{1b}[31mred\n\0"));
    assert_eq!(run(["keys", &db, "/registry/configmaps/", "--rev", "12"]).out.lines().count(), 2);
    assert_eq!(run(["keys", &db, "--deleted"]).out, "/registry/configmaps/shop/gone\n");
    let long = run(["keys", &db, "--deleted", "--long"]).out;
    assert!(
        long.lines().nth(1).is_some_and(|line| line.split_whitespace().eq([
            "20",
            "10",
            "92",
            "B",
            "live",
            "/registry/configmaps/shop/gone"
        ])),
        "{long}"
    );
    assert!(run(["keys", &db, "/nothing"]).out.is_empty());
    let history = run(["history", &db, "/registry/configmaps/shop/gone"]);
    assert!(
        history.code == 0 && history.out.contains("does not exist at revision 20 (compacted at 2)"),
        "{}",
        history.out
    );
    assert_eq!(run(["history", &db, "/nothing"]).code, 1);
}

#[test]
fn every_document_has_its_fields() {
    let (folder, db) = folder();
    let keys: Keys = document("keys", &db, &[]);
    assert_eq!((keys.revision, keys.compact_revision, keys.num_keys), (20, 2, 11));
    assert_eq!(keys.keys.len() as u64, keys.num_keys);
    assert!(matches!(&keys.keys[keys.keys.len() - 1].key, Bytes::Other(bytes) if bytes.bytes == "//4="));
    let gone: Deleted = document("keys", &db, &["--deleted"]);
    assert_eq!((gone.num_deleted, gone.deleted[0].deleted_at), (1, Some(20)));
    assert_eq!(gone.deleted[0].recoverable.as_ref().map(|put| put.mod_revision), Some(10));
    let history: HistoryOf = document("history", &db, &["/registry/configmaps/shop/kept"]);
    let kept: Vec<_> = history.records.iter().map(|row| (row.mod_revision, row.kept_by_compaction)).collect();
    assert!(history.exists && kept == [(11, false), (12, true)]);
    let get: Get = document("get", &db, &["/registry/configmaps/shop/kept"]);
    assert_eq!(get.object.expect("an object")["metadata"]["name"], "kept");
    let raw: Get = document("get", &db, &["/app/state", "--format", "raw"]);
    assert_eq!(raw.value, Some(Bytes::Text("no object".to_owned())));
    let ran = run(["get", &db, "/registry/configmaps/shop/gone", "--output", "json"]);
    let missing: Get = super::support::documents::parse("get", &ran.out);
    assert!(ran.code == 1 && missing.found.is_none() && missing.elsewhere.len() == 2);
    let out = path_in(&folder, "all");
    let ran = run(["export", &db, "-o", &out, "--output", "json"]);
    let export: Export = super::support::documents::parse("export", &ran.out);
    // the encrypted Secret and the one that is no object
    assert_eq!((ran.code, export.exported.withheld, export.exported.redacted), (1, 2, 3));
    assert_eq!((export.exported.objects, export.exported.raw, export.revision), (7, 2, Some(20)));
}

#[test]
fn exports_stay_in_their_folder() {
    let (folder, db) = folder();
    let out = path_in(&folder, "below/all");
    let refused = run(["export", &db, "-o", &out]);
    assert!(refused.code == 2 && refused.err.contains("there is no such folder"), "{}", refused.err);
    let out = path_in(&folder, "all");
    assert_eq!(run(["export", &db, "/registry/configmaps/", "-o", &out, "--clean"]).code, 0);
    let names: Vec<_> = every_file(Path::new(&out)).into_iter().map(|(name, _)| name).collect();
    assert_eq!(
        names,
        [
            "configmaps/%2e%2e/%2e./%2e./escape.yaml".replace("%2e./%2e./escape", "%2e.%2f%2e.%2fescape"),
            "configmaps/shop/%1b%5b31mred%0a.yaml".to_owned(),
            "configmaps/shop/%4bept.yaml".to_owned(),
            "configmaps/shop/kept.yaml".to_owned(),
        ]
        .map(|name| name.replace("%2e.%2f%2e.%2fescape", "%2e.%2f..%2fescape"))
    );
    assert!(!folder.path().join("escape.yaml").exists());
    let again = run(["export", &db, "-o", &out]);
    assert!(again.code == 2 && again.err.contains("is not empty"), "{}", again.err);
    assert_eq!(run(["export", &db, "/registry/configmaps/", "-o", &out, "--force"]).code, 0);
    let text = fs::read_to_string(Path::new(&out).join("configmaps/shop/kept.yaml")).expect("a file");
    assert!(text.contains("uid: u\n"), "written anew, without --clean: {text}");

    let file = path_in(&folder, "all.ndjson");
    assert_eq!(run(["export", &db, "/registry/configmaps/", "-o", &file, "--rev", "12"]).code, 0);
    let lines = fs::read_to_string(&file).expect("a file");
    let keys: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!(keys.len(), 2);
    assert!(keys.iter().all(|line| line["object"]["kind"] == "ConfigMap" && line["value"].is_null()));
    let again = run(["export", &db, "-o", &file]);
    assert!(again.code == 2 && again.err.contains("exists already"), "{}", again.err);
    let source = path_in(&folder, "db.ndjson");
    fs::copy(&db, &source).expect("a copy");
    let refused = run(["export", &source, "-o", &source, "--force"]);
    assert!(refused.code == 2 && refused.err.contains("is the source itself"), "{}", refused.err);
    let not_a_folder = run(["export", &db, "-o", &db]);
    assert!(not_a_folder.code == 2 && not_a_folder.err.contains("is no folder"), "{}", not_a_folder.err);
    let nothing = run(["export", &db, "/nothing", "-o", &path_in(&folder, "nothing")]);
    assert!(
        nothing.code == 2 && nothing.err.contains("no key that begins with '/nothing'"),
        "{}",
        nothing.err
    );
    let deleted = path_in(&folder, "deleted");
    assert_eq!(run(["export", &db, "--deleted", "-o", &deleted]).code, 0);
    assert_eq!(every_file(Path::new(&deleted)).len(), 1);
    assert!(
        fs::read_dir(folder.path())
            .expect("a folder")
            .all(|entry| { !entry.expect("an entry").file_name().to_string_lossy().contains("unfinished") })
    );
}

/// The root of the tree is damaged: what etcd would say is gone, what lies in the pages is not.
#[test]
fn a_damaged_tree_hides_nothing_from_the_pages() {
    let mut file = file_of(4096, &some_of_everything(), 4);
    // both metas name a page that is none
    file.metas(|meta| meta.root.root.set(u64::MAX));
    let folder = folder_of(&[("db", &file.bytes())]);
    let db = path_in(&folder, "db");
    let refused = run(["keys", &db]);
    assert!(refused.code == 2 && refused.err.contains("--from free"), "{}", refused.err);
    assert!(
        run(["get", &db, "/registry/configmaps/shop/kept", "--from", "free"]).out.contains("name: kept\n")
    );
    assert_eq!(run(["keys", &db, "--deleted"]).out.lines().count(), 12);
    // a leaf of the tree alone
    let mut file = file_of(4096, &some_of_everything(), 4);
    file.header(3).flags.set(0x40);
    let db = folder_of(&[("db", &file.bytes())]);
    let lacking = run(["keys", &path_in(&db, "db")]);
    assert!(lacking.code == 1 && lacking.err.contains("the answer may lack something"), "{}", lacking.err);
    assert!(lacking.out.lines().count() > 5);
}
