//! How a run ended, as an exit code.

use std::process::ExitCode;

/// How a run ended.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Outcome {
    /// Done, and nothing is wrong.
    Sound,
    /// Problems were found, or a threshold was passed.
    Problems,
    /// It could not be done.
    Failed,
}

impl Outcome {
    /// The outcome for a file that could be read.
    pub(super) fn of(sound: bool) -> Self {
        if sound { Self::Sound } else { Self::Problems }
    }

    pub(super) fn code(self) -> u8 {
        match self {
            Self::Sound => 0,
            Self::Problems => 1,
            Self::Failed => 2,
        }
    }
}

impl From<Outcome> for ExitCode {
    fn from(outcome: Outcome) -> Self {
        Self::from(outcome.code())
    }
}
