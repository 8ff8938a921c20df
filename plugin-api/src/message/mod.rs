//! Rows as the payloads of messages.
//!
//! Promises: a payload is not longer than the limit, unless a single row is; a row
//! is never split; rows keep their order. One payload is in memory at a time.
//!
//! Knows nothing of the receiver.

mod arrow;
mod exporter;
mod json;
mod python;
mod results;
mod route;
mod settings;
mod writer;

use std::ops::Range;

use serde_json::Value;

use crate::{
    Alert, AlertBatch, PerformanceBatch, Series, Skipped,
    json::{Compact, JsonWriter, Style},
    setting::Mistakes,
    template::{TemplateBatch, TemplateRow},
};

use self::python::{MessageStyle, Python};
pub use self::{
    exporter::{MessageClient, MessageConfig, MessageExporter},
    results::MessageResults,
    settings::{MessageRules, MessageSettings, WrittenMessages},
    writer::{EncodedMessage, EncodedMessages, MessageWriter, groups},
};

const ROWS: &str = "write a whole number; 0 for as many as fit, 1 for one per message";
const BYTES: &str = "write a whole number of at least 1024";
const MIN_BYTES: usize = 1024;

/// How rows are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MessageFormat {
    /// `[name, labels, values]` triples, byte for byte as Delfin's exporter writes them.
    Delfin,
    /// One object if messages hold one row each, otherwise an array of objects.
    Json,
    /// An Arrow IPC stream.
    Arrow,
}

/// The most that a message holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MessageLimits {
    /// Bytes of its payload. A single row may be longer.
    pub bytes: usize,
    /// Series or alerts.
    pub rows: usize,
}

impl MessageLimits {
    /// Reads the settings `message_rows` and `message_bytes` of an exporter of batches `B`.
    pub fn read<B: MessageBatch>(
        rows: Option<&Value>,
        bytes: Option<&Value>,
        default_bytes: usize,
        mistakes: &mut Mistakes,
    ) -> Self {
        let count = |value: &Value| usize::try_from(value.as_u64()?).ok();
        let size = |value: &Value| count(value).filter(|&bytes| bytes >= MIN_BYTES);
        let rows = mistakes.read("message_rows", rows, count, ROWS);
        let bytes = mistakes.read("message_bytes", bytes, size, BYTES);
        Self {
            bytes: bytes.unwrap_or(default_bytes),
            rows: rows.map_or(B::ROWS, |rows| if rows == 0 { usize::MAX } else { rows }),
        }
    }
}

/// A batch whose rows can be written to messages.
pub trait MessageBatch: TemplateBatch {
    /// A row of the batch.
    type Row<'a>: MessageRow<'a>;

    /// The possible values of `message_format`, the default first.
    const FORMATS: &'static [MessageFormat];

    /// The default of `message_rows`.
    const ROWS: usize;

    /// Each row, in order.
    fn all(&self) -> Vec<Self::Row<'_>>;
}

/// A row that can be written to a message.
pub trait MessageRow<'a>: TemplateRow<'a> {
    /// The message key: messages of one key stay in order.
    fn storage_id(self) -> Option<&'a str>;

    /// Writes the row as JSON.
    fn write<S: Style>(self, writer: &mut JsonWriter<'a, S>, out: &mut Vec<u8>);

    /// Writes rows as one Arrow IPC stream.
    ///
    /// # Errors
    ///
    /// Arrow's own, as text.
    fn write_arrow(rows: &[Self], out: &mut Vec<u8>) -> Result<(), String>;

    /// An estimate of the row's length in Arrow, rather too long than too short.
    fn arrow_len(self) -> usize;
}

/// The payload of consecutive rows, or the reason why they cannot be written.
pub type Payload<'a> = (Range<usize>, Result<&'a [u8], &'a str>);

impl MessageFormat {
    /// The value of the setting `message_format`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Delfin => "delfin",
            Self::Json => "json",
            Self::Arrow => "arrow",
        }
    }

    /// The media type of a payload.
    #[must_use]
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Delfin | Self::Json => "application/json",
            Self::Arrow => "application/vnd.apache.arrow.stream",
        }
    }

    /// Reads the setting `message_format` of an exporter of batches `B`.
    pub fn read<B: MessageBatch>(value: Option<&Value>, mistakes: &mut Mistakes) -> Self {
        let known = |value: &Value| {
            let text = value.as_str()?;
            let mut formats = B::FORMATS.iter().copied();
            formats.find(|format| format.name() == text)
        };
        let names = B::FORMATS
            .iter()
            .map(|format| format!("`{}`", format.name()));
        let right = format!("write {}", names.collect::<Vec<_>>().join(" or "));
        let format = mistakes.read("message_format", value, known, &right);
        format.unwrap_or(B::FORMATS[0])
    }

    /// Writes rows and hands each payload to `take`.
    ///
    /// # Errors
    ///
    /// The first error of `take`, which ends the encoding.
    pub fn encode<'a, R: MessageRow<'a>, E>(
        self,
        rows: &[R],
        limits: MessageLimits,
        buffer: &mut Vec<u8>,
        take: impl FnMut(Payload<'_>) -> Result<(), E>,
    ) -> Result<Skipped, E> {
        buffer.clear();
        match self {
            Self::Delfin => json::encode::<Python, R, E>(rows, limits, buffer, take),
            Self::Json => json::encode::<Compact, R, E>(rows, limits, buffer, take),
            Self::Arrow => arrow::encode(rows, limits, buffer, take).map(|()| Skipped::default()),
        }
    }
}

impl MessageBatch for PerformanceBatch {
    type Row<'a> = Series<'a>;
    const FORMATS: &'static [MessageFormat] = &[
        MessageFormat::Delfin,
        MessageFormat::Json,
        MessageFormat::Arrow,
    ];
    const ROWS: usize = usize::MAX;

    fn all(&self) -> Vec<Series<'_>> {
        self.series().collect()
    }
}

impl MessageBatch for AlertBatch {
    type Row<'a> = Alert<'a>;
    const FORMATS: &'static [MessageFormat] = &[MessageFormat::Json, MessageFormat::Arrow];
    const ROWS: usize = 1;

    fn all(&self) -> Vec<Alert<'_>> {
        self.alerts().collect()
    }
}

impl<'a> MessageRow<'a> for Series<'a> {
    fn storage_id(self) -> Option<&'a str> {
        self.labels().get("storage_id")
    }

    fn write<S: Style>(self, writer: &mut JsonWriter<'a, S>, out: &mut Vec<u8>) {
        writer.write(self, out);
    }

    fn write_arrow(rows: &[Self], out: &mut Vec<u8>) -> Result<(), String> {
        arrow::write_series(rows, out)
    }

    fn arrow_len(self) -> usize {
        arrow::series_len(self)
    }
}

impl<'a> MessageRow<'a> for Alert<'a> {
    fn storage_id(self) -> Option<&'a str> {
        Alert::storage_id(&self)
    }

    fn write<S: Style>(self, writer: &mut JsonWriter<'a, S>, out: &mut Vec<u8>) {
        writer.write(self, out);
    }

    fn write_arrow(rows: &[Self], out: &mut Vec<u8>) -> Result<(), String> {
        arrow::write_alerts(rows, out)
    }

    fn arrow_len(self) -> usize {
        arrow::alert_len(self)
    }
}

#[cfg(test)]
mod tests;
