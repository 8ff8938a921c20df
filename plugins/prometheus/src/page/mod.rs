//! The scrape page: from batches to what Prometheus reads.

mod auth;
mod body;
mod chunk;
mod config;
mod exporter;
mod latest;
mod negotiate;
mod render;
mod server;
mod state;
mod store;
mod text;

pub(crate) use exporter::PerformanceExporterPrometheus;

#[cfg(test)]
mod tests;
