//! Many objects, into a folder (a file each) or a stream (a line of JSON each).

use std::collections::HashSet;
use std::hash::BuildHasher;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use foldhash::fast::RandomState;
use serde::Serialize;
use thiserror::Error;

use crate::etcd::HexId;
use crate::etcd::find::{FoundRecord, Origin};
use crate::k8s::render::yaml;
use crate::output::{Folder, OutputError, Target, folder_of, is_done};
use crate::text::ByteText;
use crate::text::shown;

use super::names;
use super::shown::{Shower, Shown, VisibleBytes, VisibleObject};

/// How an object is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[cfg_attr(feature = "cli", derive(clap::ValueEnum))]
pub enum Format {
    /// As `kubectl get -o yaml`
    #[default]
    Yaml,
    /// As `kubectl get -o json`
    Json,
    /// The bytes as they are stored
    Raw,
}

/// Values that were exported, by what became of them.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Exported {
    /// Values written as objects.
    pub objects: u64,
    /// Values written as they are stored.
    pub raw: u64,
    /// Values left out: Secrets that are no objects; with `--format raw`, all that hold a Secret, or may.
    pub withheld: u64,
    /// Objects written without the data of Secrets.
    pub redacted: u64,
    /// Objects with fields of protobuf that are not known here, and were not written.
    pub incomplete: u64,
    /// Values of Kubernetes' that could not be read as objects; they are among `raw` or `withheld`.
    pub unreadable: u64,
}

/// Why an export did not go on.
#[derive(Debug, Error)]
pub enum ExportError {
    #[error("{}: is not empty", shown(.0))]
    NotEmpty(PathBuf),
    /// A file is there.
    #[error("{}: is no folder: name one, or a file that ends in .ndjson", shown(.0))]
    NotAFolder(PathBuf),
    /// The operating system said no.
    #[error(transparent)]
    Output(#[from] OutputError),
    /// Standard output, or the stream's file.
    #[error("could not write: {0}")]
    Stream(#[from] io::Error),
    /// Some files were written, and then one was not.
    #[error("{error}. In {} are {written} files by now, the others are missing", shown(root))]
    Partly {
        root: PathBuf,
        /// Files that are there.
        written: u64,
        error: Box<ExportError>,
    },
    #[error("an object could not be written: {0}")]
    Format(String),
}

/// What becomes of a record.
enum Piece<'a> {
    Object(Shown),
    Raw(VisibleBytes<'a>),
}

/// Decides what to write of a record, and counts it; `None` where nothing of it may be shown.
fn piece<'a>(
    shower: &Shower<'_>,
    found: &FoundRecord<'a>,
    format: Format,
    counts: &mut Exported,
) -> Option<Piece<'a>> {
    if format != Format::Raw {
        match shower.object(found) {
            Ok(shown) => {
                counts.objects += 1;
                counts.redacted += u64::from(shown.redacted);
                counts.incomplete += u64::from(shown.unknown_fields > 0);
                return Some(Piece::Object(shown));
            }
            Err(error) => {
                counts.unreadable += u64::from(!matches!(error, crate::k8s::render::Unrenderable::NoObject))
            }
        }
    }
    match shower.bytes(found) {
        Ok(bytes) => {
            counts.raw += 1;
            Some(Piece::Raw(bytes))
        }
        Err(_) => {
            counts.withheld += 1;
            None
        }
    }
}

/// Gives `write` each record with what becomes of it, but for those of which nothing may be shown. Counts all.
fn write_each<'a>(
    records: impl Iterator<Item = FoundRecord<'a>>,
    shower: &Shower<'_>,
    format: Format,
    mut write: impl FnMut(FoundRecord<'a>, Piece<'a>) -> Result<(), ExportError>,
) -> Result<Exported, ExportError> {
    let mut counts = Exported::default();
    for found in records {
        if let Some(piece) = piece(shower, &found, format, &mut counts) {
            write(found, piece)?;
        }
    }
    Ok(counts)
}

/// A folder that is being filled: a folder for each resource and namespace in it, and no link leads out of it.
#[derive(Debug)]
pub struct ExportTree {
    root: Arc<Folder>,
    /// The last folder that was written to, by its path below the root: keys come in order.
    last: Option<(PathBuf, Arc<Folder>)>,
    force: bool,
    written: u64,
    /// Hashes of the paths that are taken: 8 bytes each.
    taken: HashSet<u64, RandomState>,
    hasher: RandomState,
}

impl ExportTree {
    /// Makes the folder, or takes an empty one.
    ///
    /// # Errors
    /// It has something in it and `force` is not given; it can't be made.
    pub fn begin(root: &Path, force: bool) -> Result<Self, ExportError> {
        let folder = Folder::target_made(root).map_err(|error| match error {
            OutputError::NotAFolder(path) => ExportError::NotAFolder(path),
            error => error.into(),
        })?;
        if !force && !folder.is_empty()? {
            return Err(ExportError::NotEmpty(root.to_owned()));
        }
        let (taken, hasher) = (HashSet::default(), RandomState::default());
        Ok(Self { root: Arc::new(folder), last: None, force, written: 0, taken, hasher })
    }

    /// Writes all records, a file each, which appears whole or not at all.
    ///
    /// # Errors
    /// The operating system's.
    pub fn write<'a>(
        mut self,
        records: impl Iterator<Item = FoundRecord<'a>>,
        shower: &Shower<'_>,
        format: Format,
    ) -> Result<Exported, ExportError> {
        let written = write_each(records, shower, format, |found, piece| {
            let (ending, content) = match piece {
                Piece::Object(shown) if format == Format::Json => ("json", object_json(&shown.object)?),
                Piece::Object(shown) => ("yaml", object_yaml(&shown.object)),
                Piece::Raw(bytes) => ("raw", bytes.get().to_vec()),
            };
            let path = self.path_for(&found, shower, ending);
            self.write_file(&path, &content)
        });
        let root = self.root.path().to_owned();
        let synced =
            written.and_then(|exported| self.root.sync_all().map(|()| exported).map_err(ExportError::from));
        let exported = synced.map_err(|error| match self.written {
            0 => error,
            written => ExportError::Partly { root: root.clone(), written, error: Box::new(error) },
        })?;
        is_done(format!("{} is written", shown(&root)));
        Ok(exported)
    }

    /// The path of a record's file below the root.
    fn path_for(&mut self, found: &FoundRecord<'_>, shower: &Shower<'_>, ending: &str) -> PathBuf {
        let object = shower.classify(found);
        let mut path = names::path_of(found.kv.key, &object, shower.tenant(&object).as_ref());
        if !self.taken.insert(self.hasher.hash_one(&path)) {
            // two prefixes in one file, as OpenShift has
            path = names::another(&path, found.kv.key);
        }
        let name = format!("{}.{ending}", path.file_name().unwrap_or_default().to_string_lossy());
        path.with_file_name(name)
    }

    fn write_file(&mut self, path: &Path, content: &[u8]) -> Result<(), ExportError> {
        let folder = self.folder_for(folder_of(path))?;
        let output = Target::below(&folder, path.file_name().unwrap_or_default(), self.force)?.begin(0)?;
        output.file().write_all(content).map_err(OutputError::io(output.target()))?;
        output.commit()?;
        self.written += 1;
        Ok(())
    }

    fn folder_for(&mut self, path: &Path) -> Result<Arc<Folder>, OutputError> {
        if let Some((last, folder)) = &self.last
            && last == path
        {
            return Ok(Arc::clone(folder));
        }
        let root = Arc::clone(&self.root);
        let folder = path.iter().try_fold(root, |folder, name| folder.below(name).map(Arc::new))?;
        self.last = Some((path.to_owned(), Arc::clone(&folder)));
        Ok(folder)
    }
}

/// An object as a document of YAML.
pub fn object_yaml(object: &VisibleObject) -> Vec<u8> {
    yaml::yaml(object.fields()).into_bytes()
}

/// An object as JSON.
///
/// # Errors
/// A library's.
pub fn object_json(object: &VisibleObject) -> Result<Vec<u8>, ExportError> {
    let text = yaml::json(object).map_err(|error| ExportError::Format(error.to_string()))?;
    Ok((text + "\n").into_bytes())
}

/// A line of `export -o FILE.ndjson`: one key, with its value.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Line<'a> {
    /// The key.
    key: ByteText,
    /// The revision of its record.
    mod_revision: i64,
    /// The revision at which it was created.
    create_revision: i64,
    /// How often it was put since then.
    version: i64,
    /// The lease that it is attached to, in hexadecimal digits; `0` for none.
    lease: HexId,
    /// Where the record is.
    origin: Origin,
    /// How the value is stored: `protobuf`, `json`, `cbor`, `encrypted` or `other`.
    encoding: &'static str,
    /// Whether data of a Secret was left out, of the object itself or of one in it.
    redacted: bool,
    /// Fields of protobuf that are not known here, and not in `object`.
    unknown_fields: u64,
    /// The object; `null` where it is none, or with `--format raw`.
    object: Option<&'a VisibleObject>,
    /// The value as it is stored; `null` where there is an `object`.
    value: Option<ByteText>,
}

/// Writes all records, a line of JSON each.
///
/// # Errors
/// The writer's.
pub fn stream<'a>(
    out: &mut (impl Write + ?Sized),
    records: impl Iterator<Item = FoundRecord<'a>>,
    shower: &Shower<'_>,
    format: Format,
) -> Result<Exported, ExportError> {
    write_each(records, shower, format, |found, piece| {
        let (shown, value) = match &piece {
            Piece::Object(shown) => (Some(shown), None),
            Piece::Raw(bytes) => (None, Some(ByteText::from(bytes.get()))),
        };
        let line = Line {
            key: found.kv.key.into(),
            mod_revision: found.place.revision.main,
            create_revision: found.kv.create_revision,
            version: found.kv.version,
            lease: found.kv.lease.into(),
            origin: found.origin,
            encoding: Shower::encoding(&found),
            redacted: shown.is_some_and(|shown| shown.redacted),
            unknown_fields: shown.map_or(0, |shown| shown.unknown_fields),
            object: shown.map(|shown| &shown.object),
            value,
        };
        let text = yaml::json_line(&line).map_err(|error| ExportError::Format(error.to_string()))?;
        Ok(writeln!(out, "{text}")?)
    })
}
