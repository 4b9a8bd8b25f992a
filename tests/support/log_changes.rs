//! Changes to a log of a sort that random bytes seldom hit: a record is missing, or in another's place; a number of one lies.

use etcd_medic::internals::member::message::{EntryData, HardState, RaftEntry};

use super::member_log::{ENTRY, Record, STATE, bytes_field, numbers, records_of, segment_after, segment_of};
use super::message_changes::change_message;
use super::random::Random;

/// Zeros behind the end of a segment.
const BEHIND: usize = 4096;

/// A log of one segment, changed in one way, and in which.
pub fn changed(segment: &[u8], random: &mut Random) -> (&'static str, Vec<u8>) {
    let (mut records, end) = records_of(segment);
    if records.len() < 2 {
        return ("nothing", segment.to_vec());
    }
    let mut bytes = segment[..end].to_vec();
    let what = match random.below(15) {
        0..=9 => {
            let what = change_records(&mut records, random);
            bytes = segment_of(&records);
            what
        }
        10 => {
            let at = random.index(end);
            bytes[at] ^= 1 << random.below(8);
            "a bit"
        }
        11 => {
            let at = random.index(end);
            let len = random.index(700).min(end - at);
            bytes[at..at + len].fill(0);
            "zeros"
        }
        12 => {
            bytes.truncate(random.index(end));
            return ("cut", bytes);
        }
        13 => {
            // mostly the length of a record, which is at a multiple of 8
            let at = random.index(end / 8) * 8;
            let len = u64::from_le_bytes(bytes[at..at + 8].try_into().expect("8 bytes"));
            let other = random.one_of(&[0, len ^ 8, len ^ 1 << 40, len.wrapping_add(16), u64::MAX]);
            bytes[at..at + 8].copy_from_slice(&other.to_le_bytes());
            "a length"
        }
        _ => {
            let len = random.index(300);
            bytes.extend(random.bytes(len));
            "bytes behind the end"
        }
    };
    bytes.resize(bytes.len() + BEHIND, 0);
    (what, bytes)
}

/// A segment, after one that ended with this checksum, of which some records have another field, or are in another place, with the right
/// lengths and checksums; now and then one that is changed in any other way, too.
pub fn changed_within(segment: &[u8], crc: u32, random: &mut Random) -> Vec<u8> {
    let (mut records, _) = records_of(segment);
    if records.is_empty() {
        return segment.to_vec();
    }
    for _ in 0..random.between(1, 3) {
        match random.below(8) {
            0 if records.len() > 1 => {
                change_records(&mut records, random);
            }
            1 => {
                let at = random.index(records.len());
                change_message(&mut records[at].1, random);
            }
            _ => {
                let at = random.index(records.len());
                change_request(&mut records[at], random);
            }
        }
    }
    let (mut bytes, _) = segment_after(crc, &records);
    bytes.resize(bytes.len() + BEHIND, 0);
    if random.percent(10) { changed(&bytes, random).1 } else { bytes }
}

/// Changes records, whose checksums are right afterwards.
fn change_records(records: &mut Vec<Record>, random: &mut Random) -> &'static str {
    let at = random.index(records.len() - 1);
    match random.below(9) {
        0 => {
            records.remove(at);
            "a record is missing"
        }
        1 => {
            records.insert(at, records[at].clone());
            "a record twice"
        }
        2 => {
            records.swap(at, at + 1);
            "two records in each other's place"
        }
        3 => {
            records.truncate(at + 1);
            "the end is missing"
        }
        4 => {
            records[at].0 = random.between(1, 6);
            "a record of another type"
        }
        5 => {
            let (_, data) = &mut records[at];
            if !data.is_empty() {
                let byte = random.index(data.len());
                data[byte] ^= 1 << random.below(8);
            }
            "a bit, with the right checksum"
        }
        6 => change_entry(&mut records[at], random),
        7 => exchange_requests(records, random),
        _ => change_state(records, random),
    }
}

/// A number that lies near a right one, or far off.
fn other(number: u64, random: &mut Random) -> u64 {
    let later = [1, 2, 50].map(|more| number.saturating_add(more));
    random.one_of(&[0, number.saturating_sub(1), later[0], later[1], later[2], u64::MAX])
}

fn change_entry(record: &mut Record, random: &mut Random) -> &'static str {
    if record.0 == ENTRY
        && let Ok(RaftEntry { index, term, content: EntryData::Request(data) }) = RaftEntry::parse(&record.1)
    {
        let mut fields = [0, term, index];
        let at = random.index(3);
        fields[at] = other(fields[at], random);
        let mut message = numbers(&fields);
        bytes_field(&mut message, 4, data);
        record.1 = message;
    }
    "a number of an entry"
}

/// An entry asks for something else.
fn change_request(record: &mut Record, random: &mut Random) {
    if record.0 == ENTRY
        && let Ok(RaftEntry { index, term, content: EntryData::Request(data) }) = RaftEntry::parse(&record.1)
    {
        let mut data = data.to_vec();
        change_message(&mut data, random);
        let mut message = numbers(&[0, term, index]);
        bytes_field(&mut message, 4, &data);
        record.1 = message;
    }
}

/// Two entries ask for what the other one did.
fn exchange_requests(records: &mut [Record], random: &mut Random) -> &'static str {
    let [first, second] = [random.index(records.len()), random.index(records.len())];
    let request = |record: &Record| match RaftEntry::parse(&record.1) {
        Ok(RaftEntry { content: EntryData::Request(data), .. }) if record.0 == ENTRY => Some(data.to_vec()),
        _ => None,
    };
    if let (Some(one), Some(another)) = (request(&records[first]), request(&records[second])) {
        for (at, data) in [(first, another), (second, one)] {
            let entry = RaftEntry::parse(&records[at].1).expect("an entry");
            let mut message = numbers(&[0, entry.term, entry.index]);
            bytes_field(&mut message, 4, &data);
            records[at].1 = message;
        }
    }
    "two requests in each other's place"
}

fn change_state(records: &mut [Record], random: &mut Random) -> &'static str {
    let states: Vec<_> = (0..records.len()).filter(|at| records[*at].0 == STATE).collect();
    if let Some(&at) = states.get(random.index(states.len().max(1)))
        && let Ok(HardState { term, vote, commit }) = HardState::parse(&records[at].1)
    {
        let mut fields = [term, vote, commit];
        let field = random.index(3);
        fields[field] = other(fields[field], random);
        records[at].1 = numbers(&fields);
    }
    "a number of a state"
}
