//! One result, several renderers: text for people, JSON for programs.
//!
//! | file | what is in it |
//! |---|---|
//! | [`view`] | how wide, how exact: what all text needs |
//! | [`table`] | tables, bars, histograms, timelines drawn with characters |
//! | [`json`] | the documents of docs/json.md |
//! | [`analyze`] | the full report |
//! | [`cleanup`] | `cleanup` |
//! | [`doctor`] | `doctor` |
//! | [`hash`] | `hash` |
//! | [`log`] | `log` |
//! | [`prometheus`] | `status`, for node_exporter's textfile collector |
//! | [`replay`] | `replay` |
//! | [`rewrite`] | `defrag`, `plan` |
//! | [`status`] | `status`, and what suits a disk |
//! | [`synth`] | `synth` |
//! | [`travel`] | `keys`, `history` |
//! | [`simple`] | `check`, `pages`, `page`, `buckets` |

pub mod analyze;
pub mod cleanup;
pub mod doctor;
pub mod hash;
pub mod json;
pub mod log;
pub mod prometheus;
pub mod replay;
pub mod restore;
pub mod rewrite;
pub mod salvage;
pub mod simple;
pub mod status;
pub mod synth;
pub mod table;
pub mod travel;
pub mod view;

pub use view::View;
