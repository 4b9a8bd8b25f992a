//! The moment at which a finished file gets its name.
//!
//! A file that replaces another **exchanges** names with it, in one step. Then this looks at the file that came out: is it the one
//! that was there at the beginning, is it as it was, and is nobody about to write to it? If not, names are exchanged back, and
//! nothing has changed. To look before is not enough: an etcd may be started, or another file moved there, between the look and the
//! rename. After the exchange, no process can open the old file by the name of the target.
//!
//! The lock of the old file is held until the end, and so is that of the new one: an etcd that is started meanwhile waits for one
//! of them, and goes on with whichever has the name.
//!
//! After that nothing is undone. The old file of a copy in place gets its second name before the exchange, and keeps it whatever
//! fails. Others are removed when the new name is on the disk.
//!
//! What remains: between the look-up of the name and the count of the open file (`fs/open.c`, `do_dentry_open`), an open(2)
//! that has begun can't be seen. That takes the kernel some microseconds.

use std::ffi::{OsStr, OsString};
use std::io;
use std::path::PathBuf;

use super::in_place::names_of_old;
use super::target::{Purpose, Replaced};
use super::unfinished::{Output, registry};
use super::{OutputError, Target};
use crate::platform::is_unsupported;
use crate::text::shown;

impl Output {
    /// Gives the file its name, and waits until that is on the disk. Returns the path where the old file is kept.
    ///
    /// # Errors
    /// The target is not what it was at the beginning, or somebody uses it: nothing has happened. [`OutputError::Unsynced`],
    /// [`OutputError::Remains`]: the file has its name.
    pub fn commit(mut self) -> Result<Option<PathBuf>, OutputError> {
        let Some(replaced) = self.target.replaced.take() else {
            self.appear()?;
            return self.sync_name(None).map(|()| None);
        };
        // most changes are seen here, before anything was renamed
        replaced.look(&self.target.folder, &self.target.name, &self.target.path)?;
        let kept = match self.target.purpose {
            Purpose::InPlace => Some(self.keep_old(&replaced)?),
            _ => None,
        };
        let old = match self.replace(&replaced, kept.as_deref()) {
            Ok(old) => old,
            Err(error) => return Err(self.forget_kept(error, &replaced, kept)),
        };
        // without a second name, it is removed only if the new file is safe
        let synced = self.sync_name(old.as_deref().filter(|_| kept.is_none()));
        let removed = match old {
            Some(old) => self.remove_old(&old, synced.is_ok() || kept.is_some()),
            None => Ok(()),
        };
        synced.and(removed)?;
        Ok(kept.map(|kept| self.target.made_in.path_of(&kept)))
    }

    /// Removes the old file's temporary name, or, if it is not `safe` to, leaves it alone.
    fn remove_old(&self, old: &OsStr, safe: bool) -> Result<(), OutputError> {
        let mut registry = registry();
        registry.forget(old);
        let made_in = &self.target.made_in;
        let removed = if safe { made_in.remove(old) } else { Ok(()) };
        removed.map_err(|error| OutputError::Remains { old: made_in.path_of(old), error })
    }

    /// Takes a name that nobody has.
    fn appear(&self) -> Result<(), OutputError> {
        let Target { path, folder, name, made_in, .. } = &self.target;
        let mut registry = registry();
        let appeared = match made_in.rename_if_free(&self.name, folder, name) {
            Err(error) if is_unsupported(&error) => {
                made_in.link(&self.name, folder, name).and_then(|()| made_in.remove(&self.name))
            }
            appeared => appeared,
        };
        appeared.map_err(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => OutputError::Exists(path.clone()),
            _ => OutputError::io(path)(error),
        })?;
        registry.forget(&self.name);
        if self.target.purpose != Purpose::OneOfMany {
            registry.say_done(self.target.says(None));
        }
        Ok(())
    }

    /// Gives the old file the name that it is kept under.
    fn keep_old(&self, replaced: &Replaced) -> Result<OsString, OutputError> {
        let Target { path, folder, name, made_in, .. } = &self.target;
        for kept in names_of_old(name) {
            match folder.link(name, made_in, &kept) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => continue,
                linked => linked.map_err(OutputError::io(&made_in.path_of(&kept)))?,
            }
            let is_old = made_in.look_at(&kept).is_ok_and(|linked| linked.is_same_file(&replaced.was));
            let synced = made_in.sync().map_err(OutputError::io(made_in.path()));
            let how = "another file has this name by now";
            let changed = || OutputError::Changed { path: path.clone(), how, kept: None };
            return match synced.and_then(|()| is_old.then_some(()).ok_or_else(changed)) {
                Ok(()) => Ok(kept),
                Err(error) => Err(self.forget_kept(error, replaced, Some(kept))),
            };
        }
        Err(OutputError::Exists(path.clone()))
    }

    /// Takes back the second name of the old file, unless it has no other by now, or only a temporary one.
    fn forget_kept(&self, error: OutputError, replaced: &Replaced, kept: Option<OsString>) -> OutputError {
        let Some(kept) = kept else { return error };
        let made_in = &self.target.made_in;
        match error {
            OutputError::Exchanged { path, why, error, .. } => {
                OutputError::Exchanged { path, old: made_in.path_of(&kept), why, error }
            }
            error if replaced.has_another_name(made_in, &kept) && made_in.remove(&kept).is_ok() => error,
            OutputError::Changed { path, how, .. } => {
                OutputError::Changed { path, how, kept: Some(made_in.path_of(&kept)) }
            }
            error => error,
        }
    }

    /// Exchanges the file for the old one, and back if that is not the right one. Returns the name of the old
    /// file, if the file system can exchange or link.
    fn replace(&self, replaced: &Replaced, kept: Option<&OsStr>) -> Result<Option<OsString>, OutputError> {
        let Target { path, made_in, .. } = &self.target;
        // no signal ends the process between here and the second look
        let mut registry = registry();
        let old = self.exchange().map_err(|error| match error {
            error if error.kind() == io::ErrorKind::NotFound => {
                let how = "nothing has this name any more";
                OutputError::Changed { path: path.clone(), how, kept: None }
            }
            error => OutputError::io(path)(error),
        })?;
        registry.forget(&self.name);
        if let Some(old) = &old
            && let Err(why) = replaced.look(made_in, old, path)
        {
            return Err(self.exchange_back(old, why));
        }
        if self.target.purpose != Purpose::OneOfMany {
            registry.say_done(self.target.says(kept));
        }
        // from here on, a signal removes it
        old.iter().for_each(|old| registry.note(made_in, old));
        Ok(old)
    }

    fn exchange(&self) -> io::Result<Option<OsString>> {
        let Target { folder, name, made_in, .. } = &self.target;
        match made_in.exchange(&self.name, folder, name) {
            Ok(()) => return Ok(Some(self.name.clone())),
            Err(error) if !is_unsupported(&error) => return Err(error),
            Err(_) => {}
        }
        // in two steps, between which another file may appear: this file system can do no better
        let mut second = self.name.clone();
        second.push("-old");
        let old = folder.link(name, made_in, &second).ok().map(|()| second);
        made_in.rename(&self.name, folder, name).inspect_err(|_| {
            old.iter().for_each(|old| drop(made_in.remove(old)));
        })?;
        Ok(old)
    }

    fn exchange_back(&self, old: &OsStr, why: OutputError) -> OutputError {
        let Target { path, folder, name, made_in, .. } = &self.target;
        let back = match made_in.exchange(old, folder, name) {
            // what has this name now is the new file
            Ok(()) => made_in.remove(old),
            Err(_) => made_in.rename(old, folder, name),
        };
        match back {
            Ok(()) => why,
            Err(error) => {
                let (path, old) = (path.clone(), made_in.path_of(old));
                OutputError::Exchanged { path, old, why: Box::new(why), error }
            }
        }
    }

    /// Waits until the new name is on the disk; one of many files is waited for with the others. `old` is what would be removed
    /// next.
    fn sync_name(&self, old: Option<&OsStr>) -> Result<(), OutputError> {
        if self.target.purpose == Purpose::OneOfMany {
            return Ok(());
        }
        self.target.folder.sync().map_err(|error| OutputError::Unsynced {
            folder: self.target.folder.path().to_owned(),
            error,
            old: old.map(|old| self.target.made_in.path_of(old)),
        })
    }
}

impl Target {
    /// What is done, once the file has its name.
    fn says(&self, kept: Option<&OsStr>) -> String {
        let path = shown(&self.path);
        match (self.purpose, kept) {
            (Purpose::InPlace, Some(kept)) => {
                format!(
                    "{path} is the new copy, the old file is kept as {}",
                    shown(&self.made_in.path_of(kept))
                )
            }
            (Purpose::InPlace | Purpose::InsteadOf, _) => format!("{path} is the new copy"),
            _ => format!("{path} is written"),
        }
    }
}
