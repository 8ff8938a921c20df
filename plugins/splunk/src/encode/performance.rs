//! Points as metrics.

use delfin_plugin_api::{
    PerformanceBatch, Series, Skipped,
    json::{Compact, Style, write_texts},
};

use super::{
    EventBatch, EventMetadata, EventRequests, begin_event, field::dimension_name, push_member,
};

impl EventBatch for PerformanceBatch {
    fn encode(&self, metadata: &EventMetadata, requests: &mut EventRequests) -> Skipped {
        let mut skipped = Skipped::default();
        let mut rest = Vec::new();
        for series in self.series() {
            rest.clear();
            write_rest(&series, &mut rest);
            let name = dimension_name(series.name());
            let mut events = 0;
            for (time, value) in series.points() {
                if !value.is_finite() {
                    skipped.non_finite_points += 1;
                    continue;
                }
                let text = &mut requests.text;
                begin_event(Some(time), metadata, text);
                text.extend_from_slice(b",\"event\":\"metric\",\"fields\":{\"metric_name:");
                text.extend_from_slice(name.as_bytes());
                text.extend_from_slice(b"\":");
                Compact::number(value, text);
                text.extend_from_slice(&rest);
                events += 1;
            }
            requests.end_row(events);
        }
        skipped
    }
}

/// Writes what all events of a series have in common, after the value.
fn write_rest(series: &Series<'_>, out: &mut Vec<u8>) {
    // A dimension is not empty.
    let labels = series
        .labels()
        .into_iter()
        .filter(|(_, text)| !text.is_empty());
    let mut dimensions = Vec::new();
    write_texts(labels, dimension_name, &mut dimensions);
    // Members of the object that the value has begun.
    if dimensions.len() > 2 {
        out.push(b',');
    }
    out.extend_from_slice(&dimensions[1..]);
    let host = series
        .storage_name()
        .or_else(|| series.labels().get("storage_id"));
    if let Some(host) = host.filter(|host| !host.is_empty()) {
        push_member("host", host, out);
    }
    out.extend_from_slice(b"}\n");
}
