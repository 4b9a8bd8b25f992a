//! `keys`, `history`, `get` and `export`: real objects held against Kubernetes' own types, hand-made files that lie, and the
//! program as its users run it. `tests/interop/travel.rs` has what etcd itself says.
//!
//! The large corpora are read where `ETCD_MEDIC_CORPORA` names their folder, as for `tests/files/truth.rs`.
#![cfg(test)]

#[path = "../support/mod.rs"]
mod support;

mod cleaned;
mod found;
mod objects;
mod program;
mod values;
mod yaml;
