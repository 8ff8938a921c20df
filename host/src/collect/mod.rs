//! Collection: asks storages for performance and alerts at their intervals.
//!
//! A [`Driver`] asks one kind of storage. The [`Scheduler`] calls it and forwards
//! the result to a [`Destination`].
//!
//! Knows nothing of the journal, exporters or config files.

mod builder;
mod destination;
mod driver;
pub mod drivers;
mod identify;
pub mod metric;
mod resource;
mod schedule;
mod storage_info;

pub use builder::{AlertBuilder, SeriesBuilder, StorageLabels};
pub use destination::{CollectedBatch, Destination, DestinationError};
pub use driver::{
    ACCESS_OPTIONS, Capabilities, Driver, DriverError, DriverOptions, DriverTarget, EXTRA,
    MetricInfo, TimeWindow,
};
pub use drivers::{DriverFactory, DriverRegistry, UnknownDriver, redactor_of};
pub use identify::identify;
pub use metric::{Metric, Resource, ResourceType};
pub use resource::{
    FieldType, ListScope, Relation, ResourceField, ResourceFields, ResourceKind, ResourceList,
    StorageResource,
};
pub use schedule::{
    AlertSelection, CollectConfig, CollectMonitor, CollectSchedule, CollectState, CollectStats,
    DriverCallError, Scheduler, StorageRequestError,
};
pub use storage_info::{Capacity, StorageDetails, StorageInfo};
