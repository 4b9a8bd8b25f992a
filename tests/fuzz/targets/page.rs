//! One page of any kind: whatever its header and its elements say, what is read lies within it.
#![no_main]

use etcd_medic::internals::bolt::PageId;
use etcd_medic::internals::bolt::page::Page;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Some(page) = Page::new(PageId(3), 0, data) else { return };
    let within = |part: &[u8]| part.is_empty() || data.as_ptr_range().contains(&part.as_ptr());
    if let Ok(leaf) = page.leaf() {
        assert_eq!(leaf.entries().count(), leaf.num_entries());
        for (index, entry) in leaf.entries().enumerate() {
            let Ok(entry) = entry else { continue };
            assert!(
                leaf.entry_at(index).is_some_and(|alone| alone.is_ok_and(|alone| alone.start == entry.start))
            );
            assert!(within(entry.key) && within(entry.value) && within(entry.inline_page()));
            assert!(entry.start + entry.key.len() + entry.value.len() <= data.len());
            let _ = entry.bucket_header();
        }
    }
    if let Ok(branch) = page.branch() {
        assert_eq!(branch.children().count(), branch.num_children());
        assert!(branch.children().flatten().all(|child| within(child.key)));
    }
    if let Ok(ids) = page.freelist() {
        assert!(ids.len() * 8 <= data.len());
    }
});
