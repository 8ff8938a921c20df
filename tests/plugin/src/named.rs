//! What is known of each row by which a test tells rows apart.

use delfin_plugin_api::{AlertBatch, Batch, PerformanceBatch};

/// A batch whose rows can be told apart.
pub(crate) trait Named: Batch {
    /// A line `STORAGE_ID NAME ITEMS` a row.
    fn lines(&self) -> String;
}

impl Named for PerformanceBatch {
    fn lines(&self) -> String {
        let lines = self.series().map(|series| {
            let storage_id = series.labels().get("storage_id").unwrap_or("-");
            line(storage_id, series.name(), series.values().len())
        });
        lines.collect()
    }
}

impl Named for AlertBatch {
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
