//! Why etcd refuses a request.

use strum::IntoStaticStr;
use thiserror::Error;

/// Why etcd refuses a request.
#[derive(
    Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Error, IntoStaticStr, serde::Serialize,
)]
#[strum(serialize_all = "kebab-case")]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub enum Refused {
    /// The lease does not exist.
    #[error("the lease does not exist")]
    LeaseNotFound,
    /// The lease exists already.
    #[error("the lease exists already")]
    LeaseExists,
    /// The lease's time is too long.
    #[error("the lease's time is too long")]
    LeaseTtl,
    /// The key whose value or lease is to stay does not exist.
    #[error("the key whose value or lease is to stay does not exist")]
    KeyNotFound,
    /// The revision was compacted.
    #[error("the revision was compacted")]
    Compacted,
    /// The revision does not exist yet.
    #[error("the revision does not exist yet")]
    FutureRevision,
    /// The alarm NOSPACE was in force.
    #[error("the alarm NOSPACE was in force")]
    NoSpace,
    /// The alarm CORRUPT was in force.
    #[error("the alarm CORRUPT was in force")]
    Corrupt,
    /// The change of the members was not possible.
    #[error("the change of the members was not possible")]
    Member,
}
