//! Sends batches to the ingest of the other host.

use std::time::{Duration, Instant};

use delfin_plugin_api::{
    BatchPart, Failure, Kind, Origin, Outcome,
    arrow_array::RecordBatch,
    arrow_stream::write_stream,
    http::{BodyCompressor, Client, query_value},
    workers::BufferPool,
};

use crate::{config::Config, outcome};

pub(crate) struct ForwardClient {
    http: Client,
    config: Config,
    path: &'static str,
    /// A stream, and the same compressed.
    buffers: BufferPool<(Vec<u8>, BodyCompressor)>,
}

/// Rows that are sent in one request.
pub(crate) struct ForwardedPart<'a> {
    pub(crate) part: BatchPart<'a>,
    pub(crate) origin: Origin,
}

impl ForwardClient {
    /// A client for batches of one kind. Connects with the first request.
    pub(crate) fn new(config: Config, kind: Kind) -> Result<Self, Failure> {
        let compression = config.compression;
        let buffers = move || (Vec::new(), BodyCompressor::new(compression));
        Ok(Self {
            http: Client::new(&config.http)?,
            config,
            path: match kind {
                Kind::Performance => "/v1/ingest/performance",
                Kind::Alert => "/v1/ingest/alerts",
            },
            buffers: BufferPool::new(buffers),
        })
    }

    /// Sends the rows of a part, of all rows of the call.
    pub(crate) fn send(
        &self,
        rows: &RecordBatch,
        ForwardedPart { part, origin }: &ForwardedPart<'_>,
        deadline: Instant,
    ) -> Outcome {
        let rows = rows.slice(part.first_row, part.rows);
        let complete_for = part.storage_id.filter(|_| part.complete);
        let shown = &self.config.url.redacted;
        let request = self
            .http
            .post(&self.url(complete_for))
            .header("content-type", "application/vnd.apache.arrow.stream")
            .header("idempotency-key", &idempotency_key(part))
            .header("batch-origin", origin.as_str());
        let response = self.buffers.with(|(stream, compressor)| {
            write_stream(&rows, stream)?;
            let left = deadline.saturating_duration_since(Instant::now());
            Ok::<_, Failure>(request.send_compressed(stream, compressor, left))
        })?;
        // Not uncertain: the other host knows the key.
        let response = response.map_err(|error| error.repeatable_failure(shown))?;
        outcome::of_response(&response, complete_for, shown)
    }

    /// Asks the other host whether it accepts batches. It needs no credentials for that, so those
    /// are checked with the first batch.
    pub(crate) fn health(&self, time: Duration) -> Outcome {
        let shown = &self.config.url.redacted;
        let url = format!("{}/readyz", self.config.url.url);
        let response = self.http.get(&url).send(b"", time);
        let response = response.map_err(|error| error.repeatable_failure(shown))?;
        outcome::of_health(&response, shown)
    }

    fn url(&self, complete_for: Option<&str>) -> String {
        let Self { config, path, .. } = self;
        let base = &config.url.url;
        // A row that the other host refuses is found by smaller requests: nothing of a request is
        // stored before.
        let url = format!("{base}{path}?strict=true");
        match complete_for {
            Some(storage_id) => format!("{url}&complete_for={}", query_value(storage_id)),
            None => url,
        }
    }
}

/// The batch id, and the rows: a part of a batch is not the batch.
fn idempotency_key(part: &BatchPart<'_>) -> String {
    let BatchPart {
        batch_id,
        batch_row,
        rows,
        ..
    } = part;
    format!("{batch_id}/{batch_row}+{rows}")
}
