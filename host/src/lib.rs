//! The host: loads exporters from shared libraries and delivers batches to them.

pub mod api;
pub mod clock;
pub mod codec;
pub mod collect;
pub mod config;
pub mod delivery;
pub mod ingest;
pub mod journal;
pub mod lane;
pub mod logging;
pub mod plugin;
