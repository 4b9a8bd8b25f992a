//! `doctor` as text.

use std::io::{self, Write};

use crate::doctor::cluster::ClusterReport;
use crate::doctor::document::MemberReport;
use crate::doctor::finding::Finding;
use crate::doctor::message::FoundMessage;
use crate::doctor::report::DoctorReport;
use crate::doctor::start::{OtherPatches, StartReport};
use crate::units::count;

use super::table::{self, Align, Column};
use super::view::{HEADING, View, styled};

/// Each member, and what they are together.
///
/// # Errors
/// The writer's.
pub fn write(out: &mut impl Write, view: &View, report: &DoctorReport) -> io::Result<()> {
    for (number, found) in report.members.iter().enumerate() {
        if number > 0 {
            writeln!(out)?;
        }
        member(out, view, found)?;
    }
    report.cluster.as_ref().map_or(Ok(()), |found| cluster(out, found))?;
    report.messages.iter().try_for_each(|found| message(out, found))
}

/// A message of etcd's, and what it means.
fn message(out: &mut impl Write, found: &FoundMessage) -> io::Result<()> {
    let times = if found.count > 1 { format!(", {} times", found.count) } else { String::new() };
    writeln!(out, "\n{} (line {}{times})", styled(HEADING, &found.message), found.line)?;
    writeln!(out, "  It means: {}.", found.means)?;
    if let Some(here) = &found.here {
        writeln!(out, "  Here: {here}.")?;
    }
    writeln!(out, "  What to do: {}.", found.remedy)
}

/// What needs an answer, and the way out.
fn finding(out: &mut impl Write, finding: &Finding) -> io::Result<()> {
    writeln!(out, "\n{}: {}.", styled(HEADING, &finding.kind), finding.message)?;
    if !finding.commands.is_empty() {
        let loses = finding.loses.as_deref();
        let loses = loses.map_or("It loses nothing".to_owned(), |loses| format!("It loses {loses}"));
        let way_out = match finding.kind.as_str() {
            "alarm" | "leftover" => "See:".to_owned(),
            _ => format!("The way out, with etcd stopped. {loses}:"),
        };
        writeln!(out, "  {way_out}")?;
        finding.commands.iter().try_for_each(|command| writeln!(out, "    {command}"))?;
    }
    finding.never.iter().try_for_each(|never| writeln!(out, "  Never {never}."))
}

fn cluster(out: &mut impl Write, cluster: &ClusterReport) -> io::Result<()> {
    writeln!(out, "\n{}", styled(HEADING, "together"))?;
    for difference in &cluster.differences {
        writeln!(out, "  {difference}")?;
    }
    if !cluster.same_history {
        return writeln!(out, "  They are not members of one cluster, so none is the best.");
    }
    let majority = match cluster.has_majority {
        true => "these are a majority: started together, they go on by themselves",
        false => "these are no majority: alone, they elect no leader",
    };
    writeln!(
        out,
        "  {} vote; {majority}. Entry {} was surely committed.",
        count(cluster.voters, "member"),
        cluster.committed_index
    )?;
    for (number, member) in cluster.lacking.iter().enumerate() {
        let which = if number == 0 { "  (has the most)" } else { "" };
        let lacks = match member.entries {
            0 => String::new(),
            entries => format!("  its db lacks {}", count(entries, "entry")),
        };
        writeln!(out, "  {}. {}{lacks}{which}", number.saturating_add(1), member.path)?;
    }
    if !cluster.commands.is_empty() {
        writeln!(
            out,
            "  If no other member comes back: a new cluster of the best one, to which others are added anew:"
        )?;
    }
    cluster.commands.iter().try_for_each(|command| writeln!(out, "    {command}"))
}

/// What is wrong with a member, where its parts are, and what each etcd does with it.
fn member(out: &mut impl Write, view: &View, member: &MemberReport) -> io::Result<()> {
    writeln!(out, "{}", styled(HEADING, &member.path.to_string()))?;
    writeln!(out, "  {}", sentence(member))?;
    if let Some(line) = indices(member) {
        writeln!(out, "  {line}")?;
    }
    writeln!(out)?;
    let columns = [
        Column("etcd", Align::Left),
        Column("starts", Align::Left),
        Column("revision", Align::Right),
        Column("writes", Align::Left),
        Column("because", Align::Left),
    ];
    let rows = member.starts.iter().map(|start| {
        vec![
            start.etcd.clone(),
            starts(start).to_owned(),
            start.revision.map_or("-".to_owned(), |revision| revision.to_string()),
            yes_or_no(start.accepts_writes).to_owned(),
            start.why.clone().unwrap_or_default(),
        ]
    });
    table::write(out, view, &columns, rows)?;
    for start in &member.starts {
        if let Some(message) = start.message.as_ref().filter(|_| start.starts == Some(false)) {
            writeln!(out, "{} says: {message}", start.etcd)?;
        }
        for change in &start.changes {
            writeln!(out, "{} {change}", start.etcd)?;
        }
        for patches in &start.other_patches {
            writeln!(out, "{}", other_patches(patches))?;
        }
        if !start.tried {
            writeln!(out, "{} was not tried: what it does is read in its source", start.etcd)?;
        }
    }
    member.findings.iter().try_for_each(|found| finding(out, found))
}

/// What other patches of the same minor do, in one line.
fn other_patches(patches: &OtherPatches) -> String {
    let OtherPatches { first, last, starts, revision, accepts_writes, why } = patches;
    let which = if first == last { first.clone() } else { format!("{first} to {last}") };
    let mut does = match starts {
        Some(true) => "starts".to_owned(),
        Some(false) => "does not serve".to_owned(),
        None => "may start".to_owned(),
    };
    if let Some(revision) = revision {
        does.push_str(&format!(" at revision {revision}"));
    }
    if *accepts_writes == Some(false) {
        does.push_str(", and accepts no writes");
    }
    let why = why.as_ref().map_or(String::new(), |why| format!(": {why}"));
    format!("{which} (by the source) {does}{why}")
}

fn starts(start: &StartReport) -> &'static str {
    match start.starts {
        Some(true) => "yes",
        Some(false) if start.runs_silently => "silent",
        Some(false) => "no",
        None => "?",
    }
}

fn yes_or_no(answer: Option<bool>) -> &'static str {
    match answer {
        Some(true) => "yes",
        Some(false) => "no",
        None => "-",
    }
}

/// What is wrong, in one sentence.
fn sentence(member: &MemberReport) -> String {
    let lacks =
        member.db.as_ref().zip(member.log.as_ref()).map_or(0, |(db, log)| {
            log.last_index.saturating_sub(db.consistent_index.unwrap_or(log.last_index))
        });
    let behind = match lacks {
        0 => String::new(),
        lacks => format!(" Its log has {} that its db lacks.", count(lacks, "entry")),
    };
    let undecided = member.starts.iter().any(|start| start.starts.is_none());
    match &member.reason {
        Some(reason) => format!("It does not serve, or accepts no writes: {reason}.{behind}"),
        None if undecided => {
            format!(
                "Nothing is wrong with it by itself; what it serves, the other members decide, too.{behind}"
            )
        }
        None => format!("It starts, and accepts writes.{behind}"),
    }
}

/// Where its parts are in the order of entries.
fn indices(member: &MemberReport) -> Option<String> {
    let log = member.log.as_ref()?;
    let mut places = vec![
        (log.first_index.unwrap_or(0), "log begins"),
        (log.snapshot_index, "snapshot"),
        (log.commit, "committed"),
        (log.last_index, "log ends"),
    ];
    places.extend(member.db.as_ref().and_then(|db| Some((db.consistent_index?, "db"))));
    places.sort_by_key(|(index, _)| *index);
    let mut line = String::from("entries ");
    let mut before = None;
    for (index, name) in places {
        let part = match before {
            Some(same) if same == index => format!(", {name}"),
            Some(_) => format!(" ── {index} {name}"),
            None => format!("{index} {name}"),
        };
        line.push_str(&part);
        before = Some(index);
    }
    Some(line)
}
