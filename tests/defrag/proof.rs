//! The proof would notice: a copy in which anything differs is refused.

use etcd_medic::bolt::write::{self, Packing, Settings};
use etcd_medic::rewrite::{Changes, Content};
use etcd_medic::rewrite::defrag::prove;
use etcd_medic::rewrite::verify::Mismatch;

use super::*;

const SILENT: Progress<'static> = Progress { begin: &|_, _| {}, advance: &|_| {} };

/// A packed copy, as bytes.
fn copy_of(source: &Db, freelist: bool) -> Vec<u8> {
    let content = Content::read(source, &Changes::default(), &|_| {}).expect("sound");
    let packing = Packing::Optimal { max_node_pages: 4, steady: false };
    let plan = write::plan(&content, Settings { page_size: 1024, packing, freelist }).expect("a plan");
    let file = tempfile::NamedTempFile::new().expect("a file");
    write::write(&plan, &content, file.as_file(), &|_| {}).expect("written");
    fs::read(file.path()).expect("read")
}

/// Each byte of a copy changed: what is not noticed must be slack, so that all content is still equal.
#[test]
fn notices_every_byte_that_matters() {
    for (source, freelist) in
        [(etcd_file::small().bytes(), false), (fixture("etcd-3.5/etcd-3.5.1-lease.db"), true)]
    {
        let source = memory::open(source);
        let copy = copy_of(&source, freelist);
        prove(&source, &memory::open(copy.clone()), &Changes::default(), SILENT).expect("equal");
        let expected = contents(&source);
        let (mut noticed, mut slack) = (0, 0);
        for at in 0..copy.len() {
            let mut changed = copy.clone();
            changed[at] ^= 0x41;
            match Db::new(changed) {
                Ok(db) if prove(&source, &db, &Changes::default(), SILENT).is_ok() => {
                    assert_equal_contents(&contents(&db), &expected, &format!("byte {at}"));
                    slack += 1;
                }
                _ => noticed += 1,
            }
        }
        assert!(noticed > 1500 && slack > 500, "{noticed} noticed, {slack} slack");
    }
}

/// Copies that are sound, but of something else.
#[test]
fn notices_sound_copies_of_something_else() {
    let bytes = fixture("k8s-frag/frag.db");
    let source = memory::open(bytes.clone());
    let refused = |other: Vec<u8>| {
        prove(&source, &memory::open(other), &Changes::default(), SILENT).expect_err("another file")
    };
    let other = memory::open(etcd_file::small().bytes());
    assert!(matches!(
        refused(copy_of(&other, false)),
        Mismatch::Bucket(_) | Mismatch::Entry { .. } | Mismatch::Length { .. }
    ));
    // equal in content, but with the free pages of its source
    assert!(matches!(refused(bytes), Mismatch::Pages { .. }));
    // one page more than its metas say
    let mut longer = copy_of(&source, false);
    longer.extend([0; 1024]);
    assert!(matches!(refused(longer), Mismatch::Pages { .. }));
    // the same the other way round: the copy has records that the source has not
    let copy = memory::open(copy_of(&source, false));
    assert!(prove(&other, &copy, &Changes::default(), SILENT).is_err());
}
