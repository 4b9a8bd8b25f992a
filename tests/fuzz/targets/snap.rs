//! A `.snap` file, as it is and with its checksum made right: its head against what prost makes of the same bytes, in bounded memory.
#![no_main]

use etcd_medic::internals::member::snap;
use etcd_medic_fuzz::counting;
use libfuzzer_sys::fuzz_target;
use prost::Message;

/// Beside a byte for each byte of the file.
const MEMORY: usize = 64 << 10;

/// `snappb/snap.proto`
#[derive(Clone, PartialEq, Message)]
struct File {
    #[prost(uint32, optional, tag = "1")]
    crc: Option<u32>,
    #[prost(bytes = "vec", optional, tag = "2")]
    data: Option<Vec<u8>>,
}

/// Of raft's `raftpb/raft.proto`: `Snapshot`, `SnapshotMetadata`, `ConfState`.
#[derive(Clone, PartialEq, Message)]
struct Snapshot {
    #[prost(bytes = "vec", tag = "1")]
    data: Vec<u8>,
    #[prost(message, optional, tag = "2")]
    metadata: Option<Metadata>,
}

#[derive(Clone, PartialEq, Message)]
struct Metadata {
    #[prost(message, optional, tag = "1")]
    config: Option<Config>,
    #[prost(uint64, tag = "2")]
    index: u64,
    #[prost(uint64, tag = "3")]
    term: u64,
}

#[derive(Clone, PartialEq, Message)]
struct Config {
    #[prost(uint64, repeated, packed = "false", tag = "1")]
    voters: Vec<u64>,
    #[prost(uint64, repeated, packed = "false", tag = "2")]
    learners: Vec<u64>,
    #[prost(uint64, repeated, packed = "false", tag = "3")]
    voters_outgoing: Vec<u64>,
    #[prost(uint64, repeated, packed = "false", tag = "4")]
    learners_next: Vec<u64>,
    #[prost(bool, tag = "5")]
    auto_leave: bool,
}

fuzz_target!(|data: &[u8]| {
    let mut files = vec![data.to_vec()];
    if let Ok(mut right) = File::decode(data) {
        right.crc = right.data.as_deref().map(crc32c::crc32c);
        files.push(right.encode_to_vec());
    }
    for file in &files {
        let (read, steps) = counting::measure(|| counting::step("snap", || snap::parse(file)));
        assert!(steps.iter().all(|step| step.peak < file.len() + MEMORY), "{steps:?}");
        // what is refused here is more than what is no message
        let Ok(read) = read else { continue };
        let theirs = File::decode(file.as_slice()).expect("a file");
        let data = theirs.data.expect("data");
        assert_eq!(theirs.crc, Some(crc32c::crc32c(&data)));
        let metadata = Snapshot::decode(data.as_slice()).expect("a snapshot").metadata.expect("metadata");
        assert_eq!((read.index, read.term), (metadata.index, metadata.term));
        assert_eq!(read.config.is_some(), metadata.config.is_some());
        if let (Some(ours), Some(theirs)) = (read.config, metadata.config) {
            let all = |lists: [Vec<u64>; 2]| lists.concat().into_iter().collect();
            assert_eq!(*ours.voters(), all([theirs.voters, theirs.voters_outgoing]));
            assert_eq!(*ours.learners(), all([theirs.learners, theirs.learners_next]));
        }
    }
});
