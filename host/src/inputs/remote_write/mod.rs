//! Remote write of Prometheus, versions 1.0 and 2.0.
//!
//! Version 1.0 sends the labels of each series in full, version 2.0 as numbers of texts, with the type and the unit of the
//! series. The metadata of version 1.0 comes in requests of its own, and is not used. A body of one version
//! with the headers of the other is refused.
//!
//! Native histograms have no form in Delfin's model: their series are refused.

mod query_answer;
mod v1;
mod v2;

#[cfg(test)]
mod tests;

use delfin_plugin_api::protobuf::{ProtobufField, ProtobufReader};

pub(super) use self::query_answer::read_query_answer;
use super::{SeriesWriter, read_error::SeriesReadError};
use crate::ingest::{IngestError, ItemError};

/// The message that a body holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RemoteWriteMessage {
    /// Of version 1.0.
    WriteRequest,
    /// Of version 2.0.
    Request,
}

impl RemoteWriteMessage {
    /// The message that a `Content-Type` declares; `None` if remote write has no such type.
    #[must_use]
    pub fn from_content_type(value: &str) -> Option<Self> {
        let mut parts = value.split(';').map(str::trim);
        if !parts.next()?.eq_ignore_ascii_case("application/x-protobuf") {
            return None;
        }
        let mut declared = Some(Self::WriteRequest);
        for parameter in parts {
            let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
            if name.trim().eq_ignore_ascii_case("proto") {
                let value = value.trim().trim_matches('"');
                let all = [Self::WriteRequest, Self::Request].into_iter();
                declared = all.into_iter().find(|one| one.as_str() == value);
            }
        }
        declared
    }

    /// The full name of the message.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::WriteRequest => "prometheus.WriteRequest",
            Self::Request => "io.prometheus.write.v2.Request",
        }
    }

    const fn other(self) -> Self {
        match self {
            Self::WriteRequest => Self::Request,
            Self::Request => Self::WriteRequest,
        }
    }

    /// The numbers of its fields. No number is of both messages, so that a receiver can tell them apart.
    const fn fields(self) -> [u32; 2] {
        match self {
            Self::WriteRequest => [v1::TIMESERIES, v1::METADATA],
            Self::Request => [v2::SYMBOLS, v2::TIMESERIES],
        }
    }

    /// The message that has a field of a body. A body without one is taken for version 1.0, which refuses it.
    pub(super) fn of_body(body: &[u8]) -> Self {
        let mut fields = ProtobufReader::new(body).map_while(Result::ok);
        let is_newer = fields.any(|(number, _)| Self::Request.fields().contains(&number));
        if is_newer {
            Self::Request
        } else {
            Self::WriteRequest
        }
    }

    /// Checks that a body has fields of this message, and none of the other version: what it holds would be lost.
    fn check_fields(self, body: &[u8]) -> Result<(), SeriesReadError> {
        let mut is_known = false;
        for field in ProtobufReader::new(body) {
            let (number, content) = field?;
            let is_own = self.fields().contains(&number);
            if is_own && !matches!(content, ProtobufField::Bytes(_)) {
                return Err(self.malformed(format!("field {number} has another type")));
            }
            if self.other().fields().contains(&number) {
                let other = self.other().as_str();
                return Err(self.malformed(format!(
                    "field {number} is of `{other}` (send the header `Content-Type: \
                     application/x-protobuf;proto={other}` with this body)"
                )));
            }
            is_known |= is_own;
        }
        if is_known {
            return Ok(());
        }
        let [one, other] = self.fields();
        Err(self.malformed(format!(
            "it has neither field {one} nor field {other} (send series, and the \
             `Content-Type` of their message)"
        )))
    }

    fn malformed(self, reason: String) -> SeriesReadError {
        SeriesReadError::Body(IngestError::Message {
            message: self.as_str(),
            reason,
        })
    }
}

/// Reads a body, which is decompressed already.
///
/// # Errors
///
/// The body is not the message, or a limit is exceeded.
pub(super) fn read(
    message: RemoteWriteMessage,
    body: &[u8],
    writer: &mut SeriesWriter<'_>,
) -> Result<(), IngestError> {
    let read = message.check_fields(body).and_then(|()| match message {
        RemoteWriteMessage::WriteRequest => v1::read(body, writer),
        RemoteWriteMessage::Request => v2::read(body, writer),
    });
    read.map_err(|error| error.into_ingest(message.as_str()))
}

/// Adds a sample, which is the same in both versions, to the current series.
fn read_sample(sample: &[u8], writer: &mut SeriesWriter<'_>) -> Result<(), SeriesReadError> {
    let (mut time, mut value) = (0, 0.0);
    for field in ProtobufReader::new(sample) {
        match field? {
            (1, ProtobufField::Fixed64(bits)) => value = f64::from_bits(bits),
            (2, ProtobufField::Varint(number)) => time = number as i64,
            _ => {}
        }
    }
    Ok(writer.point(time, value)?)
}

/// The names of the types of metrics, which are the same in both versions.
fn type_name(number: u64) -> &'static str {
    const NAMES: [&str; 8] = [
        "",
        "counter",
        "gauge",
        "histogram",
        "gaugehistogram",
        "summary",
        "info",
        "stateset",
    ];
    let name = usize::try_from(number).ok().and_then(|at| NAMES.get(at));
    name.copied().unwrap_or_default()
}

fn native_histograms() -> ItemError {
    ItemError::Invalid {
        field: None,
        reason:
            "native histograms are not accepted (set `send_native_histograms: false` in Prometheus)"
                .to_owned(),
    }
}

fn invalid_labels(reason: &str) -> ItemError {
    ItemError::Invalid {
        field: Some("labels"),
        reason: reason.to_owned(),
    }
}
