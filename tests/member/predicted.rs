//! What each etcd does when it starts, as predicted and as it happened.

use std::collections::BTreeMap;
use std::io::{Write, stderr};

use etcd_medic::LogFiles;
use etcd_medic::internals::doctor::document::MemberReport;
use etcd_medic::internals::doctor::report::DoctorReport;
use etcd_medic::internals::doctor::start::StartReport;
use etcd_medic::internals::doctor::{MemberCase, MemberFiles, Prediction, Starts};
use etcd_medic::internals::etcd::apply::Version;
use serde_json::Value;

use crate::replayed::corpora;

/// What did not happen as predicted.
fn differences(predicted: &Prediction, happened: &Value) -> Vec<String> {
    let mut differences = Vec::new();
    let mut differ = |what: &str, predicted: String, happened: String| {
        if predicted != happened {
            differences.push(format!("{what}: predicted {predicted}, happened {happened}"));
        }
    };
    let starts = match happened["process"].as_str() {
        None => Starts::Yes,
        Some("exited") => Starts::No,
        Some(_) => Starts::Silent,
    };
    differ("starts", format!("{:?}", predicted.starts), format!("{starts:?}"));
    if let Some(revision) = predicted.revision {
        differ("revision", revision.to_string(), happened["revision"].to_string());
    }
    if let (Some(writes), Some(took)) = (predicted.takes_writes, happened["put_within_3s"].as_bool()) {
        differ("takes writes", writes.to_string(), took.to_string());
    }
    if starts != Starts::Yes
        && let Some(message) = &predicted.message
    {
        let lines = match &happened["message"] {
            Value::Array(lines) => lines.as_slice(),
            line => std::slice::from_ref(line),
        };
        let said: Vec<_> = lines.iter().filter_map(Value::as_str).collect();
        let said = said.join(" / ").replace('\u{a0}', " ");
        let mut rest = said.as_str();
        let all = message.split('…').all(|part| match rest.find(part) {
            Some(at) => {
                rest = &rest[at + part.len()..];
                true
            }
            None => false,
        });
        if !all {
            differ("message", message.clone(), said.clone());
        }
    }
    differences
}

#[test]
fn each_start_of_each_etcd() {
    let mut tally: BTreeMap<String, u64> = BTreeMap::new();
    let mut wrong = Vec::new();
    for (case, folder, truth) in corpora("") {
        for (member, starts) in truth["observed"].as_object().into_iter().flatten() {
            if truth["members"].get(member).is_none() {
                continue;
            }
            let files = MemberFiles::open(&folder.path().join(member));
            let log = files.log.as_ref().map(LogFiles::read);
            let directory = MemberCase::new(&files, log.as_ref());
            for (version, happened) in starts.as_object().into_iter().flatten() {
                let version: Version = version.parse().expect("a version");
                let predicted = directory.predict(version);
                let differences = differences(&predicted, happened);
                *tally.entry(format!("{:?}", predicted.starts)).or_default() += 1;
                if !differences.is_empty() {
                    wrong.push(format!("{case} {member} on {version}: {differences:?} {:?}", predicted.why));
                }
            }
        }
    }
    writeln!(stderr(), "{tally:?}").expect("written");
    assert!(wrong.is_empty(), "{} are not as they happened:\n{}", wrong.len(), wrong.join("\n"));
}

/// Each patch is in the range that says what it does, or does as the newest one.
#[test]
fn patches_that_do_otherwise() {
    let mut ranges = 0;
    for (case, folder, truth) in corpora("") {
        for member in truth["members"].as_object().into_iter().flatten().map(|(member, _)| member) {
            let files = MemberFiles::open(&folder.path().join(member));
            let log = files.log.as_ref().map(LogFiles::read);
            let directory = MemberCase::new(&files, log.as_ref());
            for newest in MemberReport::of(&directory, &[]).starts {
                let version = |text: &str| text.parse::<Version>().expect("a version");
                let of = |version: Version| MemberReport::of(&directory, &[version]).starts.remove(0);
                let outcome = |start: &StartReport| (start.starts, start.revision, start.accepts_writes);
                let mut next = 0;
                for other in &newest.other_patches {
                    ranges += 1;
                    let (first, last) = (version(&other.first), version(&other.last));
                    assert!(next <= first.patch && first <= last, "{case}: {other:?}");
                    for inner in [first, last] {
                        let said = (other.starts, other.revision, other.accepts_writes);
                        assert_eq!(outcome(&of(inner)), said, "{case} {member} {inner}: {other:?}");
                    }
                    for outer in (next..first.patch).map(|patch| Version { patch, ..first }) {
                        assert_eq!(outcome(&of(outer)), outcome(&newest), "{case} {member} {outer}");
                    }
                    next = last.patch + 1;
                }
            }
        }
    }
    writeln!(stderr(), "{ranges} ranges of patches").expect("written");
    assert!(ranges > 0 || std::env::var_os("ETCD_MEDIC_MEMBERS").is_none());
}

/// Which of the members has the most, and what does not fit, as their truth says.
#[test]
fn members_together() {
    let together = |case: &str, members: &[&str]| {
        let named = |(name, folder, truth): (String, tempfile::TempDir, Value)| {
            let files: Vec<_> =
                members.iter().map(|member| MemberFiles::open(&folder.path().join(member))).collect();
            let cluster = DoctorReport::of(&files, &[]).cluster.expect("several members");
            let best = cluster.best.clone().map_or(String::new(), |best| best.to_string());
            let best = best.rsplit('/').nth(1).unwrap_or_default().to_owned();
            (name, best, cluster, truth)
        };
        corpora(case).into_iter().map(named).collect::<Vec<_>>()
    };
    for (name, best, cluster, truth) in together("three-one-ahead", &["m1", "m2", "m3"]) {
        assert_eq!(Some(best.as_str()), truth["best"].as_str(), "{name}: {cluster:?}");
        assert!(cluster.same_history && cluster.differences.is_empty(), "{name}: {cluster:?}");
        assert!(
            cluster.has_majority && cluster.commands.is_empty() && cluster.voters == 3,
            "{name}: {cluster:?}"
        );
    }
    for (name, _, cluster, _) in together("three-one-ahead", &["m1"]) {
        assert!(!cluster.has_majority && cluster.commands.len() == 5, "{name}: {cluster:?}");
    }
    for (name, _, cluster, truth) in together("diverged-value", &["m1", "m2", "m3"]) {
        let odd = format!("/{}/", truth["diverged"]["member"].as_str().expect("a member"));
        let named = |difference: &String| difference.contains(&odd) && difference.contains("different data");
        assert!(cluster.same_history && cluster.differences.len() == 2, "{name}: {cluster:?}");
        assert!(cluster.differences.iter().all(named), "{name}: {cluster:?}");
    }
    for (name, _, cluster, _) in together("wrong-cluster", &["m1", "m2", "m3"]) {
        assert!(!cluster.same_history && !cluster.differences.is_empty(), "{name}: {cluster:?}");
    }
    for (name, _, cluster, _) in together("mixed-up-members", &["m1", "m2", "m3"]) {
        assert!(!cluster.same_history && !cluster.differences.is_empty(), "{name}: {cluster:?}");
    }
}
