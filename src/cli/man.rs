//! `man`: the man pages, a file for each command.

use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result};
use clap::{Command, CommandFactory};
use clap_mangen::Man;

use crate::output::{Folder, OutputError, Target};

use super::args::Args;
use crate::text::shown;

/// Writes all pages into a folder; those that are there already are replaced.
pub(super) fn write(folder: &Path) -> Result<()> {
    let failed = || format!("{}: not all man pages could be written", shown(folder));
    let mut program = Args::command().disable_help_subcommand(true);
    // gives the commands their full names
    program.build();
    let folder = Arc::new(Folder::target(folder).with_context(failed)?);
    let commands = program.get_subcommands().filter(|command| !command.is_hide_set()).cloned();
    for command in commands.chain([program.clone()]) {
        page(&folder, command).with_context(failed)?;
    }
    folder.sync_all().with_context(failed)
}

fn page(folder: &Arc<Folder>, command: Command) -> Result<()> {
    let man = Man::new(command);
    let mut page = Vec::new();
    man.render(&mut page)?;
    let output = Target::below(folder, man.get_filename().as_ref(), true)?.begin_public()?;
    output.file().write_all(&page).map_err(OutputError::io(output.target()))?;
    output.commit()?;
    Ok(())
}
