//! The documents.

use super::*;

/// Every name in the documents stands in docs/json.md, in the section of its command.
#[test]
fn docs_json_md_names_every_field() {
    let (folder, source) = small();
    let target = path_in(&folder, "copy.db");
    let text_of =
        fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/json.md")).expect("docs/json.md");
    // with something in each array and object
    let options = ["-o", &target, "--snapshot", "--compact-to", "current", "--disarm"];
    let options = [&options[..], &["--drop-prefix", "/app/", "--confirm-keys", "1"]].concat();
    let report: documents::Defrag =
        document("defrag", text(&source), &[&options[..], &["--dry-run"]].concat());
    let left_out = report.left_out.0.expect("left out");
    assert!(report.compaction.0.is_some() && !report.disarmed.is_empty());
    assert!(!left_out.keys.is_empty() && !left_out.prefixes.is_empty());
    let options: [(&str, &[&str]); 2] = [("defrag", &options), ("plan", &[])];
    for (command, options) in options {
        let section = text_of.split("\n## ").find(|section| section.starts_with(&format!("{command}\n")));
        let section = section.unwrap_or_else(|| panic!("no section {command} in docs/json.md"));
        let document: serde_json::Value = document(command, text(&source), options);
        let mut waiting = vec![&document];
        while let Some(value) = waiting.pop() {
            match value {
                serde_json::Value::Object(fields) => {
                    for (name, value) in fields.iter().filter(|(name, _)| *name != "schema") {
                        let general =
                            name == "read_without_lock" && text_of.contains("**`read_without_lock`**");
                        assert!(
                            // by itself, or as a field of something: `dropped[].bytes`
                            general || ["`", "."].iter().any(|by| section.contains(&format!("{by}{name}`"))),
                            "{command}: {name} is not in docs/json.md"
                        );
                        waiting.push(value);
                    }
                }
                serde_json::Value::Array(items) => waiting.extend(items),
                _ => {}
            }
        }
    }
}

#[test]
fn read_without_lock_is_marked() {
    let (folder, source) = small();
    let target = folder.path().join("copy.db");
    let report = defrag_to(&source, &target, &["--no-lock"]);
    assert!(report.read_without_lock, "{report:?}");
    assert!(report.warnings.iter().any(|text| text.contains("without a lock")), "{:?}", report.warnings);
    let plan: documents::Plan = document("plan", text(&source), &["--no-lock"]);
    assert!(plan.read_without_lock);
}

#[test]
fn a_raised_alarm_and_a_damaged_meta_are_warned_of() {
    let mut file = etcd_file::small();
    file.meta_unsealed(0, |meta| meta.txid.set(1));
    let folder = folder_of(&[("source.db", &file.bytes())]);
    let (source, target) = (folder.path().join("source.db"), folder.path().join("copy.db"));
    let report = defrag_to(&source, &target, &[]);
    for words in ["NOSPACE", "meta 0"] {
        assert!(report.warnings.iter().any(|text| text.contains(words)), "{words}: {:?}", report.warnings);
    }
    assert_copy(&source, &target, "one meta");
}
