//! How a copy is laid out.

#![warn(missing_docs)]

use crate::bolt::Db;
use crate::bolt::write::{Packing, Settings};

/// The most pages of a node by default: docs/packing.md has the measurements.
pub const DEFAULT_MAX_NODE_PAGES: u32 = 4;

/// How a copy is laid out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Layout {
    /// Bytes of a page; the source's, if not given.
    pub page_size: Option<u32>,
    /// The most pages of a node.
    pub max_node_pages: u32,
    /// Whether only those nodes have several pages that bbolt will not split.
    pub steady: bool,
}

impl Default for Layout {
    fn default() -> Self {
        Self { page_size: None, max_node_pages: DEFAULT_MAX_NODE_PAGES, steady: false }
    }
}

impl Layout {
    /// The writer's settings for a copy of `db`. Only a file that isn't etcd's gets a stored freelist, if it had one.
    #[must_use]
    pub fn settings(self, db: &Db, is_etcd: bool) -> Settings {
        Settings {
            page_size: self.page_size.unwrap_or(db.meta().page_size),
            packing: Packing::Optimal { max_node_pages: self.max_node_pages, steady: self.steady },
            freelist: !is_etcd && db.meta().freelist.is_some(),
        }
    }
}
