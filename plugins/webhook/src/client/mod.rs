//! Posts bodies to the receiver.
//!
//! Promises: a success means that the receiver has read the whole body; a request
//! whose response is lost is uncertain, not failed.

mod idempotency_key;
mod signature;

use std::time::{Duration, Instant};

use delfin_plugin_api::{
    Failure, Host, Outcome,
    http::{BodyCompressor, Client, RequestBuilder},
    json::JsonBatch,
    log,
    time::now_ms,
    workers::{BufferPool, Shard},
};

use self::{idempotency_key::idempotency_key, signature::Signer};
use crate::{config::Config, encode::encode, outcome};

/// Bytes of a body to keep from one request to the next.
const BUFFER_BYTES: usize = 8 << 20;

pub(crate) struct WebhookClient {
    http: Client,
    config: Config,
    signer: Option<Signer>,
    /// A body, and the same compressed.
    buffers: BufferPool<(Vec<u8>, BodyCompressor)>,
}

impl WebhookClient {
    /// A client for the URL in `config`. Connects with the first request.
    pub(crate) fn new(config: Config) -> Result<Self, Failure> {
        let http = Client::new(&config.http)?;
        let signer = config.hmac_secret.as_ref().map(Signer::new).transpose()?;
        let compression = config.compression;
        let buffers = move || (Vec::new(), BodyCompressor::new(compression));
        Ok(Self {
            http,
            buffers: BufferPool::new(buffers),
            config,
            signer,
        })
    }

    /// Posts the rows of one request. Counts what JSON cannot express.
    pub(crate) fn post<B: JsonBatch>(
        &self,
        shard: &Shard<'_, B>,
        host: &Host,
        deadline: Instant,
    ) -> Outcome {
        let key = idempotency_key(shard.parts.iter().copied());
        self.buffers.with(|(json, compressor)| {
            json.clear();
            json.shrink_to(BUFFER_BYTES);
            let skipped = encode(&shard.batch, json);
            let encoding = compressor.encoding();
            let body = compressor.compress(json).map_err(Failure::retry)?;
            let outcome = self.post_body((body, encoding), &key, shard.batch.rows(), deadline);
            match &outcome {
                // Counted after delivery: a retry encodes the same rows again, and
                // what it leaves out must be counted once.
                Ok(()) | Err(Failure::Partial { .. }) => skipped.count(host),
                Err(_) => {}
            }
            log::debug!(rows = shard.batch.rows(), key = key.as_str(); "request posted");
            outcome
        })
    }

    /// Posts a body, an array of `rows` elements, with the value of `Content-Encoding`.
    fn post_body(
        &self,
        (body, encoding): (&[u8], Option<&str>),
        key: &str,
        rows: usize,
        deadline: Instant,
    ) -> Outcome {
        let mut request = self
            .http
            .post(&self.config.url.url)
            .header("content-type", "application/json")
            .header("idempotency-key", key)
            .max_response(outcome::max_response_bytes(rows));
        if let Some(encoding) = encoding {
            request = request.header("content-encoding", encoding);
        }
        let time = deadline.saturating_duration_since(Instant::now());
        match signed(self.signer.as_ref(), request, body).send(body, time) {
            Ok(response) => {
                let format = self.config.response_format;
                outcome::of_response(&response, rows, format, &self.config.url.redacted)
            }
            Err(error) => Err(error.failure(&self.config.url.redacted)),
        }
    }

    /// Checks that the receiver can be reached and accepts the credentials.
    ///
    /// `OPTIONS` changes nothing at the receiver. It takes the same path as a
    /// batch, and has the same credentials and signature.
    pub(crate) fn health(&self, time: Duration) -> Outcome {
        let url = &self.config.url.redacted;
        let request = self.http.options(&self.config.url.url);
        match signed(self.signer.as_ref(), request, b"").send(b"", time) {
            Ok(response) => response.of_options(url, outcome::PRODUCT),
            // Not uncertain: `OPTIONS` can be sent twice without harm.
            Err(error) => Err(error.repeatable_failure(url)),
        }
    }
}

/// Adds the signature of `body`.
fn signed<'a>(
    signer: Option<&Signer>,
    request: RequestBuilder<'a>,
    body: &[u8],
) -> RequestBuilder<'a> {
    let Some(signer) = signer else {
        return request;
    };
    let timestamp = (now_ms() / 1000).to_string();
    request
        .header("x-delfin-timestamp", &timestamp)
        .header("x-delfin-signature", &signer.sign(&timestamp, body))
}
