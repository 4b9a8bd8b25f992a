//! What tests read of the JSON documents of the commands. The fields themselves are held against docs/schema: [`super::schemas`].

use std::collections::BTreeMap;

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

/// A value or `null`, but always there: serde would take a field that is missing for `None`.
#[derive(Clone, Debug, Deserialize)]
pub struct Nullable<T>(pub Option<T>);

/// Text, or bytes that are not UTF-8.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
#[serde(untagged)]
pub enum Bytes {
    Text(String),
    Other(Base64),
}

#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Base64 {
    pub bytes: String,
}

macro_rules! objects {
    ($($name:ident { $($field:ident: $type:ty),+ $(,)? })+) => {$(
        #[derive(Clone, Debug, Deserialize)]
        #[serde(deny_unknown_fields)]
        pub struct $name { $(pub $field: $type),+ }
    )+};
}

objects! {
    Keys {
        schema: String,
        read_without_lock: bool,
        revision: i64,
        compact_revision: i64,
        num_keys: u64,
        unreadable: u64,
        keys: Vec<KeyRow>,
    }
    KeyRow {
        key: Bytes,
        mod_revision: i64,
        sub_revision: i64,
        create_revision: i64,
        version: i64,
        lease: String,
        value_bytes: u64,
        origin: String,
    }
    Deleted {
        schema: String,
        read_without_lock: bool,
        num_deleted: u64,
        unreadable: u64,
        deleted: Vec<DeletedRow>,
    }
    DeletedRow {
        key: Bytes,
        deleted_at: Nullable<i64>,
        recoverable: Nullable<KeyRow>,
    }
    HistoryOf {
        schema: String,
        read_without_lock: bool,
        key: Bytes,
        revision: i64,
        compact_revision: i64,
        exists: bool,
        records: Vec<HistoryRow>,
        unreadable: u64,
    }
    HistoryRow {
        mod_revision: i64,
        sub_revision: i64,
        change: String,
        create_revision: i64,
        version: i64,
        lease: String,
        value_bytes: u64,
        origin: String,
        kept_by_compaction: bool,
    }
    Get {
        schema: String,
        read_without_lock: bool,
        key: Bytes,
        revision: i64,
        compact_revision: i64,
        found: Nullable<KeyRow>,
        encoding: Nullable<String>,
        object: Nullable<serde_json::Value>,
        value: Nullable<Bytes>,
        redacted: bool,
        unknown_fields: u64,
        error: Nullable<String>,
        elsewhere: Vec<HistoryRow>,
    }
    Export {
        schema: String,
        read_without_lock: bool,
        target: String,
        revision: Nullable<i64>,
        unreadable: u64,
        exported: Exported,
    }
    Exported {
        objects: u64,
        raw: u64,
        withheld: u64,
        redacted: u64,
        incomplete: u64,
        unreadable: u64,
    }
}

objects! {
    Analyze {
        schema: String,
        read_without_lock: bool,
        file: FileInfo,
        space: Space,
        health: Health,
        buckets: Vec<Bucket>,
        mvcc: Nullable<Mvcc>,
        gains: Gains,
        resources: Vec<Resource>,
        tenants: Vec<Tenant>,
        namespaces: Vec<Namespace>,
        top_objects: Vec<TopObject>,
        fragmentation: Fragmentation,
        timeline: Nullable<Timeline>,
        retention: Nullable<Retention>,
        leases: Nullable<Leases>,
        alarms: Vec<Alarm>,
        auth: Nullable<Auth>,
        advice: Vec<Advice>,
    }
    FileInfo {
        path: String,
        is_etcd: bool,
        file_bytes: u64,
        allocated_bytes: u64,
        page_size: u64,
        high_water_mark: u64,
        txid: u64,
        metas: Vec<MetaSlot>,
        active_meta: usize,
        freelist_page: Nullable<u64>,
        snapshot_trailer: String,
        storage_version: Nullable<String>,
        cluster_version: Nullable<String>,
        consistent_index: Nullable<u64>,
        term: Nullable<u64>,
        members: Vec<Member>,
        members_not_in_conf_state: Vec<String>,
        members_removed: u64,
    }
    Member {
        id: String,
        name: String,
        peer_urls: Nullable<Vec<String>>,
        client_urls: Nullable<Vec<String>>,
        is_learner: bool,
    }
    Meta {
        page_size: u32,
        root: u64,
        sequence: u64,
        freelist: Nullable<u64>,
        high_water_mark: u64,
        txid: u64,
    }
    ValidMeta {
        slot: usize,
        page_size: u32,
        root: u64,
        sequence: u64,
        freelist: Nullable<u64>,
        high_water_mark: u64,
        txid: u64,
        error: Nullable<String>,
    }
    DamagedMeta { slot: usize, error: String }
    Space { total_bytes: u64, in_use_bytes: u64, free_bytes: u64, classes: Vec<Class> }
    Class { class: String, bytes: u64 }
    Health { sound: bool, readable: bool, num_faults: u64, structural_faults: u64, record_faults: u64 }
    Bucket {
        name: Bytes,
        entries: u64,
        disk_bytes: u64,
        inline: bool,
        sequence: u64,
        height: u32,
        branch_nodes: u64,
        leaf_nodes: u64,
    }
    Mvcc {
        revision: i64,
        compact_revision: i64,
        gaps: Vec<Gap>,
        finished_compact_revision: Nullable<i64>,
        scheduled_compact_revision: Nullable<i64>,
        distinct_keys: u64,
        live: Records,
        superseded: Records,
        tombstones: Records,
        unreadable: Records,
    }
    Gap { first_revision: i64, last_revision: i64 }
    Records { records: u64, bytes: u64, disk_bytes: u64 }
    Gains {
        defrag_bytes: u64,
        compact_and_defrag_bytes: u64,
        defrag_copy_bytes: Nullable<u64>,
        compact_and_defrag_copy_bytes: Nullable<u64>,
        exact: bool,
    }
    Resource {
        group: String,
        resource: Bytes,
        objects: u64,
        records: u64,
        live_bytes: u64,
        history_bytes: u64,
        tombstones: u64,
        tombstone_bytes: u64,
        disk_bytes: u64,
        key_bytes: u64,
        total_value_bytes: u64,
        encodings: BTreeMap<String, u64>,
        revisions_per_object: Histogram,
        value_bytes: Histogram,
    }
    Histogram { count: u64, p50: u64, p99: u64, max: u64, bins: Vec<Bin> }
    Bin { from: u64, to: u64, count: u64 }
    Tenant {
        tenant: Nullable<Bytes>,
        objects: u64,
        records: u64,
        live_bytes: u64,
        history_bytes: u64,
        disk_bytes: u64,
    }
    Namespace {
        tenant: Nullable<Bytes>,
        namespace: Nullable<Bytes>,
        objects: u64,
        records: u64,
        live_bytes: u64,
        history_bytes: u64,
        disk_bytes: u64,
    }
    Ranks { live_bytes: Nullable<u64>, history_bytes: Nullable<u64>, revisions: Nullable<u64> }
    TopObject {
        by: String,
        ranks: Ranks,
        key: Bytes,
        group: String,
        resource: Bytes,
        tenant: Nullable<Bytes>,
        namespace: Nullable<Bytes>,
        name: Bytes,
        live: bool,
        live_bytes: u64,
        history_bytes: u64,
        revisions: u64,
        disk_bytes: u64,
        value_bytes: u64,
    }
    Fragmentation {
        index: f64,
        empty_share: f64,
        disorder: f64,
        free_runs: Histogram,
        largest_run_pages: u64,
        leaf_fill: Histogram,
        leaf_order: LeafOrder,
    }
    LeafOrder { adjacent: u64, forward: u64, backward: u64 }
    Timeline { bins: Vec<Span>, peak: Nullable<Peak> }
    Span { first_revision: i64, last_revision: i64, records: u64, bytes: u64 }
    Peak {
        first_revision: i64,
        last_revision: i64,
        records: u64,
        bytes: u64,
        times_median: f64,
        group: String,
        resource: Bytes,
        resource_records: u64,
        resource_share: f64,
    }
    Retention {
        revisions: u64,
        history_bytes: u64,
        bytes_per_revision: Nullable<f64>,
        rate: Nullable<Rate>,
        choices: Vec<RetentionChoice>,
    }
    Rate { first_revision: i64, last_revision: i64, seconds: u64, revisions_per_hour: f64 }
    RetentionChoice { revisions: u64, bytes: Nullable<u64>, seconds: Nullable<u64> }
    Leases {
        count: u64,
        attached_keys: u64,
        attached_bytes: u64,
        without_keys: u64,
        orphaned_keys: u64,
        orphaned_bytes: u64,
        top: Vec<Lease>,
    }
    Lease { id: String, ttl_seconds: Nullable<i64>, keys: u64, bytes: u64 }
    Alarm { member_id: String, alarm: String, meaning: String }
    Auth { enabled: bool, users: u64, roles: u64 }
    Advice { kind: String, severity: String, text: String, command: String, gives_back_bytes: Nullable<u64> }

    Status { schema: String, read_without_lock: bool, files: Vec<FileStatus>, errors: Vec<FileError> }
    FileStatus {
        path: String,
        file_bytes: u64,
        allocated_bytes: u64,
        in_use_bytes: u64,
        free_bytes: u64,
        page_size: u64,
        revision: Nullable<i64>,
        compact_revision: Nullable<i64>,
        time: Nullable<String>,
        etcd_version: Nullable<String>,
        keys: Nullable<u64>,
        records: Nullable<u64>,
        alarms: Vec<Alarm>,
        snapshot_trailer: String,
        sound: bool,
        quota_use: Nullable<f64>,
        quota: Nullable<QuotaRoom>,
        disk: Nullable<DiskRoom>,
        level: String,
    }
    QuotaRoom { quota_bytes: u64, headroom_bytes: i64, headroom_share: f64 }
    DiskRoom {
        disk_bytes: u64,
        headroom_bytes: i64,
        headroom_share: f64,
        defrag_fits: bool,
        guide: GuideRow,
        advised_quota_bytes: Nullable<u64>,
        quota_fits: Nullable<bool>,
    }
    GuideRow { from_disk_bytes: u64, quota_bytes: u64, revisions: u64 }
    FileError { path: String, error: String, command: Nullable<String> }

    Check { schema: String, read_without_lock: bool, sound: bool, readable: bool, findings: Vec<Finding>, num_findings: u64, structural_faults: u64, checked: Checked, touched: Touched, next: Vec<Next>, notes: Vec<Note> }
    Note { kind: String, message: String }
    Touched {
        patterns: Vec<PatternCount>,
        buckets: Vec<TouchedBucket>,
        revisions: Vec<RevisionSpan>,
        keys: u64,
        resources: Vec<TouchedResource>,
        newer: Nullable<NewerPages>,
    }
    PatternCount { pattern: String, findings: u64 }
    TouchedBucket { name: Bytes, findings: u64 }
    RevisionSpan { first_revision: Nullable<i64>, last_revision: Nullable<i64> }
    TouchedResource { group: String, resource: Bytes, keys: u64 }
    NewerPages { leaves: u64, last_revision: i64, tree_revision: i64 }
    Next { command: String, why: String }
    Finding {
        kind: String,
        pattern: String,
        page: Nullable<u64>,
        offset: Nullable<u64>,
        bucket: Nullable<Bytes>,
        key: Nullable<Bytes>,
        message: String,
    }
    Checked { pages: u64, records: u64, entries: u64 }

    Pages { schema: String, read_without_lock: bool, page_size: u64, high_water_mark: u64, pages: Vec<PageRow> }
    PageRow {
        page: u64,
        offset: u64,
        kind: String,
        pages: u64,
        items: Nullable<u64>,
        bucket: Nullable<Bytes>,
    }

    Page { schema: String, read_without_lock: bool, pages: Vec<PageView> }
    PageView {
        page: u64,
        offset: u64,
        header_page: u64,
        kind: Nullable<String>,
        flags: u16,
        count: u16,
        overflow: u32,
        error: Nullable<String>,
        meta: Nullable<Meta>,
        elements: Vec<Element>,
        free_pages: Vec<u64>,
    }
    Element {
        index: u64,
        key: Nullable<Bytes>,
        child_page: Nullable<u64>,
        value_bytes: Nullable<u64>,
        is_bucket: bool,
        bucket_root: Nullable<u64>,
        revision: Nullable<String>,
        tombstone: bool,
        etcd_key: Nullable<Bytes>,
        error: Nullable<String>,
    }

    Buckets { schema: String, read_without_lock: bool, buckets: Vec<BucketRow> }
    BucketRow {
        name: Bytes,
        entries: u64,
        disk_bytes: u64,
        inline: bool,
        sequence: u64,
        height: u32,
        branch_nodes: u64,
        leaf_nodes: u64,
        fingerprint: String,
    }

    Hash {
        schema: String,
        read_without_lock: bool,
        sound: bool,
        readable: bool,
        num_faults: u64,
        values_left_out: u64,
        hash_kv: Nullable<HashKv>,
        snapshot_status: SnapshotStatus,
        buckets: Vec<BucketHash>,
    }
    HashKv { hash: u32, revision: i64, compact_revision: i64 }
    SnapshotStatus { hash: u32, revision: i64, total_key: u64, total_entries: u64, total_size: u64 }
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
        more_floods: u64,
        unread: Vec<Unread>,
    }
    AsOf {
        time: Nullable<String>,
        source: Nullable<String>,
        created: Nullable<String>,
        renewed: Nullable<String>,
    }
    Thresholds { event_age_seconds: u64, lease_age_seconds: u64, large_bytes: u64, flood_objects: u64 }
    CleanupUse { objects: u64, live_bytes: u64, history_bytes: u64, disk_bytes: u64 }
    CleanupClass {
        class: String,
        resource: Nullable<String>,
        reasons: Vec<String>,
        objects: u64,
        live_bytes: u64,
        history_bytes: u64,
        disk_bytes: u64,
        why: String,
        deleting: String,
        prevention: String,
        commands: Vec<String>,
        ages: Nullable<Ages>,
        namespaces: Vec<CleanupNamespace>,
        top: Vec<CleanupObject>,
    }
    Ages { older: Vec<Older>, oldest: Nullable<String>, newest: Nullable<String>, undated: u64 }
    Older { than_seconds: u64, objects: u64, live_bytes: u64 }
    CleanupNamespace {
        tenant: Nullable<Bytes>,
        namespace: Nullable<Bytes>,
        objects: u64,
        live_bytes: u64,
        history_bytes: u64,
        disk_bytes: u64,
    }
    CleanupObject {
        key: Bytes,
        tenant: Nullable<Bytes>,
        namespace: Nullable<Bytes>,
        name: Bytes,
        live_bytes: u64,
        history_bytes: u64,
        value_bytes: u64,
        command: String,
    }
    Unread {
        group: String,
        resource: Bytes,
        encrypted: u64,
        encrypted_bytes: u64,
        malformed: u64,
        undated: u64,
    }

    Defrag {
        schema: String,
        read_without_lock: bool,
        source: DefragSource,
        target: DefragTarget,
        dropped: Dropped,
        compaction: Nullable<Compaction>,
        disarmed: Vec<Disarmed>,
        left_out: Nullable<LeftOut>,
        members: u64,
        saved_bytes: i64,
        verified: bool,
        verification: Nullable<Verification>,
        dry_run: bool,
        kept_old: Nullable<String>,
        warnings: Vec<String>,
        elapsed_seconds: f64,
    }
    DefragSource { path: String, file_bytes: u64, page_size: u64, records: u64, structural_faults: u64 }
    DefragTarget {
        path: String,
        file_bytes: u64,
        page_size: u64,
        max_node_pages: u32,
        steady: bool,
        records: u64,
        entry_bytes: u64,
        sha256: Nullable<String>,
    }
    Dropped { superseded: u64, tombstones: u64 }
    Compaction {
        revision: i64,
        source_compact_revision: i64,
        current_revision: i64,
        finishes_earlier: bool,
    }
    Disarmed { member_id: String, alarm: String }
    LeftOut { prefixes: Vec<LeftOutPrefix>, keys: Vec<LeftOutKey> }
    LeftOutPrefix { prefix: Bytes, keys: u64, live_keys: u64, records: u64, bytes: u64 }
    LeftOutKey { key: Bytes, live: bool, mod_revision: i64, records: u64, bytes: u64 }
    Verification { buckets: u64, entries: u64, hash_kv: Nullable<u32> }

    Salvage {
        schema: String,
        read_without_lock: bool,
        lacks: Vec<Lack>,
        source: SalvageSource,
        target: SalvageTarget,
        dropped: SalvageDropped,
        unreached: SalvageUnreached,
        recovered: Recovered,
        buckets: Vec<SalvageBucket>,
        lost: Vec<Lost>,
        affected: Affected,
        derived: Vec<SalvageDerived>,
        conflicts: Vec<Conflict>,
        num_conflicts: u64,
        verified: bool,
        hash_kv: Nullable<u32>,
        dry_run: bool,
        restore: Restore,
        warnings: Vec<String>,
        elapsed_seconds: f64,
    }
    SalvageSource {
        path: String,
        file_bytes: u64,
        page_size: u64,
        page_size_derived: bool,
        root: SalvageRoot,
        unreadable: Vec<(u64, u64)>,
        searched: bool,
    }
    SalvageRoot { page: Nullable<u64>, from: String }
    SalvageTarget {
        path: String,
        file_bytes: u64,
        page_size: u64,
        records: u64,
        buckets: u64,
        keys: u64,
        revision: Nullable<i64>,
        sha256: Nullable<String>,
    }
    SalvageUnreached {
        entries: u64,
        buckets: u64,
        num_trees: u64,
        taken: bool,
        bucket: Nullable<Bytes>,
        trees: Vec<SalvageTree>,
    }
    SalvageTree { page: u64, entries: u64, buckets: u64 }
    SalvageDropped { free: u64, malformed: u64 }
    Recovered { reachable: u64, older_root: u64, orphan: u64, doubtful: u64, free: u64 }
    SalvageBucket {
        name: Bytes,
        entries: u64,
        from: Nullable<String>,
        gaps: Vec<u64>,
        why: Nullable<String>,
        older_root: u64,
        orphan: u64,
        left_out: u64,
        conflicts: u64,
    }
    SalvageDerived { key: String, value: Nullable<String>, why: String }
    Lost {
        first_revision: i64,
        last_revision: Nullable<i64>,
        missing_revisions: Nullable<u64>,
        recovered: u64,
        page: Nullable<u64>,
        why: String,
    }
    Affected {
        proven_keys: u64,
        possibly_stale_keys: u64,
        possibly_stale: Vec<AffectedResource>,
        possibly_lost_keys: u64,
        keys: Vec<AffectedKey>,
    }
    AffectedResource { group: String, resource: Bytes, namespaces: Vec<Bytes>, keys: u64 }
    AffectedKey { key: Bytes, what: String, revision: i64 }
    Conflict { revision: String, taken: String, other: String }
    Restore {
        in_place: bool,
        command: String,
        reason: String,
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
        revision: Nullable<i64>,
        compact_revision: Nullable<i64>,
        choices: Vec<Choice>,
        history: Vec<ResourceHistory>,
        node_pages: Vec<NodePages>,
        estimates: Vec<Estimate>,
        warnings: Vec<String>,
    }
    Choice {
        keep_revisions: Nullable<u64>,
        compact_to: Nullable<i64>,
        file_bytes: u64,
        records: u64,
        entry_bytes: u64,
    }
    ResourceHistory { group: String, resource: Bytes, dropped: Vec<DroppedHistory> }
    DroppedHistory { records: u64, bytes: u64 }
    NodePages { max_node_pages: u32, steady: bool, file_bytes: u64, default: bool }
    Estimate { tool: String, file_bytes: u64 }

    Synth {
        schema: String,
        read_without_lock: bool,
        path: String,
        file_bytes: u64,
        page_size: u64,
        seed: u64,
        keys: u64,
        records: u64,
        tombstones: u64,
        superseded: u64,
        revision: u64,
        compact_revision: i64,
        leases: u64,
        nodes: u64,
        entry_bytes: u64,
        free_bytes: u64,
        free_runs: FreeRuns,
        sha256: Nullable<String>,
        elapsed_seconds: f64,
    }
    FreeRuns { count: u64, largest: u64 }
}

/// A meta that could be read, or one that could not.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub enum MetaSlot {
    Valid(ValidMeta),
    Damaged(DamagedMeta),
}
