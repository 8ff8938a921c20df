//! What the scheduler has to know about a storage.

use std::{sync::Arc, time::Duration};

use crate::collect::{
    driver::DriverOptions, resource_names::ResourceNameSource, static_labels::StaticLabels,
};

/// A storage to collect from.
#[derive(Clone)]
pub struct CollectConfig {
    pub id: String,
    /// Without a name, the storage's own name is shown.
    pub name: Option<String>,
    /// Vendor and model choose the driver.
    pub vendor: String,
    pub model: String,
    pub schedule: CollectSchedule,
    /// The end of the last window that was collected before the host started, in milliseconds
    /// since the Unix epoch, for a destination that does not have it.
    pub collected_until_ms: Option<i64>,
    pub options: Arc<DriverOptions>,
    /// The names of its resources, read when the driver is opened.
    pub names: ResourceNameSource,
    pub labels: Arc<StaticLabels>,
}

/// At which intervals the host collects from a storage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CollectSchedule {
    /// Interval of measurements. `None`: the storage is not measured.
    pub performance: Option<Duration>,
    /// Interval of alert syncs. `None`: only when a client asks.
    pub alerts: Option<Duration>,
    /// Whether the first window includes the time in which the host did not run, if
    /// the storage is historic.
    pub backfill: bool,
}

/// Limits of all storages together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CollectLimits {
    /// Concurrent driver calls to the storages of one site, which is a static label. `None`: no
    /// limit.
    pub calls_per_site: Option<usize>,
}
