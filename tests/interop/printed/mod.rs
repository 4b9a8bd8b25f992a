//! Each form of etcd's command lines that is printed anywhere, by a command or a document, is run once with each etcd, against what
//! it is meant for. The list of forms is not kept by hand: it is what the program prints of many files, what stands in its sources, and
//! what stands in the documents.

mod bench;
mod forms;
mod outputs;

use std::fs;
use std::sync::LazyLock;
use std::thread::sleep;
use std::time::Duration;

use crate::support::documents::{self, parse as document};
use crate::support::fixture;
use crate::support::peers::{Member, Peer, free_ports, parse, with_each_newest_etcd};
use crate::support::workshop::{Base, PATTERNS, frag};
use bench::Bench;
use forms::{Forms, forms_in, in_sources, of_documents, without_mentions};

with_each_newest_etcd!(each_form_is_taken);

/// Every form, whatever the version.
static FORMS: LazyLock<Forms> = LazyLock::new(|| {
    let all = [outputs::forms(), in_sources(), of_documents()].into_iter().flatten();
    without_mentions(all.collect())
});

/// Whether this etcd has what a form needs; where not, the form is printed for others.
fn has(peer: &Peer, form: &str) -> bool {
    let of_etcdutl = !form.starts_with("etcdutl ") || peer.minor() >= 5;
    // etcdctl restores until 3.4, as it is printed: etcdutl came with 3.5
    let of_restore = !form.starts_with("etcdctl snapshot restore") || peer.minor() == 4;
    let of_bump = !form.contains(" --bump-revision") || (peer.minor(), peer.patch()) >= (5, 10);
    let of_hashkv = !form.starts_with("etcdutl hashkv") || peer.minor() >= 6;
    of_etcdutl && of_restore && of_bump && of_hashkv
}

#[test]
fn the_list_is_not_empty() {
    for form in [
        "etcdctl compact --command-timeout --physical",
        "etcdctl del -- --prefix",
        "etcdctl put -- --ignore-value --lease",
        "etcdutl snapshot restore --bump-revision --data-dir --mark-compacted --skip-hash-check",
        "etcdctl endpoint hashkv --cluster",
    ] {
        let is_there = FORMS.iter().any(|known| known.starts_with(form) || form.starts_with(known.as_str()));
        assert!(is_there, "{form}: {:#?}", *FORMS);
    }
    assert!(FORMS.len() > 35, "{:#?}", *FORMS);
}

/// Names as no shell takes them for one word.
const PREFIX: &str = "/it's $(touch PWNED)/";

fn each_form_is_taken(peer: &Peer) {
    let bench = Bench::new(peer);
    let mut member = peer.start(&["--quota-backend-bytes=2097152"]);
    bench.of(&member);
    fill(&member);
    while_it_runs(&bench, &member);
    for line in of_a_full_member(&bench, &mut member) {
        bench.paste(&line);
    }
    member.ctl(["put", "/after/the/cure", "throw-away text"]);
    member.stop();
    as_documents_say(peer, &bench);
    on_files(peer, &bench, &member);
    after_a_salvage(peer, &bench);
    let forms = FORMS.iter().filter(|form| has(peer, form));
    let taken = bench.taken();
    let missing: Vec<_> = forms.filter(|form| !is_taken(&taken, form)).collect();
    assert!(missing.is_empty(), "printed, and never run: {missing:#?}\nrun: {taken:#?}");
    assert!(!bench.folder().join("PWNED").exists());
}

/// A mention of a subcommand is taken with any options.
fn is_taken(taken: &Forms, form: &str) -> bool {
    let is_mention = !form.contains(" -");
    taken.contains(form) || (is_mention && taken.iter().any(|one| one.starts_with(&format!("{form} -"))))
}

/// Leases with and without keys, keys of every sort, and enough records for leaves of their own.
fn fill(member: &Member) {
    let lease = member.grant(36_000);
    member.grant(36_000);
    member.ctl(["put", "/leased/one", "throw-away text", &format!("--lease={lease}")]);
    for key in ["one", "two"] {
        member.ctl(["put", &format!("{PREFIX}{key}"), "throw-away text"]);
    }
    let put = |key| format!(r#"put "/filler/{key}" "{}""#, "throw-away text ".repeat(20));
    member.txn(&(0..50).map(put).collect::<Vec<_>>());
}

/// A file that is held: a snapshot is taken of it. Of that, `cleanup` names the lease without a key.
fn while_it_runs(bench: &Bench, member: &Member) {
    let data_dir = member.data_dir().display().to_string();
    bench.paste_each(&["analyze", &data_dir]);
    assert_eq!(bench.medic(&["check", "snapshot.db"]).code, 0);
    bench.paste_each(&["cleanup", "snapshot.db"]);
    assert!(member.ctl(["lease", "list"]).starts_with("found 1 leases"), "the one with a key stays");
}

/// Full, and ended by a power cut: all commands that are printed of its data dir, in an order that makes sense, once it runs again.
fn of_a_full_member(bench: &Bench, member: &mut Member) -> Vec<String> {
    let value = "throw-away text ".repeat(6000);
    let is_full = (0..60).any(|_| !member.try_ctl(["put", "/large", &value]).status.success());
    assert!(is_full, "the quota is reached");
    // the alarm is in the file some 100 ms later; what is refused behind it is in the log only
    sleep(Duration::from_millis(500));
    for _ in 0..3 {
        assert!(!member.try_ctl(["put", "/refused", &value]).status.success());
    }
    member.kill();
    let data_dir = member.data_dir().display().to_string();
    let cure = ["--compact-to", "current", "--disarm"];
    // a log that is not where it is looked for: the change is refused, and said how etcd makes it
    let elsewhere = bench.folder().join("elsewhere");
    fs::create_dir(&elsewhere).expect("made");
    let elsewhere = elsewhere.display().to_string();
    let in_place =
        ["defrag", "--in-place", "--drop-prefix", PREFIX, "--confirm-keys", "2", "--wal-dir", &elsewhere];
    let all = [
        bench.lines(&[&in_place[..], &[&data_dir]].concat()),
        bench.lines(&["analyze", &data_dir]),
        bench.lines(&[&["defrag", &data_dir, "-o", "cure.db"][..], &cure].concat()),
    ];
    member.restart();
    bench.of(member);
    let (mut seen, mut lines) = (Forms::new(), Vec::new());
    for line in all.into_iter().flatten().filter(|line| !line.contains("snapshot")) {
        let forms = forms_in(&line);
        // a compaction can't be done twice
        if !forms.is_empty() && !forms.is_subset(&seen) {
            seen.extend(forms);
            lines.push(line);
        }
    }
    for form in
        ["etcdctl del -- --prefix", "etcdctl compact --command-timeout --physical", "etcdctl alarm list"]
    {
        assert!(seen.contains(form), "{form}: {lines:#?}");
    }
    lines
}

/// What the documents, the help and sentences have beside that, for a running etcd.
fn as_documents_say(peer: &Peer, bench: &Bench) {
    // without it, a member may be removed 5 seconds after it came only
    let member = peer.start(&["--strict-reconfig-check=false"]);
    bench.of(&member);
    fill(&member);
    for line in [
        "etcdctl endpoint health",
        "etcdctl endpoint status -w json | jq '.[0].Status.header.revision'",
        "etcdctl endpoint status -w table",
        "etcdctl endpoint hashkv --cluster",
        "etcdctl endpoint hashkv --rev \"$(etcdctl endpoint status -w json | jq '.[0].Status.header.revision')\"",
        "etcdctl get / --prefix --keys-only > /dev/null; etcdctl get /filler --prefix > /dev/null",
        "etcdctl put /registry/settle x",
        "printf '\\nput /in/a/txn x\\n\\n\\n' | etcdctl txn > txn.log",
        "etcdctl compaction --physical \"$(etcdctl endpoint status -w json | jq '.[0].Status.header.revision')\"",
        "etcdctl user list && etcdctl role list && etcdctl member list",
        "rm -f FILE; etcdctl snapshot save FILE",
    ] {
        bench.paste(line);
    }
    let members = parse(member.ctl(["member", "list", "-w", "json"]).as_bytes());
    let first = members["members"][0]["peerURLs"][0].as_str().expect("a URL").to_owned();
    let second = format!("http://127.0.0.1:{}", free_ports()[0]);
    bench.paste(&format!("etcdctl member add m2 --peer-urls={second}"));
    let flags = [
        "--name=m2".to_owned(),
        format!("--listen-peer-urls={second}"),
        format!("--initial-advertise-peer-urls={second}"),
        format!("--initial-cluster=interop={first},m2={second}"),
        "--initial-cluster-state=existing".to_owned(),
    ];
    let folder = bench.folder().join("m2");
    fs::create_dir(&folder).expect("made");
    let (mut process, endpoint) = peer.spawn(&folder, &folder.join("data"), &flags.to_vec());
    let joins = peer.is_ready(&mut process, &endpoint, None);
    let log = || fs::read_to_string(folder.join("etcd.log")).unwrap_or_default();
    assert!(joins, "the second member joins: {}", log());
    bench.paste("etcdctl member remove \"$(etcdctl member list | grep m2 | cut -d , -f 1)\"");
    process.stop();
}

/// Restores, and what else the documents do with files.
fn on_files(peer: &Peer, bench: &Bench, member: &Member) {
    let data_dir = member.data_dir().display().to_string();
    bench.paste_each(&["defrag", &data_dir, "--snapshot", "-o", "packed.db"]);
    assert_eq!(bench.medic(&["check", "NEW_DATA_DIR"]).code, 0, "restored");
    let base = frag();
    let newest_lost = fixture("k8s-3.5/k8s.db");
    let [leaf_zeroed, half] =
        [damaged(&base, "leaf-zeroed"), newest_lost[..newest_lost.len() / 8192 * 4096].to_vec()];
    for bytes in [leaf_zeroed, half] {
        for flags in [&[][..], &["--snapshot"]] {
            fs::write(bench.folder().join("damaged.db"), &bytes).expect("written");
            let args = ["salvage", "damaged.db", "--force", "-o", "saved.db"];
            let is_wanted = |form: &str| form.contains(" snapshot restore") && has(peer, form);
            bench.paste_those(&[&args[..], flags].concat(), is_wanted);
        }
    }
    if peer.minor() < 5 {
        return;
    }
    bench.paste_each(&["synth", "--keys", "500", "--snapshot", "-o", "made.db"]);
    let names = "--name m --initial-cluster m=http://127.0.0.1:2380 --initial-advertise-peer-urls http://127.0.0.1:2380";
    for options in [format!("{names} --skip-hash-check"), format!("{names} --initial-cluster-token anew")] {
        bench.paste(&format!(
            "rm -r NEW_DATA_DIR; etcdutl snapshot restore packed.db --data-dir NEW_DATA_DIR {options}"
        ));
    }
    bench.paste("cp packed.db hashed.db; etcdutl snapshot status hashed.db");
    bench.paste("mkdir -p dir/member/snap; cp NEW_DATA_DIR/member/snap/db dir/member/snap/db; etcdutl defrag --data-dir dir");
    if peer.minor() >= 6 {
        // 3.6.16 ends in a panic where a key has a lease (its `etcdutl/hashkv_command.go` has no lessor)
        fs::write(bench.folder().join("hashed.db"), fixture("etcd-3.5/etcd-3.5.1-kv.db")).expect("written");
        bench.paste("etcdutl hashkv hashed.db");
    }
}

fn damaged(base: &Base, name: &str) -> Vec<u8> {
    let pattern = PATTERNS.iter().find(|pattern| pattern.name == name).expect("a pattern");
    base.damaged(pattern).unwrap_or_else(|| panic!("{}: {name}", base.name)).bytes
}

/// Everything but the records is lost: what sets it up again, with etcd running from what was saved.
fn after_a_salvage(peer: &Peer, bench: &Bench) {
    let base = Base::new("all but records", fs::read(bench.folder().join("packed.db")).expect("read"));
    fs::write(bench.folder().join("damaged.db"), damaged(&base, "root-leaf-zeroed")).expect("written");
    let args = ["salvage", "damaged.db", "--snapshot", "--force", "-o", "saved.db", "--output", "json"];
    let report: documents::Salvage = document("salvage", &bench.medic(&args).out);
    let member = peer.start_on(peer.restore(&bench.folder().join("saved.db"), &[]), &[], None);
    bench.of(&member);
    let (auth, others): (Vec<_>, Vec<_>) = report.lacks.iter().partition(|lack| lack.what == "auth");
    assert!(others.len() >= 2 && auth.len() == 1, "{:?}", report.lacks);
    for command in others.iter().chain(&auth).flat_map(|lack| &lack.commands) {
        bench.paste(&with_names(command));
    }
}

/// What stands in capitals is the reader's.
fn with_names(command: &str) -> String {
    let names = [("NEW_PASSWORD", "throw-away"), ("USER_PASSWORD", "throw-away"), ("USER", "somebody")];
    let names = names.into_iter().chain([("ROLE", "readers"), ("PREFIX", "/filler/")]);
    names.fold(command.to_owned(), |command, (name, value)| command.replace(name, value))
}
