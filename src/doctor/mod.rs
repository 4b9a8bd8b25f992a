//! Why a member does not start, and what each etcd does with its directory.
//!
//! | file | what is in it |
//! |---|---|
//! | [`files`] | what lies in the directory, opened |
//! | [`case`] | what all starts read of it, each once |
//! | [`versions`] | which versions are known |
//! | [`rules`] | what differs from patch to patch |
//! | `predict` | a start, step by step |
//! | `serve` | whether it serves, once its log was read |
//! | `failure` | why a start ends, in etcd's words and in plain ones |
//! | [`prediction`] | what becomes of it |
//! | [`start`] | what the report says of it |
//! | [`patches`] | which patches do otherwise |
//! | [`trouble`] | what is in the way of a start |
//! | [`truth`] | where the log leads to, by the rules of the etcd that wrote it |
//! | [`finding`] | what needs an answer, and the way out |
//! | [`message`] | etcd's own messages, and what they mean |
//! | [`leftovers`] | what lies in the directory that no start needs |
//! | [`cluster`] | several members of one cluster |
//! | [`document`] | what is found of a member |
//! | [`report`] | the report |

pub mod case;
pub mod cluster;
pub mod document;
mod failure;
pub mod files;
pub mod finding;
pub mod leftovers;
pub mod message;
pub mod patches;
mod predict;
pub mod prediction;
pub mod report;
pub mod rules;
mod serve;
pub mod start;
pub mod trouble;
pub mod truth;
pub mod versions;

pub use case::MemberCase;
pub use files::MemberFiles;
pub use prediction::{Prediction, Starts};
