//! An exporter that reads every point and sends nothing, so that a benchmark measures the
//! cost of the plugin boundary.

use std::hint::black_box;

use delfin_plugin_api::{Context, Exporter, Failure, Host, Outcome, PerformanceBatch};
use serde::Deserialize;

use crate::sum::sum;

pub(crate) struct SumExporter;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {}

impl Exporter for SumExporter {
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
