//! The trait that the author of a driver implements.
//!
//! A driver asks one storage for measurements, alerts and resources. The host runs it in a process
//! of its own, one for each storage.

mod failure;
mod open;
mod remote_host;
mod server;
mod storage;

#[expect(unsafe_code, reason = "the host passes the number of a descriptor")]
mod extension;

use std::{collections::BTreeMap, time::Duration};

pub use delfin_plugin_protocol::{
    CapabilitiesMessage as Capabilities, CapacityMessage as Capacity, MetricMessage as MetricInfo,
    StorageMessage as StorageInfo,
};
pub use failure::DriverFailure;
pub use storage::{RegisteredStorage, StorageAccess};

/// For [`export_plugin!`](crate::export_plugin) and the host.
pub(crate) mod glue {
    pub use super::{
        extension::{extension as driver_extension, manifest_seconds},
        open::{OpenFunction, open as open_driver},
        remote_host::{RemoteHost, RemoteLevel},
    };
    pub use delfin_plugin_protocol::DRIVER_EXTENSION;
}

use crate::{AlertBatch, Context, Host, PerformanceBatch};

/// A range of time, in milliseconds since the Unix epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DriverWindow {
    /// The first millisecond.
    pub start_ms: i64,
    /// The first millisecond after the range.
    pub end_ms: i64,
}

impl DriverWindow {
    /// Whether a time is in the range.
    #[must_use]
    pub fn contains(&self, time_ms: i64) -> bool {
        (self.start_ms..self.end_ms).contains(&time_ms)
    }
}

/// A driver: asks one storage.
///
/// The host makes one call at a time, all on one thread, so a call may block until
/// [`Context::remaining`] is over. After a panic, and after a call past its deadline, the host
/// starts a new process.
///
/// The batches leave out the labels of the storage: the host adds `storage_id`, `name` and
/// `serial_number` to each series, and the columns of the storage to each alert.
pub trait Driver: Sized + 'static {
    /// The access data that the driver needs, all of them: `rest`, `ssh`, `cli`, `smis`.
    /// Registering a storage without them is refused.
    const ACCESS: &'static [&'static str] = &[];

    /// The interval between two measurements, in whole seconds, of a storage that is registered
    /// without one; `None`: that of the host.
    const INTERVAL: Option<Duration> = None;

    /// The longest time of one call, in whole seconds.
    const TIMEOUT: Duration = Duration::from_secs(300);

    /// Prepares the driver, and may log in.
    ///
    /// # Errors
    ///
    /// See [`DriverFailure`].
    fn open(
        storage: RegisteredStorage,
        host: &Host,
        call: &Context<'_>,
    ) -> Result<Self, DriverFailure>;

    /// Asks the storage for its name and its serial number. The first call after
    /// [`open`](Self::open).
    ///
    /// # Errors
    ///
    /// See [`DriverFailure`].
    fn identify(&mut self, call: &Context<'_>) -> Result<StorageInfo, DriverFailure>;

    /// What the driver can measure. Called once, after [`identify`](Self::identify). By default
    /// nothing is known.
    ///
    /// # Errors
    ///
    /// See [`DriverFailure`].
    fn capabilities(&mut self, _call: &Context<'_>) -> Result<Capabilities, DriverFailure> {
        Ok(Capabilities::default())
    }

    /// Measures: the points of a window, or those of now if the storage is not historic. A
    /// [`PerformanceBatchBuilder`](crate::PerformanceBatchBuilder) builds the batch; each series
    /// has the labels `resource_type`, `resource_id` and `unit`. Windows have no gaps: after a
    /// failure, the next one begins where this one does.
    ///
    /// # Errors
    ///
    /// See [`DriverFailure`].
    fn collect(
        &mut self,
        _window: DriverWindow,
        _call: &Context<'_>,
    ) -> Result<PerformanceBatch, DriverFailure> {
        Err(DriverFailure::unsupported("the driver measures nothing"))
    }

    /// Lists every active alert; with a window, those that occurred in it. An
    /// [`AlertBatchBuilder`](crate::AlertBatchBuilder) builds the batch.
    ///
    /// # Errors
    ///
    /// See [`DriverFailure`].
    fn list_alerts(
        &mut self,
        _window: Option<DriverWindow>,
        _call: &Context<'_>,
    ) -> Result<AlertBatch, DriverFailure> {
        Err(DriverFailure::unsupported("the driver has no alerts"))
    }

    /// Clears an alert at the storage.
    ///
    /// # Errors
    ///
    /// See [`DriverFailure`].
    fn clear_alert(
        &mut self,
        _sequence_number: &str,
        _call: &Context<'_>,
    ) -> Result<(), DriverFailure> {
        Err(DriverFailure::unsupported(
            "the storage does not let users clear alerts",
        ))
    }

    /// The alerts of an SNMP trap, from the text of each object identifier. The storage is not
    /// asked.
    ///
    /// # Errors
    ///
    /// See [`DriverFailure`].
    fn parse_trap(
        &mut self,
        _variables: &BTreeMap<String, String>,
        _call: &Context<'_>,
    ) -> Result<AlertBatch, DriverFailure> {
        Err(DriverFailure::unsupported("the driver has no traps"))
    }

    /// The resources of a kind, as `volumes` or `storage_pools`: JSON objects.
    ///
    /// # Errors
    ///
    /// See [`DriverFailure`].
    fn list_resources(
        &mut self,
        kind: &str,
        _call: &Context<'_>,
    ) -> Result<Vec<serde_json::Value>, DriverFailure> {
        Err(DriverFailure::unsupported(format!(
            "the driver does not list {kind}"
        )))
    }

    /// Logs out. No call follows.
    ///
    /// # Errors
    ///
    /// See [`DriverFailure`].
    fn close(&mut self, _call: &Context<'_>) -> Result<(), DriverFailure> {
        Ok(())
    }
}
