//! Why a push failed.

use std::{
    io,
    path::{Path, PathBuf},
};

use super::super::{client::ClientError, error::Error};

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

    /// The host, or the same check here, refused the content of the file.
    #[error("{}", about_file(path, fault))]
    Content {
        path: PathBuf,
        /// What is wrong, as said of the body of a request.
        fault: String,
    },

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

impl PushError {
    /// The error of a request that sent a file.
    pub(super) fn of_request(path: &Path, error: ClientError) -> Error {
        match error {
            ClientError::Refused {
                body_fault: Some(fault),
                ..
            } => {
                let path = path.to_owned();
                Self::Content { path, fault }.into()
            }
            other => other.into(),
        }
    }
}

/// The fault of a body as one of the file that was the body.
fn about_file(path: &Path, fault: &str) -> String {
    let file = if path == Path::new("-") {
        "standard input".to_owned()
    } else {
        format!("`{}`", path.display())
    };
    match fault.strip_prefix("the body ") {
        Some(rest) => format!("{file} {rest}"),
        None => format!("{file}: {fault}"),
    }
}

impl From<PushError> for Error {
    fn from(error: PushError) -> Self {
        Self::failed(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_of_the_body_is_told_of_the_file() {
        let told = |path: &str, fault: &str| {
            let error = ClientError::Refused {
                code: "MalformedRequestBody".to_owned(),
                message: "Malformed request body: …".to_owned(),
                body_fault: Some(fault.to_owned()),
            };
            PushError::of_request(Path::new(path), error).to_string()
        };
        assert_eq!(
            told("a.json", "the body is not JSON: …"),
            "`a.json` is not JSON: …"
        );
        assert_eq!(told("-", "the body is empty"), "standard input is empty");
        assert_eq!(
            told("a.json", "item 1: name: is empty"),
            "`a.json`: item 1: name: is empty"
        );
    }
}
