//! The program: arguments in, text or JSON out, an exit code. Only this module prints.
//!
//! Exit codes: 0 sound, 1 problems found or a threshold passed, 2 could not do it. What was done before something failed is not
//! undone: a copy that has its name, and whose report could not be written, is a problem (1), not a failure (2).
//!
//! | file | what is in it |
//! |---|---|
//! | `program` | the whole command line: global options, and the commands in groups |
//! | `parse` | the arguments, parsed; what is said of those that are refused |
//! | `commands` | a file for each command: its arguments, and what it does |
//! | `context` | what commands use: the global options, opening a file, writing a result |
//! | `values` | values of options: bytes, shares, page sizes, revisions |
//! | `progress` | progress bars |
//! | `messages` | messages on standard error |
//! | `remedy` | what can be done about an error |
//! | `outcome` | exit codes |
//! | `signals`, `threads` | what a signal does; how many threads work |

mod commands;
mod context;
#[cfg(test)]
mod documented;
mod messages;
mod outcome;
mod parse;
mod program;
mod progress;
mod remedy;
#[cfg(test)]
mod schemas;
mod signals;
mod threads;
mod values;

use std::io;
use std::process::ExitCode;
use std::time::Duration;

use clap::CommandFactory;

use crate::output;

use context::Context;
use messages::{next_command, report_error, report_next};
use outcome::Outcome;
use program::Args;

/// How long a bug in one thread waits for what another does to names of files.
const PATIENCE: Duration = Duration::from_secs(5);

pub fn run() -> ExitCode {
    let args = match parse::arguments() {
        Ok(args) => args,
        Err(answer) => return explain(&answer).into(),
    };
    let context = Context { options: args.options, program: Args::command };
    end_at_a_bug();
    let run = || {
        signals::say_what_cannot_be_read()?;
        threads::on_all(|| args.command.run(&context))
    };
    match run() {
        Ok(outcome) => outcome.into(),
        Err(error) if is_broken_pipe(&error) => Outcome::Sound.into(),
        Err(error) => {
            failed(output::done().as_deref(), &remedy::with_remedy(&error), next_command(&error).as_deref())
                .into()
        }
    }
}

/// Ends the program at a bug, in whatever thread, as a signal would: without its temporary files, and with a message. A release does
/// not unwind.
fn end_at_a_bug() {
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        usual(info);
        let ending = output::end_within(PATIENCE);
        let done = ending.as_ref().and_then(output::Ending::done);
        let why = "this is a bug of etcd-medic's: please report it, with the message above and the command";
        std::process::exit(failed(done, why, None).code().into());
    }));
}

/// Prints help, the version, or what is wrong with the arguments.
fn explain(answer: &clap::Error) -> Outcome {
    match answer.print() {
        _ if answer.use_stderr() => Outcome::Failed,
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => failed(None, &error.to_string(), None),
        _ => Outcome::Sound,
    }
}

/// Says why it could not be done, then the command to go on with. If a file is complete already, says that first.
fn failed(done: Option<&str>, why: &str, next: Option<&str>) -> Outcome {
    let outcome = match done {
        Some(done) => {
            report_error(&format!("{done}. But this went wrong after that: {why}"));
            Outcome::Problems
        }
        None => {
            report_error(why);
            Outcome::Failed
        }
    };
    report_next(next);
    outcome
}

/// The reader of the output closed it: nothing went wrong.
fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let broken = |error: &io::Error| error.kind() == io::ErrorKind::BrokenPipe;
    error.chain().any(|cause| {
        cause.downcast_ref::<io::Error>().is_some_and(broken)
            || cause
                .downcast_ref::<serde_json::Error>()
                .is_some_and(|error| error.io_error_kind() == Some(io::ErrorKind::BrokenPipe))
    })
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use crate::output::Target;

    /// Names a folder to the process that is to panic.
    const FOLDER: &str = "ETCD_MEDIC_TEST_PANIC";

    #[test]
    fn a_bug_leaves_no_file_and_says_so() {
        if let Some(folder) = std::env::var_os(FOLDER) {
            super::end_at_a_bug();
            let target = std::path::Path::new(&folder).join("copy");
            let output = Target::new(&target, None, false).unwrap().begin(10).unwrap();
            assert!(output.path().exists());
            std::thread::spawn(|| panic!("on purpose")).join().unwrap_err();
        }
        let folder = tempfile::tempdir().unwrap();
        let mut child = Command::new(std::env::current_exe().unwrap());
        child.args(["--exact", "cli::tests::a_bug_leaves_no_file_and_says_so", "--nocapture"]);
        let ended = child.env(FOLDER, folder.path()).output().unwrap();
        let said = String::from_utf8(ended.stderr).unwrap();
        assert_eq!(ended.status.code(), Some(2), "{said}");
        assert!(said.contains("on purpose") && said.contains("this is a bug of etcd-medic's"), "{said}");
        assert_eq!(folder.path().read_dir().unwrap().count(), 0);
    }
}
