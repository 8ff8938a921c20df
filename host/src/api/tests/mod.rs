//! The interface over a real socket, on real journals.

mod access;
mod active_alerts;
mod batches;
mod connections;
mod cors;
mod dead_letters;
mod errors;
mod exporters;
mod health;
mod host;
mod ingest;
mod inputs;
mod metrics;
mod openapi;
mod receipts;
mod series;
mod storages;
mod ui;
