//! The file, and where its bytes are.

use std::io::{self, Write};

use crate::analyze::Analysis;
use crate::analyze::share::share;
use crate::analyze::space::ByteClass;
use crate::etcd::trailer::Trailer;
use crate::owner::Owner;
use crate::text::brief;
use crate::units::{grouped, percent};

use super::super::table::{self, Align, Column, bar, heading, prose};
use super::super::view::{BAD, GOOD, View, styled};

use Align::{Left, Right};

pub(super) fn file(out: &mut impl Write, view: &View, report: &Analysis) -> io::Result<()> {
    let file = &report.file;
    let sound = if report.health.sound { styled(GOOD, "sound") } else { styled(BAD, "FAULTS FOUND") };
    writeln!(out, "{}  {}  {sound}", file.path, view.bytes(file.file_bytes))?;
    let freelist =
        file.freelist_page.map_or("free pages derived".to_owned(), |page| format!("freelist at page {page}"));
    let pages = format!(
        "pages of {}, {} allocated, {freelist}, transaction {} (meta {})",
        view.bytes(file.page_size),
        grouped(file.high_water_mark),
        file.txid,
        file.active_meta
    );
    prose(out, view, "  ", &pages)?;
    for meta in file.metas.iter().filter(|meta| meta.error.is_some()) {
        let error = meta.error.as_deref().unwrap_or_default();
        prose(out, view, "  ", &styled(BAD, &format!("meta {} is not valid: {error}", meta.slot)))?;
    }
    let trailer: &str = (&file.snapshot_trailer).into();
    let mut facts = Vec::new();
    if report.owner.is_etcd() {
        facts.push(format!("snapshot trailer: {trailer}"));
    } else if file.snapshot_trailer != Trailer::None {
        facts.push(format!("SHA-256 behind it: {trailer}"));
    }
    let shown = |name: &str, version: &String| format!("{name} version {}", brief(version.as_bytes()));
    facts.extend(file.storage_version.as_ref().map(|version| shown("storage", version)));
    facts.extend(file.cluster_version.as_ref().map(|version| shown("cluster", version)));
    facts.extend(file.consistent_index.map(|index| format!("consistent index {index}")));
    facts.extend(file.term.map(|term| format!("term {term}")));
    if !facts.is_empty() {
        prose(out, view, "  ", &facts.join(", "))?;
    }
    let members = file.members.iter().take(view.top).map(|member| {
        let name = if member.name.is_empty() { "(not started)" } else { &member.name };
        let unknown = file.members_not_in_conf_state.contains(&member.id);
        let unknown = if unknown { " (not in confState)" } else { "" };
        format!("{} {:x}{unknown}", brief(name.as_bytes()), member.id)
    });
    let members: Vec<_> = members.collect();
    if !members.is_empty() {
        let more = file.members.len() - members.len();
        let more = if more > 0 { format!(", and {} more", grouped(more as u64)) } else { String::new() };
        prose(out, view, "  ", &format!("members: {}{more}", members.join(", ")))?;
    }
    Ok(())
}

pub(super) fn space(out: &mut impl Write, view: &View, report: &Analysis) -> io::Result<()> {
    heading(out, "Where the bytes are")?;
    let bar_width = (view.width / 3).clamp(8, 40);
    let total = report.space.total_bytes;
    let rows = report.space.classes.iter().filter(|row| row.bytes > 0).map(|row| {
        let part = share(row.bytes, total);
        vec![
            class_name(row.class, report.owner).to_owned(),
            view.bytes(row.bytes),
            percent(part),
            bar(part, bar_width),
        ]
    });
    let rows: Vec<_> =
        rows.chain([vec!["file".to_owned(), view.bytes(total), percent(1.0), String::new()]]).collect();
    table::write(
        out,
        view,
        &[Column("", Left), Column("bytes", Right), Column("share", Right), Column("", Left)],
        rows,
    )?;
    if !report.health.readable {
        return writeln!(out, "The file is damaged: what a defrag would give back is not known");
    }
    let (gains, file) = (report.gains, &report.file);
    let has_tail = report.space.bytes_of(ByteClass::Tail) > 0;
    let given_back = |copy_bytes: Option<u64>, of_allocated: u64| {
        let of_file = copy_bytes.map_or(0, |copy| file.file_bytes.saturating_sub(copy));
        let of_file = format!("{} ({})", view.bytes(of_file), percent(share(of_file, file.file_bytes)));
        if !has_tail {
            return of_file;
        }
        let part = percent(share(of_allocated, file.allocated_bytes));
        format!("{of_file} of the file, {} ({part}) of the allocated pages", view.bytes(of_allocated))
    };
    let defrag = given_back(gains.defrag_copy_bytes, gains.defrag_bytes);
    writeln!(out, "etcd-medic defrag gives back  {defrag}")?;
    if report.mvcc.is_some() {
        let both = given_back(gains.compact_and_defrag_copy_bytes, gains.compact_and_defrag_bytes);
        writeln!(out, " with a compaction before it  {both}")?;
    }
    Ok(())
}

/// What a class is called in text.
fn class_name(class: ByteClass, owner: Owner) -> &'static str {
    match class {
        ByteClass::Meta => "meta pages",
        ByteClass::Freelist => "freelist pages",
        ByteClass::NodeHeaders => "node headers",
        ByteClass::NodeElements => "node elements",
        ByteClass::Keys => "keys",
        ByteClass::Values => "values",
        ByteClass::BucketHeaders => "bucket headers",
        ByteClass::Slack => "slack",
        ByteClass::Damaged => "damaged pages",
        ByteClass::Free => "free pages",
        ByteClass::Leaked => "leaked pages",
        ByteClass::Tail => "tail",
        ByteClass::Trailer if owner.is_etcd() => "snapshot trailer",
        ByteClass::Trailer => "SHA-256 behind it",
    }
}
