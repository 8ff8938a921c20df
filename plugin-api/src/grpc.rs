//! What the status of a gRPC call means to the host.
//!
//! What may be tried again is taken from the OpenTelemetry protocol, "OTLP/gRPC
//! response" and "OTLP/gRPC throttling", of which this is the only table that
//! several vendors share: <https://opentelemetry.io/docs/specs/otlp/#failures>.
//!
//! It knows two ends: tried again, or dropped. Here nothing is dropped that an
//! answer does not refuse: where the specification has a client give up, and
//! the answer does not speak of these very rows, the data is kept, and somebody
//! has to look.
//!
//! Knows nothing of any gRPC library: a code is its number.

use std::time::Duration;

use crate::Failure;

/// The failure that a code other than OK stands for.
///
/// `retry_delay` is that of `google.rpc.RetryInfo` among the status' details, if
/// it is there. `message` may be the status' own: by it alone a request that is
/// too long can be told from a quota that is used up.
///
/// | Code | Failure |
/// |---|---|
/// | CANCELLED, DEADLINE_EXCEEDED, ABORTED, OUT_OF_RANGE, UNAVAILABLE, DATA_LOSS | retry; with a delay, throttled |
/// | RESOURCE_EXHAUSTED with a delay | throttled |
/// | RESOURCE_EXHAUSTED or OUT_OF_RANGE that speak of a message's size | too large |
/// | RESOURCE_EXHAUSTED otherwise | misconfigured |
/// | INVALID_ARGUMENT, ALREADY_EXISTS | rejected |
/// | UNAUTHENTICATED, PERMISSION_DENIED | unauthorized |
/// | NOT_FOUND, FAILED_PRECONDITION, UNIMPLEMENTED, UNKNOWN, INTERNAL, any other | misconfigured |
///
/// A DEADLINE_EXCEEDED or CANCELLED that the client made up itself is no answer.
/// Where rows do harm by coming twice, it is [`Failure::Uncertain`].
#[must_use]
pub fn failure(code: i32, retry_delay: Option<Duration>, message: impl ToString) -> Failure {
    let message = message.to_string();
    match (code, retry_delay) {
        (8 | 11, _) if is_about_size(&message) => Failure::TooLarge { message },
        (1 | 4 | 8 | 10 | 11 | 14 | 15, after @ Some(_)) => Failure::Throttled { message, after },
        (1 | 4 | 10 | 11 | 14 | 15, after @ None) => Failure::Retry { message, after },
        (3 | 6, _) => Failure::Rejected { message },
        (7 | 16, _) => Failure::Unauthorized { message },
        (8, None) | (i32::MIN..=0 | 2 | 5 | 9 | 12 | 13 | 17..=i32::MAX, _) => {
            Failure::Misconfigured { message }
        }
    }
}

/// What the libraries of Go, C++ and Java, and tonic, say of a message that is
/// longer than the receiver takes.
fn is_about_size(message: &str) -> bool {
    let message = message.to_ascii_lowercase();
    [
        "larger than max",
        "length too large",
        "exceeds maximum size",
    ]
    .iter()
    .any(|words| message.contains(words))
}

#[cfg(test)]
mod tests {
    use super::*;

    const DELAY: Option<Duration> = Some(Duration::from_secs(3));

    fn message() -> String {
        "why".to_owned()
    }

    #[test]
    fn what_the_specification_has_tried_again_is_tried_again() {
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
    fn a_message_that_is_too_long_is_to_be_split() {
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
    fn who_has_to_act_is_told_by_the_code() {
        for code in [7, 16] {
            let message = message();
            assert_eq!(
                failure(code, None, "why"),
                Failure::Unauthorized { message }
            );
        }
        for code in [3, 6] {
            assert_eq!(failure(code, None, "why"), Failure::rejected("why"));
        }
        for code in [-1, 0, 2, 5, 9, 12, 13, 17, 99] {
            let failure = failure(code, DELAY, "why");
            assert_eq!(failure, Failure::misconfigured("why"), "{code}");
        }
    }
}
