//! The sizes that a defrag would give, without writing.

use serde::Serialize;

use crate::bolt::write::{self, Packing, PlanError, Settings};
use crate::etcd::schema::State;
use crate::source::Source;

use super::content::Content;
use super::defrag::{DEFAULT_MAX_NODE_PAGES, Layout, records_of, settings_of};

/// Spans that are tried beside the one that was asked for.
const NODE_PAGES: [u32; 5] = [1, 2, 4, 8, 16];

/// What a defrag would give.
#[derive(Clone, Debug, Serialize)]
pub struct PlanReport {
    /// The file.
    pub path: String,
    /// Its bytes now, tail and trailer included.
    pub now_bytes: u64,
    /// Bytes of its entries: elements, keys and values. No file can be smaller.
    pub entry_bytes: u64,
    /// What `defrag` would write, by the history that it keeps.
    pub choices: Vec<Choice>,
    /// The same, by the most pages of a node.
    pub node_pages: Vec<NodePages>,
    /// What other tools would make of it, about.
    pub estimates: Vec<Estimate>,
}

/// A copy that `defrag` would write, to the byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Choice {
    /// Revisions that are kept; `null` for all.
    pub keep_revisions: Option<u64>,
    /// Bytes of the copy.
    pub file_bytes: u64,
    /// Its records.
    pub records: u64,
}

/// A copy with nodes of so many pages, to the byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct NodePages {
    /// `--max-node-pages`.
    pub max_node_pages: u32,
    /// `--steady`.
    pub steady: bool,
    /// Bytes of the copy.
    pub file_bytes: u64,
    /// Whether `defrag` takes it, unless asked otherwise.
    pub default: bool,
}

/// About what another tool would make.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Estimate {
    /// The tool.
    pub tool: &'static str,
    /// Pages that it would allocate, in bytes. What it leaves behind them in the file is not in it.
    pub file_bytes: u64,
}

/// Plans every choice.
///
/// # Errors
/// Something that bbolt could not have.
pub fn plan(
    source: &Source,
    state: &State<'_>,
    content: &Content<'_>,
    layout: Layout,
) -> Result<PlanReport, PlanError> {
    let settings = settings_of(&source.db, state.key_bucket.is_some(), layout);
    let planned = write::plan(content, settings)?;
    let with =
        |packing| Ok::<_, PlanError>(write::plan(content, Settings { packing, ..settings })?.file_bytes());
    let mut spans = NODE_PAGES.to_vec();
    spans.push(layout.max_node_pages);
    spans.sort_unstable();
    spans.dedup();
    let steady = [(layout.max_node_pages, true)];
    let node_pages =
        spans.into_iter().map(|pages| (pages, false)).chain(steady).map(|(max_node_pages, steady)| {
            let file_bytes = with(Packing::Optimal { max_node_pages, steady })?;
            let default = max_node_pages == DEFAULT_MAX_NODE_PAGES && !steady;
            Ok(NodePages { max_node_pages, steady, file_bytes, default })
        });
    let node_pages = node_pages.collect::<Result<_, PlanError>>()?;
    // etcd: backend.go, `defragdb`; bbolt: compact.go
    let tools = [("etcdutl defrag", 0.9), ("bbolt compact", 1.0)];
    let estimates =
        tools.map(|(tool, fill)| Ok(Estimate { tool, file_bytes: with(Packing::AsBbolt { fill })? }));
    Ok(PlanReport {
        path: source.path.display().to_string(),
        now_bytes: source.db.file_size(),
        entry_bytes: planned.entry_bytes,
        choices: vec![Choice {
            keep_revisions: None,
            file_bytes: planned.file_bytes(),
            records: records_of(content),
        }],
        node_pages,
        estimates: estimates.into_iter().collect::<Result<_, PlanError>>()?,
    })
}
