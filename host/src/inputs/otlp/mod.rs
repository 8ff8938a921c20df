//! OTLP metrics, as Protocol Buffers or as JSON.
//!
//! JSON becomes the same message first (`json.rs`), so that one reader knows what a metric is.
//!
//! | Metric | Series |
//! |--------|--------|
//! | gauge, sum | `NAME` |
//! | histogram, exponential histogram | `NAME_count` and `NAME_sum`: buckets have no form in Delfin's model |
//! | summary | `NAME_count`, `NAME_sum` and `NAME` with the label `quantile` |
//!
//! Attributes of the resource and of the point are labels. If both have one, that of the point counts.

mod attributes;
mod json;
mod metric;

#[cfg(test)]
mod tests;

use delfin_plugin_api::protobuf::{MalformedMessage, ProtobufField, ProtobufReader};

use self::{attributes::ResourceAttributes, metric::MetricReader};
use super::{SeriesWriter, SourceSeries, read_error::SeriesReadError, source::NAME};
use crate::ingest::IngestError;

/// The name of the message in errors.
const REQUEST: &str = "ExportMetricsServiceRequest";
/// The only field of the message.
const RESOURCE_METRICS: u32 = 1;

/// How a request is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OtlpEncoding {
    Protobuf,
    Json,
}

impl OtlpEncoding {
    /// The encoding that a `Content-Type` declares; `None` if OTLP has no such type.
    #[must_use]
    pub fn from_content_type(value: &str) -> Option<Self> {
        let name = value.split(';').next()?.trim().to_ascii_lowercase();
        match name.as_str() {
            "application/x-protobuf" => Some(Self::Protobuf),
            "application/json" => Some(Self::Json),
            _ => None,
        }
    }
}

/// Reads a body, which is decompressed already.
///
/// # Errors
///
/// The body is not a request, or a limit is exceeded.
pub(super) fn read(
    encoding: OtlpEncoding,
    body: &[u8],
    writer: &mut SeriesWriter<'_>,
) -> Result<(), IngestError> {
    let read = match encoding {
        OtlpEncoding::Protobuf => read_request(body, writer),
        OtlpEncoding::Json => {
            let message = json::to_protobuf(body, writer)?;
            read_request(message.as_bytes(), writer)
        }
    };
    read.map_err(|error| error.into_ingest(REQUEST))
}

fn malformed(reason: String) -> IngestError {
    IngestError::Message {
        message: REQUEST,
        reason,
    }
}

fn read_request(body: &[u8], writer: &mut SeriesWriter<'_>) -> Result<(), SeriesReadError> {
    require_metrics(body)?;
    let mut index = 0;
    for resource_metrics in messages(body, RESOURCE_METRICS) {
        let resource_metrics = resource_metrics?;
        let mut resource = ResourceAttributes::default();
        for message in messages(resource_metrics, 1) {
            resource.read(message?, writer)?;
        }
        for scope_metrics in messages(resource_metrics, 2) {
            for metric in messages(scope_metrics?, 2) {
                let metric = metric?;
                MetricReader::new(metric, &resource, &mut index)?.read(writer)?;
            }
        }
    }
    Ok(())
}

/// Checks that a body with fields has the one of the message: what it holds would be lost.
fn require_metrics(body: &[u8]) -> Result<(), SeriesReadError> {
    let mut unknown = None;
    for field in ProtobufReader::new(body) {
        match field? {
            (RESOURCE_METRICS, ProtobufField::Bytes(_)) => return Ok(()),
            (number, _) => unknown = unknown.or(Some(number)),
        }
    }
    unknown.map_or(Ok(()), |number| {
        let expected = "send `resource_metrics`, field 1, as messages";
        let reason = format!("it has field {number} ({expected})");
        Err(malformed(reason).into())
    })
}

/// The content of a field that is a message or a text, as often as it occurs.
fn messages(message: &[u8], wanted: u32) -> impl Iterator<Item = Result<&[u8], MalformedMessage>> {
    ProtobufReader::new(message).filter_map(move |field| match field {
        Ok((number, ProtobufField::Bytes(content))) if number == wanted => Some(Ok(content)),
        Ok(_) => None,
        Err(error) => Some(Err(error)),
    })
}

fn push_name<'a>(series: &mut SourceSeries<'a>, name: &'a str, suffix: &str) {
    match suffix {
        "" => series.push(NAME, name),
        suffix => series.push(NAME, format!("{name}{suffix}")),
    }
}
