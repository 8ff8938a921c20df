//! A storage as it is shown.

use uuid::Uuid;

use crate::{
    collect::{CollectState, CollectStats, StorageDetails, StorageInfo},
    config::StorageConfig,
    inventory::Registration,
};

/// A storage as it is shown: nothing of how it is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Known {
    /// Its id.
    pub id: Uuid,
    /// Who it is.
    pub info: StorageInfo,
    /// How it fares.
    pub status: Status,
    /// When it was registered, or the host with its declaration was started, in
    /// microseconds since the epoch.
    pub created_us: i64,
    /// When it was changed last.
    pub updated_us: Option<i64>,
}

/// How a storage fares, in Delfin's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// It answers.
    Normal,
    /// It does not answer, or with errors.
    Offline,
    /// It has not been asked yet.
    Unknown,
}

impl Known {
    pub(super) fn registered(storage: &Registration, stats: Option<&CollectStats>) -> Self {
        // Its driver has answered when it was registered.
        let status = match stats.map_or(Status::Unknown, Status::of) {
            Status::Unknown => Status::Normal,
            known => known,
        };
        let info = stats.and_then(|stats| stats.info.clone());
        Self {
            id: storage.id,
            info: info.unwrap_or_else(|| storage.info.clone()),
            status,
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
            status: stats.map_or(Status::Unknown, Status::of),
            created_us,
            updated_us: None,
        }
    }
}

impl Status {
    fn of(stats: &CollectStats) -> Self {
        if stats.state == CollectState::Failed || stats.last_error.is_some() {
            return Self::Offline;
        }
        if stats.succeeded == 0 {
            return Self::Unknown;
        }
        Self::Normal
    }

    /// As it is written.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Normal => "normal",
            Self::Offline => "offline",
            Self::Unknown => "unknown",
        }
    }
}
