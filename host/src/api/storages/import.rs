//! `POST /v1/storages/import`: take a storage over from another system.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use super::{labels::labels_schema, request::RegisterStorageRequest, snmp::SetSnmpConfigRequest};
use crate::{
    api::{
        error::{ApiError, ErrorBody},
        extract::{Json, Query},
        responses::{InvalidBody, InventoryUnavailable, StorageIsDeclared},
        state::HostPhase,
    },
    clock::now_us,
    collect::{Capacity, StaticLabels, StorageDetails, StorageInfo},
    inventory::{PerformanceSchedule, Registration, SnmpConfig},
    storages::{DEFAULT_INTERVAL, ImportState, Storages},
};

/// Longer intervals are mistakes: a year, in seconds.
const MAX_INTERVAL: u64 = 31_536_000;

/// How to import.
#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ImportQuery {
    /// Check the storage, and register nothing.
    dry_run: bool,
}

/// A storage of another system.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ImportStorageRequest {
    /// Id of the storage, which it keeps.
    id: Uuid,
    registration: RegisterStorageRequest,
    /// What the other system knows about the storage; the next sync replaces it.
    #[serde(default)]
    known: KnownStorage,
    /// Interval of the performance collection in seconds. Default: 60.
    #[schema(minimum = 1, maximum = 31_536_000, nullable = false)]
    interval: Option<u64>,
    /// Value by name, at most 16. Every series and every alert of the storage has them.
    #[serde(default)]
    #[schema(schema_with = labels_schema)]
    labels: BTreeMap<String, String>,
    /// From where the storage sends SNMP traps.
    #[schema(nullable = false)]
    snmp_config: Option<SetSnmpConfigRequest>,
}

/// What a storage reported to another system.
#[derive(Default, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
struct KnownStorage {
    #[schema(max_length = 255)]
    name: String,
    #[schema(max_length = 255)]
    vendor: String,
    #[schema(max_length = 255)]
    model: String,
    #[schema(max_length = 255)]
    serial_number: String,
    description: Option<String>,
    location: Option<String>,
    firmware_version: Option<String>,
    /// In bytes.
    total_capacity: u64,
    /// In bytes.
    used_capacity: u64,
    /// In bytes.
    free_capacity: u64,
    /// In bytes.
    raw_capacity: u64,
    /// In bytes.
    subscribed_capacity: u64,
}

/// What became of an import.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ImportStorageResponse {
    /// Id of the storage.
    id: Uuid,
    /// `imported`, or `exists` if a storage with this id was registered before: then nothing is
    /// changed.
    #[schema(example = "imported")]
    state: &'static str,
    /// Whether a driver exists for its vendor and model. Without one, the storage waits for a
    /// reload that finds its plugin.
    has_driver: bool,
}

/// Registers a storage under its id, without asking it.
#[utoipa::path(
    post,
    path = "/v1/storages/import",
    params(ImportQuery),
    request_body(content = ImportStorageRequest, content_type = "application/json"),
    responses(
        (status = 200, body = ImportStorageResponse, description = "The storage is registered, or would be"),
        InvalidBody,
        (status = 400, body = ErrorBody, description = "The body is invalid, or the same storage is registered under another id"),
        StorageIsDeclared,
        InventoryUnavailable,
    ),
)]
pub(super) async fn import_storage(
    State(storages): State<Arc<Storages>>,
    State(phase): State<HostPhase>,
    Query(query): Query<ImportQuery>,
    Json(request): Json<ImportStorageRequest>,
) -> Result<Json<ImportStorageResponse>, ApiError> {
    let (storage, snmp) = request.into_parts()?;
    phase.require_running()?;
    let id = storage.id;
    let has_driver = storages.has_driver(&storage.vendor, &storage.model);
    let state = storages.import(storage, query.dry_run).await?;
    if let (ImportState::Imported, false, Some(snmp)) = (state, query.dry_run, snmp) {
        storages.set_alert_source(&id.to_string(), snmp).await?;
    }
    Ok(Json(ImportStorageResponse {
        id,
        state: match state {
            ImportState::Imported => "imported",
            ImportState::Exists => "exists",
        },
        has_driver,
    }))
}

impl ImportStorageRequest {
    fn into_parts(self) -> Result<(Registration, Option<SnmpConfig>), ApiError> {
        let interval = match self.interval {
            None => DEFAULT_INTERVAL,
            Some(seconds @ 1..=MAX_INTERVAL) => Duration::from_secs(seconds),
            Some(_) => {
                let wanted = format!("`interval` must be from 1 to {MAX_INTERVAL}");
                return Err(ApiError::invalid(wanted));
            }
        };
        let labels = StaticLabels::new(self.labels);
        let labels = labels.map_err(|error| ApiError::invalid(format!("labels: {error}")))?;
        let snmp = self.snmp_config.map(SetSnmpConfigRequest::into_config);
        let snmp = snmp.transpose()?;
        let new = self.registration.into_storage()?;
        let known = self.known;
        let registration = Registration {
            id: self.id,
            vendor: new.vendor,
            model: new.model,
            storage_name: new.storage_name,
            access: new.access,
            info: StorageInfo {
                name: known.name,
                vendor: known.vendor,
                model: known.model,
                serial_number: known.serial_number,
                details: StorageDetails {
                    description: known.description,
                    location: known.location,
                    firmware_version: known.firmware_version,
                    capacity: Capacity {
                        total: known.total_capacity,
                        used: known.used_capacity,
                        free: known.free_capacity,
                        raw: known.raw_capacity,
                        subscribed: known.subscribed_capacity,
                    },
                    data_reduction: None,
                },
            },
            labels: Arc::new(labels),
            schedule: PerformanceSchedule {
                enabled: true,
                interval,
                backfill: false,
            },
            created_us: now_us(),
            updated_us: None,
        };
        Ok((registration, snmp))
    }
}
