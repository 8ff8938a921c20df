//! What a response means for the rows.
//!
//! A receiver that accepts a part of a request says how many points or records it has refused, but
//! not which, and must not get the request again: it would have the others twice.

use delfin_plugin_api::{
    Failure, Outcome, RowFailureKind, RowFailures,
    grpc::GrpcStatus,
    http::{self, Response},
    protobuf::{ProtobufField, ProtobufReader},
    text::excerpt,
};

const MAX_REASON: usize = 500;

/// What a receiver says that has accepted a request, or a part of it.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct PartialSuccess {
    refused: u64,
    message: String,
}

impl PartialSuccess {
    /// The outcome for the rows of the request, which has this number of points or records.
    pub(crate) fn outcome(&self, rows: usize, items: u64) -> Outcome {
        if self.refused == 0 {
            return Ok(());
        }
        let Self { refused, message } = self;
        let mut failures = RowFailures::new();
        let reason = format!("the receiver refuses {refused} of {items}: {message}");
        failures.push(
            0..rows,
            RowFailureKind::Rejected,
            &excerpt(&reason, MAX_REASON),
        );
        failures.into_outcome()
    }
}

/// Reads the message of a gRPC response; `url` names the receiver in messages.
pub(crate) fn of_message(message: &[u8], url: &str) -> Result<PartialSuccess, Failure> {
    partial_success(message).ok_or_else(|| {
        Failure::misconfigured(format!(
            "`{url}` answers with a message that is not of OTLP (check `url`)"
        ))
    })
}

/// Reads a response of HTTP; `url` names the receiver in messages.
pub(crate) fn of_response(response: &Response, url: &str) -> Result<PartialSuccess, Failure> {
    if !response.is_success() {
        return Err(failure(response, url));
    }
    if response.is_cut_off() {
        let message = format!("{} (the response is cut off)", response.message(url));
        return Err(Failure::Uncertain { message });
    }
    let success = response.body().and_then(|body| match body {
        // Some receivers answer in JSON to each request.
        b"" | b"{}" => Some(PartialSuccess::default()),
        body if is_protobuf(response) => partial_success(body),
        _ => None,
    });
    success.ok_or_else(|| response.foreign(url, "OTLP"))
}

/// Reads `partial_success` of an export response, whose fields are the same for all kinds.
fn partial_success(body: &[u8]) -> Option<PartialSuccess> {
    let mut success = PartialSuccess::default();
    for field in ProtobufReader::new(body) {
        let (1, ProtobufField::Bytes(partial)) = field.ok()? else {
            continue;
        };
        for field in ProtobufReader::new(partial) {
            match field.ok()? {
                (1, ProtobufField::Varint(refused)) => success.refused = refused,
                (2, ProtobufField::Bytes(message)) => {
                    success.message = String::from_utf8_lossy(message).into_owned();
                }
                _ => {}
            }
        }
    }
    Some(success)
}

/// The failure that a status of HTTP means, with the text and the delay of `google.rpc.Status` if
/// the response has one.
fn failure(response: &Response, url: &str) -> Failure {
    let status = response.body().filter(|_| is_protobuf(response));
    let status = status.and_then(GrpcStatus::decode);
    let message = match status.as_ref().filter(|status| !status.message.is_empty()) {
        Some(GrpcStatus { message, .. }) => format!(
            "`{url}` answers {}: {}",
            response.status(),
            excerpt(message, MAX_REASON)
        ),
        None => response.message(url),
    };
    let retry_after = response.header("retry-after");
    let delay = status.and_then(|status| status.retry_delay);
    let failure = http::failure(response.status(), retry_after, message);
    match (failure, delay) {
        // More exact than the header, which has whole seconds.
        (Failure::Retry { message, .. } | Failure::Throttled { message, .. }, after @ Some(_)) => {
            Failure::Throttled { message, after }
        }
        (failure, _) => failure,
    }
}

fn is_protobuf(response: &Response) -> bool {
    let kind = response.header("content-type").unwrap_or_default();
    kind.contains("protobuf")
}

#[cfg(test)]
mod tests {
    use delfin_plugin_api::protobuf::ProtobufWriter;

    use super::*;

    #[test]
    fn a_response_of_grpc_says_how_much_is_refused() {
        let mut message = ProtobufWriter::default();
        message.message(1, |partial| {
            partial.uint(1, 2);
            partial.text(2, "no unit");
        });
        let read = of_message(message.as_bytes(), "a").unwrap();
        let Err(Failure::Partial { rows, .. }) = read.outcome(3, 6) else {
            panic!("not partial");
        };
        assert_eq!(
            (rows[0].rows.clone(), rows[0].kind),
            (0..3, RowFailureKind::Rejected)
        );
        assert_eq!(rows[0].reason, "the receiver refuses 2 of 6: no unit");
        assert_eq!(of_message(b"", "a"), Ok(PartialSuccess::default()));
        let other = of_message(b"<html>", "a");
        assert!(
            matches!(other, Err(Failure::Misconfigured { .. })),
            "{other:?}"
        );
    }
}
