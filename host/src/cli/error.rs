//! Why a command failed, and its exit code.

use std::io;

use delfin_plugin_loader::PluginError;

use super::{client::ClientError, exit::Exit};

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Client(#[from] ClientError),

    #[error(transparent)]
    Plugin(#[from] PluginError),

    /// The configuration has mistakes, or something that it names cannot start.
    #[error(transparent)]
    Configuration(Box<dyn std::error::Error + Send + Sync>),

    /// The command line lacks something.
    #[error("{0}")]
    Usage(String),

    /// Every other failure.
    #[error(transparent)]
    Failed(Box<dyn std::error::Error + Send + Sync>),

    /// Of a host that is standby from now on.
    #[error("this host has handed the lease of its cluster over, and must be started again")]
    HandedOver(#[source] io::Error),

    #[error("cannot write to standard output")]
    Output(#[source] io::Error),
}

impl Error {
    pub(super) fn configuration(
        error: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        Self::Configuration(error.into())
    }

    pub(super) fn usage(text: String) -> Self {
        Self::Usage(text)
    }

    pub(super) fn failed(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Failed(error.into())
    }

    #[must_use]
    pub fn exit(&self) -> Exit {
        match self {
            Self::Client(ClientError::Unreachable { .. } | ClientError::Disconnected { .. }) => {
                Exit::Unreachable
            }
            Self::Client(ClientError::Refused { .. } | ClientError::Unexpected { .. })
            | Self::Plugin(_)
            | Self::Failed(_) => Exit::Failed,
            Self::Usage(_) => Exit::Usage,
            Self::Configuration(_) => Exit::Configuration,
            Self::HandedOver(_) => Exit::HandedOver,
            // In `delfin-host exporters | head -1`, the reader has all that it wants.
            Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe => Exit::Ok,
            Self::Output(_) => Exit::Failed,
        }
    }
}
