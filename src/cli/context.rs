//! What commands use: the global options, opening a file, writing a result.

use std::io::{self, BufWriter, Write};
use std::path::Path;

use anyhow::Result;
use clap::ValueEnum;
use serde::Serialize;

use crate::bolt::open::Lock;
use crate::input::DbFile;
use crate::report::{View, json};
use crate::text::shown;

use super::messages::report_error;
use super::signals;

#[derive(clap::Args, Clone, Copy, Debug)]
pub(super) struct GlobalOptions {
    /// Format of the result
    #[arg(long, global = true, value_enum, default_value_t = OutputFormat::Text, value_name = "FORMAT")]
    pub output: OutputFormat,

    /// Show exact numbers of bytes, not rounded ones
    #[arg(long, global = true)]
    pub bytes: bool,

    /// Read even if a running etcd has locked the file: it may change meanwhile
    #[arg(long, global = true)]
    pub no_lock: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub(super) enum OutputFormat {
    /// For people
    Text,
    /// For programs: `etcd-medic schema` describes it
    Json,
    /// For node_exporter's textfile collector, `status` only: docs/monitoring describes it
    Prometheus,
}

/// Columns where there is no terminal to ask.
const USUAL_WIDTH: usize = 120;

/// What a command is given beside its own arguments.
pub(super) struct Context {
    pub options: GlobalOptions,
    /// Makes the whole command line, for what is generated from it.
    pub program: fn() -> clap::Command,
}

impl Context {
    pub fn open(&self, file: &Path) -> Result<DbFile> {
        self.open_under(file, Lock::Shared)
    }

    /// Opens a file under this lock, unless the user wants none.
    pub fn open_under(&self, file: &Path, lock: Lock) -> Result<DbFile> {
        signals::read_from_now_on(file);
        let source = DbFile::open(file, self.lock(lock))?;
        if self.options.no_lock {
            let path = shown(&source.path);
            report_error(&format!(
                "{path}: read without a lock: if {} is writing to it, figures may not fit together",
                source.owner().program()
            ));
        }
        Ok(source)
    }

    /// This lock, unless the user wants none.
    pub fn lock(&self, lock: Lock) -> Lock {
        if self.options.no_lock { Lock::None } else { lock }
    }

    pub fn view(&self) -> View {
        let width = columns().unwrap_or(USUAL_WIDTH).clamp(60, 200);
        View { width, exact_bytes: self.options.bytes, top: usize::MAX }
    }

    /// Writes a result in the form that was asked for.
    pub fn render<T: Serialize>(
        &self,
        command: &str,
        result: &T,
        text: impl FnOnce(&mut &mut dyn Write) -> io::Result<()>,
    ) -> Result<()> {
        match self.options.output {
            OutputFormat::Json => self.write_json(command, result),
            // only `status` has it, and writes it itself
            OutputFormat::Text | OutputFormat::Prometheus => write_out(|mut out| text(&mut out)),
        }
    }

    /// Writes a result as the JSON document of a command.
    pub fn write_json<T: Serialize>(&self, command: &str, result: &T) -> Result<()> {
        write_out(|out| json::write(out, command, self.options.no_lock, result))
    }
}

/// Columns of the terminal, if there is one, or as the environment has them.
pub(super) fn columns() -> Option<usize> {
    let columns = std::env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok());
    columns.or_else(|| terminal_size::terminal_size_of(io::stdout()).map(|(width, _)| usize::from(width.0)))
}

/// Writes to standard output. Colours are removed if it is no terminal, or if NO_COLOR is set.
pub(super) fn write_out(write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<()> {
    let mut out = BufWriter::new(anstream::stdout());
    write(&mut out)?;
    Ok(out.flush()?)
}
