//! Rows as the payloads of messages.
//!
//! Promises: a payload is not longer than the limit, unless a single row is; a row
//! is never split; rows keep their order. One payload is in memory at a time.
//!
//! Knows nothing of Kafka.

mod arrow;
mod json;
mod python;

use std::ops::Range;

use delfin_plugin_api::{
    Alert, AlertBatch, Batch, PerformanceBatch, Series, Skipped,
    json::{Compact, JsonWriter, Style},
};

use self::python::{MessageStyle, Python};

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
    pub rows: usize,
}

/// A batch whose rows can be written to messages.
pub trait Encode: Batch {
    type Row<'a>: EncodeRow<'a>;

    /// The default of the setting `topic`.
    const TOPIC: &'static str;

    /// The possible values of `message_format`, the default first.
    const FORMATS: &'static [MessageFormat];

    /// The default of `message_rows`.
    const ROWS: usize;

    fn all(&self) -> Vec<Self::Row<'_>>;
}

/// A row that can be written to a message.
pub trait EncodeRow<'a>: Copy {
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
    pub fn name(self) -> &'static str {
        match self {
            Self::Delfin => "delfin",
            Self::Json => "json",
            Self::Arrow => "arrow",
        }
    }

    pub fn content_type(self) -> &'static str {
        match self {
            Self::Delfin | Self::Json => "application/json",
            Self::Arrow => "application/vnd.apache.arrow.stream",
        }
    }

    /// Writes rows and hands each payload to `take`.
    ///
    /// # Errors
    ///
    /// The first error of `take`, which ends the encoding.
    pub fn encode<'a, R: EncodeRow<'a>, E>(
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

impl Encode for PerformanceBatch {
    type Row<'a> = Series<'a>;
    const TOPIC: &'static str = "delfin-kafka";
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

impl Encode for AlertBatch {
    type Row<'a> = Alert<'a>;
    const TOPIC: &'static str = "delfin-alerts";
    const FORMATS: &'static [MessageFormat] = &[MessageFormat::Json, MessageFormat::Arrow];
    const ROWS: usize = 1;

    fn all(&self) -> Vec<Alert<'_>> {
        self.alerts().collect()
    }
}

impl<'a> EncodeRow<'a> for Series<'a> {
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

impl<'a> EncodeRow<'a> for Alert<'a> {
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
