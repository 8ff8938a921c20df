//! Rows as the payloads of messages.
//!
//! Promises: a payload is not longer than the limit, unless one row alone is;
//! a row is never cut; rows keep their order. One payload is held at a time.
//!
//! Knows nothing of Kafka.

mod arrow;
mod json;
mod style;

use std::ops::Range;

use delfin_plugin_api::{
    Alert, AlertBatch, Batch, PerformanceBatch, Series, Skipped,
    json::{Compact, Style, Writer},
};

use self::style::{Message, Python};

/// How rows are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    /// As Delfin does: `[name, labels, values]` triples, as Python writes them.
    Delfin,
    /// Objects: one, if a message holds one row by itself, else an array.
    Json,
    /// A stream of Arrow IPC.
    Arrow,
}

/// How large a message gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Limits {
    /// How many bytes its payload has at most, unless one row has more.
    pub(crate) bytes: usize,
    /// How many rows it holds at most.
    pub(crate) rows: usize,
}

/// A batch whose rows can be written.
pub(crate) trait Encode: Batch {
    /// One row.
    type Row<'a>: Row<'a>;

    /// The topic of such rows, unless the settings name one.
    const TOPIC: &'static str;

    /// How they may be written, the default first.
    const FORMATS: &'static [Format];

    /// How many of them are in a message, unless the settings say so.
    const ROWS: usize;

    /// Each row.
    fn all(&self) -> Vec<Self::Row<'_>>;
}

/// A row that can be written.
pub(crate) trait Row<'a>: Copy {
    /// The storage that it speaks of: what orders it.
    fn storage_id(self) -> Option<&'a str>;

    /// Writes it as JSON.
    fn write<S: Style>(self, writer: &mut Writer<'a, S>, out: &mut Vec<u8>);

    /// Writes rows as a stream of Arrow IPC.
    fn write_arrow(rows: &[Self], out: &mut Vec<u8>) -> Result<(), String>;

    /// About how long it is in Arrow; rather too long than too short.
    fn arrow_len(self) -> usize;
}

/// Consecutive rows, written: which they are, and what became of them. `Err`
/// says why they cannot be written.
pub(crate) type Payload<'a> = (Range<usize>, Result<&'a [u8], &'a str>);

impl Format {
    /// Its name in the settings.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Delfin => "delfin",
            Self::Json => "json",
            Self::Arrow => "arrow",
        }
    }

    /// Its name for those who read messages.
    pub(crate) fn content_type(self) -> &'static str {
        match self {
            Self::Delfin | Self::Json => "application/json",
            Self::Arrow => "application/vnd.apache.arrow.stream",
        }
    }

    /// Writes rows, and hands each payload over until `take` breaks off.
    pub(crate) fn encode<'a, R: Row<'a>, E>(
        self,
        rows: &[R],
        limits: Limits,
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
    const FORMATS: &'static [Format] = &[Format::Delfin, Format::Json, Format::Arrow];
    const ROWS: usize = usize::MAX;

    fn all(&self) -> Vec<Series<'_>> {
        self.series().collect()
    }
}

impl Encode for AlertBatch {
    type Row<'a> = Alert<'a>;
    const TOPIC: &'static str = "delfin-alerts";
    const FORMATS: &'static [Format] = &[Format::Json, Format::Arrow];
    const ROWS: usize = 1;

    fn all(&self) -> Vec<Alert<'_>> {
        self.alerts().collect()
    }
}

impl<'a> Row<'a> for Series<'a> {
    fn storage_id(self) -> Option<&'a str> {
        self.labels().get("storage_id")
    }

    fn write<S: Style>(self, writer: &mut Writer<'a, S>, out: &mut Vec<u8>) {
        writer.write(self, out);
    }

    fn write_arrow(rows: &[Self], out: &mut Vec<u8>) -> Result<(), String> {
        arrow::write_series(rows, out)
    }

    fn arrow_len(self) -> usize {
        arrow::series_len(self)
    }
}

impl<'a> Row<'a> for Alert<'a> {
    fn storage_id(self) -> Option<&'a str> {
        Alert::storage_id(&self)
    }

    fn write<S: Style>(self, writer: &mut Writer<'a, S>, out: &mut Vec<u8>) {
        writer.write(self, out);
    }

    fn write_arrow(rows: &[Self], out: &mut Vec<u8>) -> Result<(), String> {
        arrow::write_alerts(rows, out)
    }

    fn arrow_len(self) -> usize {
        arrow::alert_len(self)
    }
}
