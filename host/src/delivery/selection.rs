//! Which rows of a batch an exporter's filter lets through.

use delfin_plugin_api::{AlertBatch, Batch, Kind, PerformanceBatch};

use crate::{batch::StoredBatch, config::Filter};

/// The rows that are sent; all of them, if none is named. What cannot be read
/// here is for the plugin to refuse.
pub(super) fn of(batch: &StoredBatch, kind: Kind, filter: &Filter) -> Option<Vec<u32>> {
    if filter.is_empty() {
        return None;
    }
    let kept: Vec<u32> = match kind {
        Kind::Performance => {
            let batch = PerformanceBatch::try_from_arrow(batch.arrow.clone()).ok()?;
            let rows = (0..).zip(batch.series());
            rows.filter_map(|(row, series)| filter.accepts_series(&series).then_some(row))
                .collect()
        }
        Kind::Alert => {
            let batch = AlertBatch::try_from_arrow(batch.arrow.clone()).ok()?;
            let rows = (0..).zip(batch.alerts());
            rows.filter_map(|(row, alert)| filter.accepts_alert(&alert).then_some(row))
                .collect()
        }
    };
    (kept.len() < batch.arrow.num_rows()).then_some(kept)
}
