//! docs/json.md: its recipes give what it shows, what it says holds, and the schemas allow nothing that they don't describe.

use std::fs;
use std::io::{Write, stderr};
use std::path::Path;
use std::process::Command;

use serde_json::{Map, Value, json};

use super::support::program::{PROGRAM, folder_of, path_in, plain, run};
use super::support::{fixture, schemas};

fn document(args: &[&str]) -> Value {
    let ran = run(args.iter().copied().chain(["--output", "json"]));
    serde_json::from_str(&ran.out).unwrap_or_else(|error| panic!("{args:?}: {error}: {}", ran.err))
}

/// The commands of the page's shell blocks, each with what it prints.
fn recipes() -> Vec<(String, String)> {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/json.md");
    let page = fs::read_to_string(page).expect("docs/json.md");
    let block = page.split("## With jq").nth(1).expect("recipes").split("```").nth(1).expect("a block");
    let commands = block.split("\n$ ").skip(1).map(|recipe| recipe.split_once('\n').unwrap_or((recipe, "")));
    let shown =
        |lines: &str| lines.lines().filter(|line| !line.starts_with("# ")).collect::<Vec<_>>().join("\n");
    commands.map(|(command, lines)| (command.to_owned(), shown(lines))).collect()
}

#[test]
fn recipes_print_what_the_page_shows() {
    if Command::new("jq").arg("--version").output().is_err() {
        let _ = writeln!(stderr(), "LEFT OUT: the recipes of docs/json.md: there is no jq");
        return;
    }
    let folder = folder_of(&[
        ("frag.db", &fixture("k8s-frag/frag.db")),
        ("double-reference.db", &fixture("bolt/damaged/double-reference.db")),
        ("nospace.db", &fixture("etcd-3.5/etcd-3.5.1-nospace.db")),
    ]);
    let recipes = recipes();
    assert!(recipes.len() >= 11, "{recipes:?}");
    for (command, shown) in recipes {
        let program = Path::new(PROGRAM).parent().expect("a folder");
        let path = format!("{}:{}", program.display(), std::env::var("PATH").expect("a PATH"));
        let ran =
            plain("sh").args(["-c", &command]).env("PATH", path).current_dir(&folder).output().expect("sh");
        let out = String::from_utf8(ran.stdout).expect("text");
        assert_eq!(out.trim_end(), shown, "{command}: {}", String::from_utf8_lossy(&ran.stderr));
    }
}

/// What docs/json.md says holds between fields, of files of each kind.
#[test]
fn what_holds_between_fields() {
    let names = [
        "k8s-frag/frag.db",
        "k8s-3.5/k8s.db",
        "k8s-3.6/k8s.db",
        "etcd-3.4/etcd-3.4.23-kv.db",
        "etcd-3.5/etcd-3.5.1-nospace.db",
        "bolt/inline.db",
        "bolt/nested.db",
        "bolt/damaged/double-reference.db",
    ];
    for name in names {
        let folder = folder_of(&[("db", &fixture(name))]);
        let path = path_in(&folder, "db");
        let report = document(&["analyze", &path]);
        let sum = |rows: &Value, field: &str| -> u64 {
            rows.as_array().into_iter().flatten().map(|row| row[field].as_u64().expect("a number")).sum()
        };
        let space = &report["space"];
        assert_eq!(space["total_bytes"], report["file"]["file_bytes"], "{name}");
        assert_eq!(space["total_bytes"], sum(&space["classes"], "bytes"), "{name}");
        let pages = document(&["pages", &path]);
        assert_eq!(pages["high_water_mark"], sum(&pages["pages"], "pages"), "{name}");
        let faults = &document(&["check", &path])["num_findings"];
        assert_eq!(&report["health"]["num_faults"], faults, "{name}");
        assert_eq!(&document(&["hash", &path])["num_faults"], faults, "{name}");
        if report["health"]["sound"] == true {
            let buckets = report["buckets"].as_array().expect("buckets").iter();
            let paged: Value = buckets.filter(|bucket| bucket["inline"] == false).cloned().collect();
            let classes = space["classes"].as_array().expect("classes").iter();
            let others = ["meta", "freelist", "damaged"];
            let others: Value =
                classes.filter(|row| others.iter().any(|class| row["class"] == *class)).cloned().collect();
            let in_use = sum(&paged, "disk_bytes") + sum(&others, "bytes");
            assert_eq!(space["in_use_bytes"], in_use, "{name}");
        }
        let mvcc = &report["mvcc"];
        let key = report["buckets"].as_array().into_iter().flatten().find(|bucket| bucket["name"] == "key");
        let Some(key) = key.filter(|_| mvcc.is_object()) else { continue };
        let states = json!([mvcc["live"], mvcc["superseded"], mvcc["tombstones"], mvcc["unreadable"]]);
        assert_eq!(key["disk_bytes"], sum(&states, "disk_bytes"), "{name}");
        let unreadable = mvcc["unreadable"]["disk_bytes"].as_u64().expect("a number");
        for rows in ["resources", "namespaces"] {
            assert_eq!(key["disk_bytes"], sum(&report[rows], "disk_bytes") + unreadable, "{name}: {rows}");
        }
        assert_eq!(mvcc["live"]["records"], sum(&report["resources"], "objects"), "{name}");
    }
}

/// Each object of a value, by its JSON pointer.
fn objects(value: &Value, at: &str, found: &mut Vec<String>) {
    let parts: Vec<(String, &Value)> = match value {
        Value::Object(fields) => {
            found.push(at.to_owned());
            fields.iter().map(|(name, field)| (name.clone(), field)).collect()
        }
        Value::Array(rows) => rows.iter().take(3).enumerate().map(|(i, row)| (i.to_string(), row)).collect(),
        _ => Vec::new(),
    };
    parts.iter().for_each(|(name, part)| objects(part, &format!("{at}/{name}"), found));
}

/// Of every object in a document, no field may be missing, and none be there that is not described.
#[test]
fn schemas_allow_nothing_else() {
    let folder = folder_of(&[("db", &fixture("k8s-frag/frag.db"))]);
    let path = path_in(&folder, "db");
    let (copy, saved, out) =
        (path_in(&folder, "copy"), path_in(&folder, "saved"), path_in(&folder, "out.ndjson"));
    let commands: [&[&str]; 14] = [
        &["analyze", &path],
        &["status", "--quota", "8GiB", "--disk", "100GB", &path],
        &["check", &path],
        &["pages", &path],
        &["page", &path, "0", "3", "4"],
        &["buckets", &path],
        &["hash", &path],
        &["plan", &path],
        &["cleanup", &path],
        &["keys", &path],
        &["history", &path, "/registry/namespaces/default"],
        &["defrag", &path, "-o", &copy],
        &["salvage", &path, "-o", &saved],
        &["export", &path, "-o", &out],
    ];
    for args in commands {
        let good = document(args);
        assert_eq!(schemas::errors(args[0], &good), Vec::<String>::new(), "{args:?}");
        let mut places = Vec::new();
        objects(&good, "", &mut places);
        for place in places {
            // as many fields as there are encodings
            if place.ends_with("/encodings") {
                continue;
            }
            let refused = |change: &dyn Fn(&mut Map<String, Value>)| {
                let mut bad = good.clone();
                change(bad.pointer_mut(&place).and_then(Value::as_object_mut).expect("an object"));
                !schemas::errors(args[0], &bad).is_empty()
            };
            assert!(
                refused(&|object| drop(object.insert("x".to_owned(), 1.into()))),
                "{args:?}: {place}: another"
            );
            let names: Vec<String> = match good.pointer(&place) {
                Some(Value::Object(fields)) => fields.keys().cloned().collect(),
                _ => Vec::new(),
            };
            for name in names {
                assert!(refused(&|object| drop(object.remove(&name))), "{args:?}: {place}: without {name}");
            }
        }
    }
}
