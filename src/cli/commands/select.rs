//! Which keys, at which revision, and how objects are shown: options that `keys`, `get` and `export` share.

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};

use crate::etcd::schema::State;
use crate::filter::FilterWords;
use crate::scan::Scan;
use crate::source::DbFile;
use crate::text::shown;
use crate::travel::export::Format;
use crate::travel::index::Sorted;
use crate::travel::keys::Deleted;
use crate::travel::narrow::{Narrow, check_prefix};
use crate::travel::shown::{ShowOptions, Shower};
use crate::travel::{self, Answer, From, Select};

use crate::cli::context::{Context, scan_and_verify};
use crate::cli::messages::report_error;
use crate::cli::outcome::Outcome;

/// At which revision, and where to look.
#[derive(clap::Args, Clone, Copy, Debug)]
pub struct When {
    /// The revision. Default: the current one
    #[arg(long, value_name = "REV", value_parser = clap::value_parser!(i64).range(1..))]
    pub rev: Option<i64>,
    /// Where to look
    #[arg(long, value_enum, default_value_t = From::Live)]
    pub from: From,
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
    fn prefix(&self) -> &[u8] {
        self.prefix.as_ref().map(|prefix| prefix.as_bytes()).unwrap_or_default()
    }

    fn wanted(&self) -> FilterWords {
        FilterWords { resource: self.resource.clone(), namespace: self.namespace.clone() }
    }

    /// Whether no name needs to be looked up: none was given, or keys with the prefix were found.
    fn is_answered(&self, is_empty: bool) -> bool {
        self.wanted().is_none() && (self.prefix().is_empty() || !is_empty)
    }

    /// Keeps only keys of the resource and the namespace. A name that matches nothing is an error.
    fn narrow<'a>(&self, scan: &Scan<'a>, found: &mut Sorted<'a>) -> Result<()> {
        if found.is_empty() {
            check_prefix(self.prefix(), scan)?;
        }
        Ok(Narrow::to(&self.wanted(), scan).answer(found)?)
    }

    fn narrow_deleted<'a>(&self, scan: &Scan<'a>, found: &mut Deleted<'a>) -> Result<()> {
        if found.is_empty() {
            check_prefix(self.prefix(), scan)?;
        }
        Ok(Narrow::to(&self.wanted(), scan).deleted(found)?)
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

/// Opens a file, which must be etcd's.
pub fn open_with_keys(context: &Context, file: &Path) -> Result<DbFile> {
    let source = context.open(file)?;
    travel::refuse_others(&source.db).with_context(|| shown(&source.path).into_owned())?;
    Ok(source)
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

/// Finds the keys that exist at a revision.
pub fn answer<'a>(source: &'a DbFile, state: &State<'a>, when: When, which: &Which) -> Result<Answer<'a>> {
    let path = || shown(&source.path).into_owned();
    let When { rev, from } = when;
    let answer = travel::at(&source.db, state, from, rev, Select::Prefix(which.prefix()));
    let mut answer = answer.with_context(path)?;
    if !which.is_answered(answer.found.is_empty()) {
        let (scan, _) = scan_and_verify(source, state, 0, None);
        which.narrow(&scan, &mut answer.found).with_context(path)?;
    }
    Ok(answer)
}

/// Finds the keys that do not exist now.
pub fn find_deleted<'a>(source: &'a DbFile, state: &State<'a>, which: &Which) -> Result<Deleted<'a>> {
    let mut deleted = travel::keys::deleted(&source.db, state, Select::Prefix(which.prefix()));
    if !which.is_answered(deleted.is_empty()) {
        let (scan, _) = scan_and_verify(source, state, 0, None);
        which.narrow_deleted(&scan, &mut deleted).with_context(|| shown(&source.path).into_owned())?;
    }
    Ok(deleted)
}
