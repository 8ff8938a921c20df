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
mod info_labels;
pub mod metric;
mod resource;
mod resource_names;
mod resource_series;
mod resource_status;
mod schedule;
mod static_labels;
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
pub use resource_names::{ResourceNameSource, ResourceNames};
pub use resource_series::ResourceSeries;
pub use resource_status::ResourceStatus;
pub use schedule::{
    AlertSelection, CollectConfig, CollectLimits, CollectMonitor, CollectSchedule, CollectState,
    CollectStats, DriverCallError, Scheduler, StorageRequestError,
};
pub use static_labels::{
    MAX_STATIC_LABEL_VALUE, MAX_STATIC_LABELS, SITE, STATIC_LABEL_NAME_PATTERN, StaticLabelError,
    StaticLabels,
};
pub use storage_info::{Capacity, StorageDetails, StorageInfo};
