//! The whole command line.

use clap::builder::{StyledStr, Styles};
use clap::{Parser, Subcommand};
use textwrap::{Options, WordSplitter};

use super::commands::Command;
use super::context::{GlobalOptions, columns};

/// The commands, as `--help` lists them.
const GROUPS: [(&str, &[&str]); 4] = [
    ("Look at a file", &["analyze", "status", "check", "doctor", "pages", "page", "buckets", "hash", "log"]),
    ("Mend it", &["plan", "defrag", "salvage", "replay", "restore", "cleanup"]),
    ("Read its keys, at any revision", &["keys", "history", "get", "export"]),
    ("Share and measure", &["synth", "schema", "completions", "man"]),
];

const AFTER_HELP: &str = "\
Exit codes: 0 sound, 1 problems found or a threshold passed, 2 could not do it.
A target that is a symbolic link, or in use by another process, is refused, even with --force.
FILE may be a db, a snapshot, an etcd data dir (its member/snap/db is read), any of these packed (gzip, zstd, xz, bzip2, lz4, \
ZIP, tar), or - for standard input. Nothing is ever written to it.";

/// What `--version` says; `-V` only says the version.
const VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), " (", env!("ETCD_MEDIC_BUILD"), ")");

/// Reads etcd's database file without etcd: says where every byte went, and what is wrong with it.
#[derive(Parser, Debug)]
#[command(
    name = "etcd-medic", bin_name = "etcd-medic", version, long_version = VERSION, arg_required_else_help = true,
    help_template = help_template(), after_help = AFTER_HELP
)]
pub(super) struct Args {
    #[command(subcommand)]
    pub command: Command,
    #[command(flatten)]
    pub options: GlobalOptions,
}

/// clap's own template, but with the commands in groups: clap has only one list for all of them.
fn help_template() -> StyledStr {
    let header = *Styles::default().get_header();
    let commands = grouped_commands();
    let text = format!(
        "{{about-with-newline}}\n{{usage-heading}} {{usage}}\n{commands}\n{header}Options:{header:#}\n{{options}}{{after-help}}"
    );
    text.into()
}

/// The list of commands, with what each of them says about itself.
fn grouped_commands() -> String {
    let program = Command::augment_subcommands(clap::Command::new("etcd-medic"));
    let (header, literal) = (*Styles::default().get_header(), *Styles::default().get_literal());
    let width = columns().unwrap_or(usize::MAX).min(100);
    let indent = " ".repeat(15);
    let mut list = String::new();
    for (title, names) in GROUPS {
        list += &format!("\n{header}{title}:{header:#}\n");
        for command in names.iter().filter_map(|name| program.find_subcommand(name)) {
            let about = command.get_about().map(ToString::to_string).unwrap_or_default();
            let name = format!("  {literal}{:<11}{literal:#}  ", command.get_name());
            let options = Options::new(width)
                .initial_indent(&name)
                .subsequent_indent(&indent)
                .word_splitter(WordSplitter::NoHyphenation);
            list += &format!("{}\n", textwrap::fill(&about, options));
        }
    }
    list
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn each_command_is_in_one_group() {
        let program = Args::command();
        let mut commands: Vec<_> = program.get_subcommands().map(clap::Command::get_name).collect();
        let mut grouped: Vec<_> = GROUPS.iter().flat_map(|(_, names)| names.iter().copied()).collect();
        commands.sort_unstable();
        grouped.sort_unstable();
        assert_eq!(grouped, commands);
    }

    #[test]
    fn help_has_each_command_once_with_its_own_words() {
        let help = Args::command().render_long_help().to_string();
        let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
        for command in Args::command().get_subcommands() {
            let about = command.get_about().expect("an about").to_string();
            assert!(!about.contains(['{', '}']), "a tag of clap's templates: {about}");
            let line = format!(" {} {}", command.get_name(), words(&about));
            assert_eq!(words(&help).matches(&line).count(), 1, "{line:?} in {help}");
        }
        for part in ["Usage: etcd-medic", "Options:\n", "--no-lock", "--version", "Exit codes: "] {
            assert_eq!(help.matches(part).count(), 1, "{part:?} in {help}");
        }
    }
}
