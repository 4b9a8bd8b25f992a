//! Whether a name repeats the data: labels, types and keys are shown only where they do not.

use std::collections::HashMap;

use foldhash::fast::RandomState;
use serde_json::{Map, Value};

use super::says::folds_to;
use super::unpack;

/// Runs of the data that are looked for. Shorter ones are everywhere.
const SHORTEST: usize = 4;
/// A longer run is a repetition, however long the data it is of.
const LONGEST: usize = 16;

/// The data of a Secret, as all of its runs of four bytes.
#[derive(Debug, Default)]
pub(super) struct Echo {
    /// Run → how many bytes of the data that hold it make a repetition: a quarter of it.
    runs: HashMap<[u8; SHORTEST], u8, RandomState>,
}

impl Echo {
    /// Learns what must not be repeated: the data, and whatever is beside what a Secret has.
    pub(super) fn of(secret: &Map<String, Value>) -> Self {
        const OTHERS: [&str; 6] = ["apiversion", "kind", "metadata", "type", "immutable", "items"];
        let mut echo = Self::default();
        for (name, value) in secret {
            if OTHERS.iter().any(|other| folds_to(name, other)) {
                continue;
            }
            match value {
                // the names of entries are shown, unless they repeat the data
                Value::Object(entries) => entries.values().for_each(|value| echo.learn(value)),
                other => echo.learn(other),
            }
        }
        echo
    }

    /// Objects are of bounded depth, as they were rendered.
    fn learn(&mut self, value: &Value) {
        match value {
            Value::Null | Value::Bool(_) => {}
            Value::Number(number) => self.add(number.to_string().as_bytes()),
            Value::String(text) => {
                self.add(text.as_bytes());
                if let Some(bytes) = unpack::base64(text.as_bytes()) {
                    self.add(&bytes);
                }
            }
            Value::Array(items) => items.iter().for_each(|item| self.learn(item)),
            Value::Object(fields) => fields.iter().for_each(|(name, value)| {
                self.add(name.as_bytes());
                self.learn(value);
            }),
        }
    }

    fn add(&mut self, data: &[u8]) {
        let enough = data.len().div_ceil(4).clamp(SHORTEST, LONGEST);
        let enough = u8::try_from(enough).unwrap_or(u8::MAX);
        for run in runs(data) {
            self.runs.entry(run).and_modify(|least| *least = enough.min(*least)).or_insert(enough);
        }
    }

    /// Whether a name repeats enough of the data to say something: a quarter of a value, 16 bytes at most, or as it
    /// is four bytes (of which a quarter are none).
    pub(super) fn is_in(&self, name: &str) -> bool {
        self.finds(name, |run, enough| run >= enough)
    }

    /// Whether a text has any four bytes of the data.
    pub(super) fn touches(&self, text: &str) -> bool {
        self.finds(text, |_, _| true)
    }

    /// The text as it is, as base64 and as hexadecimal digits, from wherever in it these begin.
    fn finds(&self, text: &str, is_enough: impl Fn(usize, usize) -> bool) -> bool {
        let bytes = text.as_bytes();
        let forms = (0..4).filter_map(|skip| unpack::base64(bytes.get(skip..)?));
        let forms = forms.chain((0..2).filter_map(|skip| unpack::hex(bytes.get(skip..)?)));
        std::iter::once(bytes.to_vec()).chain(forms).any(|form| self.found(&form, &is_enough))
    }

    fn found(&self, bytes: &[u8], is_enough: &impl Fn(usize, usize) -> bool) -> bool {
        let (mut run, mut enough) = (0usize, usize::MAX);
        runs(bytes).any(|window| {
            match self.runs.get(&window) {
                Some(&least) => {
                    run = if run == 0 { SHORTEST } else { run.saturating_add(1) };
                    enough = enough.min(usize::from(least));
                }
                None => (run, enough) = (0, usize::MAX),
            }
            run > 0 && is_enough(run, enough)
        })
    }
}

fn runs(bytes: &[u8]) -> impl Iterator<Item = [u8; SHORTEST]> {
    bytes.windows(SHORTEST).filter_map(|run| run.try_into().ok())
}
