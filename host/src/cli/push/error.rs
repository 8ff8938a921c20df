//! Why a push failed.

use std::{io, path::PathBuf};

use super::super::error::Error;

/// Why a file was not pushed, or not all of it.
#[derive(Debug, thiserror::Error)]
pub(super) enum PushError {
    /// `path` is `-` for standard input.
    #[error("cannot read `{}`", path.display())]
    Read { path: PathBuf, source: io::Error },

    /// An Arrow file has its table of contents at its end, so it cannot be streamed.
    #[error(
        "`{}` is an Arrow file, but the host accepts Arrow streams only (write it with a stream \
         writer)",
        path.display()
    )]
    ArrowFile { path: PathBuf },

    #[error(
        "{items} items were rejected, all others were accepted (correct the rejected items and \
         push only them)"
    )]
    Rejected { items: u64 },

    #[error(
        "the batch is durable, but still pending at {exporters} (do not push it again: \
         `GET /v1/batches/{batch_id}` shows its state)"
    )]
    Pending { batch_id: String, exporters: String },
}

impl From<PushError> for Error {
    fn from(error: PushError) -> Self {
        Self::failed(error)
    }
}
