//! What the integration tests share.
//!
//! | file | what is in it |
//! |---|---|
//! | `mod.rs` | the test files of `testdata/` |
//! | [`anatomy`] | a sound file taken apart: each node with its page and its entries |
//! | [`builder`] | bbolt files made byte by byte, so that any of their numbers can lie |
//! | [`lies`] | a sound file, and every lie that can be told in it |
//! | [`found`] | what a walk or a scan found, as plain values to compare |
//! | [`corpus`] | real files of a Kubernetes' etcd, and what etcd's tools said of them |
//! | [`etcd_file`] | a small etcd file made by hand, with something in each bucket |
//! | [`peers`] | real etcd, started and asked |
//! | [`documents`] | what tests read of the JSON documents of the commands |
//! | [`program`] | the program, run as its users run it |
//! | [`content`] | what a file holds, read in the plainest way |
//! | [`log_changes`] | changes to a log of a sort that random bytes seldom hit |
//! | [`member_log`] | a member's log made byte by byte |
//! | [`members`] | directories of real members |
//! | [`message_changes`] | changes to a message of which one field is another |
//! | [`small_members`] | small members with logs of every request |
//! | [`gateway`] | a real etcd's requests as JSON, without `etcdctl` |
//! | [`memory`] | a file's content in memory, for the writer |
//! | [`mvcc`] | what etcd keeps and hashes, by its own index |
//! | [`packing`] | files packed in each way that the field has |
//! | [`mutate`] | changes to a file of a sort that random bytes seldom hit |
//! | [`schemas`] | the JSON of the program, held against docs/schema |
//! | [`random`] | numbers that look random |
//! | [`requests`] | requests as etcd writes them into its log |
//! | [`workshop`] | a sound file, damaged in each way that is met in the field, and what can be saved of it |
//!
//! Apart from these: `counting.rs` and `everything.rs`, which only `bounds/` and the fuzz targets include, as they bring an
//! allocator of their own.
#![allow(dead_code, unused_imports, unused_macros, reason = "each test program uses a part of it")]

pub mod anatomy;
pub mod builder;
pub mod content;
pub mod corpus;
pub mod documents;
pub mod etcd_file;
pub mod found;
pub mod gateway;
pub mod lies;
pub mod log_changes;
pub mod member_log;
pub mod members;
pub mod memory;
pub mod message_changes;
pub mod mutate;
pub mod mvcc;
pub mod packing;
pub mod peers;
pub mod program;
pub mod random;
pub mod requests;
pub mod schemas;
pub mod small_members;
pub mod workshop;

use std::path::{Path, PathBuf};

/// The path of a file or folder below `testdata/`.
pub fn testdata(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata").join(name)
}

/// The bytes of `testdata/<name>`; of `testdata/<name>.zst`, unpacked, where only that is there.
pub fn fixture(name: &str) -> Vec<u8> {
    let path = testdata(name);
    if path.exists() { read(&path) } else { unpack(&testdata(&format!("{name}.zst"))) }
}

/// The text of `testdata/<name>`.
pub fn fixture_text(name: &str) -> String {
    String::from_utf8(fixture(name)).expect("text")
}

/// Names, in order, of the files directly in `testdata/<folder>` that end in `ending`, without that ending.
pub fn names_in(folder: &str, ending: &str) -> Vec<String> {
    let entries = testdata(folder).read_dir().unwrap_or_else(|error| panic!("{folder}: {error}"));
    let names = entries.map(|entry| entry.expect("entry").file_name().into_string().expect("UTF-8"));
    let mut names: Vec<_> = names.filter_map(|name| Some(name.strip_suffix(ending)?.to_owned())).collect();
    names.sort();
    names
}

fn read(path: &Path) -> Vec<u8> {
    std::fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The largest one, `bolt/freelist-ffff.db`, has a window of 16 MiB and becomes 84 MB.
fn unpack(path: &Path) -> Vec<u8> {
    zstd::decode_all(read(path).as_slice()).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}
