//! Processes that have a file, as Linux tells: who holds its lock, and who has it open for writing.

use std::fs::File;
use std::path::Path;
use std::thread::sleep;
use std::time::Duration;

#[cfg(target_os = "linux")]
use linux as system;
#[cfg(not(target_os = "linux"))]
use other as system;
use system::{is_open_for_writing, lock_user, writer_in_proc};

#[cfg(target_os = "linux")]
mod linux;
#[cfg(not(target_os = "linux"))]
mod other;

/// Where the system does not tell who it is.
const SOMEBODY: &str = "another process";

/// How often a writer must be seen.
const LOOKS: u32 = 10;
const BETWEEN_LOOKS: Duration = Duration::from_millis(50);

/// Who holds a lock on the file at this path: `etcd (process 4711)`.
pub fn lock_holder(path: &Path) -> String {
    let holder = File::open(path).ok().and_then(|file| lock_user(&file, Waiting::No));
    holder.unwrap_or_else(|| SOMEBODY.to_owned())
}

/// Who else has this file open for writing, or waits for its lock. bbolt does not wait in the kernel, where the table of locks
/// would show it, but asks again every 50 ms (`bolt_unix.go`, `flock`), for as long as it takes: an etcd that was started
/// while this program has the lock goes on with this very file as soon as it is free, whatever name the file has by then.
/// `file` must be open for reading only.
///
/// One that is gone when looked for again does not count: until its program begins, a process that is being started has all
/// files of its parent.
pub fn writer(file: &File) -> Option<String> {
    let mut who = writer_now(file)?;
    for _ in 1..LOOKS {
        sleep(BETWEEN_LOOKS);
        who = writer_now(file)?;
    }
    Some(who)
}

fn writer_now(file: &File) -> Option<String> {
    lock_user(file, Waiting::Yes).or_else(|| match is_open_for_writing(file) {
        Some(false) => None,
        Some(true) => Some(writer_in_proc(file).unwrap_or_else(|| SOMEBODY.to_owned())),
        None => writer_in_proc(file),
    })
}

/// Whether a process has a lock, or would like to.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Waiting {
    Yes,
    No,
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn who_writes_for_a_moment_only_does_not_count() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("db");
        let open = || File::options().create(true).append(true).open(&path).expect("opened");
        let for_a_moment = open();
        let read = File::open(&path).expect("opened");
        assert!(writer_now(&read).is_some());
        let seen = std::thread::scope(|scope| {
            scope.spawn(move || {
                sleep(BETWEEN_LOOKS);
                drop(for_a_moment);
            });
            writer(&read)
        });
        assert_eq!(seen, None);
        let _for_longer = open();
        assert!(writer(&read).is_some());
    }
}
