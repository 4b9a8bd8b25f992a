//! How a copy is laid out: options that `defrag`, `salvage` and `plan` share.

use crate::copy::{DEFAULT_MAX_NODE_PAGES, Layout};

use crate::cli::values::parse_page_size;

/// How a copy is laid out.
#[derive(clap::Args, Clone, Copy, Debug)]
pub struct LayoutArgs {
    /// Page size in bytes, a power of two of at least 512. Default: that of SRC
    #[arg(long, value_name = "BYTES", value_parser = parse_page_size)]
    pub page_size: Option<u32>,
    /// The largest node, in pages: larger nodes make a smaller file, smaller nodes make smaller writes (docs/packing.md)
    #[arg(long, value_name = "N", default_value_t = DEFAULT_MAX_NODE_PAGES, value_parser = clap::value_parser!(u32).range(1..=256))]
    pub max_node_pages: u32,
    /// For a member that continues to run: make no node that bbolt splits when etcd compacts. Larger now, smaller later
    #[arg(long)]
    pub steady: bool,
}

impl From<LayoutArgs> for Layout {
    fn from(args: LayoutArgs) -> Self {
        Self { page_size: args.page_size, max_node_pages: args.max_node_pages, steady: args.steady }
    }
}
