//! Why a message of Protocol Buffers cannot be read.

use delfin_plugin_api::protobuf::MalformedMessage;

use crate::ingest::IngestError;

pub(super) enum SeriesReadError {
    Malformed(MalformedMessage),
    /// A limit of the body is exceeded.
    Body(IngestError),
}

impl SeriesReadError {
    /// The error of a body that should be this message.
    pub(super) fn into_ingest(self, message: &'static str) -> IngestError {
        match self {
            Self::Malformed(error) => IngestError::Message {
                message,
                reason: error.to_string(),
            },
            Self::Body(error) => error,
        }
    }
}

impl From<MalformedMessage> for SeriesReadError {
    fn from(error: MalformedMessage) -> Self {
        Self::Malformed(error)
    }
}

impl From<IngestError> for SeriesReadError {
    fn from(error: IngestError) -> Self {
        Self::Body(error)
    }
}
