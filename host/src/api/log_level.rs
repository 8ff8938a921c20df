//! `/v1/log/level`: the levels of the log, which can be changed while the host runs.

use std::collections::BTreeMap;

use axum::extract::State;
use log::LevelFilter;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    error::ApiError,
    extract::Json,
    responses::{ExporterNotFound, InvalidBody},
};
use crate::{exporters::ExporterSet, logging};

/// The level to set.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SetLogLevelRequest {
    /// Name of an exporter. Without it, the level is that of the host, and of all exporters that
    /// have none of their own.
    #[schema(nullable = false, example = "kafka-dr")]
    exporter: Option<String>,
    level: LogLevelName,
}

/// The least severe level that is logged.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum LogLevelName {
    Off,
    Error,
    Warn,
    Info,
    Debug,
    Trace,
}

/// The levels of the log.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct LogLevelsResponse {
    /// That of the host.
    level: LogLevelName,
    /// That of the plugin of each exporter, by name.
    exporters: BTreeMap<String, LogLevelName>,
}

/// Shows the levels of the log.
#[utoipa::path(
    get,
    path = "/v1/log/level",
    responses((status = 200, body = LogLevelsResponse, description = "The levels")),
)]
pub(super) async fn show_log_levels(
    State(exporters): State<ExporterSet>,
) -> Json<LogLevelsResponse> {
    Json(levels(&exporters))
}

/// Changes a level of the log until the host ends. A reload keeps it. The plugin of an exporter
/// learns of it with its next call.
#[utoipa::path(
    put,
    path = "/v1/log/level",
    request_body(content = SetLogLevelRequest, content_type = "application/json"),
    responses(
        (status = 200, body = LogLevelsResponse, description = "The levels after the change"),
        InvalidBody,
        ExporterNotFound,
    ),
)]
pub(super) async fn set_log_level(
    State(exporters): State<ExporterSet>,
    Json(request): Json<SetLogLevelRequest>,
) -> Result<Json<LogLevelsResponse>, ApiError> {
    let SetLogLevelRequest { exporter, level } = request;
    if let Some(name) = &exporter
        && exporters.get(name).is_none()
    {
        let name = name.clone();
        return Err(ApiError::ExporterNotFound { name });
    }
    logging::set_level(exporter.as_deref(), level.into());
    Ok(Json(levels(&exporters)))
}

fn levels(exporters: &ExporterSet) -> LogLevelsResponse {
    let exporters = exporters.list().into_iter().map(|exporter| {
        let level = logging::exporter_level(&exporter.name);
        (exporter.name, level.into())
    });
    LogLevelsResponse {
        level: logging::level().into(),
        exporters: exporters.collect(),
    }
}

impl From<LogLevelName> for LevelFilter {
    fn from(name: LogLevelName) -> Self {
        match name {
            LogLevelName::Off => Self::Off,
            LogLevelName::Error => Self::Error,
            LogLevelName::Warn => Self::Warn,
            LogLevelName::Info => Self::Info,
            LogLevelName::Debug => Self::Debug,
            LogLevelName::Trace => Self::Trace,
        }
    }
}

impl From<LevelFilter> for LogLevelName {
    fn from(level: LevelFilter) -> Self {
        match level {
            LevelFilter::Off => Self::Off,
            LevelFilter::Error => Self::Error,
            LevelFilter::Warn => Self::Warn,
            LevelFilter::Info => Self::Info,
            LevelFilter::Debug => Self::Debug,
            LevelFilter::Trace => Self::Trace,
        }
    }
}
