//! Everything about files that needs neither a real etcd nor a process of its own: one program, as each takes long to link.
#![cfg(test)]

#[path = "../support/mod.rs"]
mod support;

mod bolt_bytes;
mod bolt_files;
mod field_analysis;
mod hash;
mod status;
mod truth;
mod verdict;
mod workshop;
mod writer;
