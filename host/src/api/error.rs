//! Every error of the API: status, code, text, and what the log says.
//!
//! `api_errors!` holds the table. A client gets the code and the text; where a
//! person at the host needs more than the client may see, the row has a text for
//! the log. Codes and texts are those of Delfin wherever Delfin has them.
//!
//! Errors of the other modules become API errors here and in `storages/error.rs`.

use std::{fmt, time::Duration};

use axum::{
    http::{
        HeaderValue, StatusCode,
        header::{RETRY_AFTER, WWW_AUTHENTICATE},
    },
    response::{IntoResponse, Response},
};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{
    ingest::IngestError,
    inventory::InventoryFault,
    journal::{AppendError, CursorError, ReadError},
};

/// How soon a client may try again: about as long as the journal takes to open its
/// file again, or a host to start.
const RETRY_DELAY: Duration = Duration::from_secs(5);

/// The code of a fault of the host.
const DELFIN_EXCEPTION: &str = "DelfinException";

/// Writes the enum and its table: a row names the variant with its fields, the
/// status, Delfin's code, the text with a `{}` for each argument, the arguments,
/// and what the log says.
macro_rules! api_errors {
    ($(
        $(#[$doc:meta])*
        $variant:ident $({ $($field:ident: $type:ty),+ })?
            => $status:ident, $code:expr, $text:expr, ($($arg:expr),*) $(, log $log:expr)?;
    )*) => {
        /// Why a request is refused.
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub enum ApiError {$(
            $(#[$doc])*
            $variant $({ $($field: $type),+ })?,
        )*}

        impl ApiError {
            fn row(&self) -> Row {
                match self {$(
                    Self::$variant $({ $($field),+ })? => Row {
                        kind: stringify!($variant),
                        status: StatusCode::$status,
                        code: $code,
                        text: $text,
                        args: vec![$($arg.to_string()),*],
                        log: None$(.or(Some($log.to_string())))?,
                    },
                )*}
            }
        }
    };
}

api_errors! {
    NotFound
        => NOT_FOUND, "NotFound", "Resource could not be found.", ();
    MethodNotAllowed
        => METHOD_NOT_ALLOWED, "MethodNotAllowed", "Method is not allowed for this resource.", ();
    BatchNotFound { batch_id: Uuid }
        => NOT_FOUND, "BatchNotFound", "Batch {} could not be found.", (batch_id);
    DeadLetterNotFound { id: String }
        => NOT_FOUND, "DeadLetterNotFound", "Dead letter {} could not be found.", (id);
    ExporterNotFound { name: String }
        => NOT_FOUND, "ExporterNotFound", "Exporter {} could not be found.", (name);
    InputDisabled { input: &'static str }
        => FORBIDDEN, "InputDisabled",
           "The input is off. Set `enabled = true` in `[inputs.{}]`, and restart the host.", (input);
    ExporterIsConfigured { name: String }
        => CONFLICT, "ExporterIsConfigured",
           "Exporter {} is configured: remove it from the configuration and reload first.", (name);
    ExporterIsRemoved { name: String }
        => CONFLICT, "ExporterIsRemoved",
           "Exporter {} is no longer configured: only `rename` and `forget` apply to it.", (name);
    CursorIsOccupied { reason: String }
        => CONFLICT, "CursorIsOccupied", "The cursor cannot be renamed: {}.", (reason);
    HandoverRefused { reason: String }
        => CONFLICT, "HandoverRefused", "The lease cannot be handed over: {}.", (reason);

    Unauthorized { reason: &'static str }
        => UNAUTHORIZED, "Unauthorized", "Authentication required: {}.", (reason), log reason;
    ScopeMissing { detail: String }
        => FORBIDDEN, "Forbidden", "Request refused: {}.", (detail), log detail;
    /// A web page of another site sent the request.
    ForeignSite { detail: String }
        => FORBIDDEN, "Forbidden", "Request refused: {}.", (detail), log detail;
    InvalidInput { detail: String }
        => BAD_REQUEST, "InvalidInput", "Invalid input received. {}", (detail);
    MalformedRequestBody { detail: String }
        => BAD_REQUEST, "MalformedRequestBody", "Malformed request body: {}.", (detail);
    InvalidContentType { detail: String }
        => UNSUPPORTED_MEDIA_TYPE, "InvalidContentType", "Invalid content type: {}.", (detail);
    InvalidContentEncoding { detail: String }
        => UNSUPPORTED_MEDIA_TYPE, "InvalidContentEncoding", "Invalid content encoding: {}.",
           (detail);
    RequestBodyTooLarge { detail: String }
        => PAYLOAD_TOO_LARGE, "RequestBodyTooLarge", "Request body too large: {}.", (detail);
    RequestTimeout
        => REQUEST_TIMEOUT, "RequestTimeout", "The request body did not arrive in time.", ();

    /// A required exporter is behind, so that the journal has no room. The exporter's
    /// own log line tells of it.
    TooManyRequests { detail: String }
        => TOO_MANY_REQUESTS, "TooManyRequests", "Too many requests: {}.", (detail);
    JournalFull { detail: String }
        => INSUFFICIENT_STORAGE, "JournalFull", "The batch cannot be kept: {}.", (detail),
           log detail;
    /// The alerts of a sync could not be made durable.
    AlertsNotDurable { detail: String }
        => INSUFFICIENT_STORAGE, "JournalFull", "The alerts cannot be kept: {}.", (detail),
           log detail;

    Stopping
        => SERVICE_UNAVAILABLE, "ServiceUnavailable",
           "Service unavailable: {}, please try again later.", ("the host is stopping");
    /// Another host of the cluster is active.
    Standby { active: String }
        => SERVICE_UNAVAILABLE, "ServiceUnavailable",
           "Service unavailable: {}, please try again there or later.", (active);
    /// The host has no room for more requests of this kind.
    Overloaded { reason: String }
        => SERVICE_UNAVAILABLE, "ServiceUnavailable",
           "Service unavailable: {}, please try again later.", (reason), log reason;
    JournalNotWritable { log: String }
        => SERVICE_UNAVAILABLE, "ServiceUnavailable",
           "Service unavailable: {}, please try again later.", ("the journal cannot be written"),
           log log;
    /// The servers that have the journal: clients learn the reason, as from `/readyz`.
    JournalNotReached { reason: String }
        => SERVICE_UNAVAILABLE, "ServiceUnavailable",
           "Service unavailable: the journal cannot be written: {}, please try again later.", (reason),
           log reason;
    JournalNotReadable { log: String }
        => SERVICE_UNAVAILABLE, "ServiceUnavailable",
           "Service unavailable: {}, please try again later.", ("the journal cannot be read"),
           log log;
    InventoryUnavailable { log: String }
        => SERVICE_UNAVAILABLE, "ServiceUnavailable",
           "Service unavailable: {}, please try again later.",
           ("the inventory cannot be read or written"), log log;
    /// The database of the cluster, whose name is in the reason.
    DatabaseUnavailable { reason: String }
        => SERVICE_UNAVAILABLE, "ServiceUnavailable",
           "Service unavailable: {}, please try again later.", (reason), log reason;
    RegisteredStoragesUnknown { fault: InventoryFault }
        => SERVICE_UNAVAILABLE, "ServiceUnavailable",
           "Service unavailable: the registered storages are unknown, because {}.", (fault);
    StorageRemoved
        => SERVICE_UNAVAILABLE, "ServiceUnavailable",
           "Service unavailable: {}, please try again later.",
           ("the storage was removed meanwhile, or the host is stopping");

    StorageNotFound { id: String }
        => NOT_FOUND, "StorageNotFound", "Storage {} could not be found.", (id);
    /// `place` is where that cluster answers.
    StorageOfOtherCluster { id: String, cluster: String, place: String }
        => NOT_FOUND, "StorageNotFound",
           "Storage {} could not be found here: it belongs to cluster `{}`, {}.",
           (id, cluster, place);
    /// Code and text are those of the kind of resources.
    ResourceNotFound { code: &'static str, text: &'static str, id: String }
        => NOT_FOUND, code, text, (id);
    AccessInfoNotFound { id: String }
        => NOT_FOUND, "AccessInfoNotFound",
           "Access information for storage {} could not be found.", (id);
    AlertSourceNotFound { id: String }
        => NOT_FOUND, "AlertSourceNotFound",
           "Alert source for storage {} could not be found.", (id);
    StorageAlreadyExists { detail: String }
        => BAD_REQUEST, "StorageAlreadyExists", "Storage already exists. {}", (detail);
    StorageSerialNumberMismatch { detail: String }
        => BAD_REQUEST, "StorageSerialNumberMismatch", "Storage serial number mismatch. {}",
           (detail);
    StorageIsSyncing { id: String }
        => BAD_REQUEST, "StorageIsSyncing",
           "Storage {} is syncing now, please try again later.", (id);
    /// Delfin's text has no space here either; kept for compatibility.
    StorageDriverNotFound { driver: String }
        => NOT_FOUND, "StorageDriverNotFound",
           "Storage driver '{}'could not be found. Put a plugin that offers it into a folder of \
            `plugin_dirs`, and reload.", (driver);
    StorageIsDeclared { id: String }
        => CONFLICT, "StorageIsDeclared",
           "Storage {} is declared in the configuration file and can be changed there only.", (id);
    StorageCannotMove { id: String, reason: String }
        => CONFLICT, "StorageCannotMove", "Storage {} cannot be moved: {}.", (id, reason);

    StorageTimeout
        => INTERNAL_SERVER_ERROR, "StorageBackendException", "Storage does not answer in time.", (),
           log "storage does not answer in time";
    StorageBackend { detail: String }
        => INTERNAL_SERVER_ERROR, "StorageBackendException", "{}", (detail), log detail;
    StorageBadResponse { detail: String }
        => INTERNAL_SERVER_ERROR, "BadResponse", "{}", (detail), log detail;
    StorageRefusedLogin { detail: String }
        => BAD_REQUEST, "InvalidUsernameOrPassword", "{}", (detail), log detail;
    StorageDriverOption { detail: String }
        => BAD_REQUEST, "InvalidInput", "{}", (detail), log detail;
    StorageUnsupported { detail: String }
        => NOT_IMPLEMENTED, "StorageCapabilityNotSupported", "{}", (detail), log detail;
    StorageDriverPanicked { detail: String }
        => INTERNAL_SERVER_ERROR, DELFIN_EXCEPTION, "{}", (detail), log detail;

    /// A fault of the host.
    Internal { log: String }
        => INTERNAL_SERVER_ERROR, DELFIN_EXCEPTION, "An unknown exception occurred.", (), log log;
}

/// An error in Delfin's format.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct ErrorBody {
    /// Name of the kind of error.
    #[schema(example = "InvalidInput")]
    error_code: &'static str,
    /// What is wrong, as a sentence.
    #[schema(example = "Invalid input received. `limit` must be a whole number, 0 or more")]
    error_msg: String,
    /// The parts of `error_msg` that differ from request to request, in their order.
    error_args: Vec<String>,
}

/// What the log says about a request.
#[derive(Clone, Debug)]
pub(super) struct LogDetail {
    /// The name of the variant of the error.
    pub(super) kind: &'static str,
    /// Whether the host is at fault, and not a storage that it has asked.
    pub(super) is_fault: bool,
    pub(super) reason: String,
}

/// The id of a storage that could not be found.
#[derive(Clone, Debug)]
pub(super) struct UnknownStorage(pub(super) String);

/// A row of the table of errors.
struct Row {
    /// The name of the variant.
    kind: &'static str,
    status: StatusCode,
    code: &'static str,
    /// The text for the client; each `{}` is filled with one of `args`.
    text: &'static str,
    args: Vec<String>,
    log: Option<String>,
}

impl ApiError {
    pub fn invalid(detail: impl Into<String>) -> Self {
        Self::InvalidInput {
            detail: detail.into(),
        }
    }

    /// The error as clients of other monitoring systems get it, who send again after 503, and not after each of the other
    /// statuses that are meant so.
    #[must_use]
    pub fn for_input(self) -> Self {
        match self {
            Self::RequestTimeout => Self::Overloaded {
                reason: "the request body did not arrive in time".to_owned(),
            },
            Self::TooManyRequests { detail } | Self::JournalFull { detail } => {
                Self::Overloaded { reason: detail }
            }
            error => error,
        }
    }

    /// The name of the error in answers and in metrics.
    #[must_use]
    pub fn code(&self) -> &'static str {
        self.row().code
    }
}

impl Row {
    fn message(&self) -> String {
        let mut parts = self.text.split("{}");
        let mut message = parts.next().unwrap_or_default().to_owned();
        for (arg, part) in self.args.iter().zip(parts) {
            message.push_str(arg);
            message.push_str(part);
        }
        message
    }
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.row().message())
    }
}

impl std::error::Error for ApiError {}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let row = self.row();
        let body = ErrorBody {
            error_code: row.code,
            error_msg: row.message(),
            error_args: row.args,
        };
        let mut response = (row.status, axum::Json(body)).into_response();
        if let Self::StorageNotFound { id } = self {
            response.extensions_mut().insert(UnknownStorage(id));
        }
        if let Some(reason) = row.log {
            response.extensions_mut().insert(LogDetail {
                kind: row.kind,
                is_fault: row.code == DELFIN_EXCEPTION,
                reason,
            });
        }
        if matches!(
            row.status,
            StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS
        ) {
            response.headers_mut().insert(RETRY_AFTER, retry_after());
        }
        if row.status == StatusCode::UNAUTHORIZED {
            let scheme = HeaderValue::from_static("Bearer");
            response.headers_mut().insert(WWW_AUTHENTICATE, scheme);
        }
        response
    }
}

/// The value of `Retry-After`.
pub(super) fn retry_after() -> HeaderValue {
    HeaderValue::from(RETRY_DELAY.as_secs())
}

impl From<IngestError> for ApiError {
    fn from(error: IngestError) -> Self {
        let detail = error.to_string();
        match error {
            IngestError::UnsupportedMediaType { .. } => Self::InvalidContentType { detail },
            IngestError::UnsupportedEncoding { .. } => Self::InvalidContentEncoding { detail },
            IngestError::TooManyBytes { .. }
            | IngestError::TooManyRowBytes { .. }
            | IngestError::TooManyRows { .. }
            | IngestError::TooMuchMemory { .. }
            | IngestError::TooSlow { .. } => Self::RequestBodyTooLarge { detail },
            IngestError::MemoryInUse | IngestError::TooManyLong => {
                Self::Overloaded { reason: detail }
            }
            IngestError::Empty
            | IngestError::Compression { .. }
            | IngestError::NotUtf8 { .. }
            | IngestError::Syntax { .. }
            | IngestError::Value { .. }
            | IngestError::Envelope { .. }
            | IngestError::Arrow { .. }
            | IngestError::Message { .. } => Self::MalformedRequestBody { detail },
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
            }
            | AppendError::QueueFull { .. } => Self::TooManyRequests { detail },
            AppendError::Full {
                required_by: None, ..
            }
            | AppendError::NoSpace { .. } => Self::JournalFull { detail },
            AppendError::Unfit { .. } => Self::RequestBodyTooLarge { detail },
            AppendError::Unavailable { .. } => Self::JournalNotWritable { log: detail },
            AppendError::Remote { reason } => Self::JournalNotReached { reason },
            AppendError::Closed => Self::Stopping,
        }
    }
}

impl From<CursorError> for ApiError {
    fn from(error: CursorError) -> Self {
        let log = error.to_string();
        match error {
            CursorError::Missing { .. } | CursorError::Refused { .. } => Self::Internal { log },
            CursorError::Unavailable { .. } => Self::JournalNotWritable { log },
            CursorError::Closed => Self::Stopping,
        }
    }
}

impl From<ReadError> for ApiError {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Unavailable { .. } => Self::JournalNotReadable {
                log: error.to_string(),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(error: impl Into<ApiError>, status: u16, code: &str, message: &str) {
        let error = error.into();
        let row = error.row();
        assert_eq!((row.status.as_u16(), row.code), (status, code));
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
    fn clients_that_send_again_after_503_only_get_503() {
        let detail = "full".to_owned();
        for error in [
            ApiError::RequestTimeout,
            ApiError::TooManyRequests {
                detail: detail.clone(),
            },
            ApiError::JournalFull { detail },
        ] {
            let response = error.for_input().into_response();
            assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
            assert_eq!(response.headers()[RETRY_AFTER], "5");
        }
        let invalid = ApiError::invalid("no");
        assert_eq!(invalid.clone().for_input(), invalid);
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
        assert!(response.extensions().get::<LogDetail>().is_none());
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
        let LogDetail { kind, reason, .. } = response.extensions().get().unwrap();
        assert_eq!(*kind, "JournalNotWritable");
        assert!(reason.contains("/secret/place"), "{reason}");
    }

    #[test]
    fn a_storage_that_fails_is_no_fault_of_the_host() {
        let is_fault = |error: ApiError| {
            let response = error.into_response();
            assert_eq!(response.status(), 500);
            response.extensions().get::<LogDetail>().unwrap().is_fault
        };
        let text = String::new;
        assert!(is_fault(ApiError::Internal { log: text() }));
        assert!(is_fault(ApiError::StorageDriverPanicked { detail: text() }));
        for error in [
            ApiError::StorageTimeout,
            ApiError::StorageBackend { detail: text() },
            ApiError::StorageBadResponse { detail: text() },
        ] {
            assert!(!is_fault(error));
        }
    }

    #[test]
    fn a_closed_journal_is_a_host_that_stops() {
        let error = ApiError::from(AppendError::Closed);
        assert_eq!(error, ApiError::Stopping);
        assert!(
            error
                .into_response()
                .extensions()
                .get::<LogDetail>()
                .is_none()
        );
    }
}
