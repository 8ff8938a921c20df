//! What a driver is: it knows how to ask one kind of storage.
//!
//! A driver blocks as long as it needs to: it is called on threads that are there
//! for that, by one caller at a time, and delays nobody but itself.
//!
//! Made of the standard library, JSON values and the plugin API alone, so that
//! drivers can come out of shared libraries one day.

use std::fmt;

use super::sink::{AlertSink, SeriesSink};

/// A driver's own settings.
pub type Options = serde_json::Map<String, serde_json::Value>;

/// The options that say how a storage is reached: an object each, as it was
/// registered with. A driver takes those that it understands.
pub const ACCESS_OPTIONS: [&str; 5] = ["rest", "ssh", "cli", "smis", EXTRA];

/// The option that holds what a registration says beyond the access data.
pub const EXTRA: &str = "extra_attributes";

/// Asks one storage. Making one checks its options and touches no network.
pub trait Driver: Send {
    /// Who the storage says it is.
    ///
    /// # Errors
    ///
    /// The storage did not answer, or refused.
    fn storage(&mut self) -> Result<StorageInfo, DriverError>;

    /// What it can be asked for.
    fn capabilities(&self) -> Capabilities<'_>;

    /// Measures: the points of that window go into the sink.
    ///
    /// After an error the sink's content is thrown away and the window becomes
    /// part of the next one.
    ///
    /// # Errors
    ///
    /// The storage did not answer, or refused, or there is nothing to measure yet.
    fn collect(&mut self, window: Window, series: &mut SeriesSink<'_>) -> Result<(), DriverError>;

    /// Every alert that is active now; with a range, those that occurred in it.
    ///
    /// # Errors
    ///
    /// The storage did not answer, or refused, or knows no alerts.
    fn list_alerts(
        &mut self,
        range: Option<Window>,
        alerts: &mut AlertSink<'_>,
    ) -> Result<(), DriverError>;

    /// Ends an alert by hand.
    ///
    /// # Errors
    ///
    /// The storage did not answer, or refused, or its alerts end only by themselves.
    fn clear_alert(&mut self, sequence_number: &str) -> Result<(), DriverError>;
}

/// Who a storage is.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct StorageInfo {
    /// What it calls itself.
    pub name: String,
    /// Who made it.
    pub vendor: String,
    /// What it is.
    pub model: String,
    /// What tells it from others of its model.
    pub serial_number: String,
    /// What else it says of itself.
    pub details: StorageDetails,
}

/// What a storage says of itself that its series and alerts do not repeat.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct StorageDetails {
    /// What it is, in words.
    pub description: Option<String>,
    /// Where it stands.
    pub location: Option<String>,
    /// The version of its firmware.
    pub firmware_version: Option<String>,
    /// How much it holds.
    pub capacity: Capacity,
}

/// How much a storage holds, in bytes; 0 where it does not say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Capacity {
    /// What can be used at all.
    pub total: u64,
    /// What is used.
    pub used: u64,
    /// What is not used.
    pub free: u64,
    /// What its disks hold.
    pub raw: u64,
    /// What was promised to its users.
    pub subscribed: u64,
}

/// What a driver can be asked for.
#[derive(Clone, Copy, Debug)]
pub struct Capabilities<'a> {
    /// Whether a window in the past has points of its own: otherwise only the
    /// present can be measured.
    pub is_historic: bool,
    /// How far back it remembers, in milliseconds, where that is known.
    pub retention_ms: Option<i64>,
    /// What is measured, by type of resource.
    pub resource_metrics: &'a [(ResourceType, &'a [Metric<'a>])],
}

/// What a driver can be asked for, to keep.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offer {
    /// Whether a window in the past has points of its own.
    pub is_historic: bool,
    /// How far back it remembers, in milliseconds, where that is known.
    pub retention_ms: Option<i64>,
    /// What is measured and in what unit, by type of resource.
    pub resource_metrics: Vec<(ResourceType, Vec<(String, String)>)>,
}

/// Something that is measured, and in what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Metric<'a> {
    /// `iops`, `throughput`, ….
    pub name: &'a str,
    /// `IOPS`, `MB/s`, ….
    pub unit: &'a str,
}

/// A part of a storage that has measurements of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Resource<'a> {
    /// What it is.
    pub resource_type: ResourceType,
    /// Which one it is.
    pub id: &'a str,
}

/// What a resource is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ResourceType {
    /// The storage as a whole.
    Storage,
    /// A pool of disks.
    StoragePool,
    /// A volume.
    Volume,
    /// A controller.
    Controller,
    /// A port.
    Port,
    /// A disk.
    Disk,
    /// A file system.
    Filesystem,
}

/// A span of time, from its start to just before its end, in milliseconds since
/// the epoch. Its end is after its start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// The first millisecond of it.
    pub start_ms: i64,
    /// The first millisecond after it.
    pub end_ms: i64,
}

/// Why a driver could not do what it was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DriverError {
    /// It did not answer, or not in time.
    #[error("storage does not answer: {reason}")]
    Unavailable {
        /// What went wrong.
        reason: String,
    },
    /// It answered, and the answer makes no sense.
    #[error("storage gave an answer that makes no sense: {reason}")]
    BadAnswer {
        /// What is wrong with it.
        reason: String,
    },
    /// It turned the driver away: trying again may lock an account.
    #[error("storage refused the driver: {reason} (correct its access data)")]
    Refused {
        /// What it said.
        reason: String,
    },
    /// The driver's options are wrong.
    #[error("driver option `{option}` is wrong: {reason}")]
    Option {
        /// Which one.
        option: String,
        /// What is wrong with it, and what would be right.
        reason: String,
    },
    /// This driver cannot do that.
    #[error("driver cannot {action}: {reason}")]
    Unsupported {
        /// What it was asked for.
        action: &'static str,
        /// Why it cannot.
        reason: &'static str,
    },
    /// The batch has no room for more.
    #[error("storage has more than a batch can hold")]
    TooMuch(#[from] delfin_plugin_api::BatchError),
}

impl Capabilities<'_> {
    /// The same, to keep.
    #[must_use]
    pub fn to_owned(&self) -> Offer {
        let named = |metric: &Metric<'_>| (metric.name.to_owned(), metric.unit.to_owned());
        let metrics = self.resource_metrics.iter();
        Offer {
            is_historic: self.is_historic,
            retention_ms: self.retention_ms,
            resource_metrics: metrics
                .map(|(kind, metrics)| (*kind, metrics.iter().map(named).collect()))
                .collect(),
        }
    }
}

impl DriverError {
    /// Whether the same call may succeed later, with nobody doing anything.
    #[must_use]
    pub fn may_retry(&self) -> bool {
        match self {
            Self::Unavailable { .. } | Self::BadAnswer { .. } | Self::TooMuch(_) => true,
            Self::Refused { .. } | Self::Option { .. } | Self::Unsupported { .. } => false,
        }
    }
}

impl ResourceType {
    /// As it is written in the label `resource_type`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Storage => "storage",
            Self::StoragePool => "storagePool",
            Self::Volume => "volume",
            Self::Controller => "controller",
            Self::Port => "port",
            Self::Disk => "disk",
            Self::Filesystem => "filesystem",
        }
    }
}

impl Window {
    /// Whether a time is in it.
    #[must_use]
    pub fn contains(&self, time_ms: i64) -> bool {
        (self.start_ms..self.end_ms).contains(&time_ms)
    }
}

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{}, {})", self.start_ms, self.end_ms)
    }
}
