//! Every bucket's tree, and the plan of a copy of it.
#![no_main]

use etcd_medic::internals::bolt::Db;
use etcd_medic::internals::bolt::write::plan;
use etcd_medic::internals::copy::Layout;
use etcd_medic::internals::rewrite::{Changes, CopyContent};
use etcd_medic_fuzz::file_target;

file_target!(|file| {
    let Ok(db) = Db::new(file.clone()) else { return };
    let Ok(content) = CopyContent::read(&db, &Changes::default(), &|_| {}) else { return };
    let plan =
        plan(&content, Layout::default().settings(&db, true)).expect("what a walk accepts can be written");
    assert!(plan.file_bytes() >= plan.entry_bytes);
});
