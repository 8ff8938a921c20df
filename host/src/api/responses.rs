//! Error responses that calls share, for the OpenAPI document.
//!
//! Each type documents what one cause looks like to a client; handlers list the
//! causes that they have. What is answered is in `error.rs`.

use utoipa::IntoResponses;

use super::error::ErrorBody;

macro_rules! documented {
    ($($(#[$attribute:meta])* $name:ident;)*) => {$(
        #[derive(IntoResponses)]
        $(#[$attribute])*
        #[expect(dead_code, reason = "it is there for the OpenAPI document")]
        pub(super) struct $name(ErrorBody);
    )*};
}

documented! {
    /// A parameter is unknown, repeated or invalid; `error_msg` names it
    #[response(status = 400)]
    InvalidQuery;

    /// A parameter is invalid; `error_msg` names it
    #[response(status = 400)]
    InvalidDelfinQuery;

    /// No registered or declared storage has this id. If another cluster of the database has it, `error_msg` names that cluster
    #[response(status = 404)]
    StorageNotFound;

    /// The storage is declared in the configuration, and can be changed there only
    #[response(status = 409)]
    StorageIsDeclared;

    /// The configuration declares the storage, or it cannot be moved to the cluster; `error_msg` has the reason
    #[response(status = 409)]
    StorageCannotMove;

    /// No configured exporter has this name
    #[response(status = 404)]
    ExporterNotFound;

    /// The exporter is configured, or no longer configured, and the call is for the other case
    #[response(status = 409)]
    ExporterConfigured;

    /// The exporter is configured, or the other name cannot have its cursor; `error_msg` has the reason
    #[response(status = 409)]
    CursorOccupied;

    /// The host belongs to no cluster, or the member could not take over; `error_msg` has the reason
    #[response(status = 409)]
    HandoverRefused;

    /// The journal cannot be read now
    #[response(status = 503, headers(("Retry-After" = u64, description = "Seconds after which to try again")))]
    JournalNotReadable;

    /// The journal cannot be written now, or the host is stopping
    #[response(status = 503, headers(("Retry-After" = u64, description = "Seconds after which to try again")))]
    JournalNotWritable;

    /// As many taps are open as there can be
    #[response(status = 429, headers(("Retry-After" = u64, description = "Seconds after which to try again")))]
    TooManyTaps;

    /// The host is stopping
    #[response(status = 503, headers(("Retry-After" = u64, description = "Seconds after which to try again")))]
    Stopping;

    /// The registered storages are unknown, because the inventory could not be opened at the start
    #[response(status = 503, headers(("Retry-After" = u64, description = "Seconds after which to try again")))]
    RegisteredStoragesUnknown;

    /// The database of the cluster cannot be read now; `error_msg` has the reason
    #[response(status = 503, headers(("Retry-After" = u64, description = "Seconds after which to try again")))]
    DatabaseUnavailable;

    /// The inventory cannot be read or written now, or could not be opened at the start
    #[response(status = 503, headers(("Retry-After" = u64, description = "Seconds after which to try again")))]
    InventoryUnavailable;
}

/// What every call with a JSON body refuses.
#[derive(IntoResponses)]
#[expect(dead_code, reason = "it is there for the OpenAPI document")]
pub(super) enum InvalidBody {
    /// The body is not JSON, or a field is missing, unknown or invalid; `error_msg` names the field
    #[response(status = 400)]
    Invalid(ErrorBody),

    /// The body did not arrive in time
    #[response(status = 408)]
    Timeout(ErrorBody),

    /// The body is larger than 1 MiB or `api.max_body_bytes`
    #[response(status = 413)]
    TooLarge(ErrorBody),

    /// The content type is not `application/json`
    #[response(status = 415)]
    ContentType(ErrorBody),
}

/// Failures of a call to a storage.
#[derive(IntoResponses)]
#[expect(dead_code, reason = "it is there for the OpenAPI document")]
pub(super) enum StorageCallFailed {
    /// The storage does not answer, or its answer is not understood
    #[response(status = 500)]
    Backend(ErrorBody),

    /// The driver of this storage cannot do it
    #[response(status = 501)]
    Unsupported(ErrorBody),

    /// The storage was removed meanwhile, the host is stopping, or the registered storages are unknown
    #[response(status = 503, headers(("Retry-After" = u64, description = "Seconds after which to try again")))]
    Removed(ErrorBody),
}

/// What a call of another monitoring system refuses.
#[derive(IntoResponses)]
#[expect(dead_code, reason = "it is there for the OpenAPI document")]
pub(super) enum InputRefused {
    /// A header is invalid, the body cannot be read, or no item of it is valid
    #[response(status = 400)]
    Invalid(ErrorBody),

    /// The body is larger, or holds more items, than the configuration allows
    #[response(status = 413)]
    TooLarge(ErrorBody),

    /// The content type or encoding is not supported
    #[response(status = 415)]
    ContentType(ErrorBody),

    /// The host cannot store the items now, or the body did not arrive in time; try again later
    #[response(status = 503, headers(("Retry-After" = u64, description = "Seconds after which to try again")))]
    Unavailable(ErrorBody),
}

/// What a call that brings a batch refuses.
#[derive(IntoResponses)]
#[expect(dead_code, reason = "it is there for the OpenAPI document")]
pub(super) enum BatchRefused {
    /// A parameter or header is invalid, the body cannot be read, no item of it is valid, or `strict` is `true` and some item is not valid
    #[response(status = 400)]
    Invalid(ErrorBody),

    /// The body did not arrive in time
    #[response(status = 408)]
    Timeout(ErrorBody),

    /// The body is larger, or holds more items, than the configuration allows
    #[response(status = 413)]
    TooLarge(ErrorBody),

    /// The content type or encoding is not supported
    #[response(status = 415)]
    ContentType(ErrorBody),

    /// A required exporter is behind, and the journal has no room; try again later
    #[response(status = 429, headers(("Retry-After" = u64, description = "Seconds after which to try again")))]
    RequiredExporterBehind(ErrorBody),

    /// The host is stopping, or the journal cannot be written now; try again later
    #[response(status = 503, headers(("Retry-After" = u64, description = "Seconds after which to try again")))]
    Unavailable(ErrorBody),

    /// The journal or its disk is full
    #[response(status = 507)]
    JournalFull(ErrorBody),
}
