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
    description: &'static str,
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
    let offer = api.storages().offer(&id).await?;
    let metrics = |metrics: Vec<(String, String)>| {
        let views = metrics.into_iter().map(|(name, unit)| {
            let description = describe(&name);
            (name, MetricView { unit, description })
        });
        views.collect()
    };
    let resources = offer.resource_metrics.into_iter();
    Ok(Json(CapabilitiesView {
        metadata: Metadata {
            vendor: info.vendor,
            model: info.model,
        },
        spec: Spec {
            is_historic: offer.is_historic,
            performance_metric_retention_window: offer.retention_ms.map(|ms| ms / 1_000),
            resource_metrics: resources
                .map(|(kind, named)| (kind.as_str(), metrics(named)))
                .collect(),
        },
    }))
}

/// Delfin's words for its metrics.
fn describe(name: &str) -> &'static str {
    match name {
        "iops" => "Read/write operations per second",
        "readIops" => "Read operations per second",
        "writeIops" => "Write operations per second",
        "throughput" => "Total data transferred per second",
        "readThroughput" => "Total read data transferred per second",
        "writeThroughput" => "Total write data transferred per second",
        "responseTime" => "Average time taken for an IO operation in ms",
        "readResponseTime" => "Read average time taken for an IO operation in ms",
        "writeResponseTime" => "Write average time taken for an IO operation in ms",
        "cacheHitRatio" => "Percentage of ops that are cache hits",
        "readCacheHitRatio" => "Percentage of read ops that are cache hits",
        "writeCacheHitRatio" => "Percentage of write ops that are cache hits",
        "ioSize" => "The average size of IO requests in KB",
        "readIoSize" => "The average size of read IO requests in KB",
        "writeIoSize" => "The average size of write IO requests in KB",
        "cpuUsage" => "Percentage of CPU usage",
        _ => "A metric of its driver's own",
    }
}
