//! `keys`, `history`, `get` and `export`: the data, at any revision that can be found.

use std::ffi::{OsStr, OsString};
use std::io::{self, BufWriter, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use serde::Serialize;

use crate::etcd::find::FoundRecord;
use crate::etcd::schema::State;
use crate::filter::Wanted;
use crate::output::Target;
use crate::report::{self, json};
use crate::scan::Scan;
use crate::source::Source;
use crate::text::{ByteText, escape, shown};
use crate::travel::export::{self, ExportTree, Exported, Format};
use crate::travel::history::KeyHistory;
use crate::travel::index::Sorted;
use crate::travel::keys::{Deleted, DeletedRow, KeyRow};
use crate::travel::narrow::{Narrow, check_prefix};
use crate::travel::shown::{ShowOptions, Shower, VisibleObject};
use crate::travel::{self, Answer, From, Select};

use super::Outcome;
use super::args::{Args, Output};
use super::commands::{open, render, scan_and_verify, view, write_out};

/// Which part of the data.
#[derive(clap::Args, Clone, Copy, Debug)]
pub struct When {
    /// At this revision; the current one if not given
    #[arg(long, value_name = "REV", value_parser = clap::value_parser!(i64).range(1..))]
    rev: Option<i64>,
    /// Where to look
    #[arg(long, value_enum, default_value_t = From::Live)]
    from: From,
}

/// Which keys.
#[derive(clap::Args, Clone, Debug)]
pub struct Which {
    /// Only keys that begin so
    prefix: Option<OsString>,
    /// Only of this resource, by any name that kubectl takes: `pods`, `deploy`, `widgets.example.com`
    #[arg(long, value_name = "RESOURCE")]
    resource: Option<String>,
    /// Only of this namespace
    #[arg(long, short, value_name = "NAMESPACE")]
    namespace: Option<String>,
}

impl Which {
    fn prefix(&self) -> &[u8] {
        self.prefix.as_ref().map(|prefix| prefix.as_bytes()).unwrap_or_default()
    }

    fn wanted(&self) -> Wanted {
        Wanted { resource: self.resource.clone(), namespace: self.namespace.clone() }
    }

    /// Whether no name needs to be looked up: none was given, or a prefix of which keys were found.
    fn is_answered(&self, is_empty: bool) -> bool {
        self.wanted().is_none() && (self.prefix().is_empty() || !is_empty)
    }

    /// Of what begins with the prefix, what is of the resource and namespace. A name that is nobody's is an error.
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
    /// How an object is written
    #[arg(long, value_enum, default_value_t = Format::Yaml)]
    format: Format,
    /// Leave out what keeps `kubectl apply` from making the object anew: status, uid, resourceVersion, ...
    #[arg(long)]
    clean: bool,
    /// Show the data of Secrets
    #[arg(long)]
    show_secrets: bool,
}

impl How {
    fn shower(self) -> Result<Shower<'static>> {
        ensure!(!(self.clean && self.format == Format::Raw), "--clean is for objects: not with --format raw");
        Ok(Shower::new(ShowOptions { show_secrets: self.show_secrets, clean: self.clean }))
    }
}

/// `keys`
#[derive(clap::Args, Clone, Debug)]
pub struct KeysArgs {
    #[command(flatten)]
    which: Which,
    #[command(flatten)]
    when: When,
    /// Keys that do not exist now, of which a record can still be found
    #[arg(long, conflicts_with_all = ["rev", "from"])]
    deleted: bool,
    /// With revision, version, lease, size, and where the record lies
    #[arg(long, short)]
    long: bool,
    /// End each key with a zero byte, as it is, rather than with a line feed, escaped: for `xargs -0`
    #[arg(short = '0', long, conflicts_with = "long")]
    null: bool,
}

/// `get`
#[derive(clap::Args, Clone, Debug)]
pub struct GetArgs {
    /// The whole key
    key: OsString,
    #[command(flatten)]
    when: When,
    #[command(flatten)]
    how: How,
}

/// `export`
#[derive(clap::Args, Clone, Debug)]
pub struct ExportArgs {
    #[command(flatten)]
    which: Which,
    #[command(flatten)]
    when: When,
    /// Of keys that do not exist now, the newest value that can still be found
    #[arg(long, conflicts_with_all = ["rev", "from"])]
    deleted: bool,
    #[command(flatten)]
    how: How,
    /// A folder, a file that ends in .ndjson, or `-` for standard output
    #[arg(short = 'o', long = "out", value_name = "DIR|FILE.ndjson|-")]
    out: PathBuf,
    /// Replace FILE.ndjson if it exists, or write into DIR though it is not empty
    #[arg(long)]
    force: bool,
}

/// Opens a file that has something of etcd's.
fn open_with_keys(args: &Args, file: &Path) -> Result<Source> {
    let source = open(args, file)?;
    travel::refuse_others(&source.db).with_context(|| shown(&source.path).into_owned())?;
    Ok(source)
}

/// Says that an answer may lack something.
fn warn_of(source: &Source, unreadable: u64) -> Outcome {
    if unreadable == 0 {
        return Outcome::Sound;
    }
    let path = shown(&source.path);
    super::report_error(&format!(
        "{path}: the live tree is damaged ({unreadable} faults): the answer may lack something. `etcd-medic check` \
         lists the faults, `--deleted` and `--from any` look at every page"
    ));
    Outcome::Problems
}

/// Rows that are made while they are written: a file may have millions.
struct Rows<'r, T>(&'r dyn Fn() -> Box<dyn Iterator<Item = T> + 'r>);

impl<T: Serialize> Serialize for Rows<'_, T> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq((self.0)())
    }
}

#[derive(Serialize)]
struct KeysDocument<'r> {
    revision: i64,
    compact_revision: i64,
    num_keys: u64,
    unreadable: u64,
    keys: Rows<'r, KeyRow>,
}

#[derive(Serialize)]
struct DeletedDocument<'r> {
    num_deleted: u64,
    unreadable: u64,
    deleted: Rows<'r, DeletedRow>,
}

pub(super) fn keys(args: &Args, file: &Path, options: &KeysArgs) -> Result<Outcome> {
    let source = open_with_keys(args, file)?;
    let state = State::read(&source.db);
    if options.deleted {
        return deleted(args, &source, &state, options);
    }
    let answer = answer(&source, &state, options.when, &options.which)?;
    let found = &answer.found;
    match args.output {
        Output::Json => write_out(|out| {
            let document = KeysDocument {
                revision: answer.revision,
                compact_revision: answer.compact_revision,
                num_keys: found.len() as u64,
                unreadable: answer.unreadable,
                keys: Rows(&|| Box::new(found.iter().map(|found| KeyRow::from(&found)))),
            };
            json::write(out, "keys", args.no_lock, &document)
        })?,
        _ if options.null => write_null(found.iter().map(|found| found.kv.key))?,
        _ if options.long => write_out(|out| report::travel::keys(out, &view(args), found.iter()))?,
        _ => write_lines(found.iter().map(|found| escape(found.kv.key)))?,
    }
    Ok(warn_of(&source, answer.unreadable))
}

/// The keys that exist at a revision, of those that were asked for.
fn answer<'a>(source: &'a Source, state: &State<'a>, when: When, which: &Which) -> Result<Answer<'a>> {
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

/// The same of keys that do not exist now.
fn find_deleted<'a>(source: &'a Source, state: &State<'a>, which: &Which) -> Result<Deleted<'a>> {
    let mut deleted = travel::keys::deleted(&source.db, state, Select::Prefix(which.prefix()));
    if !which.is_answered(deleted.is_empty()) {
        let (scan, _) = scan_and_verify(source, state, 0, None);
        which.narrow_deleted(&scan, &mut deleted).with_context(|| shown(&source.path).into_owned())?;
    }
    Ok(deleted)
}

fn deleted(args: &Args, source: &Source, state: &State<'_>, options: &KeysArgs) -> Result<Outcome> {
    let deleted = find_deleted(source, state, &options.which)?;
    match args.output {
        Output::Json => write_out(|out| {
            let document = DeletedDocument {
                num_deleted: deleted.len() as u64,
                unreadable: deleted.unreadable,
                deleted: Rows(&|| Box::new(deleted.iter())),
            };
            json::write(out, "keys", args.no_lock, &document)
        })?,
        _ if options.null => write_null(deleted.iter().map(|row| row.key.0))?,
        _ if options.long => write_out(|out| report::travel::deleted(out, &view(args), deleted.iter()))?,
        _ => write_lines(deleted.iter().map(|row| row.key.to_string()))?,
    }
    Ok(warn_of(source, deleted.unreadable))
}

/// Keys as they are, each with a zero byte behind it: not through the stream that takes colours out, and zeroes, too.
fn write_null(keys: impl Iterator<Item = impl AsRef<[u8]>>) -> Result<()> {
    let mut out = BufWriter::new(io::stdout().lock());
    for key in keys {
        out.write_all(key.as_ref())?;
        out.write_all(&[0])?;
    }
    Ok(out.flush()?)
}

/// Lines without colours, which need not go through the stream that takes them out.
fn write_lines(lines: impl Iterator<Item = impl AsRef<str>>) -> Result<()> {
    let mut out = BufWriter::new(io::stdout().lock());
    for line in lines {
        out.write_all(line.as_ref().as_bytes())?;
        out.write_all(b"\n")?;
    }
    Ok(out.flush()?)
}

pub(super) fn history(args: &Args, file: &Path, key: &OsStr) -> Result<Outcome> {
    let source = open_with_keys(args, file)?;
    let state = State::read(&source.db);
    let found = travel::history::history(&source.db, &state, key.as_bytes());
    render(args, "history", &found, |out| report::travel::history(out, &view(args), &found))?;
    if found.records.is_empty() {
        super::report_error(&format!("{}: no record of {} can be found", shown(&source.path), found.key));
        return Ok(Outcome::Problems);
    }
    Ok(warn_of(&source, found.unreadable))
}

#[derive(Serialize)]
struct GetDocument<'g> {
    key: ByteText,
    revision: i64,
    compact_revision: i64,
    found: Option<KeyRow>,
    encoding: Option<&'static str>,
    object: Option<&'g VisibleObject>,
    value: Option<ByteText>,
    redacted: bool,
    unknown_fields: u64,
    error: Option<String>,
    /// Where else there is something, if it was not found.
    elsewhere: Vec<travel::history::HistoryRow>,
}

pub(super) fn get(args: &Args, file: &Path, options: &GetArgs) -> Result<Outcome> {
    let shower = options.how.shower()?;
    let source = open_with_keys(args, file)?;
    let state = State::read(&source.db);
    let When { rev, from } = options.when;
    let key = options.key.as_bytes();
    let answer = travel::at(&source.db, &state, from, rev, Select::Key(key));
    let answer = answer.with_context(|| shown(&source.path).into_owned())?;
    let mut document = GetDocument {
        key: key.into(),
        revision: answer.revision,
        compact_revision: answer.compact_revision,
        found: None,
        encoding: None,
        object: None,
        value: None,
        redacted: false,
        unknown_fields: 0,
        error: None,
        elsewhere: Vec::new(),
    };
    let Some(found) = answer.found.first() else {
        let history = travel::history::history(&source.db, &state, key);
        super::report_error(&not_found(&source, &history, answer.revision));
        document.elsewhere = history.records;
        if args.output == Output::Json {
            write_out(|out| json::write(out, "get", args.no_lock, &document))?;
        }
        return Ok(Outcome::Problems);
    };
    warn_of(&source, answer.unreadable);
    document.found = Some(KeyRow::from(&found));
    document.encoding = Some(Shower::encoding(&found));
    if options.how.format == Format::Raw {
        let bytes = shower.bytes(&found)?.get();
        if args.output == Output::Json {
            document.value = Some(bytes.into());
            write_out(|out| json::write(out, "get", args.no_lock, &document))?;
        } else {
            write_bytes(bytes)?;
        }
        return Ok(Outcome::Sound);
    }
    let shown = match shower.object(&found) {
        Ok(shown) => shown,
        Err(error) => {
            let bytes = found.kv.value.len();
            let option =
                if shower.bytes(&found).is_ok() { "--format raw" } else { "--format raw --show-secrets" };
            let advice = format!("{error}. `{option}` writes its {bytes} bytes as they are stored");
            if args.output == Output::Json {
                document.error = Some(error.to_string());
                write_out(|out| json::write(out, "get", args.no_lock, &document))?;
            }
            bail!("{}: revision {}: {advice}", escape(key), found.place.revision.main);
        }
    };
    warn_of_unknown(shown.unknown_fields);
    document.redacted = shown.redacted;
    document.unknown_fields = shown.unknown_fields;
    if args.output == Output::Json {
        document.object = Some(&shown.object);
        write_out(|out| json::write(out, "get", args.no_lock, &document))?;
    } else if options.how.format == Format::Json {
        write_bytes(&export::object_json(&shown.object)?)?;
    } else {
        write_bytes(&export::object_yaml(&shown.object))?;
    }
    Ok(Outcome::Sound)
}

fn warn_of_unknown(fields: u64) {
    if fields > 0 {
        super::report_error(&format!(
            "{fields} fields of the stored object are not known here, and are left out: its Kubernetes is newer. \
             `--format raw` has all of it"
        ));
    }
}

/// What is known of a key that is not there.
fn not_found(source: &Source, history: &KeyHistory, revision: i64) -> String {
    let place = format!("{}: no key {} at revision {revision}", shown(&source.path), history.key);
    let newest = history.records.iter().rev().find(|row| row.change == "put");
    let deletion = history.records.iter().rev().find(|row| row.change == "delete");
    let deleted =
        deletion.map_or_else(String::new, |row| format!("; it was deleted at revision {}", row.mod_revision));
    let found = match newest {
        Some(row) => format!(
            "; its value of revision {} ({} bytes) can still be found: `--from any`",
            row.mod_revision, row.value_bytes
        ),
        None if deletion.is_some() => "; no value of it can be found any more".to_owned(),
        None => "; no record of it can be found anywhere in the file".to_owned(),
    };
    format!("{place}{deleted}{found}")
}

/// Bytes that were asked for, as they are: what colours need is not taken out of them.
fn write_bytes(bytes: &[u8]) -> Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(bytes)?;
    Ok(out.flush()?)
}

#[derive(Serialize)]
struct ExportDocument {
    target: ByteText,
    revision: Option<i64>,
    unreadable: u64,
    exported: Exported,
}

pub(super) fn export(args: &Args, file: &Path, options: &ExportArgs) -> Result<Outcome> {
    let shower = options.how.shower()?;
    let source = open_with_keys(args, file)?;
    let state = State::read(&source.db);
    let (found, revision, unreadable) = if options.deleted {
        let deleted = find_deleted(&source, &state, &options.which)?;
        let unreadable = deleted.unreadable;
        (deleted.into_recoverable(), None, unreadable)
    } else {
        let answer = answer(&source, &state, options.when, &options.which)?;
        (answer.found, Some(answer.revision), answer.unreadable)
    };
    let shower = shower.of(&found);
    let exported = write_export(&source, options, &shower, &found)?;
    let outcome = warn_of(&source, unreadable);
    let target = ByteText::from(options.out.as_path());
    let to_stdout = options.out.as_os_str() == "-";
    if args.output == Output::Json && !to_stdout {
        let document = ExportDocument { target, revision, unreadable, exported };
        write_out(|out| json::write(out, "export", args.no_lock, &document))?;
    } else if to_stdout {
        report::travel::exported(&exported).into_iter().skip(1).for_each(|line| super::report_error(&line));
    } else {
        let lines = report::travel::exported(&exported);
        write_out(|out| lines.iter().try_for_each(|line| writeln!(out, "{target}: {line}")))?;
    }
    let incomplete = exported.withheld > 0 || exported.unreadable > 0 || found.is_empty();
    Ok(outcome.max(if incomplete { Outcome::Problems } else { Outcome::Sound }))
}

fn write_export(
    source: &Source,
    options: &ExportArgs,
    shower: &Shower<'_>,
    found: &Sorted<'_>,
) -> Result<Exported> {
    let format = options.how.format;
    let records = || -> Box<dyn Iterator<Item = FoundRecord<'_>>> { Box::new(found.iter()) };
    let target = options.out.as_path();
    if target.as_os_str() == "-" {
        let mut out = BufWriter::new(io::stdout().lock());
        let exported = export::stream(&mut out, records(), shower, format)?;
        out.flush()?;
        return Ok(exported);
    }
    if target.extension().is_some_and(|ending| ending == "ndjson" || ending == "jsonl") {
        let file = Target::new(target, Some(&source.path), options.force)?.begin(0)?;
        let mut out = BufWriter::new(file.file());
        let exported = export::stream(&mut out, records(), shower, format)?;
        out.flush()?;
        drop(out);
        file.sync()?;
        file.commit()?;
        return Ok(exported);
    }
    Ok(ExportTree::begin(target, options.force)?.write(records(), shower, format)?)
}
