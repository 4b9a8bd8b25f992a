//! Files that are sound, or nearly, and hold so much of one thing that whoever keeps a little for each of it runs out of
//! memory, or of time.
//!
//! | file | what is in it |
//! |---|---|
//! | `few` | files whose verdict is known, of a megabyte or so |
//! | [`shapes`] | every shape, of any size: its name, and what makes it |
//! | `records` | records of the `key` bucket |
//! | `buckets` | buckets, pages and elements |
//! | `small` | etcd's small buckets |
//! | `values` | objects in each encoding |

mod buckets;
mod few;
mod files;
mod records;
mod shapes;
mod small;
mod values;

use std::io::{Write, stderr};

use super::cases::Cases;
use super::everything::{Asked, USUAL};
use shapes::SHAPES;

/// Every shape once, small: no command takes more for it than it may.
#[test]
#[ignore = "long: 84 files of a megabyte, and of a quarter of one in each run"]
fn every_shape_of_a_megabyte() {
    all(1 << 20, USUAL);
}

/// And with every row, object and finding that there is.
#[test]
fn all_of_every_shape_of_a_quarter_of_a_megabyte() {
    all(1 << 18, Asked { top: 1_000_000, max_findings: usize::MAX });
}

#[test]
#[ignore = "long: minutes, and a gigabyte of memory"]
fn every_shape_of_1_to_16_megabytes() {
    for size in [2 << 20, 4 << 20, 16 << 20] {
        all(size, USUAL);
    }
    all(4 << 20, Asked { top: 1_000_000, max_findings: usize::MAX });
}

/// Names a shape, to try it alone: `ETCD_MEDIC_BOMB=nested`.
const ONLY: &str = "ETCD_MEDIC_BOMB";

fn all(size: usize, asked: Asked) {
    let only = std::env::var(ONLY).unwrap_or_default();
    let mut cases = Cases::of("bombs");
    for shape in SHAPES.iter().filter(|shape| shape.name.contains(&only)) {
        let file = shape.file(size);
        cases.run_asked(|| format!("{} of {} bytes", shape.name, file.len()), file.clone(), asked);
    }
    let _ = writeln!(stderr(), "{size} bytes, {asked:?}");
    cases.done();
}
