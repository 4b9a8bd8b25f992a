//! What the copies hold that a repair by etcd made of segments, beside what the log has today.

use serde::Serialize;

use crate::input::LogFiles;
use crate::member::ReadLog;
use crate::member::broken::CutOff;
use crate::text::shown;
use crate::units::count;

/// What only a copy (`.broken`) holds of a segment that etcd repaired.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct BrokenCopy {
    /// The copy's file name.
    pub file: String,
    /// Whole records after the place where etcd cut the log.
    pub records: u64,
    /// The entries among them.
    pub entries: EntryRange,
    /// Those of whose index the log has none today.
    pub lacking: EntryRange,
    /// Those of whose index the log has another one today.
    pub differing: EntryRange,
    /// The command that shows the entries that the log does not have; `null` if it has all.
    pub command: Option<String>,
}

/// Some entries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct EntryRange {
    /// How many.
    pub count: u64,
    /// The first one's index; 0 for none.
    pub first_index: u64,
    /// The last one's index; 0 for none.
    pub last_index: u64,
}

impl EntryRange {
    fn add(&mut self, index: u64) {
        self.count = self.count.saturating_add(1);
        self.first_index = if self.count == 1 { index } else { self.first_index.min(index) };
        self.last_index = self.last_index.max(index);
    }

    fn words(self) -> String {
        let Self { count: number, first_index: first, last_index: last } = self;
        if first == last {
            format!("entry {first}")
        } else {
            format!("{}, {first} to {last}", count(number, "entry"))
        }
    }
}

/// The copies beside a log that hold whole records which etcd cut off. `log` is all of it.
pub fn broken_copies(files: &LogFiles, log: &ReadLog<'_>) -> Vec<BrokenCopy> {
    let of = |cut_off: CutOff<'_>| {
        let [mut entries, mut lacking, mut differing] = [EntryRange::default(); 3];
        for (entry, message) in cut_off.entries() {
            entries.add(entry.index);
            match log.stretch_with(entry.index) {
                None => lacking.add(entry.index),
                Some(_) if log.has(entry.index, message) => {}
                Some(_) => differing.add(entry.index),
            }
        }
        let is_lost = lacking.count > 0 || differing.count > 0;
        let command = is_lost.then(|| files.command("etcd-medic log --broken").to_string());
        let (file, records) = (cut_off.file.to_owned(), cut_off.records);
        BrokenCopy { file, records, entries, lacking, differing, command }
    };
    files.cut_off(log).into_iter().filter(|cut_off| cut_off.records > 0).map(of).collect()
}

impl BrokenCopy {
    /// What it means; `None` if the log lacks nothing.
    pub fn words(&self) -> Option<String> {
        self.command.as_ref()?;
        let Self { file, entries, lacking, differing, .. } = self;
        let lacking = (lacking.count > 0).then(|| format!("lacks {}", lacking.words()));
        let differing =
            (differing.count > 0).then(|| format!("has others in place of {}", differing.words()));
        let today: Vec<_> = lacking.into_iter().chain(differing).collect();
        Some(format!(
            "etcd repaired this log: it cut off {}, which {} still holds. Today the log {}:",
            entries.words(),
            shown(file.as_ref()),
            today.join(", and ")
        ))
    }
}
