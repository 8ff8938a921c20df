//! `prometheus.WriteRequest`, the message of version 1.0.

use delfin_plugin_api::protobuf::{MalformedMessage, ProtobufField, ProtobufReader};

use super::{SeriesReadError, invalid_labels, native_histograms, read_sample};
use crate::inputs::{SeriesWriter, SourceSeries, source::NAME, writer::SeriesPlace};

pub(super) const TIMESERIES: u32 = 1;
pub(super) const METADATA: u32 = 3;
const LABELS: u32 = 1;
const SAMPLES: u32 = 2;
const HISTOGRAMS: u32 = 4;

pub(super) fn read(body: &[u8], writer: &mut SeriesWriter<'_>) -> Result<(), SeriesReadError> {
    let mut series = SourceSeries::default();
    let mut index = 0;
    for field in ProtobufReader::new(body) {
        if let (TIMESERIES, ProtobufField::Bytes(message)) = field? {
            writer.begin(0)?;
            read_series(message, &mut series, index, writer)?;
            index += 1;
        }
    }
    Ok(())
}

fn read_series<'a>(
    message: &'a [u8],
    series: &mut SourceSeries<'a>,
    index: usize,
    writer: &mut SeriesWriter<'_>,
) -> Result<(), SeriesReadError> {
    series.clear();
    let place = SeriesPlace { index, line: None };
    let (mut histograms, mut is_text) = (0, true);
    for field in ProtobufReader::new(message) {
        match field? {
            (LABELS, ProtobufField::Bytes(label)) => is_text &= read_label(label, series)?,
            (SAMPLES, ProtobufField::Bytes(sample)) => read_sample(sample, writer)?,
            (HISTOGRAMS, ProtobufField::Bytes(_)) => histograms += 1,
            _ => {}
        }
    }
    let name = series.get(NAME).unwrap_or_default();
    if histograms > 0 {
        writer.reject(place, name, native_histograms(), histograms);
    } else if is_text {
        writer.end(series, place)?;
    } else {
        writer.reject(place, name, invalid_labels("a label is not UTF-8"), 0);
    }
    Ok(())
}

/// Whether the label is UTF-8.
fn read_label<'a>(
    label: &'a [u8],
    series: &mut SourceSeries<'a>,
) -> Result<bool, MalformedMessage> {
    let (mut name, mut value) = (&b""[..], &b""[..]);
    for field in ProtobufReader::new(label) {
        match field? {
            (1, ProtobufField::Bytes(text)) => name = text,
            (2, ProtobufField::Bytes(text)) => value = text,
            _ => {}
        }
    }
    let (Ok(name), Ok(value)) = (str::from_utf8(name), str::from_utf8(value)) else {
        return Ok(false);
    };
    series.push(name, value);
    Ok(true)
}
