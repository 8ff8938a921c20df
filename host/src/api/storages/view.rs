//! Delfin's storage object.

use serde::Serialize;
use utoipa::ToSchema;

use crate::{clock::rfc3339_micros, storages};

/// A storage, with the fields that Delfin shows. Times are in UTC, to the microsecond.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(super) struct StorageView {
    /// When the storage was registered, or first declared.
    #[schema(example = "2026-01-02T03:04:05.678901")]
    created_at: String,
    /// Last change of the registration; null if there was none.
    updated_at: Option<String>,
    pub(super) id: String,
    name: String,
    description: Option<String>,
    location: Option<String>,
    /// `normal`, `offline` or `unknown`.
    #[schema(example = "normal")]
    status: &'static str,
    /// `SYNCING` while a sync runs, else `SYNCED`.
    #[schema(example = "SYNCED")]
    sync_status: &'static str,
    vendor: String,
    model: String,
    serial_number: String,
    firmware_version: Option<String>,
    /// Usable capacity in bytes.
    total_capacity: u64,
    /// In bytes.
    used_capacity: u64,
    /// In bytes.
    free_capacity: u64,
    /// Capacity of all disks in bytes.
    raw_capacity: u64,
    /// Capacity that is provisioned to hosts in bytes; more than `total_capacity` if the
    /// storage is overcommitted.
    subscribed_capacity: u64,
    /// Always null.
    deleted_at: Option<String>,
    /// Always false.
    deleted: bool,
}

impl StorageView {
    pub(super) fn new(view: &storages::StorageView) -> Self {
        let info = view.info.clone();
        let details = info.details;
        Self {
            created_at: time(view.created_us),
            updated_at: view.updated_us.map(time),
            id: view.id.to_string(),
            name: info.name,
            description: details.description,
            location: details.location,
            status: view.status.as_str(),
            sync_status: if view.is_syncing { "SYNCING" } else { "SYNCED" },
            vendor: info.vendor,
            model: info.model,
            serial_number: info.serial_number,
            firmware_version: details.firmware_version,
            total_capacity: details.capacity.total,
            used_capacity: details.capacity.used,
            free_capacity: details.capacity.free,
            raw_capacity: details.capacity.raw,
            subscribed_capacity: details.capacity.subscribed,
            deleted_at: None,
            deleted: false,
        }
    }
}

/// A time in microseconds since the Unix epoch as Delfin writes it: without a zone.
pub(in crate::api) fn time(us: i64) -> String {
    rfc3339_micros(us).trim_end_matches('Z').to_owned()
}
