//! Requests to the task of a storage.

use std::{collections::BTreeMap, sync::Arc};

use delfin_plugin_api::AlertBatch;
use tokio::sync::oneshot;

use super::{config::CollectSchedule, driver_call::DriverCallError};
use crate::collect::{
    driver::{Capabilities, DriverOptions, TimeWindow},
    resource::{ResourceKind, ResourceList},
    static_labels::StaticLabels,
    storage_info::StorageInfo,
};

/// Which alerts a client asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AlertSelection {
    /// When the alerts occurred. `None`: all active alerts.
    pub range: Option<TimeWindow>,
    /// Whether the alerts also go to the destination.
    pub forward: bool,
}

/// Why a request to a storage failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StorageRequestError {
    /// The storage was removed, or the scheduler was stopped.
    #[error("storage is not collected from")]
    Gone,
    #[error(transparent)]
    Call(#[from] DriverCallError),
    /// The destination rejected the alerts.
    #[error("collected batch is not accepted: {reason}")]
    NotAccepted { reason: String },
}

/// Where the task sends the result of a request.
pub(super) type StorageReply<T> = oneshot::Sender<Result<T, StorageRequestError>>;

/// A request to the task of a storage.
pub(super) enum StorageRequest {
    SetSchedule(CollectSchedule),
    /// The driver is opened again with these options.
    SetOptions(Arc<DriverOptions>),
    /// The names of its resources are read again.
    ReadNames,
    SetLabels(Arc<StaticLabels>),
    Identify(StorageReply<StorageInfo>),
    ListAlerts(AlertSelection, StorageReply<AlertBatch>),
    /// The sequence number of the alert.
    ClearAlert(String, StorageReply<()>),
    /// The text of each object identifier of the trap.
    ParseTrap(BTreeMap<String, String>, StorageReply<AlertBatch>),
    Capabilities(StorageReply<Capabilities>),
    ListResources(ResourceKind, StorageReply<ResourceList>),
}
