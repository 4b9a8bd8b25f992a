//! Keys that exist and those that do not, their history and their objects.
#![no_main]

use etcd_medic::internals::bolt::Db;
use etcd_medic_fuzz::{everything, file_target};

file_target!(|file| Db::new(file.clone()).map(|db| everything::travel(&db)));
