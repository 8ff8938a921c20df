//! An exporter that looks at every point and does nothing with it: what is left
//! is the cost of the boundary.

use std::hint::black_box;

use delfin_plugin_api::{
    Context, Exporter, Failure, Host, Outcome, PerformanceBatch, serde::Deserialize,
};

pub(crate) struct Sum;

#[derive(Deserialize)]
#[serde(crate = "delfin_plugin_api::serde", deny_unknown_fields)]
pub(crate) struct Config {}

impl Exporter for Sum {
    type Batch = PerformanceBatch;
    type Config = Config;

    fn create(_: Config, _: &Host) -> Result<Self, Failure> {
        Ok(Self)
    }

    fn export(&mut self, batch: &PerformanceBatch, _: &Context<'_>) -> Outcome {
        black_box(sum(batch));
        Ok(())
    }
}

/// The sum of all values, and of the lengths of all labels.
pub(crate) fn sum(batch: &PerformanceBatch) -> (f64, usize) {
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
