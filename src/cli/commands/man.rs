//! `man`: the man pages, a file for each command.

use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use clap::Command;
use clap_mangen::Man;

use crate::output::{Folder, OutputError, Target};
use crate::text::shown;

use crate::cli::context::Context;
use crate::cli::outcome::Outcome;
use crate::cli::signals;

/// Write the man pages into a folder
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = "Examples:
  etcd-medic man /usr/local/share/man/man1")]
pub struct ManArgs {
    /// An existing folder; pages in it are replaced
    folder: PathBuf,
}

impl ManArgs {
    pub fn run(&self, context: &Context) -> Result<Outcome> {
        signals::end_cleanly()?;
        let failed = || format!("{}: not all man pages could be written", shown(&self.folder));
        let mut program = (context.program)().disable_help_subcommand(true);
        // sets the commands' full names
        program.build();
        let folder = Arc::new(Folder::target(&self.folder).with_context(failed)?);
        let commands = program.get_subcommands().filter(|command| !command.is_hide_set()).cloned();
        for command in commands.chain([program.clone()]) {
            page(&folder, command).with_context(failed)?;
        }
        folder.sync_all().with_context(failed)?;
        Ok(Outcome::Sound)
    }
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
