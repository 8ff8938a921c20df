//! Exporters to Prometheus: a page that it scrapes, and alerts for Alertmanager.
//!
//! Each exporter has a folder of its own, with the files that other plugins have
//! in `src/`.

pub mod alert;
pub mod page;

use delfin_plugin_api::export_plugin;

use crate::{alert::AlertExporterPrometheus, page::PerformanceExporterPrometheus};

export_plugin! {
    "PerformanceExporterPrometheus" => PerformanceExporterPrometheus: "Shows the latest sample of each series on a page for Prometheus",
    "AlertExporterPrometheus" => AlertExporterPrometheus: "Sends alerts to Alertmanager",
}
