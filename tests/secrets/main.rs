//! No byte of a Secret's data is shown without `--show-secrets`: by any command, in any format.
//!
//! | file | what is in it |
//! |---|---|
//! | `search` | looks for data in what was printed: in clear, base64, hexadecimal digits, gzip, zlib and zip, on any level |
//! | `hostile` | makes Secrets that hide in every way, from a seed |
//! | `generated` | these, through every command and format |
//! | `rule` | the rule, case by case: what is hidden, and what is not |
//! | `real` | Secrets of real clusters, and an adversary's file |
//!
//! `ETCD_MEDIC_SECRETS=N` makes N files instead of 150. The large corpora are read where `ETCD_MEDIC_CORPORA` names their
//! folder, as for `tests/files/truth.rs`.
#![cfg(test)]

#[path = "../support/mod.rs"]
mod support;

mod generated;
mod hostile;
mod real;
mod rule;
mod search;
