//! Why a member does not start, and what each etcd does with its directory.
//!
//! | file | what is in it |
//! |---|---|
//! | [`files`] | what lies in the directory, opened |
//! | [`predict`](mod@predict) | a start, step by step |
//! | `serve` | whether it serves, once its log was read |
//! | `refusal` | why a start ends, in etcd's words and in plain ones |
//! | [`prediction`] | what becomes of it |
//! | [`trouble`] | what is in the way of a start |
//! | [`truth`] | where the log leads to, by the rules of the etcd that wrote it |
//! | [`finding`] | what needs an answer, and the way out |
//! | [`message`] | etcd's own messages, and what they mean |
//! | [`leftovers`] | what lies in the directory that no start needs |
//! | [`cluster`] | several members of one cluster |
//! | [`document`] | what is found of a member |
//! | [`report`] | the report |

pub mod cluster;
pub mod document;
pub mod files;
pub mod finding;
pub mod leftovers;
pub mod message;
pub mod predict;
pub mod prediction;
mod refusal;
pub mod report;
mod serve;
pub mod trouble;
pub mod truth;

pub use files::MemberFiles;
pub use predict::predict;
pub use prediction::{Prediction, Starts};
