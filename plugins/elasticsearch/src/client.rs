//! Writes documents, after it has created an index template.

use std::time::{Duration, Instant};

use delfin_plugin_api::{
    Failure, Host, Outcome,
    http::{BodyCompressor, Client},
    workers::BufferPool,
};
use serde_json::{Value, json};

use crate::{
    config::Config,
    encode::{BulkBatch, BulkBody, DocumentTarget},
    outcome,
};

/// Above the templates for `metrics-*-*` and `logs-*-*` that Elasticsearch has itself.
const PRIORITY: u32 = 300;

/// What the response of `_bulk` has, without what the exporter knows already.
const BULK_RESPONSE: &str = "filter_path=errors,items.*.status,items.*.error.type,\
                             items.*.error.reason,items.*.error.caused_by.reason,error,status";

pub(crate) struct ElasticsearchClient {
    http: Client,
    config: Config,
    buffers: BufferPool<(BulkBody, BodyCompressor)>,
    bulk_url: String,
    template_url: String,
    template: String,
    /// Whether the template is known to exist, or none is wanted.
    has_template: bool,
}

impl ElasticsearchClient {
    /// A client for one kind of documents. Connects with the first request.
    pub(crate) fn new(config: Config, target: DocumentTarget) -> Result<Self, Failure> {
        let data_stream = config.data_stream.as_deref().unwrap_or(target.data_stream);
        let name = delfin_plugin_api::http::query_value(data_stream);
        let base = &config.url.url;
        let mappings: Value = serde_json::from_str(target.mappings).map_err(Failure::fatal)?;
        let template = json!({
            "index_patterns": [data_stream],
            "data_stream": {},
            "priority": PRIORITY,
            "template": { "mappings": mappings },
            "_meta": { "description": "Created by delfin-host" },
        });
        let compression = config.compression;
        let buffers = move || (BulkBody::default(), BodyCompressor::new(compression));
        Ok(Self {
            http: Client::new(&config.http)?,
            buffers: BufferPool::new(buffers),
            bulk_url: format!("{base}/{name}/_bulk?{BULK_RESPONSE}"),
            template_url: format!("{base}/_index_template/{name}?create=true"),
            template: template.to_string(),
            has_template: !config.template,
            config,
        })
    }

    /// Writes the rows of one request. Counts what JSON cannot express.
    pub(crate) fn write(&self, batch: &impl BulkBatch, host: &Host, deadline: Instant) -> Outcome {
        self.buffers.with(|(body, compressor)| {
            body.clear();
            let skipped = batch.encode(body);
            let outcome = if body.documents() == 0 {
                Ok(())
            } else {
                self.post(body, compressor, deadline)
            };
            match &outcome {
                // Counted after delivery: a retry encodes the same rows again.
                Ok(()) | Err(Failure::Partial { .. }) => skipped.count(host),
                Err(_) => {}
            }
            outcome
        })
    }

    fn post(&self, body: &BulkBody, compressor: &mut BodyCompressor, deadline: Instant) -> Outcome {
        let response = self
            .http
            .post(&self.bulk_url)
            .header("content-type", "application/x-ndjson")
            .max_response(outcome::MAX_RESPONSE_BYTES)
            .send_compressed(body.text(), compressor, left(deadline));
        let shown = &self.config.url.redacted;
        // Not uncertain: a document that is sent again has the same id.
        let response = response.map_err(|error| error.repeatable_failure(shown))?;
        outcome::of_response(&response, body, shown)
    }

    /// Checks that a node answers and accepts the credentials.
    pub(crate) fn health(&self, time: Duration) -> Outcome {
        let shown = &self.config.url.redacted;
        let url = format!("{}/", self.config.url.url);
        let response = self.http.get(&url).send(b"", time);
        let response = response.map_err(|error| error.repeatable_failure(shown))?;
        outcome::of_health(&response, shown)
    }

    /// Creates the index template before the first documents: the first document would create an
    /// index that is no data stream. A template that exists already stays as it is.
    pub(crate) fn create_template(&mut self, deadline: Instant) -> Outcome {
        if self.has_template {
            return Ok(());
        }
        let shown = &self.config.url.redacted;
        let response = self
            .http
            .put(&self.template_url)
            .header("content-type", "application/json")
            .send(self.template.as_bytes(), left(deadline) / 2);
        let response = response.map_err(|error| error.repeatable_failure(shown))?;
        outcome::of_template(&response, shown)?;
        self.has_template = true;
        Ok(())
    }
}

fn left(deadline: Instant) -> Duration {
    deadline.saturating_duration_since(Instant::now())
}
