//! Metas, trailer, the table of pages and each page of it.
#![no_main]

use etcd_medic::internals::bolt::Db;
use etcd_medic::internals::etcd::trailer;
use etcd_medic_fuzz::{everything, file_target};

file_target!(|file| {
    let _ = trailer::verify(&file);
    Db::new(file.clone()).map(|db| {
        everything::pages(&db);
        everything::each_page(&file, &db);
    })
});
