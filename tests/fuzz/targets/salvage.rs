//! What can be saved in each degree of trust; and the copy, which must be sound. It is written where `TMPDIR` says: best a
//! file system in memory.
#![no_main]

use etcd_medic_fuzz::{everything, file_target};

file_target!(|file| {
    everything::salvaged(&file);
    everything::saved_copy(&file);
});
