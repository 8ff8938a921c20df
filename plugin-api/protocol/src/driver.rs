//! The messages of a driver: it asks one storage for measurements and alerts.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::message::{
    CallMessage, ExporterHello, HostHello, LogLevel, LogRecordMessage, Message, OutcomeMessage,
    SharedForm,
};

/// The id of the extension by which a library answers the calls to its drivers. The request is a
/// [`DriverExtensionRequest`]; the call returns when the host has closed the connection.
pub const DRIVER_EXTENSION: &str = "delfin.driver/1";

/// The request of [`DRIVER_EXTENSION`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct DriverExtensionRequest {
    /// The socket with the connection. The library owns it from now on.
    pub descriptor: i32,
}

/// From the host to the driver.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum DriverRequest {
    /// The first message.
    Hello(HostHello),
    /// Prepare the driver of one storage. An outcome is the answer.
    Open(OpenMessage),
    /// Ask the storage for its name and its serial number. The answer has a
    /// [`StorageMessage`].
    Identify(CallMessage),
    /// What the driver can measure. The answer has a [`CapabilitiesMessage`].
    Capabilities(CallMessage),
    /// Measure. The answer has a performance batch as its payload.
    Collect(CollectMessage),
    /// List alerts. The answer has an alert batch as its payload.
    ListAlerts(ListAlertsMessage),
    /// Clear an alert at the storage. An outcome is the answer.
    ClearAlert(ClearAlertMessage),
    /// Turn an SNMP trap into alerts. The answer has an alert batch as its payload.
    ParseTrap(ParseTrapMessage),
    /// List resources. The answer has a list of JSON objects.
    ListResources(ListResourcesMessage),
    /// Log out. An outcome is the answer.
    Close(CallMessage),
    /// The call in progress should return soon.
    Cancel,
}

impl DriverRequest {
    /// The level of the log that comes with the message; `None` for a message that has no place for
    /// one.
    pub fn level_mut(&mut self) -> Option<&mut Option<LogLevel>> {
        match self {
            Self::Identify(call) | Self::Capabilities(call) | Self::Close(call) => {
                Some(&mut call.level)
            }
            Self::Collect(collect) => Some(&mut collect.level),
            Self::ListAlerts(list) => Some(&mut list.level),
            Self::ListResources(list) => Some(&mut list.level),
            Self::Hello(_)
            | Self::Open(_)
            | Self::ClearAlert(_)
            | Self::ParseTrap(_)
            | Self::Cancel => None,
        }
    }
}

/// From the driver to the host.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum DriverMessage {
    /// The first message.
    Hello(ExporterHello),
    /// A call without result has returned, or a call has failed.
    Outcome(OutcomeMessage),
    /// A call has succeeded.
    Result(ResultMessage),
    /// A log record.
    Log(LogRecordMessage),
    /// Adds to a counter.
    Count {
        /// At most 64 bytes.
        name: String,
        /// How much is added.
        by: u64,
    },
    /// The driver does not know the message, or cannot do this.
    Unsupported {
        /// The id of the message, if it had one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        id: Option<u64>,
        /// Why.
        message: String,
    },
}

/// Prepares the driver of one storage.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct OpenMessage {
    /// The answer has the same number.
    pub id: u64,
    /// Milliseconds from now until the call is past its deadline.
    pub deadline_ms: u64,
    /// Vendor and model choose one of the drivers that the program offers.
    pub vendor: String,
    /// See `vendor`.
    pub model: String,
    /// The id of the storage in the host.
    pub storage_id: String,
    /// A folder for files of the driver.
    pub state_dir: String,
    /// As in [`CreateMessage`](crate::CreateMessage).
    pub level: String,
    /// Milliseconds between two measurements; absent if there is no interval.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interval_ms: Option<u64>,
    /// What the storage was registered with: access data with secrets, and settings.
    pub options: Map<String, Value>,
}

/// What a storage says about itself.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct StorageMessage {
    /// Its name.
    pub name: String,
    /// Its serial number.
    pub serial_number: String,
    /// As registered if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vendor: Option<String>,
    /// As registered if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// For people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// For people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub location: Option<String>,
    /// For people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub firmware_version: Option<String>,
    /// In bytes.
    #[serde(default)]
    pub capacity: CapacityMessage,
    /// Written data divided by the capacity that it needs; unknown if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data_reduction: Option<f64>,
}

/// Capacity in bytes; 0 is unknown.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct CapacityMessage {
    /// Usable: used and free.
    pub total: u64,
    /// Used.
    pub used: u64,
    /// Free.
    pub free: u64,
    /// Sum of the sizes of all disks.
    pub raw: u64,
    /// Sum of the sizes of all volumes.
    pub subscribed: u64,
}

/// What a driver can measure.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CapabilitiesMessage {
    /// Whether the storage keeps points of the past.
    #[serde(default)]
    pub is_historic: bool,
    /// How long it keeps them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retention_ms: Option<u64>,
    /// The metrics of each resource type. Unknown types are valid.
    #[serde(default)]
    pub metrics: BTreeMap<String, Vec<MetricMessage>>,
    /// The columns of an alert that together identify it; empty: those of the host.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub alert_identity: Vec<String>,
}

/// A metric that a driver measures.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MetricMessage {
    /// Its name.
    pub name: String,
    /// Its unit.
    #[serde(default)]
    pub unit: String,
    /// For people.
    #[serde(default)]
    pub description: String,
}

/// Measures a range of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct CollectMessage {
    /// The answer has the same number.
    pub id: u64,
    /// Milliseconds from now until the call is past its deadline.
    pub deadline_ms: u64,
    /// Milliseconds since the Unix epoch.
    pub start_ms: i64,
    /// The first millisecond after the range.
    pub end_ms: i64,
    /// As [`CallMessage::level`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub level: Option<LogLevel>,
}

/// Lists alerts: all active ones, or those that occurred in a range of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListAlertsMessage {
    /// The answer has the same number.
    pub id: u64,
    /// Milliseconds from now until the call is past its deadline.
    pub deadline_ms: u64,
    /// Absent: all active alerts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_ms: Option<i64>,
    /// As `start_ms`; the first millisecond after the range.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end_ms: Option<i64>,
    /// As [`CallMessage::level`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub level: Option<LogLevel>,
}

/// Clears an alert at the storage.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClearAlertMessage {
    /// The answer has the same number.
    pub id: u64,
    /// Milliseconds from now until the call is past its deadline.
    pub deadline_ms: u64,
    /// The column of the alert.
    pub sequence_number: String,
}

/// Turns an SNMP trap into alerts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ParseTrapMessage {
    /// The answer has the same number.
    pub id: u64,
    /// Milliseconds from now until the call is past its deadline.
    pub deadline_ms: u64,
    /// The text of each object identifier.
    pub variables: BTreeMap<String, String>,
}

/// Lists the resources of a storage.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListResourcesMessage {
    /// The answer has the same number.
    pub id: u64,
    /// Milliseconds from now until the call is past its deadline.
    pub deadline_ms: u64,
    /// What to list, as `volumes` or `storage_pools`.
    pub kind: String,
    /// As [`CallMessage::level`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub level: Option<LogLevel>,
}

/// The result of a call.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ResultMessage {
    /// The number of the call.
    pub id: u64,
    /// The result, unless it is a batch.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub value: Value,
    /// The payload is a shared one; inline if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shared: Option<SharedForm>,
}

impl std::fmt::Debug for OpenMessage {
    /// Without the options, which have secrets.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OpenMessage")
            .field("id", &self.id)
            .field("vendor", &self.vendor)
            .field("model", &self.model)
            .field("storage_id", &self.storage_id)
            .finish_non_exhaustive()
    }
}

impl Message for DriverRequest {
    const TYPES: &'static [&'static str] = &[
        "hello",
        "open",
        "identify",
        "capabilities",
        "collect",
        "list_alerts",
        "clear_alert",
        "parse_trap",
        "list_resources",
        "close",
        "cancel",
    ];
}

impl Message for DriverMessage {
    const TYPES: &'static [&'static str] =
        &["hello", "outcome", "result", "log", "count", "unsupported"];
}
