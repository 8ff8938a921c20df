//! The exit codes, which scripts rely on, and their meaning.

use std::{fmt::Write, process::ExitCode};

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    Ok = 0,
    Failed = 1,
    Usage = 2,
    Configuration = 3,
    Unreachable = 4,
    LeaseLost = 5,
    HandedOver = 6,
}

impl Exit {
    pub const ALL: [Self; 7] = [
        Self::Ok,
        Self::Failed,
        Self::Usage,
        Self::Configuration,
        Self::Unreachable,
        Self::LeaseLost,
        Self::HandedOver,
    ];

    #[must_use]
    pub const fn code(self) -> u8 {
        self as u8
    }

    /// The meaning, as the help shows it.
    #[must_use]
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Failed => "failed",
            Self::Usage => "the command line is wrong",
            Self::Configuration => "the configuration is wrong",
            Self::Unreachable => "the running host cannot be reached",
            Self::LeaseLost => "the host has lost the lease of its cluster",
            Self::HandedOver => {
                "the host has handed the lease of its cluster over, and could not start itself again"
            }
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        exit.code().into()
    }
}

/// The list of the exit codes for `--help`.
pub(super) fn help() -> String {
    let mut text = "Exit codes:".to_owned();
    for exit in Exit::ALL {
        let _ = write!(text, "\n  {}  {}", exit.code(), exit.meaning());
    }
    text
}
