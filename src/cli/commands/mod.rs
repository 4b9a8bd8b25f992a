//! The commands, a file each: its arguments, and what it does with them.
//!
//! `layout` and `select` have options that several commands share.

mod analyze;
mod buckets;
mod check;
mod cleanup;
mod completions;
mod defrag;
mod doctor;
mod export;
mod files;
mod get;
mod hash;
mod history;
mod keys;
mod layout;
mod log;
mod man;
mod page;
mod pages;
mod plan;
mod replay;
mod restore;
mod salvage;
pub(super) mod schema;
mod select;
mod status;
mod synth;

use anyhow::{Result, ensure};
use clap::Subcommand;

use super::context::{Context, OutputFormat};
use super::outcome::Outcome;

#[cfg(test)]
pub(super) use self::{
    export::ExportDocument,
    get::GetDocument,
    hash::FolderHashes,
    keys::{DeletedDocument, KeysDocument},
    page::PageDocument,
    status::StatusDocument,
};

#[derive(Subcommand, Debug)]
pub(super) enum Command {
    Analyze(analyze::AnalyzeArgs),
    Status(status::StatusArgs),
    Check(check::CheckArgs),
    Doctor(doctor::DoctorArgs),
    Pages(pages::PagesArgs),
    Page(page::PageArgs),
    Buckets(buckets::BucketsArgs),
    Defrag(defrag::DefragArgs),
    Salvage(salvage::SalvageArgs),
    Replay(replay::ReplayArgs),
    Restore(restore::RestoreArgs),
    Plan(plan::PlanArgs),
    Hash(hash::HashArgs),
    Cleanup(cleanup::CleanupArgs),
    Log(log::LogArgs),
    Keys(keys::KeysArgs),
    History(history::HistoryArgs),
    Get(get::GetArgs),
    Export(export::ExportArgs),
    Synth(synth::SynthArgs),
    Schema(schema::SchemaArgs),
    Completions(completions::CompletionsArgs),
    Man(man::ManArgs),
}

impl Command {
    pub fn run(&self, context: &Context) -> Result<Outcome> {
        ensure!(
            context.options.output != OutputFormat::Prometheus || matches!(self, Self::Status(_)),
            "--output prometheus is for `status` only: text or json here"
        );
        #[cfg(feature = "packed")]
        ensure!(
            context.options.packed.member.is_none() || self.reads_a_file(),
            "--member names a file of an archive, and this command reads none: leave it out"
        );
        match self {
            Self::Analyze(command) => command.run(context),
            Self::Status(command) => command.run(context),
            Self::Check(command) => command.run(context),
            Self::Doctor(command) => command.run(context),
            Self::Pages(command) => command.run(context),
            Self::Page(command) => command.run(context),
            Self::Buckets(command) => command.run(context),
            Self::Defrag(command) => command.run(context),
            Self::Salvage(command) => command.run(context),
            Self::Replay(command) => command.run(context),
            Self::Restore(command) => command.run(context),
            Self::Plan(command) => command.run(context),
            Self::Hash(command) => command.run(context),
            Self::Cleanup(command) => command.run(context),
            Self::Log(command) => command.run(context),
            Self::Keys(command) => command.run(context),
            Self::History(command) => command.run(context),
            Self::Get(command) => command.run(context),
            Self::Export(command) => command.run(context),
            Self::Synth(command) => command.run(context),
            Self::Schema(command) => command.run(),
            Self::Completions(command) => command.run(context),
            Self::Man(command) => command.run(context),
        }
    }

    #[cfg(feature = "packed")]
    fn reads_a_file(&self) -> bool {
        !matches!(self, Self::Synth(_) | Self::Schema(_) | Self::Completions(_) | Self::Man(_))
    }
}
