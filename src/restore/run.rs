//! From a db to a member's directory.

use std::time::Instant;

use crate::copy::Progress;
use crate::doctor::versions::{LATEST, NEWEST};
use crate::doctor::{MemberCase, MemberFiles, Prediction, Starts};
use crate::etcd::HexId;
use crate::etcd::apply::Version;
use crate::etcd::apply::members::MemberRow;
use crate::etcd::revision::Revision;
use crate::etcd::schema::{KEY_BUCKET, State, minor_of};
use crate::input::{DbFile, LogFiles};
use crate::output::{Directory, Folder};
use crate::replay::base::{Base, Held};
use crate::replay::content::{Content, NewRecord};
use crate::text::ByteText;

use super::document::{RestoreReport, RestoredMember};
use super::error::RestoreError;
use super::kept;
use super::plan::MemberPlan;
use super::request::{Identity, RestoreRequest};
use super::rows;
use super::write::{self, WrittenDb};

/// Makes a member's directory from a db. `log` is the log of the member that the db is of, for one that is to stay that member.
///
/// # Errors
/// See [`RestoreError`]. Neither the db nor the log is changed, and there is no directory.
pub fn restore(
    file: &DbFile,
    log: Option<&LogFiles>,
    request: &RestoreRequest,
    progress: Progress<'_>,
) -> Result<RestoreReport, RestoreError> {
    let began = Instant::now();
    let directory = Directory::begin(&request.data_dir)?;
    (progress.begin)("reading", file.db.file_size());
    let base = Base::whole(&file.db, progress.advance).map_err(RestoreError::Base)?;
    let version = request.version.unwrap_or_else(|| newest_of(&base.state));
    let read = log.map(LogFiles::read);
    let plan = match &request.identity {
        Identity::New(cluster) => MemberPlan::of_new(cluster.members()?, version.minor),
        Identity::Kept { until } => kept::plan(&base, log, read.as_ref(), *until, version.minor)?,
    };
    let keeps_identity = matches!(request.identity, Identity::Kept { .. });
    let bumped_to = request.bump_revision.map(|by| bumped(base.revision, by)).transpose()?;
    let mark = bumped_to.map(|main| Revision { main, sub: 0 }.to_bytes());
    let held = base.entries(KEY_BUCKET).iter().copied();
    let mark = mark.as_ref().map(|key| Held { key, value: &[] });
    let records = held.chain(mark).map(NewRecord::Held).collect();
    let sequence = base.buckets.iter().find(|bucket| bucket.name == KEY_BUCKET);
    let sequence = sequence.map_or(0, |bucket| bucket.sequence);
    let content = Content::new(records, sequence, rows::buckets(&base, &plan, !keeps_identity, bumped_to));
    let folder = directory.folder();
    let WrittenDb { hash_kv, bytes } = write::db(folder, &file.db, &content, request.layout, progress)?;
    write::log_and_snap(folder, &plan)?;
    let revision = bumped_to.unwrap_or(base.revision);
    let prediction = prove(folder, version)?;
    directory.commit()?;
    let MemberPlan { metadata, at, .. } = &plan;
    Ok(RestoreReport {
        source: ByteText::from(file.path.as_path()),
        data_dir: ByteText::from(request.data_dir.as_path()),
        keeps_identity,
        member_id: HexId(metadata.node_id),
        cluster_id: HexId(metadata.cluster_id),
        index: at.index,
        term: at.term,
        last_index: plan.last_index,
        applied_entries: 0,
        salvage: None,
        pending_entries: plan.last_index.saturating_sub(at.index),
        left_out_entries: plan.left_out,
        emptied_entries: plan.emptied,
        revision,
        hash_kv,
        db_bytes: bytes,
        records: content.num_records(),
        etcd: version.to_string(),
        revision_after_start: prediction.revision,
        verified: true,
        members: plan.rows.into_iter().map(RestoredMember::from).collect(),
        warnings: plan.warnings,
        elapsed_seconds: began.elapsed().as_secs_f64(),
    })
}

/// The newest patch of the version that a db's cluster runs; of one that does not say, the newest of all.
fn newest_of(state: &State<'_>) -> Version {
    let minor = state.cluster_version.as_deref().and_then(minor_of);
    let own = NEWEST.into_iter().find(|version| Some(version.minor) == minor);
    own.unwrap_or(LATEST)
}

fn bumped(from: i64, by: u64) -> Result<i64, RestoreError> {
    let to = i64::try_from(by).ok().and_then(|by| from.checked_add(by));
    to.ok_or(RestoreError::Bump { from, by })
}

/// Reads the directory as etcd will.
fn prove(folder: &Folder, version: Version) -> Result<Prediction, RestoreError> {
    let files = MemberFiles::open(folder.path());
    let log = files.log.as_ref().map(LogFiles::read);
    let prediction = MemberCase::new(&files, log.as_ref()).predict(version);
    match prediction.starts {
        Starts::Yes | Starts::Undecided => Ok(prediction),
        Starts::No | Starts::Silent => {
            let why = prediction.why.or(prediction.message).unwrap_or_default();
            Err(RestoreError::WouldNotStart { version, why })
        }
    }
}

impl From<MemberRow> for RestoredMember {
    fn from(row: MemberRow) -> Self {
        Self {
            id: HexId(row.id),
            name: row.name,
            peer_urls: row.peer_urls.unwrap_or_default(),
            is_learner: row.is_learner,
        }
    }
}
