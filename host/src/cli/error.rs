//! Why a command failed, and with which code it ends therefore.

use std::io;

use delfin_plugin_loader::Refusal;

use super::{ApiError, Exit, NewError, PushError, TryError};

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The running host did not answer, or not as hoped.
    #[error(transparent)]
    Api(#[from] ApiError),

    /// What was to be handed in could not be read.
    #[error(transparent)]
    Push(#[from] PushError),

    /// A plugin file is refused.
    #[error(transparent)]
    Plugin(#[from] Refusal),

    /// A plugin could not be tried, or did not deliver.
    #[error(transparent)]
    Try(#[from] TryError),

    /// A new crate could not be written.
    #[error(transparent)]
    New(#[from] NewError),

    /// The configuration is wrong.
    #[error(transparent)]
    Configuration(Box<dyn std::error::Error + Send + Sync>),

    /// The command could not do what was asked.
    #[error(transparent)]
    Failed(Box<dyn std::error::Error + Send + Sync>),

    /// Nobody takes what the command prints.
    #[error("cannot write to the standard output")]
    Output(#[from] io::Error),
}

impl Error {
    /// The code that the process ends with.
    #[must_use]
    pub fn exit(&self) -> Exit {
        match self {
            Self::Api(ApiError::Unreachable { .. } | ApiError::Cut { .. }) => Exit::Unreachable,
            Self::Api(ApiError::Refused { .. } | ApiError::Foreign { .. })
            | Self::Push(_)
            | Self::Plugin(_)
            | Self::New(_)
            | Self::Try(_)
            | Self::Failed(_) => Exit::Failed,
            Self::Configuration(_) => Exit::Configuration,
            // `delfin-host exporters | head -1` has got all that it wanted.
            Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe => Exit::Ok,
            Self::Output(_) => Exit::Failed,
        }
    }
}
