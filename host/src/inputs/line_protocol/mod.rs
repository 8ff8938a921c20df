//! The line protocol of InfluxDB.
//!
//! Each field of a line is a series, `MEASUREMENT_FIELD`. Booleans are 1 and 0; texts are left out and counted. A line
//! with a mistake is refused by itself. A line without a time has the time of receipt.

mod line;
mod text;

#[cfg(test)]
mod tests;

use self::{
    line::{FieldNumber, LineReader, ParsedLine},
    text::LineMistake,
};
use super::{
    SeriesWriter, SkipReason, SourceSeries,
    source::{BUCKET, FIELD, MEASUREMENT, NAME},
    writer::SeriesPlace,
};
use crate::ingest::{IngestError, ItemError};

/// Lines between two looks at the clock: comments and lines with mistakes begin no series.
const LINES_PER_CHECK: usize = 64;

/// The unit of times.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LinePrecision {
    #[default]
    Nanoseconds,
    Microseconds,
    Milliseconds,
    Seconds,
    Minutes,
    Hours,
}

impl LinePrecision {
    /// The unit of a name that InfluxDB 1 or 2 has for it.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "ns" | "n" | "" => Some(Self::Nanoseconds),
            "us" | "u" => Some(Self::Microseconds),
            "ms" => Some(Self::Milliseconds),
            "s" => Some(Self::Seconds),
            "m" => Some(Self::Minutes),
            "h" => Some(Self::Hours),
            _ => None,
        }
    }

    /// A time in milliseconds.
    fn to_ms(self, time: i64) -> i64 {
        match self {
            Self::Nanoseconds => time.div_euclid(1_000_000),
            Self::Microseconds => time.div_euclid(1_000),
            Self::Milliseconds => time,
            Self::Seconds => time.saturating_mul(1_000),
            Self::Minutes => time.saturating_mul(60_000),
            Self::Hours => time.saturating_mul(3_600_000),
        }
    }
}

/// Reads a body, which is decompressed already. `bucket` is its bucket or database.
///
/// # Errors
///
/// A limit is exceeded.
pub(super) fn read(
    precision: LinePrecision,
    bucket: &str,
    body: &[u8],
    writer: &mut SeriesWriter<'_>,
) -> Result<(), IngestError> {
    let mut lines = LineReader::new(body);
    let mut line = ParsedLine::default();
    let mut count = 0_usize;
    while let Some((number, parsed)) = lines.next(&mut line) {
        if count.is_multiple_of(LINES_PER_CHECK) {
            writer.check(0)?;
        }
        count += 1;
        let place = SeriesPlace {
            index: number - 1,
            line: Some(number),
        };
        match parsed {
            Ok(()) => write(&line, precision, bucket, place, writer)?,
            Err(LineMistake(reason)) => {
                writer.begin(0)?;
                let error = ItemError::Invalid {
                    field: None,
                    reason,
                };
                writer.reject(place, "", error, 1);
            }
        }
    }
    Ok(())
}

fn write(
    line: &ParsedLine<'_>,
    precision: LinePrecision,
    bucket: &str,
    place: SeriesPlace,
    writer: &mut SeriesWriter<'_>,
) -> Result<(), IngestError> {
    let time_ms = match line.time {
        Some(time) => precision.to_ms(time),
        None => writer.now_ms(),
    };
    let mut series = SourceSeries::default();
    series.push(MEASUREMENT, &*line.measurement);
    series.push(BUCKET, bucket);
    for (key, text) in &line.tags {
        series.push_label(key, &**text);
    }
    let shared = series.count();
    for (field, number) in &line.fields {
        let FieldNumber::Number(number) = number else {
            writer.skip(SkipReason::NoNumber, 1);
            continue;
        };
        series.truncate(shared);
        series.push(FIELD, &**field);
        series.push(NAME, format!("{}_{field}", line.measurement));
        writer.begin(0)?;
        writer.point(time_ms, *number)?;
        writer.end(&series, place)?;
    }
    Ok(())
}
