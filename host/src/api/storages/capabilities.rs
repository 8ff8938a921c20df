//! `/v1/storages/{id}/capabilities`: what can be collected from a storage.

use std::{collections::BTreeMap, sync::Arc};

use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use super::StoragePath;
use crate::{
    api::{
        error::ApiError,
        extract::{Json, Path},
        responses::{StorageCallFailed, StorageNotFound},
    },
    collect::MetricInfo,
    storages::Storages,
};

/// What can be collected from a storage.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct CapabilitiesView {
    metadata: CapabilitiesMetadata,
    spec: CapabilitiesSpec,
}

/// The storage.
#[derive(Debug, Serialize, ToSchema)]
struct CapabilitiesMetadata {
    vendor: String,
    model: String,
}

/// What the driver can collect.
#[derive(Debug, Serialize, ToSchema)]
struct CapabilitiesSpec {
    /// Whether the storage keeps a history of its metrics.
    is_historic: bool,
    /// How long the storage keeps its history, in seconds; absent if that is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    performance_metric_retention_window: Option<i64>,
    /// Metrics by type of resource and by name.
    resource_metrics: BTreeMap<&'static str, BTreeMap<String, MetricView>>,
}

/// A metric.
#[derive(Debug, Serialize, ToSchema)]
struct MetricView {
    #[schema(example = "IOPS")]
    unit: String,
    #[schema(example = "Read/write operations per second")]
    description: String,
}

/// Shows what can be collected from a storage.
#[utoipa::path(
    get,
    path = "/v1/storages/{id}/capabilities",
    params(StoragePath),
    responses(
        (status = 200, body = CapabilitiesView, description = "What can be collected"),
        StorageNotFound,
        StorageCallFailed,
    ),
)]
pub(super) async fn show_capabilities(
    State(storages): State<Arc<Storages>>,
    Path(StoragePath { id }): Path<StoragePath>,
) -> Result<Json<CapabilitiesView>, ApiError> {
    let info = storages.get(&id)?.info;
    let capabilities = storages.capabilities(&id).await?;
    let metrics = |metrics: Vec<MetricInfo>| {
        let views = metrics.into_iter().map(|metric| {
            let MetricInfo {
                name,
                unit,
                description,
            } = metric;
            (name, MetricView { unit, description })
        });
        views.collect()
    };
    let resources = capabilities.resource_metrics.into_iter();
    Ok(Json(CapabilitiesView {
        metadata: CapabilitiesMetadata {
            vendor: info.vendor,
            model: info.model,
        },
        spec: CapabilitiesSpec {
            is_historic: capabilities.is_historic,
            performance_metric_retention_window: capabilities.retention_ms.map(|ms| ms / 1_000),
            resource_metrics: resources
                .map(|(kind, named)| (kind.as_str(), metrics(named)))
                .collect(),
        },
    }))
}
