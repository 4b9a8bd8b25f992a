//! `get`: one object.

use std::ffi::OsString;
use std::io::{self, Write};
use std::path::PathBuf;

use anyhow::{Context as _, Result, bail};
use serde::Serialize;

use crate::etcd::find::{FoundRecord, Origin};
use crate::etcd::schema::State;
use crate::input::DbFile;
use crate::text::{ByteText, escape, shown};
use crate::travel::export::{self, Format};
use crate::travel::history::{self, HistoryRow, KeyHistory};
use crate::travel::keys::KeyRow;
use crate::travel::shown::{Shower, VisibleObject};
use crate::travel::{self, Select};

use crate::cli::context::{Context, OutputFormat};
use crate::cli::messages::report_error;
use crate::cli::outcome::Outcome;

use super::select::{How, When, open_with_keys, warn_of};

/// Print one object, at any retained or recoverable revision, as YAML, JSON or stored bytes
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = "Examples:
  etcd-medic get snapshot.db /registry/deployments/shop/web
  etcd-medic get snapshot.db /registry/deployments/shop/web --rev 120000 --format json
  etcd-medic get snapshot.db /registry/deployments/shop/web --from any --clean | kubectl apply -f -
  etcd-medic get snapshot.db /registry/secrets/shop/tls --show-secrets
Exit codes: 0 found, 1 not found, 2 could not do it.")]
pub struct GetArgs {
    /// A db, a snapshot, or a data dir
    file: PathBuf,
    /// The whole key
    key: OsString,
    #[command(flatten)]
    when: When,
    #[command(flatten)]
    how: How,
}

/// A key at a revision.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct GetDocument<'g> {
    /// The key that was asked for.
    key: ByteText,
    /// The revision that the answer is of.
    revision: i64,
    /// Revisions up to this one are gone; -1 where the file was never compacted.
    compact_revision: i64,
    /// Its record; `null` where there is no such key: exit code 1.
    found: Option<KeyRow>,
    /// How the value is stored: `protobuf`, `json`, `cbor`, `encrypted` or `other`; `null` where nothing was found.
    encoding: Option<&'static str>,
    /// The object; `null` with `--format raw`, or where there is none.
    object: Option<&'g VisibleObject>,
    /// The value as it is stored, with `--format raw`; else `null`.
    value: Option<ByteText>,
    /// Whether data of a Secret was left out, of the object itself or of one in it.
    redacted: bool,
    /// Fields of protobuf that are not known here, and not in `object`.
    unknown_fields: u64,
    /// Why the value can't be shown as an object: exit code 2; `null` where it can.
    error: Option<String>,
    /// Where the key was not found: its records at other revisions and places.
    elsewhere: Vec<HistoryRow>,
}

impl GetArgs {
    pub fn run(&self, context: &Context) -> Result<Outcome> {
        let shower = self.how.shower()?;
        let source = open_with_keys(context, &self.file, self.when.from)?;
        let state = State::read(&source.db);
        let When { rev, from } = self.when;
        let key = self.key.as_encoded_bytes();
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
            let history = history::history(&source.db, &state, Origin::Live, key);
            report_error(&not_found(&source, &history, answer.revision));
            document.elsewhere = history.records;
            if context.options.output == OutputFormat::Json {
                context.write_json("get", &document)?;
            }
            return Ok(Outcome::Problems);
        };
        warn_of(&source, answer.unreadable);
        document.found = Some(KeyRow::from(&found));
        document.encoding = Some(Shower::encoding(&found));
        if self.how.format == Format::Raw {
            write_raw(context, document, shower.bytes(&found)?.get())?;
        } else {
            self.write_object(context, document, &shower, &found)?;
        }
        Ok(Outcome::Sound)
    }

    fn write_object(
        &self,
        context: &Context,
        mut document: GetDocument<'_>,
        shower: &Shower<'_>,
        found: &FoundRecord<'_>,
    ) -> Result<()> {
        let json = context.options.output == OutputFormat::Json;
        let shown = match shower.object(found) {
            Ok(shown) => shown,
            Err(error) => {
                let bytes = found.kv.value.len();
                let option =
                    if shower.bytes(found).is_ok() { "--format raw" } else { "--format raw --show-secrets" };
                let advice = format!("{error}. `{option}` writes its {bytes} bytes as they are stored");
                if json {
                    document.error = Some(error.to_string());
                    context.write_json("get", &document)?;
                }
                bail!("{}: revision {}: {advice}", escape(found.kv.key), found.place.revision.main);
            }
        };
        warn_of_unknown(shown.unknown_fields);
        if json {
            let document = GetDocument {
                object: Some(&shown.object),
                redacted: shown.redacted,
                unknown_fields: shown.unknown_fields,
                ..document
            };
            context.write_json("get", &document)
        } else if self.how.format == Format::Json {
            write_bytes(&export::object_json(&shown.object)?)
        } else {
            write_bytes(&export::object_yaml(&shown.object))
        }
    }
}

fn write_raw(context: &Context, mut document: GetDocument<'_>, bytes: &[u8]) -> Result<()> {
    if context.options.output == OutputFormat::Json {
        document.value = Some(bytes.into());
        context.write_json("get", &document)
    } else {
        write_bytes(bytes)
    }
}

fn warn_of_unknown(fields: u64) {
    if fields > 0 {
        report_error(&format!(
            "{fields} fields of the stored object are not known here, and are left out: its Kubernetes is newer. \
             `--format raw` has all of it"
        ));
    }
}

/// What is known about a key that was not found.
fn not_found(source: &DbFile, history: &KeyHistory, revision: i64) -> String {
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

/// Writes bytes as they are, past the stream that removes colours.
fn write_bytes(bytes: &[u8]) -> Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(bytes)?;
    Ok(out.flush()?)
}
