//! `salvage` on files damaged in each way that is met in the field, against what could be saved of them.
//!
//! The files of `testdata/` are always read; those of the folder that `ETCD_MEDIC_CORPORA` names (relative to the
//! package), up to 64 MiB each, too.
#![cfg(test)]

#[path = "../support/mod.rs"]
mod support;

mod document;
mod first_start;
mod lacks;
mod others;
mod patterns;
mod roots;
mod small;

use std::fs;

use etcd_medic::internals::bolt::Db;
use etcd_medic::internals::bolt::lock::Lock;
use etcd_medic::internals::bolt::open::map_file;
use etcd_medic::internals::copy::{Layout, Progress};
use etcd_medic::internals::etcd::schema::State;
use etcd_medic::internals::etcd::trailer::Trailer;
use etcd_medic::internals::salvage::document::SalvageReport;
use etcd_medic::internals::salvage::open::Wreck;
use etcd_medic::internals::salvage::request::Trust;
use etcd_medic::internals::salvage::{error::SalvageError, request::SalvageRequest, run};
use etcd_medic::internals::scan::health::Health;
use etcd_medic::internals::scan::{ScanOptions, scan};
use support::anatomy::{Anatomy, Items};
use support::peers::assert_bbolt_accepts;
use support::workshop::{Base, Damage, PATTERNS};
use tempfile::TempDir;

/// Names the folder with the large corpora.
const CORPORA: &str = "ETCD_MEDIC_CORPORA";

const SILENT: Progress<'static> = Progress::SILENT;

/// What a salvage made of a damaged file.
struct Salvaged {
    report: SalvageReport,
    items: Items,
    sound: bool,
}

fn salvage(damage: &Damage, trust: Trust) -> Result<Salvaged, SalvageError> {
    let folder = TempDir::new().expect("a folder");
    let target = folder.path().join("saved.db");
    let wreck = Wreck::new(folder.path().join("damaged.db"), damage.bytes.clone().into()).expect("pages");
    fs::write(&wreck.path, &damage.bytes).expect("a file");
    let layout = Layout::default();
    let mut request = SalvageRequest::to(&target);
    (request.trust, request.layout) = (trust, layout);
    let report = run::salvage(&wreck, None, &request, SILENT)?;
    assert!(report.verified, "{}", damage.name);
    assert_bbolt_accepts(&target, damage.name);
    let copy = Db::of_mapping(map_file(&target, Lock::None).expect("mapped")).expect("a bbolt file");
    first_start::has_the_buckets(damage.name, &copy);
    let state = State::read(&copy);
    let found = scan(&copy, &state, ScanOptions::default());
    let sound = Health::of(&copy, &state, &found, Trailer::None).sound;
    Ok(Salvaged { report, items: Anatomy::of(&copy).items(), sound })
}

/// The file, damaged by the pattern of this name.
fn damaged(base: &Base, name: &str) -> Damage {
    let pattern = PATTERNS.iter().find(|pattern| pattern.name == name).expect("a pattern");
    base.damaged(pattern).unwrap_or_else(|| panic!("{}: {name} can't be done to it", base.name))
}
