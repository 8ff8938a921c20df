//! What a response means for the rows.
//!
//! A receiver that accepts a part of a request says how many points or records it has refused, but
//! not which, and must not get the request again: it would have the others twice.

use delfin_plugin_api::{
    Failure, Outcome, RowFailures,
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
        failures.push(0..rows, false, &excerpt(&reason, MAX_REASON));
        failures.into_outcome()
    }
}

/// Reads a response; `url` names the receiver in messages.
pub(crate) fn of_response(response: &Response, url: &str) -> Result<PartialSuccess, Failure> {
    if !response.is_success() {
        return Err(http::failure(
            response.status(),
            response.header("retry-after"),
            message(response, url),
        ));
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
    success.ok_or_else(|| {
        Failure::misconfigured(format!(
            "{} (not a response of OTLP: check `url`, and whether a proxy asks for a sign-in)",
            response.message(url)
        ))
    })
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

/// The status, and the text of `google.rpc.Status` if the response has one.
fn message(response: &Response, url: &str) -> String {
    let text = |body| {
        ProtobufReader::new(body).find_map(|field| match field.ok()? {
            (2, ProtobufField::Bytes(text)) => Some(String::from_utf8_lossy(text)),
            _ => None,
        })
    };
    match response
        .body()
        .filter(|_| is_protobuf(response))
        .and_then(text)
    {
        Some(text) => format!(
            "`{url}` answers {}: {}",
            response.status(),
            excerpt(&text, MAX_REASON)
        ),
        None => response.message(url),
    }
}

fn is_protobuf(response: &Response) -> bool {
    let kind = response.header("content-type").unwrap_or_default();
    kind.contains("protobuf")
}
