//! Says in `ETCD_MEDIC_BUILD` what this build is of: the commit, where it is known, and the target. `etcd-medic --version` shows it.
//!
//! The commit comes from the environment (`packaging/build` sets it), or from what cargo writes into a package. git is not asked:
//! a package has none, and each commit would build everything anew.

use std::{env, fs};

/// What cargo writes into the packages that it makes.
const PACKAGED: &str = ".cargo_vcs_info.json";

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=ETCD_MEDIC_COMMIT");
    let target = env::var("TARGET").unwrap_or_else(|_| "unknown target".to_owned());
    let build = match env::var("ETCD_MEDIC_COMMIT").ok().or_else(packaged_commit) {
        Some(commit) => format!("commit {commit}, {target}"),
        None => target,
    };
    println!("cargo::rustc-env=ETCD_MEDIC_BUILD={build}");
}

/// The first twelve digits of the commit that a package was made of.
fn packaged_commit() -> Option<String> {
    let info = fs::read_to_string(PACKAGED).ok()?;
    let commit = info.split("\"sha1\":").nth(1)?.split('"').nth(1)?;
    commit.get(..12).map(str::to_owned)
}
