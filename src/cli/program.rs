//! The whole command line.

use clap::Parser;

use super::commands::Command;
use super::context::GlobalOptions;

const AFTER_HELP: &str = "\
Exit codes: 0 sound, 1 problems found or a threshold passed, 2 could not do it.
A target that is a symbolic link, or in use by another process, is refused, also with --force.
FILE may be a db, a snapshot, or an etcd data dir (its member/snap/db is read). Nothing is ever written to it.";

/// Reads etcd's database file without etcd: says where every byte went, and what is wrong with it.
#[derive(Parser, Debug)]
#[command(name = "etcd-medic", bin_name = "etcd-medic", version, after_help = AFTER_HELP, arg_required_else_help = true)]
pub(super) struct Args {
    #[command(subcommand)]
    pub command: Command,
    #[command(flatten)]
    pub options: GlobalOptions,
}
