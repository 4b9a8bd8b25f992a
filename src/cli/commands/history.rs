//! `history`: every record of a key.

use std::ffi::OsString;
use std::path::PathBuf;

use anyhow::Result;

use crate::etcd::find::Origin;
use crate::etcd::schema::State;
use crate::report;
use crate::text::shown;
use crate::travel::{SearchIn, history};

use crate::cli::context::Context;
use crate::cli::messages::report_error;
use crate::cli::outcome::Outcome;

use super::select::{open_with_keys, warn_of};

/// List every record of a key that can be found: in the tree, in the older tree, in free pages; no values
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = "Examples:
  etcd-medic history snapshot.db /registry/deployments/shop/web
  etcd-medic history /var/lib/etcd /registry/deployments/shop/web --from log   # compacted ones, too
  etcd-medic history snapshot.db /registry/deployments/shop/web --output json | jq '.records[].mod_revision'")]
pub struct HistoryArgs {
    /// A db, a snapshot, or a data dir
    file: PathBuf,
    /// The whole key
    key: OsString,
    /// Where else to look
    #[arg(long, value_enum)]
    from: Option<Besides>,
}

/// Where else to look.
#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum)]
enum Besides {
    /// In the log of the member: whatever its entries made, compacted or not
    Log,
}

impl HistoryArgs {
    fn looks_in_log(&self) -> bool {
        self.from == Some(Besides::Log)
    }
    pub fn run(&self, context: &Context) -> Result<Outcome> {
        let from = if self.looks_in_log() { SearchIn::Log } else { SearchIn::Live };
        let source = open_with_keys(context, &self.file, from)?;
        let origin = if self.looks_in_log() { Origin::Log } else { Origin::Live };
        let state = State::read(&source.db);
        let found = history::history(&source.db, &state, origin, self.key.as_encoded_bytes());
        let view = context.view();
        context.render("history", &found, |out| report::travel::history(out, &view, &found))?;
        if found.records.is_empty() {
            report_error(&format!("{}: no record of {} can be found", shown(&source.path), found.key));
            return Ok(Outcome::Problems);
        }
        Ok(warn_of(&source, found.unreadable))
    }
}
