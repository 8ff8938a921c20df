//! What is in a dead letter, in Delfin's JSON: in that form it can be handed in again.

use delfin_plugin_api::{Alert, AlertBatch, Batch, Kind, PerformanceBatch, Series};
use serde_json::{Map, Value, json};

use crate::codec;

/// A letter's series or alerts; why not, if they cannot be read.
pub(super) fn decode(kind: Kind, payload: &[u8]) -> Result<Vec<Value>, String> {
    let arrow = codec::decode(payload).map_err(|error| error.to_string())?;
    let rows = match kind {
        Kind::Performance => PerformanceBatch::try_from_arrow(arrow)
            .map(|batch| batch.series().map(series).collect()),
        Kind::Alert => {
            AlertBatch::try_from_arrow(arrow).map(|batch| batch.alerts().map(alert).collect())
        }
    };
    rows.map_err(|error| error.to_string())
}

fn series(series: Series<'_>) -> Value {
    let labels = series.labels().into_iter();
    let labels: Map<_, _> = labels
        .map(|(key, text)| (key.to_owned(), text.into()))
        .collect();
    // JSON has no word for a number that is none.
    let points = series.points().filter(|(_, value)| value.is_finite());
    let values: Map<_, _> = points
        .map(|(time, value)| (time.to_string(), value.into()))
        .collect();
    json!({"name": series.name(), "labels": labels, "values": values})
}

fn alert(alert: Alert<'_>) -> Value {
    let mut fields = Map::new();
    for (key, text) in alert.extra() {
        fields.insert(key.to_owned(), text.into());
    }
    // The model's own fields come last: they win where the device used their names.
    for (key, text) in alert.texts() {
        fields.insert(key.to_owned(), text.into());
    }
    fields.insert("occur_time".to_owned(), alert.occur_time().into());
    Value::Object(fields)
}
