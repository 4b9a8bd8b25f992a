//! A log's entries in plain words: who wrote which key, when in the order of things, and what became of it.
//!
//! | file | what is in it |
//! |---|---|
//! | [`line`] | an entry, as it is shown |
//! | [`select`] | which entries |
//! | [`known`] | what became of an entry, where that can be known |
//! | [`values`] | the values that it puts, as far as they may be shown |
//! | [`broken`] | what copies hold that a repair by etcd made |
//! | [`summary`] | what all of them come to |

pub mod broken;
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
    for entry in log.stretches.iter().flat_map(|stretch| stretch.entries()) {
        let effect = known.of(&entry);
        if !select.admits_index(entry.index) {
            continue;
        }
        let line = LogLine::of(&entry, effect, &layout);
        if select.admits(&line) {
            each(line)?;
        }
    }
    Ok(())
}
