//! Exporters that log what they receive, at debug level: the smallest plugin to
//! start from.

#![forbid(unsafe_code)]

mod config;

use delfin_plugin_api::{
    AlertBatch, Context, Exporter, Failure, Host, Outcome, PerformanceBatch, export_plugin, log,
};

use crate::config::Config;

export_plugin! {
    "PerformanceExporterExample" => PerformanceExample: "Logs each series at debug",
    "AlertExporterExample" => AlertExample: "Logs each alert at debug",
}

struct PerformanceExample;
struct AlertExample;

impl Exporter for PerformanceExample {
    type Batch = PerformanceBatch;
    type Config = Config;

    fn create(_: Config, _: &Host) -> Result<Self, Failure> {
        Ok(Self)
    }

    fn export(&mut self, batch: &PerformanceBatch, _: &Context<'_>) -> Outcome {
        for series in batch.series() {
            log::debug!("{series:?}");
        }
        Ok(())
    }
}

impl Exporter for AlertExample {
    type Batch = AlertBatch;
    type Config = Config;

    fn create(_: Config, _: &Host) -> Result<Self, Failure> {
        Ok(Self)
    }

    fn export(&mut self, batch: &AlertBatch, _: &Context<'_>) -> Outcome {
        for alert in batch.alerts() {
            log::debug!("{alert:?}");
        }
        Ok(())
    }
}
