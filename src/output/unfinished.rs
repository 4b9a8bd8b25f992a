//! A file in the making.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};
use std::thread;
use std::time::{Duration, Instant};

use crate::bolt::lock::{Lock, LockedFile};
use crate::platform::{self, Readers};

use super::target::Purpose;
use super::{Folder, OutputError, Target};

/// What temporary files' names end in.
pub const TEMPORARY_SUFFIX: &str = ".etcd-medic-unfinished";

/// Characters of the target's name in that of its temporary file: a name may be as long as a file system allows.
const MAX_PREFIX: usize = 32;

/// The files that this process has finished and not finished, in case a signal ends it.
#[derive(Debug)]
pub(super) struct Registry {
    unfinished: Vec<(Arc<Folder>, OsString)>,
    /// Folders, which are removed with all that is in them.
    unfinished_folders: Vec<PathBuf>,
    done: Option<String>,
}

static REGISTRY: Mutex<Registry> =
    Mutex::new(Registry { unfinished: Vec::new(), unfinished_folders: Vec::new(), done: None });

/// The registry. While it is held, no signal removes anything or ends the process: names change only then.
pub(super) fn registry() -> MutexGuard<'static, Registry> {
    REGISTRY.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Registry {
    pub(super) fn note(&mut self, folder: &Arc<Folder>, name: &OsStr) {
        self.unfinished.push((Arc::clone(folder), name.to_owned()));
    }

    pub(super) fn forget(&mut self, name: &OsStr) {
        self.unfinished.retain(|(_, unfinished)| unfinished != name);
    }

    pub(super) fn note_folder(&mut self, path: PathBuf) {
        self.unfinished_folders.push(path);
    }

    /// Whether it was noted.
    pub(super) fn forget_folder(&mut self, path: &Path) -> bool {
        let before = self.unfinished_folders.len();
        self.unfinished_folders.retain(|unfinished| unfinished != path);
        self.unfinished_folders.len() < before
    }

    pub(super) fn say_done(&mut self, what: String) {
        self.done = Some(what);
    }
}

/// Notes in words what is finished: a later error message adds this.
pub fn is_done(what: String) {
    registry().say_done(what);
}

/// What is finished. Nothing that fails after it undoes it.
pub fn done() -> Option<String> {
    registry().done.clone()
}

/// Removes the temporary files. Until the returned guard is dropped, no file is begun or finished: for a process that is about to
/// end.
pub fn end() -> Ending {
    Ending::of(registry())
}

/// The same, if nothing else happens to names for so long: where this thread itself holds the registry, it would wait for ever.
pub fn end_within(patience: Duration) -> Option<Ending> {
    let began = Instant::now();
    loop {
        match REGISTRY.try_lock() {
            Ok(registry) => return Some(Ending::of(registry)),
            Err(TryLockError::Poisoned(registry)) => return Some(Ending::of(registry.into_inner())),
            Err(TryLockError::WouldBlock) if began.elapsed() > patience => return None,
            Err(TryLockError::WouldBlock) => thread::sleep(Duration::from_millis(10)),
        }
    }
}

/// The end of the process.
#[derive(Debug)]
pub struct Ending(MutexGuard<'static, Registry>);

impl Ending {
    fn of(mut registry: MutexGuard<'static, Registry>) -> Self {
        for (folder, name) in registry.unfinished.drain(..) {
            // the process ends either way
            let _ = folder.remove(&name);
        }
        for folder in registry.unfinished_folders.drain(..) {
            let _ = fs::remove_dir_all(folder);
        }
        Self(registry)
    }

    /// What is finished, in words.
    pub fn done(&self) -> Option<&str> {
        self.0.done.as_deref()
    }
}

/// A file in the making. Dropped before [`Output::commit`], it is removed.
#[derive(Debug)]
pub struct Output {
    pub(super) file: LockedFile,
    pub(super) target: Target,
    /// Its temporary name, in the folder that it is made in.
    pub(super) name: OsString,
    path: PathBuf,
}

impl Target {
    /// Begins the file, which only its owner can read, with room for `size` bytes.
    ///
    /// # Errors
    /// The operating system's.
    pub fn begin(self, size: u64) -> Result<Output, OutputError> {
        self.begin_with(Readers::Owner, size)
    }

    /// Begins a file that anybody can read, as far as the user's umask allows.
    ///
    /// # Errors
    /// The operating system's.
    pub fn begin_public(self) -> Result<Output, OutputError> {
        self.begin_with(Readers::Anybody, 0)
    }

    fn begin_with(self, readers: Readers, size: u64) -> Result<Output, OutputError> {
        if self.replaced.as_ref().is_some_and(|replaced| !replaced.exclusive) {
            return Err(OutputError::NotLocked);
        }
        // held until the file's name is noted
        let mut registry = registry();
        let (file, name) = make_temporary(&self.made_in, &self.name, readers)?;
        registry.note(&self.made_in, &name);
        drop(registry);
        // a process that opens it as soon as it has its name, an etcd or a second run, waits until the old file is removed; without
        // locks, it does not wait
        let file = LockedFile::from(file);
        let _ = file.take(Lock::Exclusive);
        let path = self.made_in.path().join(&name);
        let output = Output { file, target: self, name, path };
        output.reserve(size)?;
        Ok(output)
    }
}

fn make_temporary(
    folder: &Folder,
    target: &OsStr,
    readers: Readers,
) -> Result<(File, OsString), OutputError> {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let prefix: String = target.to_string_lossy().chars().take(MAX_PREFIX).collect();
    loop {
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = OsString::from(format!(".{prefix}.{}-{number}{TEMPORARY_SUFFIX}", std::process::id()));
        match folder.make_file(&name, readers) {
            Ok(file) => return Ok((file, name)),
            // from an earlier process with the same id, which was killed
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(OutputError::io(folder.path())(error)),
        }
    }
}

impl Output {
    fn reserve(&self, size: u64) -> Result<(), OutputError> {
        if size == 0 {
            return Ok(());
        }
        platform::reserve(&self.file, size).map_err(OutputError::io(self.path()))
    }

    /// Gives the file mode, owner, ACL and extended attributes of its source. What could not be kept, in words.
    ///
    /// # Errors
    /// The mode can't be set.
    pub fn copy_attributes(&self, from: &File) -> Result<Vec<String>, OutputError> {
        let in_place = matches!(self.target.purpose, Purpose::InPlace | Purpose::InsteadOf);
        platform::copy_attributes(from, &self.file, in_place).map_err(OutputError::io(self.path()))
    }

    /// The file, to write to.
    pub fn file(&self) -> &File {
        &self.file
    }

    /// The path that it will have.
    pub fn target(&self) -> &Path {
        self.target.path()
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Waits until all of it is on the disk.
    ///
    /// # Errors
    /// The operating system's.
    pub fn sync(&self) -> Result<(), OutputError> {
        self.file.sync_all().map_err(OutputError::io(self.path()))
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        let mut registry = registry();
        // once it has its name, there is nothing of this name, or what it replaced
        if registry.unfinished.iter().any(|(_, unfinished)| *unfinished == self.name) {
            registry.forget(&self.name);
            let _ = self.target.made_in.remove(&self.name);
        }
    }
}
