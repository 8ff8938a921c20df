//! What a client is told when something cannot be done with a storage.

use axum::http::StatusCode;

use crate::{
    collect::{DriverCallError, DriverError},
    storages::StorageError,
};

/// The status and the name of a refusal.
pub(in crate::api) fn status_and_code(refusal: &StorageError) -> (StatusCode, &'static str) {
    match refusal {
        StorageError::NotFound { .. } => (StatusCode::NOT_FOUND, "StorageNotFound"),
        StorageError::AccessNotFound { .. } => (StatusCode::NOT_FOUND, "AccessInfoNotFound"),
        StorageError::AlreadyExists => (StatusCode::BAD_REQUEST, "StorageAlreadyExists"),
        StorageError::DriverNotFound { .. } => (StatusCode::NOT_FOUND, "StorageDriverNotFound"),
        StorageError::Declared { .. } => (StatusCode::CONFLICT, "StorageIsDeclared"),
        StorageError::Gone => (StatusCode::SERVICE_UNAVAILABLE, "ServiceUnavailable"),
        StorageError::Call(error) => call(error),
        StorageError::Timeout => (StatusCode::INTERNAL_SERVER_ERROR, "StorageBackendException"),
        StorageError::NotStored { .. } => (StatusCode::INSUFFICIENT_STORAGE, "JournalFull"),
        StorageError::Inventory { .. } => (StatusCode::SERVICE_UNAVAILABLE, "ServiceUnavailable"),
    }
}

fn call(error: &DriverCallError) -> (StatusCode, &'static str) {
    let internal = StatusCode::INTERNAL_SERVER_ERROR;
    match error {
        DriverCallError::Panicked => (internal, "DelfinException"),
        DriverCallError::Driver(DriverError::Unavailable { .. } | DriverError::TooMuch(_)) => {
            (internal, "StorageBackendException")
        }
        DriverCallError::Driver(DriverError::BadAnswer { .. }) => (internal, "BadResponse"),
        DriverCallError::Driver(DriverError::Refused { .. }) => {
            (StatusCode::BAD_REQUEST, "InvalidUsernameOrPassword")
        }
        DriverCallError::Driver(DriverError::Option { .. }) => {
            (StatusCode::BAD_REQUEST, "InvalidInput")
        }
        DriverCallError::Driver(DriverError::Unsupported { .. }) => {
            (StatusCode::NOT_IMPLEMENTED, "StorageCapabilityNotSupported")
        }
    }
}

/// The parts of its text that are particular to a refusal.
pub(in crate::api) fn args(refusal: &StorageError) -> Vec<String> {
    match refusal {
        StorageError::NotFound { id }
        | StorageError::AccessNotFound { id }
        | StorageError::Declared { id } => {
            vec![id.clone()]
        }
        StorageError::DriverNotFound { driver } => vec![driver.clone()],
        StorageError::Call(error) => vec![error.to_string()],
        StorageError::NotStored { reason } => vec![reason.clone()],
        StorageError::AlreadyExists
        | StorageError::Gone
        | StorageError::Timeout
        | StorageError::Inventory { .. } => Vec::new(),
    }
}

/// What the log has to say of it.
pub(in crate::api) fn for_log(refusal: &StorageError) -> Option<String> {
    match refusal {
        StorageError::Inventory { log } => Some(log.clone()),
        StorageError::NotStored { .. } | StorageError::Call(_) | StorageError::Timeout => {
            Some(refusal.to_string())
        }
        StorageError::NotFound { .. }
        | StorageError::AccessNotFound { .. }
        | StorageError::AlreadyExists
        | StorageError::DriverNotFound { .. }
        | StorageError::Declared { .. }
        | StorageError::Gone => None,
    }
}
