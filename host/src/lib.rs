//! The host: loads exporters from shared libraries and delivers batches to them.

pub mod alert;
pub mod api;
pub mod batch;
pub mod batch_journal;
pub mod cli;
pub mod clock;
pub mod collect;
pub mod config;
pub mod delivery;
pub mod exporters;
pub mod host;
pub mod ingest;
pub mod inventory;
pub mod journal;
mod lifecycle;
pub mod logging;
pub mod plugin;
mod sqlite;
pub mod storages;
