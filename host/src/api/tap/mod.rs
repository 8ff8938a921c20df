//! `GET /v1/tap`: rows as they pass, a sample of them.

#![expect(unused_qualifications, reason = "the macro for the route writes one")]

mod sample;

use std::{
    convert::Infallible,
    sync::Arc,
    time::{Duration, Instant},
};

use axum::{
    body::{Body, Bytes},
    extract::State,
    http::header::{CACHE_CONTROL, CONTENT_TYPE},
    response::{IntoResponse, Response},
};
use futures_util::stream::unfold;
use serde::Deserialize;
use tokio::{
    sync::{OwnedSemaphorePermit, watch},
    time::sleep_until,
};
use utoipa::IntoParams;

use super::{
    blocking,
    error::ApiError,
    extract::Query,
    permits::TapPermits,
    responses::{ExporterNotFound, InvalidQuery, Stopping, TooManyTaps},
    state::HostPhase,
};
use crate::{
    batch_journal::BatchJournals,
    exporters::ExporterSet,
    lifecycle::Phase,
    tap::{PassedRows, Tap},
};
use sample::{RowFilter, Sampler, TapLine};

/// Rows that a tap shows in a second.
const ROWS_PER_SECOND: usize = 20;

/// How often a silent tap sends a line. Only a line that cannot be sent shows that the client is gone,
/// because a client may close its sending side; so the place of a tap is free about two lines later.
const HEARTBEAT: Duration = Duration::from_secs(1);

/// What to look at: `exporter` or `storage_id`, one of them.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default)]
#[into_params(parameter_in = Query)]
pub(super) struct TapQuery {
    /// The rows that this exporter sends, when the outcome of the call is known.
    exporter: Option<String>,
    /// The rows of this storage, when they are accepted.
    storage_id: Option<String>,
    /// Only series, or alerts, with such a name; `*` matches any text.
    #[param(example = "read*")]
    name: Option<String>,
}

/// Where the rows of a tap come from.
enum TapOrigin {
    Exporter {
        name: String,
        exporters: ExporterSet,
        tap: Tap,
    },
    Storage {
        performance: Tap,
        alerts: Tap,
    },
}

/// An open tap.
struct OpenTap {
    source: TapOrigin,
    filter: Arc<RowFilter>,
    sampler: Sampler,
    phase: watch::Receiver<Phase>,
    heartbeat: Instant,
    _permit: OwnedSemaphorePermit,
}

/// Shows rows as they pass an exporter, or of a storage, until the client ends the call.
///
/// The answer has one JSON document a line: a series with its last point, or an alert. At most 20
/// rows a second are shown; another line says how many were left out meanwhile. Nothing that is
/// delivered changes or waits. At most 8 taps are open at a time. A storage need not exist yet: clients
/// may send rows of any. The answer ends when the host stops, or when the exporter is removed.
#[utoipa::path(
    get,
    path = "/v1/tap",
    params(TapQuery),
    responses(
        (status = 200, body = TapLine, content_type = "application/x-ndjson", description = "The rows"),
        InvalidQuery,
        ExporterNotFound,
        TooManyTaps,
        Stopping,
    ),
)]
pub(super) async fn open_tap(
    State(exporters): State<ExporterSet>,
    State(journals): State<BatchJournals>,
    State(phase): State<HostPhase>,
    State(permits): State<TapPermits>,
    Query(query): Query<TapQuery>,
) -> Result<Response, ApiError> {
    phase.require_running()?;
    let (source, storage_id) = match (query.exporter, query.storage_id) {
        (Some(name), None) => (TapOrigin::exporter(name, exporters)?, None),
        (None, Some(id)) => (TapOrigin::storage(&journals), Some(id)),
        (None, None) | (Some(_), Some(_)) => {
            return Err(ApiError::invalid(
                "one of `exporter` and `storage_id` is required",
            ));
        }
    };
    let open = OpenTap {
        source,
        filter: Arc::new(RowFilter::new(storage_id, query.name)),
        sampler: Sampler::new(ROWS_PER_SECOND, Instant::now()),
        phase: phase.watch(),
        heartbeat: Instant::now() + HEARTBEAT,
        _permit: permits.take()?,
    };
    let lines = unfold(open, async |mut open| {
        let text = open.next().await?;
        Some((Ok::<_, Infallible>(Bytes::from(text)), open))
    });
    let headers = [
        (CONTENT_TYPE, "application/x-ndjson"),
        (CACHE_CONTROL, "no-store"),
    ];
    Ok((headers, Body::from_stream(lines)).into_response())
}

impl TapOrigin {
    fn exporter(name: String, exporters: ExporterSet) -> Result<Self, ApiError> {
        match exporters.get(&name) {
            Some(exporter) => Ok(Self::Exporter {
                tap: exporter.tap.look(),
                name,
                exporters,
            }),
            None => Err(ApiError::ExporterNotFound { name }),
        }
    }

    fn storage(journals: &BatchJournals) -> Self {
        Self::Storage {
            performance: journals.performance.tap().look(),
            alerts: journals.alerts.tap().look(),
        }
    }

    /// The next rows, and how many passed unseen before; `None`: no more will come.
    async fn next(&mut self) -> Option<(PassedRows, u64)> {
        match self {
            Self::Exporter {
                name,
                exporters,
                tap,
            } => loop {
                if let Some(next) = tap.next().await {
                    return Some(next);
                }
                // A reload has started the exporter again, or removed it.
                *tap = exporters.get(name)?.tap.look();
            },
            Self::Storage {
                performance,
                alerts,
            } => tokio::select! {
                next = performance.next() => next,
                next = alerts.next() => next,
            },
        }
    }
}

impl OpenTap {
    /// The next lines; `None` at the end.
    async fn next(&mut self) -> Option<String> {
        loop {
            let report_at = self.sampler.report_at();
            let due = report_at.map_or(self.heartbeat, |at| at.min(self.heartbeat));
            let passed = tokio::select! {
                biased;
                _ = self.phase.wait_for(|phase| *phase != Phase::Running) => return None,
                passed = self.source.next() => Some(passed?),
                () = sleep_until(due.into()) => None,
            };
            let text = match passed {
                Some((rows, missed)) => {
                    self.sampler.leave_out(missed);
                    self.sampled(rows).await?
                }
                None => self.report(Instant::now()),
            };
            if !text.is_empty() {
                self.heartbeat = Instant::now() + HEARTBEAT;
                return Some(text);
            }
        }
    }

    /// How many rows were left out, or a sign of life, if it is time for one.
    fn report(&mut self, now: Instant) -> String {
        let report = self.sampler.report(now);
        if report.is_none() && now < self.heartbeat {
            return String::new();
        }
        let left_out = report.unwrap_or_default();
        TapLine::LeftOut { left_out }.to_text()
    }

    /// The lines of some rows, as many as may be shown in this second.
    async fn sampled(&mut self, rows: PassedRows) -> Option<String> {
        if self.filter.excludes_all(&rows) {
            return Some(String::new());
        }
        let room = self.sampler.room(Instant::now());
        let total = rows.arrow.num_rows();
        if room == 0 {
            self.sampler.leave_out(total as u64);
            return Some(String::new());
        }
        let filter = Arc::clone(&self.filter);
        // Looking through many rows keeps a processor busy.
        let sample = blocking(move || filter.sample(&rows, room)).await.ok()?;
        self.sampler.count(sample.shown, sample.left_out);
        Some(sample.text)
    }
}
