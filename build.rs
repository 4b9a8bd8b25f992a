//! Packs the tables that the program has in it, and says in `ETCD_MEDIC_BUILD` what this build is of: the commit, where it is known, and the target. `etcd-medic --version` shows it.
//!
//! The commit comes from the environment (`packaging/build` sets it), or from what cargo writes into a package. git is not asked:
//! a package has none, and each commit would build everything anew.

use std::fs::File;
use std::path::Path;
use std::{env, fs, io};

use flate2::Compression;
use flate2::write::DeflateEncoder;

/// What cargo writes into the packages that it makes.
const PACKAGED: &str = ".cargo_vcs_info.json";

/// What the program's JSON looks like, a file a command.
const SCHEMAS: &str = "docs/schema";

/// The fields of Kubernetes' objects.
const KUBERNETES: &str = "src/k8s/render/schema.txt";

fn main() -> io::Result<()> {
    pack_schemas()?;
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=ETCD_MEDIC_COMMIT");
    let target = env::var("TARGET").unwrap_or_else(|_| "unknown target".to_owned());
    let build = match env::var("ETCD_MEDIC_COMMIT").ok().or_else(packaged_commit) {
        Some(commit) => format!("commit {commit}, {target}"),
        None => target,
    };
    println!("cargo::rustc-env=ETCD_MEDIC_BUILD={build}");
    Ok(())
}

/// Writes each of them into the build's folder, a sixth of its size.
fn pack_schemas() -> io::Result<()> {
    println!("cargo::rerun-if-changed={SCHEMAS}");
    println!("cargo::rerun-if-changed={KUBERNETES}");
    for entry in fs::read_dir(SCHEMAS)? {
        pack(&entry?.path())?;
    }
    pack(Path::new(KUBERNETES))
}

fn pack(file: &Path) -> io::Result<()> {
    let folder = env::var_os("OUT_DIR").ok_or_else(|| io::Error::other("cargo sets OUT_DIR"))?;
    let mut target = Path::new(&folder).join(file.file_name().unwrap_or_default()).into_os_string();
    target.push(".deflate");
    let mut packed = DeflateEncoder::new(File::create(target)?, Compression::best());
    io::copy(&mut File::open(file)?, &mut packed)?;
    packed.finish()?;
    Ok(())
}

/// The first twelve digits of the commit that a package was made of.
fn packaged_commit() -> Option<String> {
    let info = fs::read_to_string(PACKAGED).ok()?;
    let commit = info.split("\"sha1\":").nth(1)?.split('"').nth(1)?;
    commit.get(..12).map(str::to_owned)
}
