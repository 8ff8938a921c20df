//! How a command ends: the codes that scripts rely on, and the words for them.

use std::{fmt::Write, process::ExitCode};

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// It did what was asked.
    Ok = 0,
    /// It could not.
    Failed = 1,
    /// What was typed makes no sense.
    Usage = 2,
    /// The configuration is wrong.
    Configuration = 3,
    /// There is no running host where one was looked for.
    Unreachable = 4,
}

impl Exit {
    /// Every way to end.
    pub const ALL: [Self; 5] = [
        Self::Ok,
        Self::Failed,
        Self::Usage,
        Self::Configuration,
        Self::Unreachable,
    ];

    /// What the process ends with.
    #[must_use]
    pub const fn code(self) -> u8 {
        self as u8
    }

    /// What it means, in a few words.
    #[must_use]
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Failed => "failed",
            Self::Usage => "the command line is wrong",
            Self::Configuration => "the configuration is wrong",
            Self::Unreachable => "the running host cannot be reached",
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        exit.code().into()
    }
}

/// What `--help` says about it.
pub(super) fn help() -> String {
    Exit::ALL
        .iter()
        .fold("Exit codes:".to_owned(), |mut text, exit| {
            let _ = write!(text, "\n  {}  {}", exit.code(), exit.meaning());
            text
        })
}
