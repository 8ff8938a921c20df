//! Alerts as lines: one line for each alert, with text fields.

use crc32fast::Hasher;
use delfin_plugin_api::{Alert, AlertBatch, Batch, BatchPart, Skipped};

use super::{
    LineBatch, LineBuffer,
    text::{Tags, push_escaped, push_quoted},
};

const MEASUREMENT: &str = "alert";

/// The columns with few different texts. Each combination of tags is a series of its own in
/// InfluxDB, so columns that identify an alert are fields.
const TAGS: [&str; 9] = [
    "storage_id",
    "storage_name",
    "vendor",
    "model",
    "serial_number",
    "category",
    "severity",
    "type",
    "resource_type",
];

const NANOS_PER_MILLI: i64 = 1_000_000;

impl LineBatch for AlertBatch {
    const PRECISION: &str = "ns";

    fn encode(&self, parts: &[BatchPart<'_>], lines: &mut LineBuffer) -> Skipped {
        lines.row_ends.reserve(self.rows());
        let mut parts = parts.iter().peekable();
        for (row, alert) in self.alerts().enumerate() {
            while parts
                .peek()
                .is_some_and(|part| part.first_row + part.rows <= row)
            {
                parts.next();
            }
            let accepted = parts.peek().map_or(0, |part| part.accepted_ms);
            push_alert(&alert, accepted, lines);
            lines.end_row();
        }
        Skipped::default()
    }
}

fn push_alert(alert: &Alert<'_>, accepted_ms: i64, lines: &mut LineBuffer) {
    let is_tag = |name: &str| TAGS.contains(&name);
    push_escaped(&mut lines.text, MEASUREMENT);
    Tags::new(alert.texts().filter(|(name, _)| is_tag(name))).push_to(lines);
    // A point needs a field, and an alert may have no text.
    lines.text.extend_from_slice(b" count=1i");
    let fields = alert.texts().filter(|(name, _)| !is_tag(name));
    for (name, text) in fields.filter(|(_, text)| !text.is_empty()) {
        push_field(name, "", text, lines);
    }
    for (name, text) in alert.extra().iter().filter(|(_, text)| !text.is_empty()) {
        push_field("extra_", name, text, lines);
    }
    lines.text.push(b' ');
    let time = time_ns(alert, accepted_ms);
    lines
        .text
        .extend_from_slice(itoa::Buffer::new().format(time).as_bytes());
    lines.end_line();
}

fn push_field(prefix: &str, name: &str, text: &str, lines: &mut LineBuffer) {
    lines.text.push(b',');
    lines.text.extend_from_slice(prefix.as_bytes());
    push_escaped(&mut lines.text, name);
    lines.text.push(b'=');
    push_quoted(lines, text);
}

/// The time of an alert in nanoseconds since the Unix epoch.
///
/// Points with the same tags and time are one point. So the part below a millisecond is
/// made from the texts: other alerts of the same millisecond have another time, and an
/// alert that is written again has the same.
fn time_ns(alert: &Alert<'_>, accepted_ms: i64) -> i64 {
    let can_be_expressed = |time: &i64| (1..i64::MAX / NANOS_PER_MILLI).contains(time);
    let occurred = Some(alert.occur_time()).filter(can_be_expressed);
    let mut hasher = Hasher::new();
    let mut add = |name: &str, text: &str| {
        for part in [name, text] {
            hasher.update(&part.len().to_le_bytes());
            hasher.update(part.as_bytes());
        }
    };
    alert.texts().for_each(|(name, text)| add(name, text));
    alert
        .extra()
        .iter()
        .for_each(|(name, text)| add(name, text));
    let fraction = i64::from(hasher.finalize()) % NANOS_PER_MILLI;
    occurred.unwrap_or(accepted_ms) * NANOS_PER_MILLI + fraction
}
