//! Content of a dead letter as Delfin's JSON, which `/v1/ingest` accepts.

use delfin_plugin_api::{
    AlertBatch, Batch, Kind, PerformanceBatch,
    json::{alert_object, series_object},
};
use serde_json::Value;

use crate::batch::codec;

/// The series or alerts of a dead letter, or the reason why they cannot be read.
pub(super) fn decode(kind: Kind, payload: &[u8]) -> Result<Vec<Value>, String> {
    let arrow = codec::decode(payload).map_err(|error| error.to_string())?;
    let rows = match kind {
        Kind::Performance => PerformanceBatch::try_from_arrow(arrow)
            .map(|batch| batch.series().map(series_object).collect::<Vec<_>>()),
        Kind::Alert => AlertBatch::try_from_arrow(arrow)
            .map(|batch| batch.alerts().map(alert_object).collect()),
    };
    let rows = rows.map_err(|error| error.to_string())?;
    Ok(rows.into_iter().map(Value::Object).collect())
}
