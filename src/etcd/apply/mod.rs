//! What etcd does with a request: the state that it meets, and what it makes of it.
//!
//! | file | what is in it |
//! |---|---|
//! | [`rules`] | what differs from version to version |
//! | [`refused`] | why a request is refused |
//! | [`live`] | the keys that exist, and the leases that they are attached to |
//! | [`alarms`] | which alarms are set, and which are in force |
//! | [`members`] | the members, and the version that all of them speak |
//! | [`store`] | keys and leases, and what requests make of them |
//! | [`machine`] | the whole state, and requests applied to it |
//! | `txn` | transactions |
//!
//! Sources: etcd's `server/etcdserver/apply/{apply,corrupt,uber_applier}.go`, `server/etcdserver/txn/txn.go`,
//! `server/lease/lessor.go`, `server/storage/mvcc/{kvstore,kvstore_txn}.go` (3.6), and `server/etcdserver/apply.go` (3.4 and 3.5).
//! Nothing here reads or writes a file: a change goes to whoever asked, so that a dry run costs no memory for it.

#![deny(clippy::arithmetic_side_effects)]

pub mod alarms;
pub mod live;
pub mod machine;
pub mod members;
pub mod refused;
pub mod rules;
pub mod store;
mod txn;

pub use live::{LiveKey, LiveKeys};
pub use machine::{Applied, Machine, Unsupported, is_by_nested_cost};
pub use refused::Refused;
pub use rules::{Rules, Version};
pub use store::{Change, NewValue, Store, Written};
