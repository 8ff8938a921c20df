//! What a client is told when something cannot be done with a storage.

use axum::http::StatusCode;

use crate::{
    collect::{CallError, DriverError},
    storages::Refusal,
};

/// The status and the name of a refusal.
pub(in crate::api) fn status_and_code(refusal: &Refusal) -> (StatusCode, &'static str) {
    match refusal {
        Refusal::NotFound { .. } => (StatusCode::NOT_FOUND, "StorageNotFound"),
        Refusal::AccessNotFound { .. } => (StatusCode::NOT_FOUND, "AccessInfoNotFound"),
        Refusal::AlreadyExists => (StatusCode::BAD_REQUEST, "StorageAlreadyExists"),
        Refusal::DriverNotFound { .. } => (StatusCode::NOT_FOUND, "StorageDriverNotFound"),
        Refusal::Declared { .. } => (StatusCode::CONFLICT, "StorageIsDeclared"),
        Refusal::Gone => (StatusCode::SERVICE_UNAVAILABLE, "ServiceUnavailable"),
        Refusal::Call(error) => call(error),
        Refusal::Silent => (StatusCode::INTERNAL_SERVER_ERROR, "StorageBackendException"),
        Refusal::NotKept { .. } => (StatusCode::INSUFFICIENT_STORAGE, "JournalFull"),
        Refusal::Inventory { .. } => (StatusCode::SERVICE_UNAVAILABLE, "ServiceUnavailable"),
    }
}

fn call(error: &CallError) -> (StatusCode, &'static str) {
    let internal = StatusCode::INTERNAL_SERVER_ERROR;
    match error {
        CallError::Panicked => (internal, "DelfinException"),
        CallError::Driver(DriverError::Unavailable { .. } | DriverError::TooMuch(_)) => {
            (internal, "StorageBackendException")
        }
        CallError::Driver(DriverError::BadAnswer { .. }) => (internal, "BadResponse"),
        CallError::Driver(DriverError::Refused { .. }) => {
            (StatusCode::BAD_REQUEST, "InvalidUsernameOrPassword")
        }
        CallError::Driver(DriverError::Option { .. }) => (StatusCode::BAD_REQUEST, "InvalidInput"),
        CallError::Driver(DriverError::Unsupported { .. }) => {
            (StatusCode::NOT_IMPLEMENTED, "StorageCapabilityNotSupported")
        }
    }
}

/// The parts of its text that are particular to a refusal.
pub(in crate::api) fn args(refusal: &Refusal) -> Vec<String> {
    match refusal {
        Refusal::NotFound { id } | Refusal::AccessNotFound { id } | Refusal::Declared { id } => {
            vec![id.clone()]
        }
        Refusal::DriverNotFound { driver } => vec![driver.clone()],
        Refusal::Call(error) => vec![error.to_string()],
        Refusal::NotKept { reason } => vec![reason.clone()],
        Refusal::AlreadyExists | Refusal::Gone | Refusal::Silent | Refusal::Inventory { .. } => {
            Vec::new()
        }
    }
}

/// What the log has to say of it.
pub(in crate::api) fn for_log(refusal: &Refusal) -> Option<String> {
    match refusal {
        Refusal::Inventory { log } => Some(log.clone()),
        Refusal::NotKept { .. } | Refusal::Call(_) | Refusal::Silent => Some(refusal.to_string()),
        Refusal::NotFound { .. }
        | Refusal::AccessNotFound { .. }
        | Refusal::AlreadyExists
        | Refusal::DriverNotFound { .. }
        | Refusal::Declared { .. }
        | Refusal::Gone => None,
    }
}
