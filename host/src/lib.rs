//! The host: loads exporters from shared libraries and delivers batches to them.

pub mod codec;
pub mod ingest;
