//! Delfin's storage object.

use serde::Serialize;
use utoipa::ToSchema;

use crate::{clock::rfc3339_micros, storages};

/// A storage, as Delfin shows it: every key is always there.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(super) struct StorageView {
    /// When it was registered: UTC, to the microsecond.
    #[schema(example = "2026-01-02T03:04:05.678901")]
    created_at: String,
    /// When it was changed last.
    updated_at: Option<String>,
    /// Its id.
    pub(super) id: String,
    /// What it calls itself.
    name: String,
    /// What it is, in words.
    description: Option<String>,
    /// Where it stands.
    location: Option<String>,
    /// `normal`, `offline` or `unknown`.
    #[schema(example = "normal")]
    status: &'static str,
    /// Always `SYNCED`: it is shown as it last said it is.
    sync_status: &'static str,
    /// Who made it.
    vendor: String,
    /// What it is.
    model: String,
    /// What tells it from others of its model.
    serial_number: String,
    /// The version of its firmware.
    firmware_version: Option<String>,
    /// What can be used at all, in bytes.
    total_capacity: u64,
    /// What is used.
    used_capacity: u64,
    /// What is not used.
    free_capacity: u64,
    /// What its disks hold.
    raw_capacity: u64,
    /// What was promised to its users.
    subscribed_capacity: u64,
    /// Always null: what is forgotten is not shown.
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
            sync_status: "SYNCED",
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

/// Microseconds since the epoch as Delfin writes them: without a zone.
pub(super) fn time(us: i64) -> String {
    rfc3339_micros(us).trim_end_matches('Z').to_owned()
}
