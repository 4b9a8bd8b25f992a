//! Systems that say nothing of other users of a file.

use std::fs::File;

use super::Waiting;

pub(super) fn lock_user(_file: &File, _waiting: Waiting) -> Option<String> {
    None
}

pub(super) fn is_open_for_writing(_file: &File) -> Option<bool> {
    None
}

pub(super) fn writer_in_proc(_file: &File) -> Option<String> {
    None
}
