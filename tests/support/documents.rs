//! What tests read of the JSON documents of the commands. The fields themselves are held against docs/schema: [`super::schemas`].

use serde::Deserialize;
use serde::de::DeserializeOwned;

/// Parses a document, which must be of this schema and name it first.
pub fn parse<T: DeserializeOwned>(command: &str, json: &str) -> T {
    let start = format!("{{\n  \"schema\": \"etcd-medic/{command}/");
    super::schemas::hold(json.as_bytes());
    assert!(json.starts_with(&start), "{command}: {}", json.lines().take(3).collect::<String>());
    assert!(json.ends_with("}\n"), "{command}: one object and a line feed");
    serde_json::from_str(json).unwrap_or_else(|error| panic!("{command}: {error}"))
}

/// Text, or bytes that are not UTF-8.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
#[serde(untagged)]
pub enum Bytes {
    Text(String),
    Other(Base64),
}

#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
pub struct Base64 {
    pub bytes: String,
}

macro_rules! objects {
    ($($name:ident { $($field:ident: $type:ty),+ $(,)? })+) => {$(
        #[derive(Clone, Debug, Deserialize)]
        pub struct $name { $(pub $field: $type),+ }
    )+};
}

objects! {
    Keys { revision: i64, compact_revision: i64, num_keys: u64, keys: Vec<KeyRow> }
    KeyRow { key: Bytes, mod_revision: i64 }
    Deleted { num_deleted: u64, deleted: Vec<DeletedRow> }
    DeletedRow { deleted_at: Option<i64>, recoverable: Option<KeyRow> }
    HistoryOf { exists: bool, records: Vec<HistoryRow> }
    HistoryRow { mod_revision: i64, kept_by_compaction: bool }
    Get {
        found: Option<KeyRow>,
        object: Option<serde_json::Value>,
        value: Option<Bytes>,
        elsewhere: Vec<HistoryRow>,
    }
    Export { revision: Option<i64>, exported: Exported }
    Exported { objects: u64, raw: u64, withheld: u64, redacted: u64 }
}

objects! {
    Analyze {
        read_without_lock: bool,
        file: FileInfo,
        space: Space,
        health: Health,
        buckets: Vec<Bucket>,
        mvcc: Option<Mvcc>,
        gains: Gains,
        resources: Vec<Resource>,
        tenants: Vec<Tenant>,
        namespaces: Vec<Namespace>,
        top_objects: Vec<TopObject>,
        timeline: Option<Timeline>,
        retention: Option<Retention>,
        advice: Vec<Advice>,
    }
    FileInfo {
        is_etcd: bool,
        file_bytes: u64,
        allocated_bytes: u64,
        metas: Vec<serde_json::Value>,
        active_meta: usize,
        members_not_in_conf_state: Vec<String>,
    }
    Space { total_bytes: u64, classes: Vec<Class> }
    Class { bytes: u64 }
    Health { sound: bool, readable: bool, num_faults: u64, structural_faults: u64, record_faults: u64 }
    Bucket { name: Bytes, disk_bytes: u64 }
    Mvcc { gaps: Vec<Gap>, live: Records, superseded: Records, tombstones: Records, unreadable: Records }
    Gap { first_revision: i64, last_revision: i64 }
    Records { records: u64, disk_bytes: u64 }
    Gains { defrag_bytes: u64, compact_and_defrag_bytes: u64, exact: bool }
    Resource {
        group: String,
        resource: Bytes,
        objects: u64,
        records: u64,
        live_bytes: u64,
        history_bytes: u64,
        tombstone_bytes: u64,
        disk_bytes: u64,
    }
    Tenant { tenant: Option<Bytes>, objects: u64, disk_bytes: u64 }
    Namespace { tenant: Option<Bytes>, namespace: Option<Bytes>, objects: u64, disk_bytes: u64 }
    Ranks { live_bytes: Option<u64>, history_bytes: Option<u64>, revisions: Option<u64> }
    TopObject {
        ranks: Ranks,
        key: Bytes,
        group: String,
        resource: Bytes,
        tenant: Option<Bytes>,
        namespace: Option<Bytes>,
    }
    Timeline { bins: Vec<Span> }
    Span { first_revision: i64, last_revision: i64, records: u64 }
    Retention {
        revisions: u64,
        history_bytes: u64,
        bytes_per_revision: Option<f64>,
        rate: Option<Rate>,
        choices: Vec<RetentionChoice>,
    }
    Rate { first_revision: i64, last_revision: i64, seconds: u64, revisions_per_hour: f64 }
    RetentionChoice { revisions: u64, bytes: Option<u64> }
    Advice { kind: String, text: String, command: String, gives_back_bytes: Option<u64> }

    Status { files: Vec<FileStatus>, errors: Vec<FileError> }
    FileStatus {
        path: String,
        file_bytes: u64,
        allocated_bytes: u64,
        in_use_bytes: u64,
        free_bytes: u64,
        revision: Option<i64>,
        compact_revision: Option<i64>,
        time: Option<String>,
        etcd_version: Option<String>,
        keys: Option<u64>,
        records: Option<u64>,
        sound: bool,
        quota_use: Option<f64>,
        quota: Option<QuotaRoom>,
        disk: Option<DiskRoom>,
        log: Option<LogStatus>,
        level: String,
    }
    LogStatus {
        path: String,
        state: String,
        consistent_index: u64,
        first_index: u64,
        last_index: u64,
        db_lacks: u64,
        log_lacks: u64,
        problem: Option<String>,
        broken_copies: Vec<BrokenCopy>,
    }
    BrokenCopy {
        file: String,
        records: u64,
        entries: EntryRange,
        lacking: EntryRange,
        differing: EntryRange,
        command: Option<String>,
    }
    EntryRange { count: u64, first_index: u64, last_index: u64 }
    QuotaRoom { quota_bytes: u64, headroom_bytes: i64, headroom_share: f64 }
    DiskRoom {
        disk_bytes: u64,
        headroom_bytes: i64,
        defrag_fits: bool,
        guide: GuideRow,
        advised_quota_bytes: Option<u64>,
        quota_fits: Option<bool>,
    }
    GuideRow { from_disk_bytes: u64, quota_bytes: u64, revisions: u64 }
    FileError { path: String }

    Check { sound: bool, findings: Vec<Finding>, num_findings: u64, notes: Vec<Note> }
    Note { kind: String }
    Finding { kind: String }

    Pages { high_water_mark: u64, pages: Vec<PageRow> }
    PageRow { page: u64, pages: u64 }

    Page { pages: Vec<serde_json::Value> }

    Buckets { buckets: Vec<BucketRow> }
    BucketRow { name: Bytes, entries: u64, fingerprint: String }

    Hash {
        sound: bool,
        num_faults: u64,
        hash_kv: Option<HashKv>,
        snapshot_status: SnapshotStatus,
        buckets: Vec<BucketHash>,
    }
    FolderHashes { files: Vec<FileHashes>, errors: Vec<FileError> }
    FileHashes { path: String, sound: bool, hash_kv: Option<HashKv>, buckets: Vec<BucketHash> }
    HashKv { hash: u32, revision: i64, compact_revision: i64 }
    SnapshotStatus { revision: i64, total_key: u64, total_size: u64 }
    BucketHash { name: Bytes, entries: u64, fingerprint: String }

    Cleanup {
        schema: String,
        read_without_lock: bool,
        path: String,
        file_bytes: u64,
        health: Health,
        as_of: AsOf,
        thresholds: Thresholds,
        objects_read: u64,
        doubtful_times: u64,
        total: CleanupUse,
        classes: Vec<CleanupClass>,
        unread: Vec<Unread>,
    }
    AsOf {
        time: Option<String>,
        source: Option<String>,
        created: Option<String>,
        renewed: Option<String>,
    }
    Thresholds { event_age_seconds: u64, lease_age_seconds: u64, large_bytes: u64, flood_objects: u64 }
    CleanupUse { objects: u64 }
    CleanupClass {
        class: String,
        resource: Option<String>,
        reasons: Vec<String>,
        objects: u64,
        live_bytes: u64,
        history_bytes: u64,
        disk_bytes: u64,
        why: String,
        deleting: String,
        prevention: String,
        commands: Vec<String>,
        ages: Option<Ages>,
        namespaces: Vec<CleanupNamespace>,
        top: Vec<CleanupObject>,
    }
    Ages { older: Vec<Older>, newest: Option<String>, undated: u64 }
    Older { than_seconds: u64, objects: u64 }
    CleanupNamespace { tenant: Option<Bytes>, objects: u64, live_bytes: u64, history_bytes: u64 }
    CleanupObject { command: String }
    Unread { encrypted: u64, malformed: u64, undated: u64 }

    Defrag {
        read_without_lock: bool,
        source: DefragSource,
        target: DefragTarget,
        applied: Option<AppliedTail>,
        dropped: Dropped,
        compaction: Option<Compaction>,
        disarmed: Vec<Disarmed>,
        left_out: Option<LeftOut>,
        members: u64,
        saved_bytes: i64,
        verified: bool,
        verification: Option<Verification>,
        dry_run: bool,
        kept_old: Option<String>,
        warnings: Vec<String>,
    }
    DefragSource { path: String, file_bytes: u64, page_size: u64, records: u64, structural_faults: u64 }
    DefragTarget {
        path: String,
        file_bytes: u64,
        page_size: u64,
        steady: bool,
        records: u64,
        entry_bytes: u64,
        sha256: Option<String>,
    }
    AppliedTail { from: Point, to: Point, entries: u64, writes: u64, refused: u64, records: u64 }
    Point { index: u64, term: u64, revision: i64, compact_revision: i64 }
    Dropped { superseded: u64, tombstones: u64 }
    Compaction { revision: i64, source_compact_revision: i64, current_revision: i64, finishes_earlier: bool }
    Disarmed { member_id: String, alarm: String }
    LeftOut { prefixes: Vec<LeftOutPrefix>, keys: Vec<LeftOutKey> }
    LeftOutPrefix { prefix: Bytes, keys: u64, live_keys: u64, records: u64, bytes: u64 }
    LeftOutKey { key: Bytes, live: bool, mod_revision: i64, records: u64, bytes: u64 }
    Verification { buckets: u64, entries: u64, hash_kv: Option<u32> }

    Salvage {
        lacks: Vec<Lack>,
        target: SalvageTarget,
        recovered: Recovered,
        buckets: Vec<SalvageBucket>,
        hash_kv: Option<u32>,
        restore: Restore,
    }
    SalvageTarget { records: u64, keys: u64, revision: Option<i64> }
    Recovered { reachable: u64, older_root: u64, orphan: u64 }
    SalvageBucket { entries: u64, gaps: Vec<u64>, orphan: u64, left_out: u64 }
    Restore {
        in_place: bool,
        command: String,
        commands: Vec<VersionCommand>,
        after_start: Vec<String>,
        notes: Vec<String>,
    }
    VersionCommand { etcd: String, command: String }
    Lack { what: String, state: String, means: String, commands: Vec<String> }

    Plan {
        schema: String,
        read_without_lock: bool,
        path: String,
        now_bytes: u64,
        structural_faults: u64,
        entry_bytes: u64,
        revision: Option<i64>,
        compact_revision: Option<i64>,
        choices: Vec<Choice>,
        history: Vec<ResourceHistory>,
        node_pages: Vec<NodePages>,
        estimates: Vec<Estimate>,
        warnings: Vec<String>,
    }
    Choice {
        keep_revisions: Option<u64>,
        compact_to: Option<i64>,
        file_bytes: u64,
        records: u64,
        entry_bytes: u64,
    }
    ResourceHistory { dropped: Vec<DroppedHistory> }
    DroppedHistory { records: u64, bytes: u64 }
    NodePages { max_node_pages: u32, steady: bool, file_bytes: u64, default: bool }
    Estimate { tool: String, file_bytes: u64 }

    Synth {
        file_bytes: u64,
        page_size: u64,
        seed: u64,
        keys: u64,
        records: u64,
        tombstones: u64,
        superseded: u64,
        free_bytes: u64,
        free_runs: FreeRuns,
        sha256: Option<String>,
    }
    FreeRuns { count: u64, largest: u64 }
}
