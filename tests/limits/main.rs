//! A machine that gives little, and files that hold much: threads that can't be had, and tables of tens of thousands of rows.
#![cfg(test)]

#[path = "../support/mod.rs"]
mod support;

mod rows;
mod threads;
