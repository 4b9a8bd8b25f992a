//! `page`: single pages, taken apart.

use std::path::PathBuf;

use anyhow::{Context as _, Result, ensure};
use serde::Serialize;

use crate::inspect::{self, PageView};
use crate::report;
use crate::text::shown;

use crate::cli::context::Context;
use crate::cli::outcome::Outcome;

/// Show single pages: header and elements; values with --hex only, etcd's also need --show-secrets
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = "Examples:
  etcd-medic page snapshot.db 0 1
  etcd-medic page snapshot.db 17 --hex --show-secrets")]
pub struct PageArgs {
    /// Any bbolt file
    file: PathBuf,
    /// Page ids
    #[arg(required = true, value_name = "ID")]
    ids: Vec<u64>,
    /// Show the bytes, values included; a file that may be etcd's also needs --show-secrets
    #[arg(long)]
    hex: bool,
    /// Show what may be part of a Secret: all bytes, and pages without a valid header
    #[arg(long)]
    show_secrets: bool,
}

/// Pages, taken apart.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct PageDocument {
    /// One for each id, in the order of the arguments.
    pages: Vec<PageView>,
}

impl PageArgs {
    pub fn run(&self, context: &Context) -> Result<Outcome> {
        let source = context.open(&self.file)?;
        let hide = !self.show_secrets && inspect::may_hold_secrets(&source.db);
        ensure!(
            !(self.hex && hide),
            "{}: its bytes may be those of Secrets: --hex shows them with --show-secrets only",
            shown(&source.path)
        );
        let mut document = PageDocument { pages: Vec::new() };
        for &id in &self.ids {
            let view = source.page(id, self.show_secrets);
            let view = view.with_context(|| shown(&source.path).into_owned())?;
            document.pages.push(view);
        }
        context.render("page", &document, |out| {
            document.pages.iter().try_for_each(|view| report::simple::page(out, view, self.hex))
        })?;
        Ok(Outcome::Sound)
    }
}
