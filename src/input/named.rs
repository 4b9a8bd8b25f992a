//! A file as it was named, for commands that are printed: they read the same bytes again.

use std::path::{Path, PathBuf};

use crate::content::packing::{ArchiveFormat, free_name};
use crate::shell::ShellCommand;

use super::{OpenOptions, UnpackOptions};

/// A path, and the options that it was read with.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Named {
    pub path: PathBuf,
    /// How the file is packed, if it is: of several layers, the outermost.
    pub packing: Option<ArchiveFormat>,
    pub is_standard_input: bool,
    pub unpack: UnpackOptions,
}

impl Named {
    pub fn new(path: &Path, options: &OpenOptions) -> Self {
        let is_standard_input = options.standard_input && path == Path::new("-");
        Self { path: path.to_owned(), packing: None, is_standard_input, unpack: options.unpack.clone() }
    }

    /// A file that is not packed.
    pub fn plain(path: impl AsRef<Path>) -> Self {
        Self { path: path.as_ref().to_owned(), ..Self::default() }
    }

    /// Whether what is read is not in the file itself, but comes out of it.
    pub fn is_unpacked(&self) -> bool {
        self.packing.is_some() || self.is_standard_input
    }

    /// The same, and this file of the archive.
    #[cfg(feature = "packed")]
    pub fn with_member(&self, member: &str) -> Self {
        let mut named = self.clone();
        named.unpack.member = Some(member.to_owned());
        named
    }

    /// A command of this program's, which reads packed files and standard input as this one did. The path is its last word so far.
    pub fn ours(&self, words: &str) -> ShellCommand {
        let UnpackOptions { folder, max_unpacked, max_window, member } = &self.unpack;
        let mut command = ShellCommand::new(words);
        if let Some(member) = member {
            // what begins with a dash would be an option
            command = match member.starts_with('-') {
                true => command.word(&[b"--member=", member.as_bytes()].concat()),
                false => command.and("--member").word(member.as_bytes()),
            };
        }
        if let Some(folder) = folder {
            command = command.and("--tmp-dir").path(folder);
        }
        if *max_unpacked != UnpackOptions::default().max_unpacked {
            command = command.and(&format!("--max-unpacked {max_unpacked}"));
        }
        if let Some(max_window) = max_window {
            command = command.and(&format!("--max-window {max_window}"));
        }
        command.path(&self.path)
    }

    /// The command of another program's that comes before all others: they read plain files only.
    pub fn plain_file_first(&self) -> Option<ShellCommand> {
        if self.is_standard_input {
            return Some(ShellCommand::new("cat >").path(&free_name(Path::new("stdin"), "saved")));
        }
        Some(self.packing?.unpack(&self.path))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_commands_repeat_the_options() {
        let mut options = OpenOptions { standard_input: true, ..OpenOptions::default() };
        let ours = |path: &str, options: &OpenOptions| {
            Named::new(Path::new(path), options).ours("etcd-medic check").to_string()
        };
        assert_eq!(ours("a b", &options), "etcd-medic check 'a b'");
        assert_eq!(ours("-", &options), "etcd-medic check -");
        options.unpack = UnpackOptions {
            folder: Some("/big disk".into()),
            max_unpacked: 1 << 40,
            max_window: Some(1 << 28),
            member: Some("-x y".to_owned()),
        };
        assert_eq!(
            ours("a.tar", &options),
            "etcd-medic check '--member=-x y' --tmp-dir '/big disk' --max-unpacked 1099511627776 --max-window 268435456 a.tar"
        );
    }
}
