//! One receiver.
//!
//! Promises: what it does not refuse it has got, all of it; a request that was
//! lost on the way counts as uncertain, not as failed.

use std::{
    io::Write,
    time::{Duration, SystemTime},
};

use delfin_plugin_api::{
    Failure, Outcome,
    http::{Client, ClientSettings, ErrorKind, RequestBuilder},
};
use flate2::{Compression, write::GzEncoder};

use crate::{config::Config, signature::Signer, verdict};

const USER_AGENT: &str = concat!("delfin-exporter-webhook/", env!("CARGO_PKG_VERSION"));

/// A receiver.
pub(crate) struct Receiver {
    client: Client,
    config: Config,
    signer: Option<Signer>,
    compressed: Vec<u8>,
}

impl Receiver {
    /// The receiver that `config` names. Nothing is sent.
    pub(crate) fn new(config: Config) -> Result<Self, Failure> {
        let client = Client::new(&ClientSettings {
            user_agent: USER_AGENT.to_owned(),
            authorization: config.authorization.clone(),
            tls: config.tls.clone(),
            proxy: config.proxy.clone(),
        })?;
        let signer = config.hmac_secret.as_ref().map(Signer::new).transpose()?;
        Ok(Self {
            client,
            config,
            signer,
            compressed: Vec::new(),
        })
    }

    /// Posts a batch of so many rows.
    pub(crate) fn post(&mut self, json: &[u8], key: &str, rows: usize, time: Duration) -> Outcome {
        if self.config.gzip {
            self.compress(json)?;
        }
        let body = if self.config.gzip {
            &self.compressed
        } else {
            json
        };
        let mut request = self
            .client
            .post(&self.config.url)
            .header("content-type", "application/json")
            .header("idempotency-key", key)
            .max_response(verdict::max_answer(rows));
        if self.config.gzip {
            request = request.header("content-encoding", "gzip");
        }
        match self.signed(request, body).send(body, time) {
            Ok(answer) => verdict::outcome(&answer, rows, &self.config.shown),
            Err(error) => Err(error.failure(&self.config.shown)),
        }
    }

    /// Asks whether a batch would have a chance, without sending one.
    ///
    /// `OPTIONS` changes nothing at the receiver, goes the way that a batch goes,
    /// and bears the same credentials and signature. Not every receiver expects
    /// it: only an answer that speaks of the way or of the credentials is bad
    /// news, and whatever else is answered, somebody is there.
    pub(crate) fn health(&self, time: Duration) -> Outcome {
        let shown = &self.config.shown;
        let request = self.client.options(&self.config.url);
        match self.signed(request, b"").send(b"", time) {
            Ok(answer) if matches!(answer.status(), 401 | 407 | 429 | 502..=504 | 511) => {
                Err(answer.failure(shown))
            }
            Ok(_) => Ok(()),
            // A question does no harm by being asked twice.
            Err(error) if error.kind == ErrorKind::NoResponse => {
                Err(Failure::retry(format!("`{shown}`: {error}")))
            }
            Err(error) => Err(error.failure(shown)),
        }
    }

    fn compress(&mut self, json: &[u8]) -> Result<(), Failure> {
        let mut buffer = std::mem::take(&mut self.compressed);
        buffer.clear();
        let mut encoder = GzEncoder::new(buffer, Compression::fast());
        let written = encoder.write_all(json).and_then(|()| encoder.finish());
        self.compressed = written.map_err(Failure::retry)?;
        Ok(())
    }

    /// Adds the operator's headers, and the signature of a body.
    fn signed<'a>(&self, mut request: RequestBuilder<'a>, body: &[u8]) -> RequestBuilder<'a> {
        for (name, value) in &self.config.headers {
            request = request.header(name, value.reveal());
        }
        let Some(signer) = &self.signer else {
            return request;
        };
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        let timestamp = now.unwrap_or_default().as_secs().to_string();
        request
            .header("x-delfin-timestamp", &timestamp)
            .header("x-delfin-signature", &signer.sign(&timestamp, body))
    }
}
