//! The SHA-256 of a snapshot, and the wait until all is on the disk.

use std::panic::resume_unwind;
use std::thread;

use sha2::{Digest, Sha256};

use crate::bolt::Db;
use crate::output::{Output, OutputError};
use crate::platform::FileAt;

/// Seals a copy while `work` is done; after it, if there is no thread to be had. Gives the SHA-256 in hexadecimal digits.
pub(super) fn seal_while<T>(
    output: &Output,
    copy: &Db,
    snapshot: bool,
    work: impl FnOnce() -> T,
) -> (Result<Option<String>, OutputError>, T) {
    let seal = || seal(output, copy, snapshot);
    thread::scope(|scope| {
        let sealing = thread::Builder::new().spawn_scoped(scope, seal);
        let done = work();
        let sealed = match sealing {
            Ok(thread) => thread.join().unwrap_or_else(|panic| resume_unwind(panic)),
            Err(_) => seal(),
        };
        (sealed, done)
    })
}

fn seal(output: &Output, copy: &Db, snapshot: bool) -> Result<Option<String>, OutputError> {
    let digest = snapshot.then(|| Sha256::digest(copy.data()));
    if let Some(digest) = &digest {
        output.file().write_all_at(digest, copy.file_size()).map_err(OutputError::io(output.path()))?;
    }
    output.sync()?;
    Ok(digest.map(|digest| digest.iter().map(|byte| format!("{byte:02x}")).collect()))
}
