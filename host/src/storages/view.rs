//! Snapshot of a storage for the API, without its access data.

use std::sync::Arc;

use uuid::Uuid;

use crate::{
    collect::{CollectState, CollectStats, StaticLabels, StorageDetails, StorageInfo},
    config::StorageConfig,
    inventory::Registration,
};

/// A storage without its access data.
#[derive(Clone, Debug, PartialEq)]
pub struct StorageView {
    pub id: Uuid,
    pub info: StorageInfo,
    pub status: StorageStatus,
    /// What the operator adds to series and alerts.
    pub labels: Arc<StaticLabels>,
    /// Whether a sync has not ended.
    pub is_syncing: bool,
    /// Registration, or for a declared storage the start of the host; in microseconds
    /// since the Unix epoch.
    pub created_us: i64,
    /// Last change, in microseconds since the Unix epoch.
    pub updated_us: Option<i64>,
}

/// Status of a storage in Delfin's terms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StorageStatus {
    /// The last call of each kind succeeded.
    Normal,
    /// A call failed.
    Offline,
    /// No call has returned yet.
    Unknown,
}

impl StorageView {
    pub(super) fn registered(storage: &Registration, stats: Option<&CollectStats>) -> Self {
        // The driver answered at the registration, so the status is never unknown.
        let status = match stats.map_or(StorageStatus::Unknown, StorageStatus::of) {
            StorageStatus::Unknown => StorageStatus::Normal,
            status => status,
        };
        let info = stats.and_then(|stats| stats.info.clone());
        Self {
            id: storage.id,
            info: info.unwrap_or_else(|| storage.info.clone()),
            status,
            labels: Arc::clone(&storage.labels),
            is_syncing: false,
            created_us: storage.created_us,
            updated_us: storage.updated_us,
        }
    }

    pub(super) fn declared(
        storage: &StorageConfig,
        created_us: i64,
        stats: Option<&CollectStats>,
    ) -> Self {
        let info = stats.and_then(|stats| stats.info.clone());
        Self {
            id: storage.id,
            info: info.unwrap_or_else(|| StorageInfo {
                name: storage.name.clone(),
                vendor: storage.vendor.clone(),
                model: storage.model.clone(),
                serial_number: String::new(),
                details: StorageDetails::default(),
            }),
            status: stats.map_or(StorageStatus::Unknown, StorageStatus::of),
            labels: Arc::clone(&storage.labels),
            is_syncing: false,
            created_us,
            updated_us: None,
        }
    }
}

impl StorageStatus {
    fn of(stats: &CollectStats) -> Self {
        if stats.state == CollectState::Failed || stats.last_error.is_some() {
            return Self::Offline;
        }
        if stats.succeeded == 0 {
            return Self::Unknown;
        }
        Self::Normal
    }

    /// The value of the API field `status`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Normal => "normal",
            Self::Offline => "offline",
            Self::Unknown => "unknown",
        }
    }
}
