//! Every command `etcd-medic …` in the documents and in `--help` is one that the program accepts.
//!
//! The commands are read from the shell blocks of all Markdown files, and from the examples of `--help`. They are only parsed:
//! nothing is run.

use std::fs;
use std::path::{Path, PathBuf};

use clap::{CommandFactory, Parser};

use super::program::Args;

/// Placeholders in documents, and an example of each.
const PLACEHOLDERS: [(&str, &str); 3] = [("N", "4"), ("$how", "geometric:4"), ("$free", "50%")];

/// Words after which another command may begin.
const BEFORE_COMMANDS: [&str; 5] = ["$", "do", "time", "then", "!"];

fn markdown_files() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folders = [root.to_owned(), root.join("docs"), root.join("docs/monitoring")];
    let files = folders.iter().flat_map(|folder| fs::read_dir(folder).expect("a folder"));
    let files = files.map(|file| file.expect("a file").path());
    files.filter(|path| path.extension().is_some_and(|extension| extension == "md")).collect()
}

/// The lines of a document's shell blocks. In a block that also shows output, those after a prompt.
fn shell_lines(markdown: &str) -> Vec<&str> {
    let mut lines = Vec::new();
    let mut block = None;
    for line in markdown.lines() {
        let fence = line.trim_start().strip_prefix("```");
        match (fence, block) {
            (Some(language), None) => block = Some(language.trim()),
            (Some(_), Some(_)) => block = None,
            (None, Some("sh" | "bash")) => lines.push(line),
            (None, Some("console")) => lines.extend(line.trim_start().strip_prefix("$ ")),
            (None, _) => {}
        }
    }
    lines
}

/// The examples in each command's `--help`.
fn examples() -> String {
    let program = Args::command();
    let help = program.get_subcommands().filter_map(|command| command.get_after_help());
    help.map(|help| format!("{help}\n")).collect()
}

/// The simple commands of a line, split into words as a shell does, without pipes and redirections.
fn simple_commands(line: &str) -> Vec<Vec<String>> {
    let mut commands = vec![Vec::new()];
    let mut word: Option<String> = None;
    let mut quote = None;
    let end = |word: &mut Option<String>, commands: &mut Vec<Vec<String>>, separate: bool| {
        commands.last_mut().expect("one").extend(word.take());
        if separate {
            commands.push(Vec::new());
        }
    };
    for char in line.chars() {
        match (quote, char) {
            (Some(open), _) if open == char => quote = None,
            (Some(_), _) => word.get_or_insert_default().push(char),
            (None, '\'' | '"') => {
                quote = Some(char);
                word.get_or_insert_default();
            }
            (None, '#') if word.is_none() => break,
            (None, '|' | ';' | '&' | '>' | '<' | '(' | ')') => end(&mut word, &mut commands, true),
            (None, _) if char.is_whitespace() => end(&mut word, &mut commands, false),
            (None, _) => word.get_or_insert_default().push(char),
        }
    }
    end(&mut word, &mut commands, false);
    commands
}

/// Takes off what starts a command elsewhere: on another machine, or in a container of this program's image.
fn take_off_start(command: &mut Vec<String>) {
    if command.len() > 2 && command[0] == "ssh" {
        command.drain(..2);
    }
    if let Some(program) = command.iter().position(|word| word == "/etcd-medic") {
        command.drain(..program);
        command[0] = "etcd-medic".to_owned();
    }
}

/// The commands of this program in a text, with examples in place of placeholders.
fn commands_of_ours<'a>(lines: impl IntoIterator<Item = &'a str>) -> Vec<Vec<String>> {
    let text = lines.into_iter().map(|line| format!("{line}\n")).collect::<String>().replace("\\\n", " ");
    let mut commands: Vec<_> = text.lines().flat_map(simple_commands).collect();
    for command in &mut commands {
        let before = command.iter().take_while(|word| BEFORE_COMMANDS.contains(&word.as_str())).count();
        command.drain(..before);
        take_off_start(command);
    }
    commands.retain(|command| command.first().is_some_and(|program| program == "etcd-medic"));
    for word in commands.iter_mut().flatten() {
        if let Some((_, example)) = PLACEHOLDERS.iter().find(|(name, _)| name == word) {
            *word = (*example).to_owned();
        }
    }
    commands
}

/// What the parser refuses, and why.
fn refused(commands: &[Vec<String>]) -> Vec<String> {
    let refusals = commands.iter().filter_map(|command| {
        let error = Args::try_parse_from(command).err()?;
        Some(format!("{}: {error}", command.join(" ")))
    });
    refusals.collect()
}

#[test]
fn a_shell_line_is_taken_apart() {
    let line = "  echo \"a | b\" | etcd-medic check 'my db' --output json|jq '.x | y' > out # etcd-medic no";
    assert_eq!(commands_of_ours([line]), [["etcd-medic", "check", "my db", "--output", "json"]]);
    let lines = ["x=$(etcd-medic status \\", "  a.db) && do etcd-medic plan db; done"];
    assert_eq!(commands_of_ours(lines), [["etcd-medic", "status", "a.db"], ["etcd-medic", "plan", "db"]]);
    let lines = [
        "ssh root@node etcd-medic status db",
        "ctr run x etcd-medic /etcd-medic plan db && scp etcd-medic a:",
    ];
    assert_eq!(commands_of_ours(lines), [["etcd-medic", "status", "db"], ["etcd-medic", "plan", "db"]]);
}

#[test]
fn what_the_program_does_not_take_is_seen() {
    let markdown =
        "text `etcd-medic nonsense`\n```sh\netcd-medic check db --no-such\n```\n```json\netcd-medic x\n```\n";
    assert_eq!(refused(&commands_of_ours(shell_lines(markdown))).len(), 1);
}

#[test]
fn the_documents_tell_what_the_program_takes() {
    let mut in_all = 0;
    for path in markdown_files() {
        let commands = commands_of_ours(shell_lines(&fs::read_to_string(&path).expect("a document")));
        let refused = refused(&commands);
        assert!(refused.is_empty(), "{}: {refused:#?}", path.display());
        in_all += commands.len();
    }
    assert!(in_all > 50, "only {in_all} commands were found");
}

#[test]
fn the_examples_of_help_are_taken() {
    let examples = examples();
    let commands = commands_of_ours(examples.lines());
    assert!(commands.len() > 30, "only {} examples were found", commands.len());
    assert_eq!(refused(&commands), Vec::<String>::new());
}
