//! Which rows of a batch the exporter's `filter` lets through.

use delfin_plugin_api::{AlertBatch, Batch, Kind, PerformanceBatch};

use crate::{batch::StoredBatch, config::Filter};

/// The rows that are sent; `None`: all rows. A batch that cannot be read here is
/// sent whole, and refused by the plugin with a reason.
pub(super) fn sent_rows(batch: &StoredBatch, kind: Kind, filter: &Filter) -> Option<Vec<u32>> {
    if filter.is_empty() {
        return None;
    }
    let sent: Vec<u32> = match kind {
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
    (sent.len() < batch.arrow.num_rows()).then_some(sent)
}
