//! A log's entries in plain words: who wrote which key, when in the order of things, and what became of it.
//!
//! | file | what is in it |
//! |---|---|
//! | [`line`] | an entry, as it is shown |
//! | [`select`] | which entries |
//! | [`known`] | what became of an entry, where that can be known |
//! | [`values`] | the values that it puts, as far as they may be shown |
//! | [`broken`] | what copies hold that a repair by etcd made |
//! | [`count`] | entries counted |
//! | [`summary`] | what all of them come to |

pub mod broken;
pub mod count;
pub mod known;
pub mod line;
pub mod select;
pub mod summary;
pub mod values;

use crate::k8s::KeyLayout;
use crate::member::ReadLog;

pub use known::Effects;
pub use line::{EntryKind, LogLine, Operation};
pub use select::LogSelect;

/// Gives each entry that was asked for, in the order of the log.
///
/// # Errors
/// Those of `each`.
pub fn for_each<'a, E>(
    log: &ReadLog<'a>,
    known: &mut Effects<'a>,
    select: &LogSelect,
    mut each: impl FnMut(LogLine<'a>) -> Result<(), E>,
) -> Result<(), E> {
    let layout = KeyLayout::new();
    let (from, to) = (*select.indices.start(), *select.indices.end());
    for stretch in &log.stretches {
        let first = if known.is_nothing() { from } else { 0 };
        for entry in stretch.entries_from(first).take_while(|entry| entry.index <= to) {
            let effect = known.of(&entry);
            if entry.index < from {
                continue;
            }
            let line = LogLine::of(&entry, effect, &layout);
            if select.admits(&line) {
                each(line)?;
            }
        }
    }
    Ok(())
}
