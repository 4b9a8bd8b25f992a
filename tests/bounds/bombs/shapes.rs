//! Every shape: its name, and what makes a file of about so many bytes of it.

use super::{buckets, records, small, values};

/// A shape.
pub struct Shape {
    pub name: &'static str,
    /// About how many bytes one of its items takes.
    item: usize,
    make: fn(usize) -> Vec<u8>,
}

impl Shape {
    /// A file of about this size.
    pub fn file(&self, size: usize) -> Vec<u8> {
        (self.make)((size / self.item).max(2))
    }
}

macro_rules! shapes {
    ($($module:ident: $($name:ident $item:literal)+;)+) => {
        /// All of them.
        pub const SHAPES: &[Shape] = &[$($(Shape { name: stringify!($name), item: $item, make: $module::$name },)+)+];
    };
}

shapes! {
    records:
        distinct_keys 50 namespaces 65 resources 60 custom_resources 65 leading_paths 55 custom_resources_in_namespaces 75
        versions_of_one_key 45 revisions_far_apart 60 keys_of_their_own_lease 60 tombstones 45 encryption_keys 95
        one_long_key 1 one_long_key_of_words 1 one_long_key_of_escapes 1 one_long_namespace 1 one_long_resource 1
        long_keys 30_000 long_namespaces 30_000 long_resources 30_000 records_without_a_revision 24 two_of_a_revision 45
        long_providers 30_000 events 110;
    small:
        members 60 member_urls 3 member_name 1 members_of_long_names 30_000 no_members 30 leases 30 alarms 25 users 45
        cluster_version 1 storage_version 1 voters 2 conf_state_of_objects 7 removed_members 40;
    buckets:
        inline_buckets 60 buckets_of_a_page 1_100 nested 1_100 nested_of_long_names 65_000 inline_in_inline 200 long_name 1
        long_name_of_escapes 1 faults_in_a_long_name 1 faults_below_long_names 1 elements_out_of_bounds 16 tiny_entries 20
        values_in_root 24 keys_in_disorder 24 children_that_are_not_there 20 children_of_long_keys 30_000
        empty_elements 16 pages_of_a_long_name 1_100;
    values:
        json_objects 8 json_objects_and_an_escape 8 json_arrays 3 json_numbers 2 json_deep 2 json_wide 12 json_text_of_escapes 2
        json_lines 2 json_nests 500 json_nests_of_lines 460 json_deep_lines 3 json_empty_lists 3 json_one_key_objects 12
        cbor_objects 3 cbor_arrays 1 cbor_arrays_that_lie 9 cbor_bytes_that_lie 1_000_000 cbor_tags 1 cbor_text_for_base64 1
        cbor_deep_maps 2 cbor_numbers 1
        volume_claim_templates 2 owner_references 2 volumes 2 pod_containers 2 managed_fields 30 long_annotation 1
        config_map_keys 12 secret_keys 12 many_objects 140 job_conditions 2;
}
