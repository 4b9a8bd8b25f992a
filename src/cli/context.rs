//! What commands use: the global options, opening a file, writing a result.

use std::io::{self, BufWriter, Write};
use std::path::Path;
#[cfg(feature = "packed")]
use std::path::PathBuf;

use anyhow::Result;
use clap::ValueEnum;
use serde::Serialize;

use crate::bolt::lock::Lock;
use crate::input::named::Named;
use crate::input::packed::Packed;
use crate::input::{DbFile, LogFiles, OpenOptions};
use crate::report::{View, json};
use crate::text::{escape, shown};

use super::messages::report_error;
use super::progress;
use super::signals;
#[cfg(feature = "packed")]
use super::values::parse_bytes;

#[derive(clap::Args, Clone, Debug)]
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

    #[cfg(feature = "packed")]
    #[command(flatten)]
    pub packed: PackedOptions,
}

/// How packed files are read.
#[cfg(feature = "packed")]
#[derive(clap::Args, Clone, Debug)]
#[command(next_help_heading = "Packed files")]
pub(super) struct PackedOptions {
    /// The file of an archive that is meant, by its path in it
    #[arg(long, global = true, value_name = "NAME")]
    pub member: Option<String>,

    /// Unpack into this folder, not into $TMPDIR, /var/tmp or /tmp; nothing is left there
    #[arg(long, global = true, value_name = "DIR")]
    tmp_dir: Option<PathBuf>,

    /// Stop when more than this comes out
    #[arg(long, global = true, value_name = "SIZE", default_value = "64GiB", value_parser = parse_bytes)]
    max_unpacked: u64,

    /// Allow a decoder this much memory, rather than 128 MiB for zstd and 64 MiB for xz
    #[arg(long, global = true, value_name = "SIZE", value_parser = parse_bytes)]
    max_window: Option<u64>,
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
        let options = self.open_options(lock);
        signals::read_from_now_on(Named::new(file, &options));
        let source =
            progress::watch(|progress| DbFile::open(file, &options, &progress::unpacking(progress)))?;
        if let Some(packed) = &source.packed {
            say_what_was_unpacked(&source.path, packed);
        }
        if self.options.no_lock {
            let path = shown(&source.path);
            report_error(&format!(
                "{path}: read without a lock: if {} is writing to it, figures may not fit together",
                source.owner().program()
            ));
        }
        Ok(source)
    }

    /// Opens the log that a path names; of an archive, the one beside this db.
    pub fn open_log(&self, path: &Path, wal_dir: Option<&Path>, member: Option<&String>) -> Result<LogFiles> {
        let mut options = self.open_options(Lock::Shared);
        options.unpack.member = member.cloned();
        let files = progress::watch(|progress| {
            LogFiles::open_with(path, wal_dir, &options, &progress::unpacking(progress))
        })?;
        if files.is_unpacked() {
            report_error(&format!("the log in {} is read", shown(&files.folder)));
        }
        Ok(files)
    }

    /// The file of an archive that is meant.
    pub fn member(&self) -> Option<&String> {
        #[cfg(feature = "packed")]
        return self.options.packed.member.as_ref();
        #[cfg(not(feature = "packed"))]
        None
    }

    /// How a file is opened under this lock, or under none, if the user wants that.
    pub fn open_options(&self, lock: Lock) -> OpenOptions {
        let mut options = OpenOptions::from(if self.options.no_lock { Lock::None } else { lock });
        options.standard_input = true;
        #[cfg(feature = "packed")]
        {
            let PackedOptions { member, tmp_dir, max_unpacked, max_window } = self.options.packed.clone();
            options.unpack.member = member;
            options.unpack.folder = tmp_dir;
            options.unpack.max_unpacked = max_unpacked;
            options.unpack.max_window = max_window;
        }
        options
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

pub(super) fn say_what_was_unpacked(path: &Path, packed: &Packed) {
    if !packed.member.is_empty() {
        report_error(&format!("{}: its file {} is read", shown(path), escape(packed.member.as_bytes())));
    }
    if packed.in_memory {
        report_error(&format!(
            "{}: unpacked into {}, which is in memory: --tmp-dir names another folder",
            shown(path),
            shown(&packed.folder)
        ));
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
