//! Why a member does not start, and what each etcd does with its directory.
//!
//! | file | what is in it |
//! |---|---|
//! | [`files`] | what lies in the directory, opened |
//! | [`predict`](mod@predict) | a start, step by step |
//! | [`prediction`] | what becomes of it |

pub mod files;
pub mod predict;
pub mod prediction;

pub use files::MemberFiles;
pub use predict::predict;
pub use prediction::{Prediction, Starts};
