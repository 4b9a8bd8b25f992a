//! Plans are of what is there, and as `defrag` would refuse them.

use super::*;

#[test]
fn touch_nothing() {
    let frag = testdata("k8s-frag/frag.db");
    let before = Seen::of(&frag);
    let plan: documents::Plan = document("plan", text(&frag), &[]);
    assert_eq!(Seen::of(&frag), before);
    assert_eq!((plan.path.as_str(), plan.now_bytes), (text(&frag), 4_128_768));
    let default: Vec<_> = plan.node_pages.iter().filter(|row| row.default).collect();
    assert!(matches!(default.as_slice(), [row] if row.max_node_pages == 4), "{default:?}");
    assert_eq!(plan.choices[0].file_bytes, default[0].file_bytes);
    let tools: Vec<_> = plan.estimates.iter().map(|row| row.tool.as_str()).collect();
    assert_eq!(tools, ["etcdutl defrag", "bbolt compact"]);
    assert!(plan.estimates.iter().all(|row| row.file_bytes >= plan.choices[0].file_bytes), "{plan:?}");
    assert!(plan.entry_bytes < plan.choices[0].file_bytes, "{plan:?}");
    let ran = run(["plan", text(&frag), "--output", "json"]);
    let again: documents::Plan = parse("plan", &ran.out);
    assert_eq!(format!("{again:?}"), format!("{plan:?}"));
}

/// bbolt says what `bbolt compact` made of these files: the estimate is near it.
#[test]
fn estimate_what_bbolt_compact_makes() {
    for (folder, name) in [("k8s-3.5", "k8s.db"), ("k8s-3.6", "k8s.db"), ("k8s-frag", "frag.db")] {
        let corpus = Corpus::read(&testdata(folder)).expect("a corpus");
        let file = corpus.file(name);
        let plan: documents::Plan = document("plan", text(file.path()), &[]);
        let truth: serde_json::Value =
            serde_json::from_str(&support::fixture_text(&format!("{folder}/truth.json"))).expect("JSON");
        let made = truth["files"][name]["bbolt_compact_high_water_bytes"].as_u64().expect("a number");
        let estimate = plan.estimates[1].file_bytes;
        assert!(estimate.abs_diff(made) * 20 <= made, "{folder}: {estimate}, bbolt's: {made}");
    }
}

#[test]
fn the_state_of_a_copy_is_that_of_its_source() {
    let folder = folder_of(&[("source.db", &etcd_file::small().bytes())]);
    let (source, target) = (folder.path().join("source.db"), folder.path().join("copy.db"));
    defrag_to(&source, &target, &[]);
    let (source, target) = (open(&source), open(&target));
    let (left, right) = (State::read(&source), State::read(&target));
    assert_eq!(format!("{:?}", left.alarms), format!("{:?}", right.alarms));
    assert!(right.key_bucket.is_some());
}
