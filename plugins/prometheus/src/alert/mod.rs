//! Alerts for Alertmanager: from batches to `POST /api/v2/alerts`.

mod client;
mod config;
mod exporter;
mod known;
mod payload;

pub(crate) use exporter::AlertExporterPrometheus;

#[cfg(test)]
mod tests;
