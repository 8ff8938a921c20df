//! Writes lines to the server.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

use delfin_plugin_api::{
    Failure, Host, Outcome,
    http::{BodyCompressor, Client},
    log,
    workers::{BufferPool, Shard},
};

use crate::{
    config::Config,
    encode::{LineBatch, LineBuffer},
    outcome,
};

pub(crate) struct InfluxClient {
    http: Client,
    config: Config,
    buffers: BufferPool<(LineBuffer, BodyCompressor)>,
    /// Whether the server has refused line ends in text fields, which InfluxDB stores: VictoriaMetrics
    /// and QuestDB do.
    escapes_line_ends: AtomicBool,
}

impl InfluxClient {
    /// A client for the server in `config`. Connects with the first request.
    pub(crate) fn new(config: Config) -> Result<Self, Failure> {
        let compression = config.compression;
        let buffers = move || (LineBuffer::default(), BodyCompressor::new(compression));
        Ok(Self {
            http: Client::new(&config.http)?,
            config,
            buffers: BufferPool::new(buffers),
            escapes_line_ends: AtomicBool::new(false),
        })
    }

    /// Writes the rows of one request. Counts what line protocol cannot express.
    pub(crate) fn write<B: LineBatch>(
        &self,
        shard: &Shard<'_, B>,
        host: &Host,
        deadline: Instant,
    ) -> Outcome {
        self.buffers.with(|(lines, compressor)| {
            lines.clear(self.escapes_line_ends.load(Ordering::Relaxed));
            let skipped = shard.batch.encode(&shard.parts, lines);
            let mut outcome = if lines.is_empty() {
                Ok(())
            } else {
                self.post(lines, B::PRECISION, compressor, deadline)
            };
            if matches!(outcome, Err(Failure::Rejected { .. })) && lines.has_line_end() {
                lines.clear(true);
                shard.batch.encode(&shard.parts, lines);
                if self.post(lines, B::PRECISION, compressor, deadline).is_ok() {
                    self.escape_line_ends();
                    outcome = Ok(());
                }
            }
            match &outcome {
                // Counted after delivery: a retry encodes the same rows again.
                Ok(()) | Err(Failure::Partial { .. }) => skipped.count(host),
                Err(_) => {}
            }
            outcome
        })
    }

    /// Escapes line ends in text fields from now on: the server refuses them, and accepts them escaped.
    fn escape_line_ends(&self) {
        if !self.escapes_line_ends.swap(true, Ordering::Relaxed) {
            log::info!("the server refuses line ends in texts: they are written as `\\n`");
        }
    }

    /// Posts lines whose times have this precision.
    fn post(
        &self,
        lines: &LineBuffer,
        precision: &str,
        compressor: &mut BodyCompressor,
        deadline: Instant,
    ) -> Outcome {
        let Config {
            write_url,
            redacted_url,
            ..
        } = &self.config;
        let url = format!("{write_url}&precision={precision}");
        let response = self
            .http
            .post(&url)
            .header("content-type", "text/plain; charset=utf-8")
            .max_response(outcome::MAX_RESPONSE_BYTES)
            .send_compressed(
                lines.text(),
                compressor,
                deadline.saturating_duration_since(Instant::now()),
            );
        // Not uncertain: points that are written twice are there once.
        let response = response.map_err(|error| error.repeatable_failure(redacted_url))?;
        outcome::of_response(&response, lines, redacted_url)
    }

    /// Writes nothing, which the server answers as it would answer points: it checks the
    /// credentials and the database.
    pub(crate) fn health(&self, time: Duration) -> Outcome {
        let url = &self.config.redacted_url;
        let response = self.http.post(&self.config.write_url).send(b"", time);
        let response = response.map_err(|error| error.repeatable_failure(url))?;
        outcome::of_health(&response, url)
    }
}
