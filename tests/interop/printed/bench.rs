//! A folder to paste commands in, with programs before etcd's own that write down how these were called, and how they ended.

use std::cell::RefCell;
use std::ffi::OsString;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};

use super::forms::{Forms, form_of, forms_in};
use super::outputs::printed;
use crate::support::peers::{Member, Peer, without_settings};
use crate::support::program::{PROGRAM, Ran, program};
use tempfile::TempDir;

pub struct Bench {
    folder: TempDir,
    programs: TempDir,
    endpoint: RefCell<String>,
}

impl Bench {
    pub fn new(peer: &Peer) -> Self {
        let programs = TempDir::new().expect("a folder");
        let called = programs.path().join("called");
        for name in ["etcdctl", "etcdutl"] {
            let real = peer.bin().join(name);
            if !real.exists() {
                continue;
            }
            let (real, called) = (real.display(), called.display());
            // one write, so that those of a pipe don't mix
            let script = format!(
                "#!/bin/sh\n'{real}' \"$@\"\nended=$?\nsaid=$(printf '%s\\037' {name} \"$@\")\n\
                 printf '%s\\036' \"$ended:$said\" >> '{called}'\nexit $ended\n"
            );
            let path = programs.path().join(name);
            fs::write(&path, script).expect("written");
            fs::set_permissions(&path, Permissions::from_mode(0o755)).expect("made a program");
        }
        Self { folder: TempDir::new().expect("a folder"), programs, endpoint: RefCell::default() }
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Which etcd the commands are for.
    pub fn of(&self, member: &Member) {
        *self.endpoint.borrow_mut() = member.endpoint().to_owned();
    }

    pub fn medic(&self, args: &[&str]) -> Ran {
        program().current_dir(self.folder()).args(args).output().expect("ran").into()
    }

    /// The lines of shell that a command of ours prints.
    pub fn lines(&self, args: &[&str]) -> Vec<String> {
        printed(self.folder(), args)
    }

    /// Pastes each line with a command of etcd's that a command of ours prints; there is at least one.
    pub fn paste_each(&self, args: &[&str]) {
        assert!(self.paste_those(args, |_| true) > 0, "{args:?}");
    }

    /// Those of which each form is wanted, and how many these are.
    pub fn paste_those(&self, args: &[&str], is_wanted: impl Fn(&str) -> bool) -> usize {
        let mut lines = self.lines(args);
        // printed twice, as text and as JSON
        lines.sort();
        lines.dedup();
        let mut pasted = 0;
        for line in lines {
            let forms = forms_in(&line);
            // `etcdutl snapshot restore` in a sentence is none to paste
            let is_whole = !forms.iter().any(|form| form.ends_with(" snapshot restore"));
            if forms.is_empty() || !is_whole || !forms.iter().all(|form| is_wanted(form)) {
                continue;
            }
            if line.contains("NEW_DATA_DIR") {
                let _ = fs::remove_dir_all(self.folder().join("NEW_DATA_DIR"));
                self.make_again(args);
            }
            self.paste(&line);
            pasted += 1;
        }
        pasted
    }

    /// What a command writes was taken out of the way.
    fn make_again(&self, args: &[&str]) {
        let out = args.iter().position(|arg| *arg == "-o").and_then(|at| args.get(at + 1));
        if out.is_some_and(|out| !self.folder().join(out).exists()) {
            assert!(self.medic(args).code < 2, "{args:?}");
        }
    }

    pub fn paste(&self, line: &str) {
        let own = [self.programs.path(), Path::new(PROGRAM).parent().expect("a folder")];
        let system = std::env::var_os("PATH").expect("PATH");
        let folders = own.into_iter().map(Path::to_owned).chain(std::env::split_paths(&system));
        let path: OsString = std::env::join_paths(folders).expect("a path");
        let mut shell = without_settings(Command::new("timeout"));
        shell.args(["--kill-after=5", "60", "sh", "-c", line]).current_dir(self.folder());
        shell.env("PATH", path).env("ETCDCTL_ENDPOINTS", &*self.endpoint.borrow()).stdin(Stdio::null());
        let ran = shell.output().expect("sh");
        assert!(ran.status.success(), "{line}: {ran:?}");
    }

    /// The forms that were called, and taken.
    pub fn taken(&self) -> Forms {
        let called = fs::read_to_string(self.programs.path().join("called")).expect("some were called");
        let mut forms = Forms::new();
        for call in called.split_terminator('\u{1e}') {
            let (ended, words) = call.split_once(':').expect("how it ended");
            let words: Vec<&str> = words.split_terminator('\u{1f}').collect();
            assert_eq!(ended, "0", "{words:?}");
            forms.extend(form_of(&words));
        }
        forms
    }
}
