//! Tables, bars and histograms in text.

use std::io::{self, Write};

use comfy_table::{Cell, CellAlignment, ColumnConstraint, ContentArrangement, Row, Table, Width, presets};
use textwrap::core::display_width;

use crate::analyze::histogram::Histogram;
use crate::log::broken::BrokenCopy;
use crate::text::{ByteText, cut, harmless};
use crate::units::grouped;

use super::view::{HEADING, View, WARNING, styled};

/// A column: its heading, and whether it holds numbers.
#[derive(Clone, Copy, Debug)]
pub struct Column<'h>(pub &'h str, pub Align);

impl Column<'_> {
    /// Whether it holds text that may wrap: numbers and bars stay whole.
    fn gives_way(&self) -> bool {
        self.1 == Align::Left && !self.0.is_empty()
    }
}

/// Which side a column leans to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Align {
    Left,
    Right,
}

/// Rows that are laid out at once: the library takes a kilobyte or so for each.
const PART: usize = 1000;

/// Writes a table no wider than the view; long text wraps within its cell, and very long text is cut.
///
/// # Errors
/// The writer's.
pub fn write(
    out: &mut impl Write,
    view: &View,
    columns: &[Column<'_>],
    rows: impl IntoIterator<Item = Vec<String>, IntoIter: Clone>,
) -> io::Result<()> {
    let mut rows = rows.into_iter();
    let all = rows.clone();
    let first: Vec<_> = rows.by_ref().take(PART).collect();
    if rows.clone().next().is_some() {
        return write_in_parts(out, view, columns, all);
    }
    let mut table = table(columns, first);
    table.set_content_arrangement(ContentArrangement::Dynamic);
    table.set_width(u16::try_from(view.width).unwrap_or(u16::MAX));
    for (number, column) in columns.iter().enumerate() {
        if !column.gives_way() {
            table.column_mut(number).map(|column| column.set_constraint(ColumnConstraint::ContentWidth));
        }
    }
    write_lines(out, &table, 0)
}

/// Lays out a table of any number of rows a part at a time, all alike.
fn write_in_parts(
    out: &mut impl Write,
    view: &View,
    columns: &[Column<'_>],
    mut rows: impl Iterator<Item = Vec<String>> + Clone,
) -> io::Result<()> {
    let widths = fit(view, columns, rows.clone());
    let mut header = 0;
    loop {
        let part: Vec<_> = rows.by_ref().take(PART).collect();
        if part.is_empty() {
            return Ok(());
        }
        let mut table = table(columns, part);
        for (number, &width) in widths.iter().enumerate() {
            let width = Width::Fixed(u16::try_from(width + PADDING).unwrap_or(u16::MAX));
            table.column_mut(number).map(|column| column.set_constraint(ColumnConstraint::Absolute(width)));
        }
        write_lines(out, &table, header)?;
        header = 1;
    }
}

/// Spaces around a cell.
const PADDING: usize = 2;

/// How wide each column is: as its content, as long as that fits; then those that give way share what is left.
fn fit(view: &View, columns: &[Column<'_>], rows: impl Iterator<Item = Vec<String>>) -> Vec<usize> {
    let mut widths: Vec<_> = columns.iter().map(|column| display_width(column.0)).collect();
    for row in rows {
        for (width, text) in widths.iter_mut().zip(&row) {
            *width = display_width(&cut(text)).max(*width);
        }
    }
    let room = view.width.saturating_sub(columns.len() * PADDING);
    let given = || columns.iter().zip(0..).filter(|(column, _)| column.gives_way());
    let fixed: usize =
        widths.iter().zip(columns).filter(|(_, column)| !column.gives_way()).map(|(width, _)| width).sum();
    let mut room = room.saturating_sub(fixed);
    let mut wanted: Vec<(usize, usize)> =
        given().filter_map(|(_, number)| Some((*widths.get(number)?, number))).collect();
    wanted.sort_unstable();
    for (place, (width, number)) in wanted.iter().enumerate() {
        let share = (room / (wanted.len() - place)).max(1).min(*width);
        room = room.saturating_sub(share);
        if let Some(width) = widths.get_mut(*number) {
            *width = share;
        }
    }
    widths
}

/// Writes a table as wide as it is: each row is one line.
///
/// # Errors
/// The writer's.
pub fn write_unwrapped(
    out: &mut impl Write,
    columns: &[Column<'_>],
    rows: Vec<Vec<String>>,
) -> io::Result<()> {
    write_lines(out, &table(columns, rows), 0)
}

fn table(columns: &[Column<'_>], rows: Vec<Vec<String>>) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header(Row::from(columns.iter().map(|column| cell(column, column.0)).collect::<Vec<_>>()));
    for row in rows {
        table.add_row(row.iter().zip(columns).map(|(text, column)| cell(column, text)).collect::<Vec<_>>());
    }
    table
}

fn write_lines(out: &mut impl Write, table: &Table, skipped: usize) -> io::Result<()> {
    for line in table.lines().skip(skipped) {
        writeln!(out, "{}", line.trim_end())?;
    }
    Ok(())
}

fn cell(&Column(_, align): &Column<'_>, text: &str) -> Cell {
    let side = if align == Align::Left { CellAlignment::Left } else { CellAlignment::Right };
    Cell::new(cut(text)).set_alignment(side)
}

/// Writes a heading with an empty line before it.
///
/// # Errors
/// The writer's.
pub fn heading(out: &mut impl Write, text: &str) -> io::Result<()> {
    writeln!(out, "\n{}", styled(HEADING, text))
}

/// Writes prose, wrapped to the view, with `first` before its first line and as much space before the others.
///
/// # Errors
/// The writer's.
pub fn prose(out: &mut impl Write, view: &View, first: &str, text: &str) -> io::Result<()> {
    let indent = " ".repeat(display_width(first));
    let options = textwrap::Options::new(view.width).initial_indent(first).subsequent_indent(&indent);
    // a command or an option must not be split at its hyphens
    let options = options.break_words(false).word_splitter(textwrap::WordSplitter::NoHyphenation);
    for line in textwrap::wrap(text, options) {
        writeln!(out, "{line}")?;
    }
    Ok(())
}

/// Writes a command that can be pasted, on a line of its own, however long.
///
/// # Errors
/// The writer's.
pub fn command(out: &mut impl Write, command: &str) -> io::Result<()> {
    writeln!(out, "     $ {}", harmless(command))
}

/// What copies hold that etcd made when it repaired a log.
///
/// # Errors
/// The writer's.
pub fn broken_copies(
    out: &mut impl Write,
    view: &View,
    log: &ByteText,
    copies: &[BrokenCopy],
) -> io::Result<()> {
    for copy in copies {
        let (Some(words), Some(next)) = (copy.words(), &copy.command) else { continue };
        let text = harmless(&format!("{log}: {words}")).into_owned();
        prose(out, view, &format!("{} ", styled(WARNING, "note")), &text)?;
        command(out, next)?;
    }
    Ok(())
}

/// A bar of at most `width` columns that shows `share` (0 to 1), to an eighth of a column.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "0 to a few hundred"
)]
pub fn bar(share: f64, width: usize) -> String {
    const PARTS: [&str; 8] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];
    let eighths = (share.clamp(0.0, 1.0) * (width * 8) as f64).round() as usize;
    // what is not nothing is seen
    let eighths = if share > 0.0 { eighths.max(1) } else { 0 };
    let part = PARTS.get(eighths % 8).copied().unwrap_or_default();
    format!("{}{part}", "█".repeat(eighths / 8))
}

/// Bars from the bottom up, one column each.
pub fn columns(values: &[u64]) -> String {
    const LEVELS: [char; 9] = [' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let max = values.iter().copied().max().unwrap_or(0).max(1);
    let level = |&value: &u64| {
        let level = (u128::from(value) * 8).div_ceil(u128::from(max));
        usize::try_from(level).ok().and_then(|level| LEVELS.get(level)).copied().unwrap_or('█')
    };
    values.iter().map(level).collect()
}

/// A histogram as lines of label, bar and count.
///
/// # Errors
/// The writer's.
pub fn histogram(
    out: &mut impl Write,
    view: &View,
    histogram: &Histogram,
    label: impl Fn(u64, u64) -> String,
) -> io::Result<()> {
    let most = histogram.bins.iter().map(|bin| bin.count).max().unwrap_or(0);
    let first = histogram.bins.iter().position(|bin| bin.count > 0).unwrap_or(0);
    let end = histogram.bins.iter().rposition(|bin| bin.count > 0).map_or(0, |last| last + 1);
    let bins = histogram.bins.get(first..end).unwrap_or_default();
    let labels: Vec<String> = bins.iter().map(|bin| label(bin.from, bin.to)).collect();
    let label_width = labels.iter().map(|label| label.chars().count()).max().unwrap_or(0);
    let bar_width = view.width.saturating_sub(label_width + 16).clamp(8, 50);
    for (bin, label) in bins.iter().zip(&labels) {
        let drawn = bar(crate::analyze::share::share(bin.count, most), bar_width);
        writeln!(out, "  {label:>label_width$}  {drawn:<bar_width$} {:>10}", grouped(bin.count))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The library lays out a few rows; more of them come in parts. What is written must not tell which.
    #[test]
    fn many_rows_are_laid_out_as_few() {
        let columns = [Column("name", Align::Left), Column("n", Align::Right), Column("why", Align::Left)];
        let view = View { width: 40, exact_bytes: false, top: 10 };
        let row = |number: usize| {
            vec![
                format!("name-{number:04}"),
                (1_000_000 + number).to_string(),
                "some words of no use".to_owned(),
            ]
        };
        let written = |rows: usize| {
            let mut out = Vec::new();
            write(&mut out, &view, &columns, (0..rows).map(row)).unwrap();
            String::from_utf8(out).unwrap()
        };
        let (few, many) = (written(PART), written(3 * PART + 1));
        assert_eq!(many.matches(" why").count(), 1, "one header");
        assert_eq!(many.lines().count(), (3 * PART + 1) * 2 + 1);
        assert!(many.starts_with(&few), "{}", &many[..400]);
        assert!(many.lines().all(|line| line.chars().count() <= 40), "{}", &many[..400]);
    }

    #[test]
    fn a_long_cell_is_cut() {
        let mut out = Vec::new();
        let columns = [Column("key", Align::Left), Column("n", Align::Right)];
        let view = View { width: 80, exact_bytes: false, top: 10 };
        let rows = vec![vec!["k".repeat(1_000_000), "7".to_owned()]];
        write(&mut out, &view, &columns, rows).unwrap();
        assert!(out.len() < 2000, "{}", out.len());
    }

    #[test]
    fn bars_grow_by_eighths_and_never_vanish() {
        assert_eq!(bar(0.0, 4), "");
        assert_eq!(bar(0.000_001, 4), "▏");
        assert_eq!(bar(0.5, 4), "██");
        assert_eq!(bar(1.0, 4), "████");
        assert_eq!(bar(7.0, 4), "████");
    }

    #[test]
    fn columns_are_scaled_to_the_largest() {
        assert_eq!(columns(&[0, 1, 4, 8]), " ▁▄█");
        assert_eq!(columns(&[]), "");
        assert_eq!(columns(&[0, u64::MAX]), " █");
    }
}
