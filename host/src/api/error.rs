//! Every way in which a request can be refused, and what its sender is told.
//!
//! An error has two messages: one for the sender, and where that says less than
//! a person at the host needs, one for the log. Names and texts are those that
//! Delfin has for the same thing.

use std::time::Duration;

use axum::{
    Json,
    http::{HeaderValue, StatusCode, header::RETRY_AFTER},
    response::{IntoResponse, Response},
};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::storages::error as storage_error;
use crate::{
    ingest::IngestError,
    journal::{AppendError, CursorError, ReadError},
    storages::StorageError,
};

/// How soon whoever is told to come back may do so: about as long as the journal
/// takes to open its file again, or a host to start.
const COME_BACK_AFTER: Duration = Duration::from_secs(5);

/// Why a request is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ApiError {
    /// No such path.
    #[error("Resource could not be found.")]
    NotFound,
    /// No such batch, or it is pruned.
    #[error("Batch {batch_id} could not be found.")]
    BatchNotFound {
        /// The batch that was asked for.
        batch_id: Uuid,
    },
    /// No such dead letter, or it has been delivered or purged.
    #[error("Dead letter {id} could not be found.")]
    DeadLetterNotFound {
        /// The letter that was asked for.
        id: String,
    },
    /// No exporter of that name is configured.
    #[error("Exporter {name} could not be found.")]
    ExporterNotFound {
        /// What was asked for.
        name: String,
    },
    /// The path has no such method.
    #[error("Method is not allowed for this resource.")]
    MethodNotAllowed,
    /// A value that is not as it must be.
    #[error("Invalid input received. {detail}")]
    InvalidInput {
        /// Which, and why.
        detail: String,
    },
    /// A body that is not what its content type says.
    #[error("Malformed request body: {detail}.")]
    MalformedRequestBody {
        /// What is wrong with it.
        detail: String,
    },
    /// A body of a type that is not read here.
    #[error("Invalid content type: {detail}.")]
    InvalidContentType {
        /// What was sent, and what would be read.
        detail: String,
    },
    /// A body with an encoding that is not read here.
    #[error("Invalid content encoding: {detail}.")]
    InvalidContentEncoding {
        /// What was sent, and what would be read.
        detail: String,
    },
    /// A body that holds more than it may.
    #[error("Request body too large: {detail}.")]
    RequestBodyTooLarge {
        /// What it holds too much of.
        detail: String,
    },
    /// A body that does not arrive.
    #[error("The request body did not arrive in time.")]
    RequestTimeout,
    /// The batch was not kept: an exporter that must not miss any is behind.
    #[error("Too many requests: {detail}.")]
    TooManyRequests {
        /// Which exporter, and what helps.
        detail: String,
    },
    /// The batch was not kept, and will not be until there is room.
    #[error("The batch cannot be kept: {detail}.")]
    JournalFull {
        /// What is full, and what helps.
        detail: String,
    },
    /// The host cannot do it now.
    #[error("Service unavailable: {reason}, please try again later.")]
    ServiceUnavailable {
        /// Why, for the sender.
        reason: &'static str,
        /// Why, for the log, where that is news.
        log: Option<String>,
    },
    /// It cannot be done with that storage.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// A mistake of the host.
    #[error("An unknown exception occurred.")]
    Internal {
        /// What went wrong.
        log: String,
    },
}

/// An error in Delfin's format.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct ErrorBody {
    /// The kind of error.
    #[schema(example = "InvalidInput")]
    error_code: &'static str,
    /// What is wrong, in words.
    error_msg: String,
    /// The parts of the words that are particular to this error.
    error_args: Vec<String>,
}

/// What the log has to say of an answer.
#[derive(Clone, Debug)]
pub(super) struct ForLog(pub(super) String);

impl ApiError {
    /// A value that is not as it must be.
    #[must_use]
    pub fn invalid(detail: impl Into<String>) -> Self {
        Self::InvalidInput {
            detail: detail.into(),
        }
    }

    /// The host takes no batch any more.
    #[must_use]
    pub fn stopping() -> Self {
        Self::ServiceUnavailable {
            reason: "the host is stopping",
            log: None,
        }
    }

    /// Its status, and its name.
    #[must_use]
    pub fn status_and_code(&self) -> (StatusCode, &'static str) {
        match self {
            Self::NotFound => (StatusCode::NOT_FOUND, "NotFound"),
            Self::BatchNotFound { .. } => (StatusCode::NOT_FOUND, "BatchNotFound"),
            Self::DeadLetterNotFound { .. } => (StatusCode::NOT_FOUND, "DeadLetterNotFound"),
            Self::ExporterNotFound { .. } => (StatusCode::NOT_FOUND, "ExporterNotFound"),
            Self::MethodNotAllowed => (StatusCode::METHOD_NOT_ALLOWED, "MethodNotAllowed"),
            Self::InvalidInput { .. } => (StatusCode::BAD_REQUEST, "InvalidInput"),
            Self::MalformedRequestBody { .. } => (StatusCode::BAD_REQUEST, "MalformedRequestBody"),
            Self::InvalidContentType { .. } => {
                (StatusCode::UNSUPPORTED_MEDIA_TYPE, "InvalidContentType")
            }
            Self::InvalidContentEncoding { .. } => {
                (StatusCode::UNSUPPORTED_MEDIA_TYPE, "InvalidContentEncoding")
            }
            Self::RequestBodyTooLarge { .. } => {
                (StatusCode::PAYLOAD_TOO_LARGE, "RequestBodyTooLarge")
            }
            Self::RequestTimeout => (StatusCode::REQUEST_TIMEOUT, "RequestTimeout"),
            Self::TooManyRequests { .. } => (StatusCode::TOO_MANY_REQUESTS, "TooManyRequests"),
            Self::JournalFull { .. } => (StatusCode::INSUFFICIENT_STORAGE, "JournalFull"),
            Self::ServiceUnavailable { .. } => {
                (StatusCode::SERVICE_UNAVAILABLE, "ServiceUnavailable")
            }
            Self::Storage(refusal) => storage_error::status_and_code(refusal),
            Self::Internal { .. } => (StatusCode::INTERNAL_SERVER_ERROR, "DelfinException"),
        }
    }

    fn args(&self) -> Vec<String> {
        match self {
            Self::BatchNotFound { batch_id } => vec![batch_id.to_string()],
            Self::DeadLetterNotFound { id } => vec![id.clone()],
            Self::ExporterNotFound { name } => vec![name.clone()],
            Self::InvalidInput { detail }
            | Self::MalformedRequestBody { detail }
            | Self::InvalidContentType { detail }
            | Self::InvalidContentEncoding { detail }
            | Self::RequestBodyTooLarge { detail }
            | Self::TooManyRequests { detail }
            | Self::JournalFull { detail } => vec![detail.clone()],
            Self::ServiceUnavailable { reason, .. } => vec![(*reason).to_owned()],
            Self::Storage(refusal) => storage_error::args(refusal),
            Self::NotFound
            | Self::MethodNotAllowed
            | Self::RequestTimeout
            | Self::Internal { .. } => Vec::new(),
        }
    }

    fn for_log(&self) -> Option<String> {
        match self {
            Self::Internal { log } => Some(log.clone()),
            Self::ServiceUnavailable { log, .. } => log.clone(),
            Self::JournalFull { detail } => Some(detail.clone()),
            Self::Storage(refusal) => storage_error::for_log(refusal),
            Self::NotFound
            | Self::BatchNotFound { .. }
            | Self::DeadLetterNotFound { .. }
            | Self::ExporterNotFound { .. }
            | Self::MethodNotAllowed
            | Self::InvalidInput { .. }
            | Self::MalformedRequestBody { .. }
            | Self::InvalidContentType { .. }
            | Self::InvalidContentEncoding { .. }
            | Self::RequestBodyTooLarge { .. }
            | Self::RequestTimeout
            // It is the exporter that is behind of which the log speaks.
            | Self::TooManyRequests { .. } => None,
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let (status, error_code) = self.status_and_code();
        let body = ErrorBody {
            error_code,
            error_msg: self.to_string(),
            error_args: self.args(),
        };
        let mut response = (status, Json(body)).into_response();
        if let Some(log) = self.for_log() {
            response.extensions_mut().insert(ForLog(log));
        }
        if matches!(
            status,
            StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS
        ) {
            response
                .headers_mut()
                .insert(RETRY_AFTER, come_back_after());
        }
        response
    }
}

/// The value of `Retry-After`.
pub(super) fn come_back_after() -> HeaderValue {
    HeaderValue::from(COME_BACK_AFTER.as_secs())
}

impl From<IngestError> for ApiError {
    fn from(error: IngestError) -> Self {
        let detail = error.to_string();
        match error {
            IngestError::UnsupportedMediaType { .. } => Self::InvalidContentType { detail },
            IngestError::UnsupportedEncoding { .. } => Self::InvalidContentEncoding { detail },
            IngestError::TooManyBytes { .. } | IngestError::TooManyRows { .. } => {
                Self::RequestBodyTooLarge { detail }
            }
            IngestError::Empty
            | IngestError::Compression { .. }
            | IngestError::NotUtf8 { .. }
            | IngestError::Syntax { .. }
            | IngestError::Arrow { .. } => Self::MalformedRequestBody { detail },
            IngestError::Item { .. } | IngestError::Columns(_) => Self::InvalidInput { detail },
        }
    }
}

impl From<AppendError> for ApiError {
    fn from(error: AppendError) -> Self {
        let detail = error.to_string();
        match error {
            AppendError::Full {
                required_by: Some(_),
                ..
            } => Self::TooManyRequests { detail },
            AppendError::Full {
                required_by: None, ..
            }
            | AppendError::NoSpace { .. } => Self::JournalFull { detail },
            AppendError::Unfit { .. } => Self::RequestBodyTooLarge { detail },
            AppendError::Unavailable { .. } => Self::ServiceUnavailable {
                reason: "the journal cannot be written",
                log: Some(detail),
            },
            AppendError::Closed => Self::stopping(),
        }
    }
}

impl From<CursorError> for ApiError {
    fn from(error: CursorError) -> Self {
        let log = error.to_string();
        match error {
            CursorError::Missing { .. } | CursorError::Refused { .. } => Self::Internal { log },
            CursorError::Unavailable { .. } => Self::ServiceUnavailable {
                reason: "the journal cannot be written",
                log: Some(log),
            },
            CursorError::Closed => Self::stopping(),
        }
    }
}

impl From<ReadError> for ApiError {
    fn from(error: ReadError) -> Self {
        let log = Some(error.to_string());
        match error {
            ReadError::Unavailable { .. } => Self::ServiceUnavailable {
                reason: "the journal cannot be read",
                log,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(error: impl Into<ApiError>, status: u16, code: &str, message: &str) {
        let error = error.into();
        let (found, name) = error.status_and_code();
        assert_eq!((found.as_u16(), name), (status, code));
        assert_eq!(error.to_string(), message);
    }

    #[test]
    fn a_full_journal_is_507_and_says_what_helps() {
        check(
            AppendError::NoSpace {
                free_bytes: 1,
                min_free_bytes: 2,
            },
            507,
            "JournalFull",
            "The batch cannot be kept: the journal's disk has 1 bytes free, and 2 must stay free \
             (make room on it, or lower `journal.min_free_bytes`).",
        );
    }

    #[test]
    fn room_that_a_required_exporter_holds_is_429_with_a_time_to_come_back() {
        let full = |required_by| AppendError::Full {
            held_bytes: 10,
            max_bytes: 10,
            required_by,
        };
        let message = |whose| {
            format!(
                "the journal holds 10 of the 10 bytes that are its part of `journal.max_bytes`{whose} \
                 (see which exporter is behind, or raise it)."
            )
        };
        check(
            full(None),
            507,
            "JournalFull",
            &format!("The batch cannot be kept: {}", message("")),
        );
        let required = full(Some("kafka-dr".to_owned()));
        let whose = message(", for exporter `kafka-dr`, which is required");
        check(
            required.clone(),
            429,
            "TooManyRequests",
            &format!("Too many requests: {whose}"),
        );
        let response = ApiError::from(required).into_response();
        assert_eq!(response.headers()[RETRY_AFTER], "5");
        assert!(response.extensions().get::<ForLog>().is_none());
    }

    #[test]
    fn what_the_journal_says_of_itself_is_for_the_log_alone() {
        let error = ApiError::from(AppendError::Unavailable {
            reason: "/secret/place: disk I/O error".to_owned(),
        });
        check(
            error.clone(),
            503,
            "ServiceUnavailable",
            "Service unavailable: the journal cannot be written, please try again later.",
        );
        let response = error.into_response();
        assert_eq!(response.headers()[RETRY_AFTER], "5");
        let ForLog(log) = response.extensions().get().unwrap();
        assert!(log.contains("/secret/place"), "{log}");
    }

    #[test]
    fn a_closed_journal_is_a_host_that_stops() {
        let error = ApiError::from(AppendError::Closed);
        assert_eq!(error, ApiError::stopping());
        assert!(error.into_response().extensions().get::<ForLog>().is_none());
    }
}
