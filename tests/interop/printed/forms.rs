//! Forms of etcd's command lines: program, subcommand and options, without what is given to them.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

/// What a command begins with in text.
const PROMPT: &str = "     $ ";
/// Words that have subcommands of their own.
const GROUPS: [&str; 8] = ["alarm", "auth", "endpoint", "lease", "member", "role", "snapshot", "user"];

pub type Forms = BTreeSet<String>;

/// `etcdctl snapshot restore --data-dir` of `etcdctl snapshot restore saved.db --data-dir=NEW`.
pub fn form_of<S: AsRef<str>>(words: &[S]) -> Option<String> {
    let words: Vec<&str> = words.iter().map(AsRef::as_ref).collect();
    let (program, behind) = words.split_first()?;
    let plain = behind.iter().take_while(|word| !word.starts_with('-'));
    let is_group = behind.first().is_some_and(|first| GROUPS.contains(first));
    let subcommand: Vec<&str> = plain.take(if is_group { 2 } else { 1 }).copied().collect();
    let is_word = |word: &&str| word.chars().all(|char| char.is_ascii_lowercase() || char == '-');
    if !["etcdctl", "etcdutl"].contains(program) || subcommand.is_empty() || !subcommand.iter().all(is_word) {
        return None;
    }
    let mut options = BTreeSet::new();
    for word in behind.iter().filter(|word| word.starts_with('-')) {
        options.insert(word.split('=').next().unwrap_or(word));
        // what is behind it is none
        if *word == "--" {
            break;
        }
    }
    let words = [program].into_iter().chain(&subcommand).chain(&options);
    Some(words.copied().collect::<Vec<_>>().join(" "))
}

/// The forms of all of etcd's commands in a line of shell.
pub fn forms_in(line: &str) -> Forms {
    let mut forms = Forms::new();
    for command in simple_commands(line) {
        let begin = command.iter().position(|word| ["etcdctl", "etcdutl"].contains(&word.as_str()));
        forms.extend(begin.and_then(|begin| form_of(&command[begin..])));
    }
    forms
}

/// The words of each simple command, as a shell takes them apart.
fn simple_commands(line: &str) -> Vec<Vec<String>> {
    let (mut commands, mut word, mut quote) = (vec![Vec::new()], None::<String>, None);
    for char in line.chars().chain(['\n']) {
        match (quote, char) {
            (Some(open), _) if open == char => quote = None,
            (Some(_), _) => word.get_or_insert_default().push(char),
            (None, '\'' | '"') => {
                quote = Some(char);
                word.get_or_insert_default();
            }
            (None, '#') if word.is_none() => break,
            (None, _) if char.is_whitespace() || "|;&<>()".contains(char) => {
                commands.last_mut().expect("one").extend(word.take());
                if !char.is_whitespace() {
                    commands.push(Vec::new());
                }
            }
            (None, _) => word.get_or_insert_default().push(char),
        }
    }
    commands.last_mut().expect("one").extend(word.take());
    commands
}

/// The lines of shell in what a command prints: each by itself, or within a sentence.
pub fn lines_in(text: &str) -> Vec<String> {
    let alone = text.lines().filter_map(|line| line.strip_prefix(PROMPT)).map(str::to_owned);
    let prose: Vec<&str> = text.lines().filter(|line| !line.starts_with(PROMPT)).map(str::trim).collect();
    alone.chain(between_backticks(&prose.join(" "))).collect()
}

fn between_backticks(prose: &str) -> Vec<String> {
    prose.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

/// The same of a document: what is in fields of commands, and in sentences.
pub fn lines_of(value: &Value) -> Vec<String> {
    match value {
        Value::Object(object) => {
            let of_field = |(name, value): (&String, &Value)| match value {
                Value::String(command) if name == "command" => vec![command.clone()],
                Value::Array(commands) if ["commands", "after_start"].contains(&name.as_str()) => {
                    let commands = commands.iter().map(|one| match one {
                        Value::String(command) => vec![command.clone()],
                        other => lines_of(other),
                    });
                    commands.flatten().collect()
                }
                value => lines_of(value),
            };
            object.iter().flat_map(of_field).collect()
        }
        Value::Array(items) => items.iter().flat_map(lines_of).collect(),
        Value::String(text) => between_backticks(text),
        _ => Vec::new(),
    }
}

/// Without mentions of a subcommand of which there is a whole command, too.
pub fn without_mentions(forms: Forms) -> Forms {
    let has_more = |form: &String| {
        let begin = format!("{form} -");
        forms.iter().any(|other| other.starts_with(&begin))
    };
    forms.iter().filter(|form| form.contains(" -") || !has_more(form)).cloned().collect()
}

/// Those of the documents' shell blocks, and of sentences there.
pub fn of_documents() -> Forms {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folders = [root.to_owned(), root.join("docs"), root.join("docs/monitoring")];
    let files = folders.iter().flat_map(|folder| files_in(folder));
    let markdown = files.filter(|path| path.extension().is_some_and(|extension| extension == "md"));
    // what they say of developers' tools, and what changed, is not for operators
    let markdown =
        markdown.filter(|path| !path.ends_with("CONTRIBUTING.md") && !path.ends_with("CHANGELOG.md"));
    let text: String = markdown.map(|path| fs::read_to_string(path).expect("a document")).collect();
    let (mut in_block, mut prose, mut forms) = (false, String::new(), Forms::new());
    for line in text.replace("\\\n", " ").lines() {
        if line.trim_start().starts_with("```") {
            in_block = !in_block;
        } else if in_block && line.contains('…') {
            // as another block has it in full
        } else if in_block {
            forms.extend(forms_in(line));
        } else {
            prose.push_str(&format!("{line}\n"));
        }
    }
    forms.extend(between_backticks(&prose).iter().flat_map(|line| forms_in(line)));
    forms
}

/// Subcommands that stand in the program's own sources, its help among them.
pub fn in_sources() -> Forms {
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src")];
    let mut forms = Forms::new();
    while let Some(folder) = folders.pop() {
        folders.extend(files_in(&folder).filter(|path| path.is_dir()));
        for path in
            files_in(&folder).filter(|path| path.extension().is_some_and(|extension| extension == "rs"))
        {
            let source = fs::read_to_string(&path).expect("a source");
            let code = source.lines().map(str::trim_start).filter(|line| !line.starts_with("//!"));
            let code = code.filter(|line| !line.starts_with("///") && !line.starts_with("// "));
            let code: Vec<&str> = code.collect();
            let code = code.join("\n").replace("\\\n", "");
            for (at, _) in code.match_indices("etcd") {
                let end = |char: char| !(char.is_ascii_alphanumeric() || " -".contains(char));
                let words = code[at..].split(end).next().unwrap_or_default();
                let words: Vec<&str> = words.split_whitespace().take(3).collect();
                // options may stand elsewhere in the source
                let form = form_of(&words);
                forms.extend(form.and_then(|form| form.split(" -").next().map(str::to_owned)));
            }
        }
    }
    // words of a sentence: "with the etcdutl of 3.5.10"
    assert!(forms.remove("etcdutl of"));
    forms
}

fn files_in(folder: &Path) -> impl Iterator<Item = PathBuf> {
    fs::read_dir(folder).expect("a folder").map(|file| file.expect("a file").path())
}
