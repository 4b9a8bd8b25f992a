//! Beside real etcd of each version: one program, as each takes long to link. `tests/support/peers.rs` says how etcd is found and run.
#![cfg(test)]

#[path = "../support/mod.rs"]
mod support;

mod broken;
mod compact;
mod cures;
mod damage_table;
mod facts;
mod flips;
mod generated;
mod member;
mod printed;
mod replay;
mod restore;
mod rewrite;
mod salvage;
mod synth;
mod travel;
