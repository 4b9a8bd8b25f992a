//! What history costs in this file, and which time it covers.
//!
//! Time comes from Kubernetes' objects: each says when it was created, and its record at which revision. Of all that
//! exist a few are asked, at ages that double (in revisions), so that there are many near the present and some far back.

use serde::Serialize;

use crate::etcd::RevisionGaps;
use crate::guide;
use crate::k8s::ValueKind;
use crate::k8s::metadata::creation_seconds;
use crate::scan::key_state::KeyState;

use super::mvcc::Mvcc;

/// One for each power of two of a revision's age, and one for the current revision.
const NUM_AGES: usize = 65;
/// How far clocks of several API servers may be apart without casting doubt on all times.
const CLOCK_SLACK_SECONDS: u64 = 60;
/// Over less time than this no rate is told: times are whole seconds.
const SHORTEST_SPAN_SECONDS: u64 = 10;
/// The rate is that of the last day, where the file tells.
const PREFERRED_SPAN_SECONDS: u64 = 24 * 3600;

/// What history costs, and which time it covers.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Retention {
    /// Revisions since the last compaction, without those of `mvcc.gaps`.
    pub revisions: u64,
    /// Bytes that superseded records and tombstones take of the file.
    pub history_bytes: u64,
    /// `history_bytes` / `revisions`; `null` where `revisions` is 0.
    pub bytes_per_revision: Option<f64>,
    /// How fast revisions come; `null` where it is not known: no objects say when they were created, or less than ten seconds
    /// lie between them, or their times contradict the revisions.
    pub rate: Option<Rate>,
    /// What it costs to keep as much history as the guide says for the sizes of disks.
    pub choices: Vec<RetentionCost>,
}

/// How fast revisions come, from the creation of two objects.
#[derive(Clone, Copy, PartialEq, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Rate {
    /// The revision at which an older object was created.
    pub first_revision: i64,
    /// The revision at which a newer one was created.
    pub last_revision: i64,
    /// Seconds between the two.
    pub seconds: u64,
    /// What follows, by the revisions that existed.
    pub revisions_per_hour: f64,
}

/// A number of revisions to keep.
#[derive(Clone, Copy, PartialEq, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct RetentionCost {
    /// Revisions to keep.
    pub revisions: u64,
    /// Bytes that they would take of the file; `null` where `bytes_per_revision` is.
    pub bytes: Option<u64>,
    /// Seconds that they would cover; `null` where `rate` is.
    pub seconds: Option<u64>,
}

impl Retention {
    /// From records by state, and objects that tell the time.
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "estimates, rounded for people; a cast of a float saturates"
    )]
    pub fn of(mvcc: &Mvcc, witnesses: &Witnesses<'_>, gaps: &RevisionGaps) -> Self {
        // revision 1 is there from the start: the first write makes 2
        let since = mvcc.compact_revision.max(1);
        let revisions = u64::try_from(gaps.existed_between(since, mvcc.revision)).unwrap_or(0);
        let history_bytes = mvcc.superseded.disk_bytes + mvcc.tombstones.disk_bytes;
        let bytes_per_revision = (revisions > 0).then(|| history_bytes as f64 / revisions as f64);
        let rate = rate(&witnesses.times(), gaps);
        let choice = |revisions: u64| RetentionCost {
            revisions,
            bytes: bytes_per_revision.map(|bytes| (bytes * revisions as f64).round() as u64),
            seconds: rate.map(|rate| (revisions as f64 / rate.revisions_per_hour * 3600.0).round() as u64),
        };
        let mut kept = guide::ROWS.map(|row| row.revisions).to_vec();
        kept.dedup();
        Self {
            revisions,
            history_bytes,
            bytes_per_revision,
            rate,
            choices: kept.into_iter().map(choice).collect(),
        }
    }
}

/// Objects whose values are to be asked when they were created: of each age, the oldest.
#[derive(Clone, Debug)]
pub struct Witnesses<'a> {
    /// How many revisions existed, up to the current one.
    existed: i64,
    gaps: RevisionGaps,
    by_age: Vec<Option<(i64, &'a [u8])>>,
}

impl<'a> Witnesses<'a> {
    /// None yet; ages are counted from this revision.
    pub fn before(revision: i64, gaps: &RevisionGaps) -> Self {
        Self { existed: gaps.existed_up_to(revision), gaps: gaps.clone(), by_age: vec![None; NUM_AGES] }
    }

    /// Takes the key as a witness, if it is the best one of its age so far.
    #[inline]
    pub fn see(&mut self, key: &KeyState<'a>) {
        if key.encoding == ValueKind::Protobuf && key.is_live() {
            self.add(key.create_revision(), key.newest_bytes());
        }
    }

    #[inline]
    fn add(&mut self, created: i64, record: &'a [u8]) {
        let age = self.existed.saturating_sub(self.gaps.existed_up_to(created));
        let age = u64::try_from(age).unwrap_or(0);
        let doublings = (u64::BITS - age.leading_zeros()) as usize;
        if let Some(oldest) = self.by_age.get_mut(doublings).filter(|_| created > 0) {
            // one transaction may create several: the bytes decide, so that the choice does not depend on any order
            let older = oldest.is_none_or(|(revision, other)| (created, record) < (revision, other));
            if older {
                *oldest = Some((created, record));
            }
        }
    }

    pub fn append(&mut self, other: &Self) {
        other.by_age.iter().flatten().for_each(|&(created, record)| self.add(created, record));
    }

    /// When each revision was, by those who know: oldest revision first.
    fn times(&self) -> Vec<(i64, u64)> {
        let value = |record| Some(crate::etcd::KeyValue::parse(record).ok()?.value);
        let known = self.by_age.iter().rev().flatten();
        known.filter_map(|&(revision, record)| Some((revision, creation_seconds(value(record)?)?))).collect()
    }
}

/// The rate over the last day, or over as much as there is; `None` where times contradict revisions: objects were put
/// there by another than an API server, or the file is made of several.
fn rate(times: &[(i64, u64)], gaps: &RevisionGaps) -> Option<Rate> {
    let in_order = times.windows(2).all(|pair| match pair {
        [(_, earlier), (_, later)] => *earlier <= later.saturating_add(CLOCK_SLACK_SECONDS),
        _ => true,
    });
    let (&(last_revision, end), earlier) = times.split_last().filter(|_| in_order)?;
    let span = |&(_, time): &(i64, u64)| end.saturating_sub(time);
    let mut long_enough = earlier.iter().filter(|witness| span(witness) >= SHORTEST_SPAN_SECONDS);
    let within_a_day = long_enough.clone().find(|witness| span(witness) <= PREFERRED_SPAN_SECONDS);
    let first = within_a_day.or_else(|| long_enough.next_back())?;
    let (first_revision, seconds) = (first.0, span(first));
    let existed = |revision| gaps.existed_up_to(revision);
    let revisions =
        existed(last_revision).checked_sub(existed(first_revision)).filter(|&revisions| revisions > 0)?;
    #[expect(clippy::cast_precision_loss, reason = "an estimate, rounded for people")]
    let revisions_per_hour = revisions as f64 * 3600.0 / seconds as f64;
    Some(Rate { first_revision, last_revision, seconds, revisions_per_hour })
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: u64 = 3600;
    const START: u64 = 1_700_000_000;

    fn at(times: &[(i64, u64)]) -> Option<(i64, i64, u64)> {
        let times: Vec<_> = times.iter().map(|&(revision, hours)| (revision, START + hours * HOUR)).collect();
        rate(&times, &RevisionGaps::default())
            .map(|rate| (rate.first_revision, rate.last_revision, rate.seconds / HOUR))
    }

    #[test]
    fn the_last_day_is_preferred() {
        let times = [(1, 0), (1000, 1000), (5000, 1020), (8000, 1030), (9000, 1040)];
        assert_eq!(at(&times), Some((5000, 9000, 20)));
        assert_eq!(at(&times[..2]), Some((1, 1000, 1000)), "older than a day, for want of a better");
        assert_eq!(
            at(&[(1, 0), (1000, 500), (9000, 1040)]),
            Some((1000, 9000, 540)),
            "the youngest of the old"
        );
    }

    #[test]
    fn the_rate_is_revisions_by_time() {
        let rate = rate(&[(100, START), (110, START + 10)], &RevisionGaps::default()).unwrap();
        assert!((rate.revisions_per_hour - 3600.0).abs() < 1e-9, "{rate:?}");
    }

    #[test]
    fn revisions_that_never_existed_take_no_time() {
        let gaps = RevisionGaps::of(vec![crate::etcd::RevisionGap {
            first_revision: 111,
            last_revision: 4_000_000_110,
        }]);
        let rate = rate(&[(100, START), (4_000_000_120, START + 20)], &gaps).unwrap();
        assert!((rate.revisions_per_hour - 3600.0).abs() < 1e-9, "{rate:?}");
    }

    #[test]
    fn too_little_time_tells_nothing() {
        assert_eq!(rate(&[], &RevisionGaps::default()), None);
        assert_eq!(rate(&[(1, START)], &RevisionGaps::default()), None);
        assert_eq!(rate(&[(1, START), (100, START + 9)], &RevisionGaps::default()), None);
        assert_eq!(
            rate(&[(1, START), (1, START + 6000)], &RevisionGaps::default()),
            None,
            "no revision between"
        );
    }

    #[test]
    fn times_that_lie_tell_nothing() {
        assert_eq!(at(&[(1, 5), (50, 3), (100, 9)]), None);
        assert!(
            rate(&[(1, START), (50, START + 1000), (100, START + 950)], &RevisionGaps::default()).is_some(),
            "clocks differ a little"
        );
        assert_eq!(rate(&[(1, START), (50, u64::MAX), (100, START + 950)], &RevisionGaps::default()), None);
        assert!(rate(&[(i64::MIN, 0), (i64::MAX, u64::MAX)], &RevisionGaps::default()).is_none());
    }

    #[test]
    fn of_each_age_the_oldest_is_kept() {
        let gaps = RevisionGaps::default();
        let mut witnesses = Witnesses::before(100, &gaps);
        for created in [100, 99, 98, 97, 96, 70, 60, 0, -5, i64::MIN, i64::MAX] {
            witnesses.add(created, b"");
        }
        let kept: Vec<i64> = witnesses.by_age.iter().flatten().map(|&(created, _)| created).collect();
        assert_eq!(kept, [100, 99, 97, 96, 70, 60]);
    }
}
