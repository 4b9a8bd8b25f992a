//! Real files of a Kubernetes' etcd, and what etcd's own tools said of them: `testdata/README.md` says what each
//! field is.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use flate2::read::GzDecoder;
use serde::Deserialize;
use tempfile::NamedTempFile;

/// A folder with a `truth.json`.
#[derive(Debug)]
pub struct Corpus {
    /// The folder.
    pub folder: PathBuf,
    /// What etcd's tools say.
    pub truth: Truth,
    /// Every live key, by the key.
    pub live: BTreeMap<Vec<u8>, LiveKey>,
    /// Every change above the compact revision, in order; `None` where the corpus has no such list.
    pub history: Option<Vec<Change>>,
}

/// `truth.json`.
#[derive(Debug, Deserialize)]
pub struct Truth {
    pub files: BTreeMap<String, FileTruth>,
    pub live: LiveTotals,
    pub live_prefixes: BTreeMap<String, PrefixTruth>,
    pub history: HistoryTotals,
    pub leases: LeasesTruth,
    /// `memberID:15985099378392235387 alarm:NOSPACE`.
    pub alarms: Vec<String>,
    pub revision: i64,
    pub compact_revision: i64,
    pub auth_enabled: bool,
    /// HashKV of the running etcd, at some revisions.
    pub hashkv_at: BTreeMap<i64, HashTruth>,
}

/// `etcdctl endpoint hashkv --rev`.
#[derive(Debug, Deserialize)]
pub struct HashTruth {
    pub hash: u32,
    pub compact_revision: i64,
}

/// What etcd's and bbolt's tools say of one file.
#[derive(Debug, Deserialize)]
pub struct FileTruth {
    pub size: u64,
    pub revision: i64,
    pub compact_revision: i64,
    pub keys: u64,
    pub free_pages: u64,
    pub nodes_by_type: BTreeMap<String, u64>,
    pub bbolt_stats: String,
    pub meta: String,
    pub storage_version: Option<String>,
    pub buckets: Vec<String>,
    /// `etcdutl snapshot status`.
    pub status_hash: u32,
    /// `etcdutl hashkv`.
    pub hashkv: u32,
    pub hashkv_revision: i64,
}

#[derive(Debug, Deserialize)]
pub struct LiveTotals {
    pub count: u64,
    pub key_bytes: u64,
    pub value_bytes: u64,
}

#[derive(Clone, Debug, Deserialize)]
pub struct PrefixTruth {
    pub keys: u64,
    pub key_bytes: u64,
    pub value_bytes: u64,
    pub max_value: u64,
    pub encodings: BTreeMap<String, u64>,
}

#[derive(Debug, Deserialize)]
pub struct HistoryTotals {
    pub puts: u64,
    pub deletes: u64,
    pub distinct_keys: u64,
    pub from_rev: i64,
    pub last_event_rev: i64,
    pub complete: bool,
}

#[derive(Debug, Deserialize)]
pub struct LeasesTruth {
    pub count: u64,
    pub ids_hex_first20: Vec<String>,
    pub sample: Vec<LeaseTruth>,
}

#[derive(Debug, Deserialize)]
pub struct LeaseTruth {
    pub id: String,
    pub granted_ttl: i64,
    pub keys: u64,
}

/// A line of `live.tsv.gz`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LiveKey {
    pub create_revision: i64,
    pub mod_revision: i64,
    pub version: i64,
    pub lease: i64,
    pub value_len: u64,
    pub sha256: String,
}

/// A line of `history.tsv.gz`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Change {
    pub mod_revision: i64,
    pub key: Vec<u8>,
    pub delete: bool,
    /// 0 for a deletion, as are the fields below.
    pub create_revision: i64,
    pub version: i64,
    pub lease: i64,
    pub value_len: u64,
    /// The first 16 hexadecimal digits of the value's SHA-256; empty for a deletion.
    pub sha256_16: String,
}

impl Corpus {
    /// Reads a folder; `None` if it has no `truth.json`.
    pub fn read(folder: &Path) -> Option<Self> {
        let truth = std::fs::read_to_string(folder.join("truth.json")).ok()?;
        let truth =
            serde_json::from_str(&truth).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
        let live = lines(&folder.join("live.tsv.gz")).expect("live.tsv.gz");
        let history = lines(&folder.join("history.tsv.gz"));
        Some(Self {
            folder: folder.to_owned(),
            truth,
            live: live.iter().map(|line| live_key(line)).collect(),
            history: history.map(|lines| lines.iter().map(|line| change(line)).collect()),
        })
    }

    /// Every corpus directly below a folder, in the order of their names.
    pub fn all_in(folder: &Path) -> Vec<Self> {
        let entries = folder.read_dir().unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
        let mut folders: Vec<_> = entries.map(|entry| entry.expect("entry").path()).collect();
        folders.sort();
        folders.iter().filter_map(|folder| Self::read(folder)).collect()
    }

    /// The folder's name.
    pub fn name(&self) -> String {
        self.folder.file_name().expect("a name").to_string_lossy().into_owned()
    }

    /// One of its files, unpacked.
    pub fn file(&self, name: &str) -> NamedTempFile {
        let mut unpacked = NamedTempFile::new().expect("a temporary file");
        let plain = self.folder.join(name);
        let packed = self.folder.join(format!("{name}.zst"));
        if let Ok(mut file) = File::open(&plain) {
            std::io::copy(&mut file, &mut unpacked).expect("copied");
        } else {
            let file = File::open(&packed).unwrap_or_else(|error| panic!("{}: {error}", packed.display()));
            zstd::stream::copy_decode(BufReader::new(file), &mut unpacked).expect("unpacked");
        }
        unpacked
    }
}

/// The bytes behind base64.
pub fn from_base64(text: &str) -> Vec<u8> {
    STANDARD.decode(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

/// The number of a lease or member as etcd's tools print it: hexadecimal digits of its 64 bits.
pub fn from_hex(text: &str) -> i64 {
    u64::from_str_radix(text, 16).unwrap_or_else(|error| panic!("{text}: {error}")).cast_signed()
}

/// The lines of a table, split at tabs, without its heading; `None` where there is no such file.
fn lines(path: &Path) -> Option<Vec<Vec<String>>> {
    let mut text = String::new();
    GzDecoder::new(File::open(path).ok()?).read_to_string(&mut text).expect("text");
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    Some(lines.map(|line| line.split('\t').map(str::to_owned).collect()).collect())
}

fn live_key(line: &[String]) -> (Vec<u8>, LiveKey) {
    let [key, create, modified, version, lease, len, sha256] = line else { panic!("{line:?}") };
    let state = LiveKey {
        create_revision: number(create),
        mod_revision: number(modified),
        version: number(version),
        lease: from_hex(lease),
        value_len: number(len).cast_unsigned(),
        sha256: sha256.clone(),
    };
    (from_base64(key), state)
}

fn change(line: &[String]) -> Change {
    let [modified, kind, key, create, version, lease, len, sha256] = line else { panic!("{line:?}") };
    let delete = match kind.as_str() {
        "P" => false,
        "D" => true,
        _ => panic!("{line:?}"),
    };
    let of_put = |text: &str| if delete { 0 } else { number(text) };
    Change {
        mod_revision: number(modified),
        key: from_base64(key),
        delete,
        create_revision: of_put(create),
        version: of_put(version),
        lease: if delete { 0 } else { from_hex(lease) },
        value_len: of_put(len).cast_unsigned(),
        sha256_16: if delete { String::new() } else { sha256.clone() },
    }
}

fn number(text: &str) -> i64 {
    text.parse().unwrap_or_else(|error| panic!("{text:?}: {error}"))
}
