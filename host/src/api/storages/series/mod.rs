//! `GET /v1/storages/{id}/metrics` and `/series`: what the journal still has of a storage.
//!
//! A call reads the journal backwards, and stops at whichever bound it reaches first: the time
//! that is asked for, the number of points, and the time that it may take.

#![expect(
    unused_qualifications,
    reason = "utoipa writes them for a handler with a path and a query"
)]

mod scan;

use axum::extract::State;
use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;
use utoipa::{IntoParams, ToSchema};

use self::scan::{MetricScan, PointScan, SeriesFilter};
use super::StoragePath;
use crate::{
    api::{
        blocking,
        error::ApiError,
        extract::{Json, Path, Query, Since},
        responses::{InvalidQuery, JournalNotReadable},
    },
    batch_journal::BatchJournals,
    clock::now_ms,
};

const DEFAULT_AGE_MS: i64 = 3_600_000;
const DEFAULT_LIMIT: usize = 8;
const MAX_LIMIT: usize = 50;

/// Calls that read the journal at a time. Further ones wait.
static SCANS: Semaphore = Semaphore::const_new(2);

/// The time to look back.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ListMetricsQuery {
    /// Batches that were accepted from this time on: how long ago, such as `2h`, or a time in RFC 3339;
    /// one hour ago by default.
    #[param(schema_with = Since::schema, required = false)]
    since: Option<Since>,
}

/// The series to show.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ListSeriesQuery {
    /// Batches that were accepted from this time on: how long ago, such as `2h`, or a time in RFC 3339;
    /// one hour ago by default.
    #[param(schema_with = Since::schema, required = false)]
    since: Option<Since>,
    /// Only this metric.
    metric: Option<String>,
    /// Only resources of this type.
    resource_type: Option<String>,
    /// Only resources whose id or name contains this text, in upper or lower case.
    resource: Option<String>,
    /// Maximum number of series; at most 50.
    #[param(default = 8)]
    limit: usize,
}

/// The metrics of a storage.
#[derive(Debug, Default, Serialize, ToSchema)]
pub(super) struct ListMetricsResponse {
    /// By resource type and name.
    metrics: Vec<RecentMetricView>,
}

/// A metric of the resources of one type.
#[derive(Debug, Serialize, ToSchema)]
struct RecentMetricView {
    #[schema(example = "volume")]
    resource_type: String,
    #[schema(example = "iops")]
    name: String,
    unit: String,
    /// Number of series in the newest batch that has the metric.
    series: u64,
}

/// Series of a storage.
#[derive(Debug, Default, Serialize, ToSchema)]
pub(super) struct ListSeriesResponse {
    /// By resource.
    series: Vec<SeriesView>,
    /// Number of series that match; more than `series` has if `limit` is smaller.
    matched: u64,
    /// When the oldest batch that was read was accepted, in milliseconds since the Unix epoch;
    /// null if none was read.
    from_ms: Option<i64>,
    /// Whether every batch since the time that was asked for was read, as far as the journal has
    /// them. If false, the answer would have been too large or would have taken too long, and
    /// older points are missing.
    complete: bool,
}

/// A series.
#[derive(Debug, Serialize, ToSchema)]
struct SeriesView {
    name: String,
    resource_type: String,
    resource_id: String,
    resource_name: String,
    unit: String,
    /// Pairs of a time, in milliseconds since the Unix epoch, and a value, by time. The value is
    /// null if it is not a finite number.
    #[schema(value_type = Vec<Vec<f64>>)]
    points: Vec<(i64, f64)>,
}

impl Default for ListSeriesQuery {
    fn default() -> Self {
        Self {
            since: None,
            metric: None,
            resource_type: None,
            resource: None,
            limit: DEFAULT_LIMIT,
        }
    }
}

/// Lists the metrics that the journal has of a storage, also of one that is only known from
/// batches of clients.
#[utoipa::path(
    get,
    path = "/v1/storages/{id}/metrics",
    params(StoragePath, ListMetricsQuery),
    responses(
        (status = 200, body = ListMetricsResponse, description = "The metrics"),
        InvalidQuery,
        JournalNotReadable,
    ),
)]
pub(super) async fn list_metrics(
    State(journals): State<BatchJournals>,
    Path(StoragePath { id }): Path<StoragePath>,
    Query(query): Query<ListMetricsQuery>,
) -> Result<Json<ListMetricsResponse>, ApiError> {
    let since_ms = since_ms(query.since);
    let _permit = SCANS.acquire().await;
    let metrics = blocking(move || MetricScan::read(&journals.performance, &id, since_ms));
    Ok(Json(ListMetricsResponse {
        metrics: metrics.await??,
    }))
}

/// Shows series of a storage with the points that the journal has, also of a storage that is
/// only known from batches of clients.
#[utoipa::path(
    get,
    path = "/v1/storages/{id}/series",
    params(StoragePath, ListSeriesQuery),
    responses(
        (status = 200, body = ListSeriesResponse, description = "The series"),
        InvalidQuery,
        JournalNotReadable,
    ),
)]
pub(super) async fn list_series(
    State(journals): State<BatchJournals>,
    Path(StoragePath { id }): Path<StoragePath>,
    Query(query): Query<ListSeriesQuery>,
) -> Result<Json<ListSeriesResponse>, ApiError> {
    let since_ms = since_ms(query.since);
    let filter = SeriesFilter {
        storage_id: id,
        metric: query.metric,
        resource_type: query.resource_type,
        resource: query.resource.unwrap_or_default().to_lowercase(),
        limit: query.limit.min(MAX_LIMIT),
    };
    let _permit = SCANS.acquire().await;
    let response = blocking(move || PointScan::read(&journals.performance, &filter, since_ms));
    Ok(Json(response.await??))
}

fn since_ms(since: Option<Since>) -> i64 {
    since.map_or_else(|| now_ms() - DEFAULT_AGE_MS, |since| since.ms)
}
