//! A line for each row, by which a test identifies the row.

use delfin_plugin_api::{AlertBatch, Batch, PerformanceBatch};

/// A batch with a line for each row.
pub(crate) trait RowLines: Batch {
    /// A line `STORAGE_ID NAME ITEMS` for each row.
    fn lines(&self) -> String;
}

impl RowLines for PerformanceBatch {
    fn lines(&self) -> String {
        let lines = self.series().map(|series| {
            let storage_id = series.labels().get("storage_id").unwrap_or("-");
            line(storage_id, series.name(), series.values().len())
        });
        lines.collect()
    }
}

impl RowLines for AlertBatch {
    fn lines(&self) -> String {
        let lines = self.alerts().map(|alert| {
            let name = alert.alert_id().or_else(|| alert.alert_name());
            line(
                alert.storage_id().unwrap_or("-"),
                name.unwrap_or_default(),
                1,
            )
        });
        lines.collect()
    }
}

fn line(storage_id: &str, name: &str, items: usize) -> String {
    format!("{storage_id} {name} {items}\n")
}
