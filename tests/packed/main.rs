//! Packed files: backups as they are kept, read as they are.
//!
//! | file | what is in it |
//! |---|---|
//! | [`forms`] | each form, on each command: the same answer as unpacked |
//! | [`hostile`] | what is cut off, damaged, made to do harm, or no db at all: a message, and nothing is left |
//! | [`sizes`] | the sizes that packed files state |

#![cfg(test)]

#[path = "../support/mod.rs"]
mod support;

mod forms;
mod hostile;
mod sizes;
