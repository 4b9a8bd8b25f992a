//! A file in which no bucket can be found: what lies in its pages all the same.

use std::fmt;
use std::path::PathBuf;

use thiserror::Error;

use crate::bolt::Db;
use crate::bolt::orphan::{Finder, Orphan};
use crate::owner::Owner;
use crate::text::shown;
use crate::units::grouped;

use super::open::Wreck;

/// There is nothing to make a copy of.
#[derive(Clone, Debug, Error)]
pub struct Nothing {
    /// The source.
    path: PathBuf,
    /// Whose it is.
    owner: Owner,
    /// Entries of leaves that lie whole in its pages, where no root tells which bucket they are of.
    unplaced: u64,
}

impl Nothing {
    /// Of this file.
    #[must_use]
    pub fn of(wreck: &Wreck) -> Self {
        let path = wreck.path.clone();
        Self { owner: Owner::of(&wreck.db).at(&path), unplaced: count(&wreck.db), path }
    }
}

impl fmt::Display for Nothing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: no entry of any bucket can be found in it", shown(&self.path))?;
        match self.unplaced {
            0 => {}
            1 => f.write_str(
                ". 1 entry lies in a whole page, and can't be placed: no root tells which bucket it is of",
            )?,
            more => write!(
                f,
                ". {} entries lie in whole pages, and can't be placed: no root tells which buckets they are of",
                grouped(more)
            )?,
        }
        write!(f, "; look for {}", self.owner.backup())
    }
}

/// Entries of leaves that lie whole in a file's pages, the buckets among them apart.
fn count(db: &Db) -> u64 {
    let mut sum: u64 = 0;
    let look = |orphan: Orphan<'_>| match orphan {
        Orphan::Leaf(leaf) if leaf.whole => {
            Some(leaf.entries.iter().filter(|entry| !entry.is_bucket()).count() as u64)
        }
        _ => None,
    };
    Finder::new(db, &[]).search(&|_| (), look, |entries| sum = sum.saturating_add(entries));
    sum
}
