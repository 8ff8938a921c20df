//! A loop over a whole batch, for the plugin and for its benchmark.

use delfin_plugin_api::PerformanceBatch;

/// The sum of all values, and the sum of the lengths of all labels in bytes.
pub fn sum(batch: &PerformanceBatch) -> (f64, usize) {
    let (mut values, mut labels) = (0.0, 0);
    for series in batch.series() {
        for (key, value) in series.labels() {
            labels += key.len() + value.len();
        }
        for (_, value) in series.points() {
            values += value;
        }
    }
    (values, labels)
}
