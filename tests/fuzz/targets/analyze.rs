//! What rests on a scan: status, check, analysis, plan, hashes and cleanup; they must agree.
#![no_main]

use etcd_medic::internals::bolt::Db;
use etcd_medic_fuzz::{everything, file_target};

file_target!(|file| Db::new(file.clone()).map(|db| everything::by_scan(&file, &db, everything::USUAL)));
