//! All commands, one after the other, on one file.
#![no_main]

use etcd_medic_fuzz::{everything, file_target};

file_target!(|file| everything::everything(&file));
