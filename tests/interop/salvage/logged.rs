//! A member's db is damaged, or gone: it comes back from the log beside it, and etcd starts with all it had.

use std::fs;
use std::path::Path;

use tempfile::TempDir;

use super::leases_of;
use super::road::shell;
use crate::support::peers::{Peer, medic_json, with_each_etcd};
use crate::support::workshop::{Base, PATTERNS};

with_each_etcd!(the_log_gives_what_the_db_lost);

const NAMES: [&str; 5] = ["leaf-zeroed", "metas-zeroed", "meta-0-zeroed", "key-root-zeroed", "half-cut"];

fn the_log_gives_what_the_db_lost(peer: &Peer) {
    let mut member = peer.start(&[]);
    member.write_some_of_everything();
    let lease = member.grant(7200);
    member.ctl(["put", "/logged/leased", "throw-away text", &format!("--lease={lease}")]);
    let (hash, keys, leases) = (member.hash_kv(0), member.keys(&[]), leases_of(&member));
    member.stop();
    let db = fs::read(member.db()).expect("the db");
    let base = Base::new("logged", db.clone());
    let mut completed = 0;
    let patterns = PATTERNS.iter().filter(|pattern| NAMES.contains(&pattern.name));
    let damaged = patterns.filter_map(|pattern| Some((pattern.name, Some(base.damaged(pattern)?.bytes))));
    for (name, bytes) in damaged.chain([("zeros", Some(vec![0; db.len()])), ("gone", None)]) {
        let folder = TempDir::new().expect("a folder");
        copy_folder(member.data_dir(), &folder.path().join("data"));
        let db = folder.path().join("data/member/snap/db");
        match bytes {
            Some(bytes) => fs::write(&db, bytes).expect("written"),
            None => fs::remove_file(&db).expect("removed"),
        }
        let [source, saved] = ["data", "saved.db"].map(|name| folder.path().join(name));
        let [source, saved] = [&source, &saved].map(|path| path.to_str().expect("UTF-8"));
        let report = medic_json(0, ["salvage", source, "-o", saved]);
        // a file of little may lack nothing after some of these
        assert!(report["log"].is_null() || report["log"]["completes"] == true, "{name}: {report:#}");
        completed += u32::from(!report["log"].is_null());
        let command = report["restore"]["command"].as_str().expect("a command");
        shell("/usr/bin:/bin".as_ref(), folder.path(), command);
        let started = peer.start_on(folder, &[], None);
        assert_eq!((started.hash_kv(0), started.keys(&[])), (hash, keys.clone()), "{name}: {report:#}");
        assert_eq!(leases_of(&started), leases, "{name}");
        started.ctl(["put", "/after/the/salvage", "throw-away text"]);
    }
    assert!(completed >= 4, "{completed}");
}

fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir(to).expect("made");
    for entry in fs::read_dir(from).expect("a folder") {
        let path = entry.expect("an entry").path();
        let to = to.join(path.file_name().expect("a name"));
        if path.is_dir() {
            copy_folder(&path, &to);
        } else {
            fs::copy(&path, &to).expect("copied");
        }
    }
}
