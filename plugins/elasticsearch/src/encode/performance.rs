//! Points as documents.

use delfin_plugin_api::{
    PerformanceBatch, Series, Skipped, Uuid,
    json::{Compact, Style, write_texts},
};

use super::{BulkBatch, BulkBody, DocumentTarget, NAMESPACE, PERFORMANCE, field::field_name};

impl BulkBatch for PerformanceBatch {
    const TARGET: DocumentTarget = PERFORMANCE;

    fn encode(&self, body: &mut BulkBody) -> Skipped {
        let mut skipped = Skipped::default();
        let (mut identity, mut rest) = (Vec::new(), Vec::new());
        for series in self.series() {
            let id = series_id(&series, &mut identity).simple();
            let id = id.encode_lower(&mut [0; 32]).to_owned();
            rest.clear();
            write_rest(&series, &mut rest);
            for (time, value) in series.points() {
                if !value.is_finite() {
                    skipped.non_finite_points += 1;
                    continue;
                }
                body.begin_document(&id, Some(time));
                let text = &mut body.text;
                text.extend_from_slice(b"{\"@timestamp\":");
                text.extend_from_slice(itoa::Buffer::new().format(time).as_bytes());
                text.extend_from_slice(b",\"value\":");
                Compact::number(value, text);
                text.extend_from_slice(&rest);
            }
            body.end_row();
        }
        skipped
    }
}

/// Writes what all documents of a series have in common, up to the end of the line.
fn write_rest(series: &Series<'_>, out: &mut Vec<u8>) {
    out.extend_from_slice(b",\"metric\":");
    Compact::text(series.name(), out);
    out.extend_from_slice(b",\"labels\":");
    write_texts(series.labels().into_iter(), field_name, out);
    out.extend_from_slice(b"}\n");
}

/// The id of a series: the same for the same name and labels, in any order.
fn series_id(series: &Series<'_>, bytes: &mut Vec<u8>) -> Uuid {
    let mut labels: Vec<_> = series.labels().into_iter().collect();
    labels.sort_unstable();
    bytes.clear();
    for text in std::iter::once(series.name()).chain(labels.into_iter().flat_map(<[&str; 2]>::from))
    {
        // With its length, so that texts cannot flow into each other.
        bytes.extend_from_slice(&(text.len() as u64).to_le_bytes());
        bytes.extend_from_slice(text.as_bytes());
    }
    Uuid::new_v5(&NAMESPACE, bytes)
}
