//! One result, several renderers: text for people, JSON for programs.
//!
//! | file | what is in it |
//! |---|---|
//! | [`view`] | how wide, how exact: what all text needs |
//! | [`table`] | tables, bars, histograms, timelines drawn with characters |
//! | [`json`] | the documents of docs/json.md |
//! | [`analyze`] | the full report |
//! | [`cleanup`] | `cleanup` |
//! | [`hash`] | `hash` |
//! | [`rewrite`] | `defrag`, `plan` |
//! | [`synth`] | `synth` |
//! | [`simple`] | `status`, `check`, `pages`, `page`, `buckets` |

pub mod analyze;
pub mod cleanup;
pub mod hash;
pub mod json;
pub mod rewrite;
pub mod simple;
pub mod synth;
pub mod table;
pub mod view;

pub use view::View;
