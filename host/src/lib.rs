//! The host: loads exporters from shared libraries and delivers batches to them.

pub mod alert;
pub mod api;
pub mod cli;
pub mod clock;
pub mod codec;
pub mod collect;
pub mod config;
pub mod delivery;
mod exporters;
pub mod host;
pub mod ingest;
pub mod inventory;
pub mod journal;
pub mod lane;
pub mod logging;
pub mod plugin;
pub mod reload;
mod sqlite;
pub mod storages;
