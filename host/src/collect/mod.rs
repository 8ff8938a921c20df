//! Collection: asks storages for performance and alerts, in their own rhythm.
//!
//! A [`Driver`] knows one kind of storage; the [`Schedule`] calls it and hands
//! what it said to a [`Destination`].
//!
//! Knows nothing of the journal, exporters or config files.

mod destination;
mod driver;
pub mod drivers;
mod identify;
mod schedule;
mod sink;

pub use destination::{Collected, Destination, Refused};
pub use driver::{
    ACCESS_OPTIONS, Capabilities, Capacity, Driver, DriverError, EXTRA, Metric, Offer, Options,
    Resource, ResourceType, StorageDetails, StorageInfo, Window,
};
pub use drivers::{Factory, Registry, UnknownDriver};
pub use identify::identify;
pub use schedule::{
    AlertQuery, AskError, CallError, CollectState, CollectStats, Collecting, Pace, Schedule,
    StorageConfig,
};
pub use sink::{AlertSink, SeriesSink, StorageLabels};
