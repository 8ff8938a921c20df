//! The driver interface: a driver asks one kind of storage.
//!
//! Calls may block. The host calls a driver on a thread of its own, one call at a
//! time, so a slow driver delays only its own storage.
//!
//! Uses only the standard library, JSON values and the plugin API, so that drivers
//! can move into shared libraries.

use std::{borrow::Cow, collections::BTreeMap, fmt, time::Duration};

use super::{
    builder::{AlertBuilder, SeriesBuilder},
    metric::{Metric, ResourceType},
    resource::{ResourceFields, ResourceKind},
    storage_info::StorageInfo,
};

/// A driver's own settings.
pub type DriverOptions = serde_json::Map<String, serde_json::Value>;

/// The options that hold the access data of a storage: an object each, as the
/// storage was registered. A driver reads those that it supports.
pub const ACCESS_OPTIONS: [&str; 5] = ["rest", "ssh", "cli", "smis", EXTRA];

/// The option that holds the `extra_attributes` of a registration.
pub const EXTRA: &str = "extra_attributes";

/// The storage that a driver is for.
#[derive(Clone, Copy)]
pub struct DriverTarget<'a> {
    pub storage_id: &'a str,
    /// Time between two measurements, if there is an interval.
    pub interval: Option<Duration>,
    pub options: &'a DriverOptions,
}

/// Asks one storage. A constructor checks the options and uses no network.
pub trait Driver: Send {
    /// Asks the storage for its name, model and serial number.
    ///
    /// # Errors
    ///
    /// The storage did not answer, or refused.
    fn storage(&mut self) -> Result<StorageInfo, DriverError>;

    /// What this driver can measure. Called once, after [`storage`](Self::storage).
    ///
    /// # Errors
    ///
    /// The driver cannot say so.
    fn capabilities(&mut self) -> Result<Capabilities, DriverError>;

    /// Measures: adds the points of a time window to `series`.
    ///
    /// After an error the host discards `series`, and the window becomes part of
    /// the next one.
    ///
    /// # Errors
    ///
    /// The storage did not answer, or refused, or has no measurement yet.
    fn collect(
        &mut self,
        window: TimeWindow,
        series: &mut SeriesBuilder<'_>,
    ) -> Result<(), DriverError>;

    /// Adds every active alert to `alerts`; with a range, those that occurred in it.
    ///
    /// # Errors
    ///
    /// The storage did not answer, or refused, or has no alerts by design.
    fn list_alerts(
        &mut self,
        range: Option<TimeWindow>,
        alerts: &mut AlertBuilder<'_>,
    ) -> Result<(), DriverError>;

    /// Clears an alert by hand.
    ///
    /// # Errors
    ///
    /// The storage did not answer, or refused, or does not let users clear alerts.
    fn clear_alert(&mut self, sequence_number: &str) -> Result<(), DriverError>;

    /// Lists every resource of a kind. Fields that the kind does not have are ignored.
    ///
    /// # Errors
    ///
    /// The storage did not answer, or refused, or has no such resources by design.
    fn list_resources(&mut self, kind: ResourceKind) -> Result<Vec<ResourceFields>, DriverError> {
        Err(DriverError::Unsupported {
            action: "list resources",
            reason: format!("it does not list {}", kind.name()).into(),
        })
    }

    /// Adds the alerts of an SNMP trap to `alerts`, without a question to the storage.
    /// `variables` has the text of each object identifier.
    ///
    /// # Errors
    ///
    /// The driver does not read traps, or not this one.
    fn parse_trap(
        &mut self,
        _variables: &BTreeMap<String, String>,
        _alerts: &mut AlertBuilder<'_>,
    ) -> Result<(), DriverError> {
        Err(DriverError::Unsupported {
            action: "read traps",
            reason: "it has no code for them".into(),
        })
    }
}

/// What a driver can measure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Capabilities {
    /// Whether the storage keeps points of the past. If not, the driver measures
    /// the present only, independent of the window.
    pub is_historic: bool,
    /// How long the storage keeps points, in milliseconds, where the driver knows.
    pub retention_ms: Option<i64>,
    pub resource_metrics: Vec<(ResourceType, Vec<MetricInfo>)>,
    /// The columns of an alert that together identify it, from its begin to its end. Empty:
    /// name, location and sequence number. A driver whose sequence numbers are unique names
    /// them alone, because a list and a trap may describe the location differently.
    pub alert_identity: Vec<String>,
}

/// A metric as an owned value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MetricInfo {
    pub name: String,
    pub unit: String,
    pub description: String,
}

/// A range of time, in milliseconds since the Unix epoch: `start_ms` is in it,
/// `end_ms` is the first millisecond after it. `end_ms` is above `start_ms`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimeWindow {
    pub start_ms: i64,
    pub end_ms: i64,
}

/// Why a driver call failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DriverError {
    /// The storage did not answer, or not in time.
    #[error("storage does not answer: {reason}")]
    Unavailable { reason: String },
    /// The driver cannot read the answer.
    #[error("storage gave an invalid answer: {reason}")]
    BadAnswer { reason: String },
    /// The storage rejected the login. A retry may lock the account.
    #[error("storage refused the driver: {reason} (correct its access data)")]
    Refused { reason: String },
    /// A driver option is wrong.
    #[error("driver option `{option}` is wrong: {reason}")]
    Option { option: String, reason: String },
    /// The driver does not accept its options, and does not say which one.
    #[error("driver does not accept the options of the storage: {reason}")]
    Options { reason: String },
    /// The driver does not support the call.
    #[error("driver cannot {action}: {reason}")]
    Unsupported {
        action: &'static str,
        reason: Cow<'static, str>,
    },
    /// The driver itself failed, and a new one replaces it.
    #[error("driver failed: {reason}")]
    Failed { reason: String },
    /// The batch is at its size limit.
    #[error("storage has more than a batch can hold")]
    TooMuch(#[from] delfin_plugin_api::BatchError),
}

impl Capabilities {
    /// Capabilities of a driver that measures these metrics.
    #[must_use]
    pub fn new(is_historic: bool, metrics: &[(ResourceType, &[Metric<'_>])]) -> Self {
        let owned = |metric: &Metric<'_>| MetricInfo {
            name: metric.name.to_owned(),
            unit: metric.unit.to_owned(),
            description: metric.description.to_owned(),
        };
        let metrics = metrics.iter();
        Self {
            is_historic,
            retention_ms: None,
            resource_metrics: metrics
                .map(|(resource, metrics)| (*resource, metrics.iter().map(owned).collect()))
                .collect(),
            alert_identity: Vec::new(),
        }
    }
}

impl DriverError {
    /// Whether the same call may succeed later without a change by the operator.
    #[must_use]
    pub fn may_retry(&self) -> bool {
        match self {
            Self::Unavailable { .. }
            | Self::BadAnswer { .. }
            | Self::Failed { .. }
            | Self::TooMuch(_) => true,
            Self::Refused { .. }
            | Self::Option { .. }
            | Self::Options { .. }
            | Self::Unsupported { .. } => false,
        }
    }
}

impl TimeWindow {
    #[must_use]
    pub fn contains(&self, time_ms: i64) -> bool {
        (self.start_ms..self.end_ms).contains(&time_ms)
    }
}

impl fmt::Display for TimeWindow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{}, {})", self.start_ms, self.end_ms)
    }
}
