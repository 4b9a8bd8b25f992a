//! Which keys, at which revision, and how objects are shown: options that `keys`, `get` and `export` share.

use std::ffi::OsString;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};

use crate::cli::progress;
use crate::copy::Progress;
use crate::filter::FilterWords;
use crate::front::options::KeysOptions;
use crate::input::DbFile;
use crate::text::shown;
use crate::travel::export::Format;
use crate::travel::keys::Deleted;
use crate::travel::shown::{ShowOptions, Shower};
use crate::travel::{self, Answer, SearchIn};

use crate::cli::context::Context;
use crate::cli::messages::report_error;
use crate::cli::outcome::Outcome;

/// At which revision, and where to look.
#[derive(clap::Args, Clone, Copy, Debug)]
pub struct When {
    /// The revision. Default: the current one
    #[arg(long, value_name = "REV", value_parser = clap::value_parser!(i64).range(1..))]
    pub rev: Option<i64>,
    /// Where to look
    #[arg(long, value_enum, default_value_t = SearchIn::Live)]
    pub from: SearchIn,
}

/// Which keys.
#[derive(clap::Args, Clone, Debug)]
pub struct Which {
    /// Only keys with this prefix
    prefix: Option<OsString>,
    /// Only keys of this resource, by any name that kubectl takes: `pods`, `deploy`, `widgets.example.com`
    #[arg(long, value_name = "RESOURCE")]
    resource: Option<String>,
    /// Only keys of this namespace
    #[arg(long, short, value_name = "NAMESPACE")]
    namespace: Option<String>,
}

impl Which {
    fn options<'p>(&self, progress: Progress<'p>) -> KeysOptions<'p> {
        KeysOptions {
            prefix: self.prefix.as_ref().map(|prefix| prefix.as_encoded_bytes().to_vec()).unwrap_or_default(),
            words: FilterWords { resource: self.resource.clone(), namespace: self.namespace.clone() },
            progress,
            ..KeysOptions::default()
        }
    }
}

/// How objects are shown.
#[derive(clap::Args, Clone, Copy, Debug)]
pub struct How {
    /// Format of an object
    #[arg(long, value_enum, default_value_t = Format::Yaml)]
    pub format: Format,
    /// Leave out what prevents `kubectl apply` from creating the object: status, uid, resourceVersion, ...
    #[arg(long)]
    clean: bool,
    /// Show the data of Secrets
    #[arg(long)]
    show_secrets: bool,
}

impl How {
    pub fn shower(self) -> Result<Shower<'static>> {
        ensure!(!(self.clean && self.format == Format::Raw), "--clean is for objects: not with --format raw");
        Ok(Shower::new(ShowOptions { show_secrets: self.show_secrets, clean: self.clean }))
    }
}

/// Opens a file, which must be etcd's; with all that the log beside it has, if that is where to look.
pub fn open_with_keys(context: &Context, file: &Path, from: SearchIn) -> Result<DbFile> {
    let source = context.open(file)?;
    travel::refuse_others(&source.db).with_context(|| shown(&source.path).into_owned())?;
    if from != SearchIn::Log {
        return Ok(source);
    }
    let log = source.place().log_files(None).with_context(|| {
        format!("{}: there is no log beside it: name the data dir that has both", shown(&source.path))
    })??;
    let unfolded = progress::watch(|progress| source.with_log(&log, progress));
    unfolded.with_context(|| shown(&source.path).into_owned())
}

/// Warns that an answer may be incomplete.
pub fn warn_of(source: &DbFile, unreadable: u64) -> Outcome {
    if unreadable == 0 {
        return Outcome::Sound;
    }
    let path = shown(&source.path);
    report_error(&format!(
        "{path}: the live tree is damaged ({unreadable} faults): the answer may lack something. `etcd-medic check` \
         lists the faults, `--deleted` and `--from any` look at every page"
    ));
    Outcome::Problems
}

/// The keys that exist at a revision, of those that were asked for.
pub fn answer<'a>(source: &'a DbFile, when: When, which: &Which) -> Result<Answer<'a>> {
    let answer = progress::watch(|progress| {
        source.keys(&KeysOptions { revision: when.rev, from: when.from, ..which.options(progress) })
    });
    answer.with_context(|| shown(&source.path).into_owned())
}

/// The same of keys that do not exist now.
pub fn find_deleted<'a>(source: &'a DbFile, which: &Which) -> Result<Deleted<'a>> {
    let deleted = progress::watch(|progress| source.deleted(&which.options(progress)));
    deleted.with_context(|| shown(&source.path).into_owned())
}
