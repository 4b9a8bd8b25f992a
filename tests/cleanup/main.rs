//! `cleanup`: its figures against an independent count over real files, and hand-made objects that lie.
//!
//! The large corpora are read where `ETCD_MEDIC_CORPORA` names their folder, as for `tests/files/truth.rs`.
#![cfg(test)]

mod counted;
#[path = "../support/mod.rs"]
mod support;

mod corpora;
mod made;
mod program;
