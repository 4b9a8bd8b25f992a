//! The command as its users meet it.

use std::io::{Read, Write, stderr};
use std::process::{Command, Stdio};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::made::{NOW, created, object};
use super::support::documents;
use super::support::etcd_file::{self, file_of};
use super::support::program::{document, folder_of, path_in, program, run};
use super::support::testdata;

fn frag() -> String {
    testdata("k8s-frag/frag.db").display().to_string()
}

/// As many classes as there are: a file from which everything may go, and the marker in every value.
fn full(marker: &str) -> Vec<u8> {
    let data = json!({"data": {"password": marker}, "status": {"phase": "Failed"}, "message": marker});
    let old = "2026-02-01T00:00:00Z";
    let mut objects = vec![
        ("/registry/secrets/a/b", object("v1", "Secret", old, &data)),
        ("/registry/configmaps/a/b", object("v1", "ConfigMap", old, &data)),
        ("/registry/pods/a/b", object("v1", "Pod", old, &data)),
        ("/registry/events/a/b", object("v1", "Event", old, &data)),
        ("/registry/example.org/things/a/b", object("example.org/v1", "Thing", old, &data)),
        ("/registry/pods/a/cut", format!("{{\"kind\":\"Pod\",\"x\":\"{marker}").into_bytes()),
        ("/registry/secrets/a/encrypted", format!("k8s:enc:aescbc:v1:{marker}:{marker}").into_bytes()),
        ("/app/plain", marker.as_bytes().to_vec()),
    ];
    let conditions =
        json!({"status": {"conditions": [{"type": "Failed", "status": "True", "message": marker}]}});
    objects.push(("/registry/jobs/a/b", object("batch/v1", "Job", old, &conditions)));
    let spec = json!({"spec": {"holderIdentity": marker}});
    objects.push(("/registry/leases/a/b", object("coordination.k8s.io/v1", "Lease", old, &spec)));
    objects.push(("/registry/leases/a/c", object("coordination.k8s.io/v1", "Lease", NOW, &spec)));
    file_of(4096, &created(&objects), 3).bytes()
}

const STRICT: [&str; 6] = ["--large", "10", "--flood-objects", "1", "--as-of", NOW];

#[test]
fn no_value_is_ever_shown() {
    const MARKER: &str = "s3cr3t-m4rk3r";
    let folder = folder_of(&[("db", &full(MARKER))]);
    let path = path_in(&folder, "db");
    for output in ["text", "json"] {
        let ran = run([&["cleanup", &path, "--top", "100", "--output", output][..], &STRICT].concat());
        assert_eq!((ran.code, ran.err.as_str()), (0, ""));
        assert!(
            ran.out.contains("large-secrets") && ran.out.contains("/registry/secrets/a/b"),
            "{}",
            ran.out
        );
        assert!(!ran.out.contains(MARKER), "{}", ran.out);
        assert!(!ran.out.contains(&STANDARD.encode(MARKER)[..12]), "{}", ran.out);
    }
}

#[test]
fn garbage_is_0_damage_is_1_and_what_is_not_etcd_s_is_2() {
    let mut damaged = etcd_file::small();
    damaged.header(2).id.set(99);
    let plain = super::support::fixture("bolt/nested.db");
    let folder = folder_of(&[
        ("full.db", &full("x")),
        ("none.db", &file_of(4096, &created(&[("/app/a", b"x".to_vec())]), 1).bytes()),
        ("damaged.db", &damaged.bytes()),
        ("plain.db", &plain),
    ]);
    for (name, code) in [("full.db", 0), ("none.db", 0), ("damaged.db", 1), ("plain.db", 2)] {
        for output in ["text", "json"] {
            let ran = run(["cleanup", &path_in(&folder, name), "--output", output]);
            assert_eq!(ran.code, code, "{name}: {}", ran.err);
            assert_eq!((ran.out.is_empty(), ran.err.is_empty()), (code == 2, code != 2), "{name}");
        }
    }
    let ran = run(["cleanup", &path_in(&folder, "plain.db")]);
    assert!(ran.err.contains("plain.db") && ran.err.contains("has no bucket `key`"), "{}", ran.err);
    let ran = run(["cleanup", &path_in(&folder, "damaged.db")]);
    assert!(ran.out.contains("FAULTS FOUND"), "{}", ran.out);
}

#[test]
fn the_document_is_as_described() {
    let found: documents::Cleanup = document("cleanup", &frag(), &["--top", "2"]);
    assert_eq!(
        (found.schema.as_str(), found.read_without_lock, found.path),
        ("etcd-medic/cleanup/1", false, frag())
    );
    assert_eq!(found.file_bytes, std::fs::metadata(frag()).expect("metadata").len());
    assert!(found.health.sound && found.objects_read > 300 && found.doubtful_times == 0);
    assert!(found.as_of.time.is_some() && found.as_of.created.is_some() && found.as_of.renewed.is_some());
    assert_eq!(found.as_of.source.as_deref(), Some("objects"));
    let limits = &found.thresholds;
    let limits =
        (limits.event_age_seconds, limits.lease_age_seconds, limits.large_bytes, limits.flood_objects);
    assert_eq!(limits, (3600, 86400, 262_144, 10_000));
    let names: Vec<_> = found.classes.iter().map(|class| class.class.as_str()).collect();
    assert_eq!(
        names,
        [
            "old-events",
            "finished-jobs",
            "finished-pods",
            "replicasets-at-zero",
            "stale-leases",
            "keys-of-lost-leases",
            "leases-without-keys",
            "large-configmaps",
            "large-secrets"
        ]
    );
    for class in &found.classes {
        assert!(!class.why.is_empty() && !class.deleting.is_empty() && !class.prevention.is_empty());
        assert_eq!(class.commands.is_empty(), class.objects == 0, "{}", class.class);
        assert!(class.top.len() <= 2 && class.resource.is_none() && class.reasons.is_empty());
        if class.class == "leases-without-keys" {
            assert!(class.namespaces.is_empty() && class.top.is_empty());
            continue;
        }
        let sums = class.namespaces.iter().map(|row| (row.objects, row.live_bytes, row.history_bytes));
        let sums = sums.fold((0, 0, 0), |sum, row| (sum.0 + row.0, sum.1 + row.1, sum.2 + row.2));
        assert_eq!(sums, (class.objects, class.live_bytes, class.history_bytes), "{}", class.class);
    }
    let encrypted: u64 = found.unread.iter().map(|row| row.encrypted).sum();
    assert!(encrypted > 0 && found.unread.iter().all(|row| row.malformed == 0 && row.undated == 0));

    // in text, and to the byte
    let text = run(["cleanup", &frag(), "--bytes"]).out;
    for class in &found.classes {
        let line =
            text.lines().find(|line| line.trim_start().starts_with(class.class.as_str())).expect("a row");
        let number = |number: u64| etcd_medic::internals::units::grouped(number);
        for figure in [class.objects, class.live_bytes, class.history_bytes, class.disk_bytes] {
            assert!(line.contains(&number(figure)), "{line}: {figure}");
        }
    }
}

#[test]
fn thresholds_and_times_that_make_no_sense_are_refused() {
    for (option, value) in [
        ("--as-of", "yesterday"),
        ("--as-of", "2026-13-01T00:00:00Z"),
        ("--event-age", "-1h"),
        ("--event-age", "soon"),
        ("--lease-age", "99999999999d"),
        ("--large", "0"),
        ("--flood-objects", "0"),
        ("--top", "-1"),
    ] {
        let ran = run(["cleanup", &frag(), &format!("{option}={value}")]);
        assert!(
            ran.code == 2 && ran.out.is_empty() && ran.err.contains(option),
            "{option} {value}: {}",
            ran.err
        );
    }
    let ran = run(["cleanup", &frag(), "--as-of", "2099-01-01T00:00:00+02:00", "--event-age", "1h30m"]);
    assert!(ran.out.contains("as of 2098-12-31T22:00:00Z, as --as-of says"), "{}", ran.out);
    assert!(ran.out.contains("--event-age 90m"), "{}", ran.out);
}

#[test]
fn help_has_examples() {
    let ran = run(["cleanup", "--help"]);
    assert_eq!(ran.code, 0);
    for words in ["Examples:", "etcd-medic cleanup /var/lib/etcd", "--as-of", "--event-age", "--large"] {
        assert!(ran.out.contains(words), "{words}: {}", ran.out);
    }
    assert!(run(["--help"]).out.contains("cleanup"));
}

#[test]
fn a_closed_pipe_is_quiet() {
    let mut child = program()
        .args(["cleanup", &frag(), "--large", "1", "--top", "100000"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("started");
    let mut first = [0; 10];
    child.stdout.take().expect("piped").read_exact(&mut first).expect("some output");
    let output = child.wait_with_output().expect("ended");
    assert_eq!((output.status.code(), String::from_utf8_lossy(&output.stderr).as_ref()), (Some(0), ""));
}

/// Every command that the program prints, of a file that has something in each class.
fn commands() -> Vec<(String, String)> {
    let folder = folder_of(&[("db", &full("x"))]);
    let found: documents::Cleanup = document("cleanup", &path_in(&folder, "db"), &STRICT);
    let mut commands = Vec::new();
    for class in found.classes {
        let of_objects = class.top.into_iter().map(|object| object.command);
        commands.extend(
            class.commands.into_iter().chain(of_objects).map(|command| (class.class.clone(), command)),
        );
    }
    // ReplicaSets are the one class that the file has none of
    let frag: documents::Cleanup = document("cleanup", &frag(), &[]);
    let sets = frag.classes.into_iter().find(|class| class.class == "replicasets-at-zero").expect("a row");
    commands.extend(sets.commands.into_iter().map(|command| (sets.class.clone(), command)));
    commands
}

#[test]
fn commands_are_what_a_shell_takes() {
    let commands = commands();
    assert!(commands.len() >= 15, "{commands:?}");
    for (_, command) in commands {
        let checked = Command::new("sh").args(["-n", "-c", &command]).output().expect("sh");
        assert!(checked.status.success() && checked.stderr.is_empty(), "{command}");
        assert!(command.starts_with("kubectl ") || command.starts_with("etcdctl "), "{command}");
        assert!(!command.contains('\n'), "{command}");
    }
}

/// What the filters let through, by jq itself.
#[test]
fn filters_let_through_what_is_garbage() {
    if Command::new("jq").arg("--version").output().is_err() {
        let _ = writeln!(stderr(), "LEFT OUT: the filters of the commands: there is no jq");
        return;
    }
    let now = jiff::Timestamp::now().to_string();
    let old = "2020-01-01T00:00:00Z";
    let item = |name: &str, made: &str, more: &Value| {
        let mut value: Value = serde_json::from_slice(&object("v1", "X", made, more)).expect("JSON");
        value["metadata"]["name"] = json!(name);
        value["metadata"]["namespace"] = json!("a");
        if let Some(owners) = more.get("owners") {
            value["metadata"]["ownerReferences"] = owners.clone();
        }
        value
    };
    let job =
        |kind: &str, status: &str| json!({"status": {"conditions": [{"type": kind, "status": status}]}});
    let deployment = json!([{"kind": "Deployment", "controller": true}]);
    let of_class = |class: &str| match class {
        "old-events" => vec![
            item("yes", old, &json!({"lastTimestamp": null, "eventTime": "2020-01-01T00:00:00.000001Z"})),
            item("no", old, &json!({"lastTimestamp": now})),
            item("no", &now, &json!({"lastTimestamp": old})),
            item("no", old, &json!({"series": {"lastObservedTime": now}})),
        ],
        "finished-jobs" => vec![
            item("yes", old, &job("Complete", "True")),
            item("yes", old, &job("Failed", "True")),
            item("no", old, &job("Failed", "False")),
            item("no", old, &job("Suspended", "True")),
            item("no", old, &json!({"status": {}})),
        ],
        "replicasets-at-zero" => vec![
            item(
                "yes",
                old,
                &json!({"owners": deployment, "spec": {"replicas": 0}, "status": {"replicas": 0}}),
            ),
            item("yes", old, &json!({"owners": deployment, "spec": {"replicas": 0}, "status": {}})),
            item(
                "no",
                old,
                &json!({"owners": deployment, "spec": {"replicas": 1}, "status": {"replicas": 0}}),
            ),
            item(
                "no",
                old,
                &json!({"owners": deployment, "spec": {"replicas": 0}, "status": {"replicas": 1}}),
            ),
            item("no", old, &json!({"spec": {"replicas": 0}, "status": {"replicas": 0}})),
        ],
        "stale-leases" => vec![
            item("yes", old, &json!({"spec": {"renewTime": old}})),
            item("yes", old, &json!({"spec": {}})),
            item("no", old, &json!({"spec": {"renewTime": now}})),
            item("no", &now, &json!({"spec": {}})),
        ],
        "custom-resource-flood" => vec![item("yes", old, &json!({})), item("no", &now, &json!({}))],
        "large-secrets" | "large-configmaps" => {
            vec![item("yes", old, &json!({"data": {"x": "y".repeat(99)}}))]
        }
        _ => Vec::new(),
    };
    let mut checked = 0;
    for (class, command) in commands().into_iter().filter(|(_, command)| command.contains("| jq ")) {
        let filter = command.split(" | jq ").nth(1).expect("a filter");
        let filter = filter.split(" | kubectl delete").next().expect("a filter");
        let mut jq = Command::new("sh")
            .args(["-c", &format!("jq {filter}")])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("started");
        let items = of_class(&class);
        let wanted = items.iter().filter(|item| item["metadata"]["name"] == "yes").count();
        let list = json!({"items": items}).to_string();
        jq.stdin.take().expect("piped").write_all(list.as_bytes()).expect("written");
        let output = jq.wait_with_output().expect("ended");
        assert!(output.status.success(), "{class}: {filter}");
        let out = String::from_utf8(output.stdout).expect("text");
        if class.starts_with("large") {
            let singular = class.trim_start_matches("large-").trim_end_matches('s');
            assert_eq!(out, format!("kubectl delete {singular} --namespace a yes\n"));
        } else {
            let out: Value = serde_json::from_str(&out).expect("JSON");
            let names = out["items"].as_array().expect("items").iter();
            let names: Vec<_> = names.map(|item| item["metadata"]["name"].as_str()).collect();
            assert_eq!(names, vec![Some("yes"); wanted], "{class}");
            assert!(wanted > 0 && out["kind"] == "List", "{class}");
        }
        checked += 1;
    }
    assert_eq!(checked, 7);
}
