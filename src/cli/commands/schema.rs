//! `schema`: what the JSON of a command looks like.

use anyhow::Result;
use clap::builder::PossibleValuesParser;

use crate::cli::context::write_out;
use crate::cli::outcome::Outcome;
use crate::embedded;

macro_rules! schemas {
    ($($name:literal),+ $(,)?) => {
        [$(($name, include_bytes!(concat!(env!("OUT_DIR"), "/", $name, ".json.deflate")))),+]
    };
}

/// The schemas, made from the structs by the tests of [`crate::cli::schemas`], and packed by build.rs.
const SCHEMAS: [(&str, &[u8]); 22] = schemas![
    "analyze",
    "status",
    "check",
    "doctor",
    "pages",
    "page",
    "buckets",
    "hash",
    "plan",
    "defrag",
    "salvage",
    "replay",
    "restore",
    "log",
    "log-line",
    "cleanup",
    "keys",
    "history",
    "get",
    "export",
    "export-line",
    "synth",
];

/// The JSON Schema of what a command writes with --output json: every field, with its meaning
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = "Examples:
  etcd-medic schema                                            # which there are
  etcd-medic schema analyze > analyze.schema.json
  etcd-medic schema check | jq '.\"$defs\".Finding.properties'
docs/json.md says what holds for all of them.")]
pub struct SchemaArgs {
    /// A command; `export-line` is a line of `export -o FILE.ndjson`, `log-line` one of `log`
    #[arg(value_parser = PossibleValuesParser::new(SCHEMAS.map(|(name, _)| name)))]
    command: Option<String>,
}

/// Each schema with its name.
#[cfg(test)]
pub fn schemas() -> impl Iterator<Item = (&'static str, String)> {
    SCHEMAS.iter().map(|(name, packed)| (*name, embedded::text(packed).expect("a schema")))
}

impl SchemaArgs {
    pub fn run(&self) -> Result<Outcome> {
        write_out(|out| {
            let Some(command) = &self.command else {
                return SCHEMAS.iter().try_for_each(|(name, _)| writeln!(out, "{name}"));
            };
            let found = SCHEMAS.iter().filter(|(name, _)| name == command);
            found.into_iter().try_for_each(|(_, packed)| out.write_all(embedded::text(packed)?.as_bytes()))
        })?;
        Ok(Outcome::Sound)
    }
}
