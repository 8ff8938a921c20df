//! What the status of a gRPC call means to the host.
//!
//! The codes that may be retried come from the OpenTelemetry protocol, "OTLP/gRPC
//! response" and "OTLP/gRPC throttling", the only such table that several vendors
//! share: <https://opentelemetry.io/docs/specs/otlp/#failures>.
//!
//! The specification knows two results: retry, or drop. This module rejects rows
//! only if the status is about the rows. For the other codes that a client must not
//! retry it keeps the data and reports [`Failure::Misconfigured`], so that a person
//! looks.
//!
//! The mapping knows nothing of any gRPC library: a code is its number. [`GrpcClient`], with the
//! feature `grpc-client`, is a client.

#[cfg(feature = "grpc-client")]
mod client;
#[cfg(feature = "grpc-client")]
mod endpoint;
#[cfg(feature = "grpc-client")]
mod exchange;
mod status;
#[cfg(feature = "grpc-client")]
mod transport;

use std::time::Duration;

pub use self::status::GrpcStatus;
#[cfg(feature = "grpc-client")]
pub use self::{client::GrpcClient, endpoint::GrpcEndpoint, exchange::GrpcRequest};
use crate::Failure;

/// The failure that a code other than OK means.
///
/// `retry_delay` is the delay of `google.rpc.RetryInfo` in the details of the status,
/// if present. Pass the message of the status as `message`: only its text tells a
/// request that is too large from a quota that is used up.
///
/// | Code | Failure |
/// |---|---|
/// | CANCELLED, DEADLINE_EXCEEDED, ABORTED, OUT_OF_RANGE, UNAVAILABLE, DATA_LOSS | retry; with a delay, throttled |
/// | RESOURCE_EXHAUSTED with a delay | throttled |
/// | RESOURCE_EXHAUSTED or OUT_OF_RANGE with a message about a size | too large |
/// | RESOURCE_EXHAUSTED otherwise | misconfigured |
/// | INVALID_ARGUMENT, ALREADY_EXISTS | rejected |
/// | UNAUTHENTICATED, PERMISSION_DENIED | unauthorized |
/// | NOT_FOUND, FAILED_PRECONDITION, UNIMPLEMENTED, UNKNOWN, INTERNAL, any other | misconfigured |
///
/// Where a person must act on the settings, the remedy follows the message, in brackets.
///
/// If the client itself ended the call with DEADLINE_EXCEEDED or CANCELLED, there is
/// no response. Report [`Failure::Uncertain`] where rows that arrive twice do harm.
#[must_use]
pub fn failure(code: i32, retry_delay: Option<Duration>, message: impl ToString) -> Failure {
    let message = message.to_string();
    match (code, retry_delay) {
        (8 | 11, _) if is_about_size(&message) => Failure::TooLarge { message },
        (1 | 4 | 8 | 10 | 11 | 14 | 15, after @ Some(_)) => Failure::Throttled { message, after },
        (1 | 4 | 10 | 11 | 14 | 15, after @ None) => Failure::Retry { message, after },
        (3 | 6, _) => Failure::Rejected { message },
        (7 | 16, _) => Failure::Unauthorized {
            message: format!("{message} (check the credentials in the settings)"),
        },
        (5 | 12, _) => Failure::misconfigured(format!(
            "{message} (check the address: another service answers there)"
        )),
        (8, None) | (i32::MIN..=0 | 2 | 9 | 13 | 17..=i32::MAX, _) => {
            Failure::Misconfigured { message }
        }
    }
}

/// Whether the text is that of gRPC for Go, C++ or Java, or of tonic, for a message
/// that is larger than the receiver accepts.
fn is_about_size(message: &str) -> bool {
    let message = message.to_ascii_lowercase();
    [
        "larger than max",
        "length too large",
        "exceeds maximum size",
    ]
    .iter()
    .any(|text| message.contains(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    const DELAY: Option<Duration> = Some(Duration::from_secs(3));

    fn message() -> String {
        "why".to_owned()
    }

    #[test]
    fn the_codes_that_the_specification_retries_are_retried() {
        for code in [1, 4, 10, 11, 14, 15] {
            assert_eq!(failure(code, None, "why"), Failure::retry("why"), "{code}");
            let throttled = Failure::Throttled {
                message: message(),
                after: DELAY,
            };
            assert_eq!(failure(code, DELAY, "why"), throttled, "{code}");
        }
    }

    #[test]
    fn an_exhausted_resource_throttles_only_with_a_delay() {
        let throttled = Failure::Throttled {
            message: message(),
            after: DELAY,
        };
        assert_eq!(failure(8, DELAY, "why"), throttled);
        assert_eq!(failure(8, None, "why"), Failure::misconfigured("why"));
    }

    #[test]
    fn a_request_that_is_too_large_is_split() {
        for (code, message) in [
            (8, "grpc: received message larger than max (5000 vs. 4096)"),
            (8, "CLIENT: Received message larger than max"),
            (8, "gRPC message exceeds maximum size 4194304: 4194305"),
            (11, "Error, message length too large: found 5 bytes"),
        ] {
            let failure = failure(code, None, message);
            assert!(matches!(failure, Failure::TooLarge { .. }), "{failure:?}");
        }
        let other = failure(3, None, "a label is larger than max");
        assert!(matches!(other, Failure::Rejected { .. }), "{other:?}");
    }

    #[test]
    fn the_other_codes_become_the_failure_of_the_table() {
        for (codes, failed) in [
            (
                [7, 16],
                "Unauthorized { message: \"why (check the credentials",
            ),
            ([5, 12], "Misconfigured { message: \"why (check the address"),
        ] {
            for code in codes {
                let failure = format!("{:?}", failure(code, None, "why"));
                assert!(failure.starts_with(failed), "{failure}");
            }
        }
        for code in [3, 6] {
            assert_eq!(failure(code, None, "why"), Failure::rejected("why"));
        }
        for code in [-1, 0, 2, 9, 13, 17, 99] {
            let failure = failure(code, DELAY, "why");
            assert_eq!(failure, Failure::misconfigured("why"), "{code}");
        }
    }
}
