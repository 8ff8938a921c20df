//! Series as lines: one line for each point.

use delfin_plugin_api::{Batch, BatchPart, PerformanceBatch, Series, Skipped};

use super::{
    LineBatch, LineBuffer,
    text::{Tags, name, push_escaped},
};

/// The label that is the measurement.
const RESOURCE_TYPE: &str = "resource_type";
/// The measurement of series without it.
const MEASUREMENT: &str = "delfin";

impl LineBatch for PerformanceBatch {
    const PRECISION: &str = "ms";

    fn encode(&self, _: &[BatchPart<'_>], lines: &mut LineBuffer) -> Skipped {
        let mut skipped = Skipped::default();
        lines.row_ends.reserve(self.rows());
        let mut start = Vec::new();
        for series in self.series() {
            start.clear();
            push_start(&series, lines, &mut start);
            for (time, value) in series.points() {
                if !value.is_finite() {
                    skipped.non_finite_points += 1;
                    continue;
                }
                let text = &mut lines.text;
                text.extend_from_slice(&start);
                text.extend_from_slice(zmij::Buffer::new().format_finite(value).as_bytes());
                text.push(b' ');
                text.extend_from_slice(itoa::Buffer::new().format(time).as_bytes());
                lines.end_line();
            }
            lines.end_row();
        }
        skipped
    }
}

/// Moves what each line of a series begins with to `start`: measurement, tags, and the key
/// of the field.
fn push_start(series: &Series<'_>, lines: &mut LineBuffer, start: &mut Vec<u8>) {
    let length = lines.text.len();
    let labels = series.labels();
    let measurement = labels.get(RESOURCE_TYPE).filter(|text| !text.is_empty());
    push_escaped(&mut lines.text, &name(measurement.unwrap_or(MEASUREMENT)));
    Tags::new(labels.iter().filter(|(key, _)| *key != RESOURCE_TYPE)).push_to(lines);
    lines.text.push(b' ');
    push_escaped(&mut lines.text, &name(series.name()));
    lines.text.push(b'=');
    start.extend(lines.text.drain(length..));
}
