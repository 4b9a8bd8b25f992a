//! All findings of a file, and what they touch.
#![no_main]

use etcd_medic::internals::bolt::Db;
use etcd_medic::internals::check::check;
use etcd_medic::internals::etcd::schema::State;
use etcd_medic::internals::etcd::trailer;
use etcd_medic::internals::input::named::Named;
use etcd_medic::internals::scan::{ScanOptions, scan};
use etcd_medic_fuzz::file_target;

file_target!(|file| {
    let Ok(db) = Db::new(file.clone()) else { return };
    let state = State::read(&db);
    for max_findings in [1, 1000] {
        let scan = scan(&db, &state, ScanOptions { max_findings, ..ScanOptions::default() });
        let checked =
            check(&Named::plain("db"), &db, &state, &scan, trailer::verify(db.data()), max_findings);
        assert_eq!(checked.sound, checked.num_findings == 0);
        assert_eq!(checked.findings.len() as u64, checked.num_findings.min(max_findings as u64));
        assert_eq!(checked.next.is_empty(), checked.sound, "whoever is told of damage is told what to do");
    }
});
