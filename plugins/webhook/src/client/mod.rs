//! Posts bodies to the receiver.
//!
//! Promises: a success means that the receiver has read the whole body; a request
//! whose response is lost is uncertain, not failed.

mod idempotency_key;
mod signature;

use std::time::Duration;

use delfin_plugin_api::{
    Failure, Outcome,
    http::{BodyCompressor, Client, RequestBuilder},
    time::now_ms,
};

pub(crate) use self::idempotency_key::idempotency_key;
use self::signature::Signer;
use crate::{config::Config, outcome};

pub(crate) struct WebhookClient {
    http: Client,
    config: Config,
    signer: Option<Signer>,
    compressor: BodyCompressor,
}

impl WebhookClient {
    /// A client for the URL in `config`. Connects with the first request.
    pub(crate) fn new(config: Config) -> Result<Self, Failure> {
        let http = Client::new(&config.http)?;
        let signer = config.hmac_secret.as_ref().map(Signer::new).transpose()?;
        Ok(Self {
            http,
            compressor: BodyCompressor::new(config.compression),
            config,
            signer,
        })
    }

    /// Posts `json`, an array of `rows` elements.
    pub(crate) fn post(&mut self, json: &[u8], key: &str, rows: usize, time: Duration) -> Outcome {
        let encoding = self.compressor.encoding();
        let body = self.compressor.compress(json).map_err(Failure::retry)?;
        let mut request = self
            .http
            .post(&self.config.url.url)
            .header("content-type", "application/json")
            .header("idempotency-key", key)
            .max_response(outcome::max_response_bytes(rows));
        if let Some(encoding) = encoding {
            request = request.header("content-encoding", encoding);
        }
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
    /// batch, and has the same credentials and signature. Many receivers do not
    /// support it, so only a status about the path or about the credentials is a
    /// failure. Any other response shows that the receiver is there.
    pub(crate) fn health(&self, time: Duration) -> Outcome {
        let url = &self.config.url.redacted;
        let request = self.http.options(&self.config.url.url);
        match signed(self.signer.as_ref(), request, b"").send(b"", time) {
            Ok(response) if matches!(response.status(), 401 | 407 | 429 | 502..=504 | 511) => {
                Err(response.failure(url))
            }
            Ok(_) => Ok(()),
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
