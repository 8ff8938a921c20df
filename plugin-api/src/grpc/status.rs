//! The status of a call, and the delay that its details ask for.
//!
//! Promises: a status is read from any bytes without an error; what cannot be read is left out.

use std::time::Duration;

use super::failure;
use crate::{
    Failure,
    protobuf::{ProtobufField, ProtobufReader},
    text::excerpt,
};

/// The number of characters of a receiver's text that a message shows.
const MAX_TEXT_CHARS: usize = 500;

const RETRY_INFO: &[u8] = b"/google.rpc.RetryInfo";

/// The names of the codes, from 0.
const NAMES: [&str; 17] = [
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
];

/// The status of a call: `google.rpc.Status`. Services of HTTP that also speak gRPC answer with it
/// as well.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GrpcStatus {
    /// The code; 0 is OK.
    pub code: i32,
    /// The text of the receiver.
    pub message: String,
    /// The delay of `google.rpc.RetryInfo` in the details.
    pub retry_delay: Option<Duration>,
}

impl GrpcStatus {
    /// Reads a message `google.rpc.Status`; `None` if the bytes are none.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let mut status = Self::default();
        for field in ProtobufReader::new(bytes) {
            match field.ok()? {
                (1, ProtobufField::Varint(code)) => status.code = code as i32,
                (2, ProtobufField::Bytes(text)) => {
                    status.message = String::from_utf8_lossy(text).into_owned();
                }
                (3, ProtobufField::Bytes(detail)) => {
                    status.retry_delay = status.retry_delay.or_else(|| retry_delay(detail));
                }
                _ => {}
            }
        }
        Some(status)
    }

    /// The failure that the status means; do not call it on OK. `receiver` is the name that the
    /// message shows.
    #[must_use]
    pub fn failure(&self, receiver: &str) -> Failure {
        let Self { code, message, .. } = self;
        let name = usize::try_from(*code)
            .ok()
            .and_then(|code| NAMES.get(code).copied());
        let name = name.map_or_else(|| code.to_string(), str::to_owned);
        let text = excerpt(message, MAX_TEXT_CHARS);
        let separator = if text.is_empty() { "" } else { ": " };
        let message = format!("`{receiver}` answers {name}{separator}{text}");
        failure(*code, self.retry_delay, message)
    }
}

/// The delay of a detail, a message `google.protobuf.Any`, if it is a `RetryInfo`.
fn retry_delay(detail: &[u8]) -> Option<Duration> {
    let is_retry_info = bytes_of(detail, 1)?.ends_with(RETRY_INFO);
    let info = bytes_of(detail, 2).filter(|_| is_retry_info)?;
    let (mut seconds, mut nanos) = (0, 0);
    for field in ProtobufReader::new(bytes_of(info, 1)?) {
        match field.ok()? {
            (1, ProtobufField::Varint(value)) => seconds = value as i64,
            (2, ProtobufField::Varint(value)) => nanos = value as i32,
            _ => {}
        }
    }
    // A negative delay counts as absent.
    let (seconds, nanos) = (u64::try_from(seconds).ok()?, u32::try_from(nanos).ok()?);
    Some(Duration::from_secs(seconds).saturating_add(Duration::from_nanos(nanos.into())))
}

fn bytes_of(message: &[u8], number: u32) -> Option<&[u8]> {
    ProtobufReader::new(message).find_map(|field| match field {
        Ok((found, ProtobufField::Bytes(bytes))) if found == number => Some(bytes),
        Ok(_) | Err(_) => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protobuf::ProtobufWriter;

    fn status(code: i32, message: &str, details: &[(&str, i64, i32)]) -> GrpcStatus {
        let mut writer = ProtobufWriter::default();
        writer.uint(1, i64::from(code) as u64);
        writer.text(2, message);
        for (kind, seconds, nanos) in details {
            writer.message(3, |any| {
                any.text(1, &format!("type.googleapis.com/google.rpc.{kind}"));
                any.message(2, |info| {
                    info.message(1, |delay| {
                        delay.uint(1, *seconds as u64);
                        delay.uint(2, i64::from(*nanos) as u64);
                    });
                });
            });
        }
        GrpcStatus::decode(writer.as_bytes()).unwrap()
    }

    #[test]
    fn the_delay_is_that_of_the_retry_info_among_the_details() {
        let details = [("ErrorInfo", 9, 0), ("RetryInfo", 1, 500_000_000)];
        let read = status(14, "busy", &details);
        let expected = GrpcStatus {
            code: 14,
            message: "busy".to_owned(),
            retry_delay: Some(Duration::from_millis(1500)),
        };
        assert_eq!(read, expected);
        let throttled = Failure::Throttled {
            message: "`a` answers UNAVAILABLE: busy".to_owned(),
            after: Some(Duration::from_millis(1500)),
        };
        assert_eq!(read.failure("a"), throttled);
    }

    #[test]
    fn a_delay_that_is_no_time_is_left_out() {
        for delay in [(-1, 0), (0, -1)] {
            let read = status(14, "", &[("RetryInfo", delay.0, delay.1)]);
            assert_eq!(read.retry_delay, None, "{delay:?}");
            assert_eq!(read.failure("a"), Failure::retry("`a` answers UNAVAILABLE"));
        }
        let longest = status(14, "", &[("RetryInfo", i64::MAX, i32::MAX)]);
        assert!(longest.retry_delay > Some(Duration::from_secs(1 << 60)));
        assert_eq!(
            status(99, "", &[]).failure("a"),
            Failure::misconfigured("`a` answers 99")
        );
    }

    #[test]
    fn bytes_that_are_no_status_are_none() {
        assert_eq!(GrpcStatus::decode(b"<html>"), None);
        let detail = [&b"\x1a\x05"[..], b"\x0a\x7fabc"].concat();
        assert_eq!(GrpcStatus::decode(&detail), Some(GrpcStatus::default()));
    }
}
