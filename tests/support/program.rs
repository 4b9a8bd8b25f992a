//! The program, run as its users run it.

use std::ffi::OsStr;
use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde::de::DeserializeOwned;
use tempfile::TempDir;

use super::documents::parse;
use super::schemas;

/// Variables of the tester's that would change what is printed.
const LEFT_OUT: [&str; 6] =
    ["COLUMNS", "NO_COLOR", "CLICOLOR", "CLICOLOR_FORCE", "TERM", "RAYON_NUM_THREADS"];

/// The program's path.
pub const PROGRAM: &str = env!("CARGO_BIN_EXE_etcd-medic");

/// The program, and nothing of the tester's settings.
pub fn program() -> Command {
    plain(PROGRAM)
}

/// Another program, without them, too.
pub fn plain(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    LEFT_OUT.iter().for_each(|name| {
        command.env_remove(name);
    });
    // a hint for rayon: tests run side by side
    command.env("RAYON_NUM_THREADS", "2").stdin(Stdio::null());
    command
}

/// How a run ended, and what it wrote.
#[derive(Debug)]
pub struct Ran {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        schemas::hold(&output.stdout);
        Self {
            code: output.status.code().expect("ended by itself"),
            out: String::from_utf8(output.stdout).expect("standard output is UTF-8"),
            err: String::from_utf8(output.stderr).expect("standard error is UTF-8"),
        }
    }
}

pub fn run<S: AsRef<OsStr>>(args: impl IntoIterator<Item = S>) -> Ran {
    run_with(&[], args)
}

pub fn run_with<S: AsRef<OsStr>>(variables: &[(&str, &str)], args: impl IntoIterator<Item = S>) -> Ran {
    program().args(args).envs(variables.iter().copied()).output().expect("ran").into()
}

/// What the program says of this file, as JSON.
pub fn document<T: DeserializeOwned>(command: &str, path: &str, options: &[&str]) -> T {
    let ran = run([&[command, path, "--output", "json"], options].concat());
    assert!(ran.code < 2, "{command} {path} {options:?}: {}", ran.err);
    // without a lock, it warns
    assert_eq!(
        ran.err.is_empty(),
        !options.contains(&"--no-lock"),
        "{command} {path} {options:?}: {}",
        ran.err
    );
    parse(command, &ran.out)
}

/// A folder with these files in it.
pub fn folder_of(files: &[(&str, &[u8])]) -> TempDir {
    let folder = TempDir::new().expect("a folder");
    for (name, bytes) in files {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().expect("a folder")).expect("made");
        fs::write(path, bytes).expect("written");
    }
    folder
}

pub fn path_in(folder: &TempDir, name: &str) -> String {
    folder.path().join(name).display().to_string()
}

/// A command as a shell runs it, with the program of these tests.
pub fn pasted(command: &str) -> Output {
    let program = Path::new(PROGRAM);
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders =
        [program.parent().expect("a folder").to_owned()].into_iter().chain(std::env::split_paths(&path));
    let path = std::env::join_paths(folders).expect("a PATH");
    Command::new("sh").args(["-c", command]).env("PATH", path).stdin(Stdio::null()).output().expect("sh")
}
