//! The content of a made-up file, as a source for the writer: ten buckets, whose entries are made when they are needed.

use prost::Message;
use prost::encoding::{encode_varint, encoded_len_varint};
use rayon::prelude::*;

use crate::bolt::write::source::{BucketSpec, EntrySource, NewEntry, Sizes, ValueSize};
use crate::etcd::schema::{Alarm, Lease};

use super::cluster::{Cluster, KeyText, Object, field_len};
use super::history::{Amounts, HistoryError, Record, SynthHistory};

/// The one member. `etcdutl snapshot restore` puts another in its place.
const MEMBER: u64 = 0x8e9e_05c5_2164_694d;
const TERM: u64 = 3;
/// The first lease; the others count up from it.
const FIRST_LEASE: i64 = 0x694d_8a1f_0000_0001;
/// Seconds: an hour, as kube-apiserver keeps events, and a tenth that it adds (`storage/etcd3/lease_manager.go`).
const LEASE_TTL: i64 = 3600 + 360;
/// Keys for each lease, unless asked otherwise.
const KEYS_A_LEASE: u32 = 500;
/// Bytes of a revision; a tombstone has one more.
const REVISION_LEN: usize = 17;

/// What a file holds.
#[derive(Clone, Copy, Debug)]
pub struct FileWish {
    /// Where all draws come from.
    pub seed: u64,
    /// Keys, deleted ones included.
    pub keys: u32,
    /// What happened to them.
    pub amounts: Amounts,
    /// Leases; `None` for as many as the keys that are attached need.
    pub leases: Option<u32>,
    /// Whether the NOSPACE alarm is raised.
    pub nospace: bool,
    /// No value is larger.
    pub max_value: u32,
}

/// All entries of all buckets: of the small ones ready, of leases and records as numbers only.
#[derive(Debug)]
pub struct SynthContent {
    cluster: Cluster,
    history: SynthHistory,
    leases: u32,
    buckets: Vec<BucketSpec>,
    /// Entries of the root and of the small buckets. Leases are numbered after them, then records.
    small: Vec<(Vec<u8>, SmallValue)>,
}

/// Keys and values of a bucket with few of them.
type SmallEntries = Vec<(Vec<u8>, Vec<u8>)>;

#[derive(Debug)]
enum SmallValue {
    Bytes(Vec<u8>),
    Bucket(usize),
}

/// Where an entry's number leads to.
enum Place {
    Small(usize),
    Lease(u32),
    Record(usize),
}

impl SynthContent {
    /// Draws everything but the bytes.
    ///
    /// # Errors
    /// [`HistoryError`].
    pub fn new(wanted: &FileWish) -> Result<Self, HistoryError> {
        let FileWish { seed, keys, amounts, nospace, max_value, .. } = *wanted;
        let cluster = Cluster::new(seed, keys, max_value);
        let history = SynthHistory::new(seed, &cluster, keys, amounts)?;
        let leased = cluster.kinds().filter(|(kind, _)| kind.leased).map(|(_, keys)| keys.len());
        let leased = u32::try_from(leased.sum::<usize>()).unwrap_or(u32::MAX);
        let leases = wanted.leases.unwrap_or(leased.div_ceil(KEYS_A_LEASE));
        let mut content = Self { cluster, history, leases, buckets: Vec::new(), small: Vec::new() };
        content.measure();
        content.lay_out(nospace);
        Ok(content)
    }

    /// All records, and what etcd knows beside them.
    pub fn history(&self) -> &SynthHistory {
        &self.history
    }

    /// How many leases there are.
    pub fn leases(&self) -> u32 {
        self.leases
    }

    /// Determines the size of each record.
    fn measure(&mut self) {
        let mut records = std::mem::take(&mut self.history.records);
        records.par_iter_mut().for_each_init(Vec::new, |text, record| {
            let size = self.cluster.object(record.key).map_or(0, |object| {
                let key = self.cluster.key(object, text);
                KeyValue::of(self, *record, object, &key).len()
            });
            record.set_size(u32::try_from(size).unwrap_or(u32::MAX));
        });
        self.history.records = records;
    }

    /// Numbers the buckets and all entries.
    fn lay_out(&mut self, nospace: bool) {
        const BUCKETS: usize = 10;
        let small_buckets = self.small_buckets(nospace);
        let mut numbered = BUCKETS as u64;
        let num_small: usize =
            small_buckets.iter().map(|(_, entries)| entries.as_ref().map_or(0, Vec::len)).sum();
        let leases_at = (BUCKETS + num_small) as u64;
        let records_at = leases_at + u64::from(self.leases);
        let mut inside = Vec::new();
        self.buckets.push(BucketSpec { sequence: 0, entries: 0..BUCKETS as u64 });
        for (number, (name, entries)) in (1..).zip(small_buckets) {
            let entries = match (name, entries) {
                (_, Some(entries)) => {
                    let start = numbered;
                    numbered += entries.len() as u64;
                    inside.extend(entries.into_iter().map(|(key, value)| (key, SmallValue::Bytes(value))));
                    start..numbered
                }
                ("lease", None) => leases_at..records_at,
                (_, None) => records_at..records_at + self.history.records.len() as u64,
            };
            self.buckets.push(BucketSpec { sequence: 0, entries });
            self.small.push((name.into(), SmallValue::Bucket(number)));
        }
        self.small.append(&mut inside);
    }

    /// The buckets by name, each with its entries where they are few (`server/storage/schema`).
    fn small_buckets(&self, nospace: bool) -> [(&'static str, Option<SmallEntries>); 10] {
        let alarm = Alarm { member_id: MEMBER, alarm: 1 }.encode_to_vec();
        let member = format!(
            r#"{{"id":{MEMBER},"peerURLs":["http://localhost:2380"],"name":"default","clientURLs":["http://localhost:2379"]}}"#
        );
        let alarms = if nospace { vec![(alarm, Vec::new())] } else { Vec::new() };
        [
            ("alarm", Some(alarms)),
            ("auth", Some(vec![(b"authRevision".to_vec(), 1u64.to_be_bytes().to_vec())])),
            ("authRoles", Some(Vec::new())),
            ("authUsers", Some(Vec::new())),
            ("cluster", Some(vec![(b"clusterVersion".to_vec(), b"3.5.0".to_vec())])),
            ("key", None),
            ("lease", None),
            ("members", Some(vec![(format!("{MEMBER:x}").into_bytes(), member.into_bytes())])),
            ("members_removed", Some(Vec::new())),
            ("meta", Some(self.meta())),
        ]
    }

    fn meta(&self) -> SmallEntries {
        let SynthHistory { revision, compact_revision, .. } = self.history;
        // each change is an entry of raft's log, and so are leases and elections
        let index = u64::from(revision) + u64::from(revision) / 20 + u64::from(self.leases) + TERM;
        let conf_state = format!(r#"{{"voters":[{MEMBER}],"auto_leave":false}}"#);
        let mut meta = vec![
            (b"confState".to_vec(), conf_state.into_bytes()),
            (b"consistent_index".to_vec(), index.to_be_bytes().to_vec()),
        ];
        if compact_revision > 0 {
            let mut mark = Vec::new();
            push_revision(compact_revision, 0, &mut mark);
            meta.push((b"finishedCompactRev".to_vec(), mark.clone()));
            meta.push((b"scheduledCompactRev".to_vec(), mark));
        }
        meta.push((b"term".to_vec(), TERM.to_be_bytes().to_vec()));
        meta
    }

    fn place(&self, entry: u64) -> Option<Place> {
        let entry = usize::try_from(entry).ok()?;
        let Some(number) = entry.checked_sub(self.small.len()) else { return Some(Place::Small(entry)) };
        match number.checked_sub(self.leases as usize) {
            None => Some(Place::Lease(u32::try_from(number).ok()?)),
            Some(record) => Some(Place::Record(record)),
        }
    }

    /// The lease that a key is attached to; 0 for none. Keys that were created one after the other share one.
    fn lease_of(&self, record: Record, object: Object) -> i64 {
        if !object.kind.leased || self.leases == 0 {
            return 0;
        }
        let created = self.history.created.get(record.key as usize).copied().unwrap_or(0);
        let number = u64::from(created) * u64::from(self.leases) / (u64::from(self.history.revision) + 1);
        FIRST_LEASE + number.cast_signed()
    }

    fn push_record(&self, record: Record, out: &mut Vec<u8>) -> Option<()> {
        let object = self.cluster.object(record.key)?;
        push_revision(record.main(), record.sub(), out);
        if record.is_tombstone() {
            out.push(b't');
        }
        // the key's text needs a place of its own while the record is put together
        let mut text = Vec::with_capacity(160);
        let key = self.cluster.key(object, &mut text);
        KeyValue::of(self, record, object, &key).push(self, object, &key, out);
        Some(())
    }
}

impl EntrySource for SynthContent {
    fn buckets(&self) -> &[BucketSpec] {
        &self.buckets
    }

    fn sizes(&self, entry: u64) -> Sizes {
        let bytes = |key: usize, value: usize| Sizes { key, value: ValueSize::Bytes(value as u64) };
        let nothing = bytes(0, 0);
        match self.place(entry) {
            Some(Place::Small(index)) => self.small.get(index).map_or(nothing, |(key, value)| match value {
                SmallValue::Bytes(value) => bytes(key.len(), value.len()),
                SmallValue::Bucket(number) => Sizes { key: key.len(), value: ValueSize::Bucket(*number) },
            }),
            Some(Place::Lease(number)) => bytes(size_of::<i64>(), lease(number).encoded_len()),
            Some(Place::Record(index)) => self.history.records.get(index).map_or(nothing, |record| {
                bytes(REVISION_LEN + usize::from(record.is_tombstone()), record.size() as usize)
            }),
            None => nothing,
        }
    }

    fn entry<'s>(&'s self, entry: u64, scratch: &'s mut Vec<u8>) -> Option<NewEntry<'s>> {
        scratch.clear();
        let key = match self.place(entry)? {
            Place::Small(index) => {
                return self.small.get(index).map(|(key, value)| match value {
                    SmallValue::Bytes(value) => NewEntry { key, value },
                    SmallValue::Bucket(_) => NewEntry { key, value: &[] },
                });
            }
            Place::Lease(number) => {
                let lease = lease(number);
                scratch.extend_from_slice(&lease.id.to_be_bytes());
                lease.encode(scratch).ok()?;
                size_of::<i64>()
            }
            Place::Record(index) => {
                let record = *self.history.records.get(index)?;
                self.push_record(record, scratch)?;
                REVISION_LEN + usize::from(record.is_tombstone())
            }
        };
        let (key, value) = scratch.split_at_checked(key)?;
        Some(NewEntry { key, value })
    }
}

fn lease(number: u32) -> Lease {
    Lease { id: FIRST_LEASE + i64::from(number), ttl: LEASE_TTL, remaining_ttl: 0 }
}

fn push_revision(main: u32, sub: u32, out: &mut Vec<u8>) {
    out.extend_from_slice(&u64::from(main).to_be_bytes());
    out.push(b'_');
    out.extend_from_slice(&u64::from(sub).to_be_bytes());
}

/// A record's value: `mvccpb.KeyValue`, in the order in which etcd writes the fields.
struct KeyValue {
    key_len: u64,
    /// Its numbers, by field; none of a tombstone.
    numbers: Option<Numbers>,
}

struct Numbers {
    /// create_revision 2, mod_revision 3, version 4.
    revisions: [(u8, u64); 3],
    /// 0: none.
    lease: u64,
    version: u32,
    value_len: u64,
}

impl KeyValue {
    fn of(content: &SynthContent, record: Record, object: Object, key: &KeyText<'_>) -> Self {
        let numbers = || {
            let created = content.history.created.get(record.key as usize).copied().unwrap_or(0);
            let numbers = [created, record.main(), record.version].map(u64::from);
            let [created, modified, version] = numbers;
            Numbers {
                revisions: [(2, created), (3, modified), (4, version)],
                lease: content.lease_of(record, object).cast_unsigned(),
                version: record.version,
                value_len: content.cluster.value_len(object, key, record.version),
            }
        };
        Self { key_len: key.text.len() as u64, numbers: (!record.is_tombstone()).then(numbers) }
    }

    fn len(&self) -> u64 {
        let number_len = |number: u64| 1 + encoded_len_varint(number) as u64;
        let numbers = self.numbers.as_ref().map_or(0, |numbers| {
            let revisions: u64 = numbers.revisions.iter().map(|&(_, number)| number_len(number)).sum();
            let lease = if numbers.lease == 0 { 0 } else { number_len(numbers.lease) };
            revisions + lease + field_len(numbers.value_len)
        });
        field_len(self.key_len) + numbers
    }

    fn push(&self, content: &SynthContent, object: Object, key: &KeyText<'_>, out: &mut Vec<u8>) {
        let push_bytes_tag = |field: u8, len: u64, out: &mut Vec<u8>| {
            out.push(field << 3 | 2);
            encode_varint(len, out);
        };
        push_bytes_tag(1, self.key_len, out);
        out.extend_from_slice(key.text);
        let Some(numbers) = &self.numbers else { return };
        for &(field, number) in &numbers.revisions {
            out.push(field << 3);
            encode_varint(number, out);
        }
        push_bytes_tag(5, numbers.value_len, out);
        content.cluster.value(object, key, numbers.version, out);
        if numbers.lease != 0 {
            out.push(6 << 3);
            encode_varint(numbers.lease, out);
        }
    }
}
