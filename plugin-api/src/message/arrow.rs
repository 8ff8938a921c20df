//! Rows as Arrow IPC streams, one stream per message.
//!
//! Each stream has its own dictionaries, with the texts that its rows use.

use crate::{
    Alert, AlertBatchBuilder, Batch, NewAlert, PerformanceBatchBuilder, Series,
    arrow_array::RecordBatch,
};
use arrow_ipc::writer::StreamWriter;

use super::{MessageLimits, MessageRow, Payload};

/// An estimate of the bytes of a stream without rows: its schema and its end.
const FRAME: usize = 2048;

/// Writes rows and hands them over in streams within the limits.
///
/// A stream cannot be split once it is written, so the rows of each are chosen by
/// an estimate of their length.
pub(super) fn encode<'a, R: MessageRow<'a>, E>(
    rows: &[R],
    limits: MessageLimits,
    out: &mut Vec<u8>,
    mut take: impl FnMut(Payload<'_>) -> Result<(), E>,
) -> Result<(), E> {
    let (mut start, mut len) = (0, FRAME);
    for (index, row) in rows.iter().enumerate() {
        let row = row.arrow_len();
        let full = len + row > limits.bytes || index - start == limits.rows;
        if full && index > start {
            hand_over(rows, start..index, out, &mut take)?;
            (start, len) = (index, FRAME);
        }
        len += row;
    }
    if start < rows.len() {
        hand_over(rows, start..rows.len(), out, &mut take)?;
    }
    Ok(())
}

fn hand_over<'a, R: MessageRow<'a>, E>(
    rows: &[R],
    range: std::ops::Range<usize>,
    out: &mut Vec<u8>,
    take: &mut impl FnMut(Payload<'_>) -> Result<(), E>,
) -> Result<(), E> {
    out.clear();
    let written = R::write_arrow(&rows[range.clone()], out);
    match written {
        Ok(()) => take((range, Ok(out))),
        Err(reason) => take((range, Err(&reason))),
    }
}

pub(super) fn write_series(rows: &[Series<'_>], out: &mut Vec<u8>) -> Result<(), String> {
    let mut batch = PerformanceBatchBuilder::new();
    for series in rows {
        let added = batch.series(series.name(), series.labels(), series.points());
        added.map_err(|error| error.to_string())?;
    }
    write(batch.build().as_arrow(), out)
}

pub(super) fn write_alerts(rows: &[Alert<'_>], out: &mut Vec<u8>) -> Result<(), String> {
    let mut batch = AlertBatchBuilder::new();
    for alert in rows {
        // Columns come last: where an extra has the name of a column, the builder
        // keeps the later text.
        let texts: Vec<_> = texts(*alert).collect();
        batch.alert(NewAlert {
            occur_time: alert.occur_time(),
            texts: &texts,
        });
    }
    write(batch.build().as_arrow(), out)
}

fn texts<'a>(alert: Alert<'a>) -> impl Iterator<Item = (&'a str, &'a str)> {
    let columns = alert
        .texts()
        .map(|(column, text)| -> (&'a str, &'a str) { (column, text) });
    alert.extra().iter().chain(columns)
}

/// An estimate: texts that repeat count each time, though a stream holds them once.
pub(super) fn series_len(series: Series<'_>) -> usize {
    let texts: usize = series.labels().iter().map(pair_len).sum();
    16 + series.name().len() + texts + 16 * series.values().len()
}

pub(super) fn alert_len(alert: Alert<'_>) -> usize {
    let texts: usize = alert.texts().map(|(_, text)| text.len()).sum();
    let extra: usize = alert.extra().iter().map(pair_len).sum();
    96 + texts + extra
}

fn pair_len((key, value): (&str, &str)) -> usize {
    16 + key.len() + value.len()
}

fn write(batch: &RecordBatch, out: &mut Vec<u8>) -> Result<(), String> {
    let written = StreamWriter::try_new(out, &batch.schema()).and_then(|mut stream| {
        stream.write(batch)?;
        stream.finish()
    });
    written.map_err(|error| error.to_string())
}
