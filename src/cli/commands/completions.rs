//! `completions`: a completion script for a shell.

use anyhow::Result;
use clap_complete::Shell;

use crate::cli::context::{Context, write_out};
use crate::cli::outcome::Outcome;

/// Print a completion script for a shell
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = "Examples:
  etcd-medic completions bash > /etc/bash_completion.d/etcd-medic")]
pub struct CompletionsArgs {
    /// Which shell
    shell: Shell,
}

impl CompletionsArgs {
    pub fn run(&self, context: &Context) -> Result<Outcome> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut (context.program)(), "etcd-medic", &mut script);
        write_out(|out| out.write_all(&script))?;
        Ok(Outcome::Sound)
    }
}
