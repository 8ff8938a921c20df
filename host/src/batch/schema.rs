//! The columns that batches have in common.

use std::sync::Arc;

use arrow_array::RecordBatch;
use delfin_plugin_api::{alert_schema, performance_schema};

/// The batch with the schema that all batches of its kind share, unless it has other columns. A decoded schema takes
/// more memory than a small batch.
pub(crate) fn with_shared_schema(batch: RecordBatch) -> RecordBatch {
    let schemas = [performance_schema(), alert_schema()];
    let schema = schemas
        .into_iter()
        .find(|schema| schema.fields().len() == batch.num_columns());
    match schema {
        Some(schema) if !Arc::ptr_eq(batch.schema_ref(), &schema) => {
            batch.clone().with_schema(schema).unwrap_or(batch)
        }
        Some(_) | None => batch,
    }
}
