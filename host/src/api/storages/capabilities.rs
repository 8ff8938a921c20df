//! `/v1/storages/{id}/capabilities`: what a storage can be asked for.

use std::collections::BTreeMap;

use axum::{
    Json,
    extract::{Path, State},
};
use serde::Serialize;
use utoipa::ToSchema;

use super::super::{
    ApiState,
    error::{ApiError, ErrorBody},
};
use crate::collect::MetricInfo;

/// What a storage can be asked for.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct CapabilitiesView {
    /// Of which storage.
    metadata: Metadata,
    /// What its driver says.
    spec: Spec,
}

/// Which storage it is.
#[derive(Debug, Serialize, ToSchema)]
struct Metadata {
    /// Who made it.
    vendor: String,
    /// What it is.
    model: String,
}

/// What a driver says of itself.
#[derive(Debug, Serialize, ToSchema)]
struct Spec {
    /// Whether the storage remembers what it measured.
    is_historic: bool,
    /// For how long, in seconds, where that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    performance_metric_retention_window: Option<i64>,
    /// What is measured, by type of resource and name.
    resource_metrics: BTreeMap<&'static str, BTreeMap<String, MetricView>>,
}

/// Something that is measured.
#[derive(Debug, Serialize, ToSchema)]
struct MetricView {
    /// In what.
    unit: String,
    /// What it is, in words.
    description: String,
}

/// Shows what a storage can be asked for.
#[utoipa::path(
    get,
    path = "/v1/storages/{id}/capabilities",
    params(("id" = String, Path, description = "The storage's id")),
    responses(
        (status = 200, body = CapabilitiesView, description = "What it can be asked for"),
        (status = 404, body = ErrorBody, description = "There is no such storage"),
        (status = 500, body = ErrorBody, description = "The storage does not answer"),
    ),
)]
pub(super) async fn show_capabilities(
    State(api): State<ApiState>,
    Path(id): Path<String>,
) -> Result<Json<CapabilitiesView>, ApiError> {
    let info = api.storages().get(&id)?.info;
    let capabilities = api.storages().capabilities(&id).await?;
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
        metadata: Metadata {
            vendor: info.vendor,
            model: info.model,
        },
        spec: Spec {
            is_historic: capabilities.is_historic,
            performance_metric_retention_window: capabilities.retention_ms.map(|ms| ms / 1_000),
            resource_metrics: resources
                .map(|(kind, named)| (kind.as_str(), metrics(named)))
                .collect(),
        },
    }))
}
