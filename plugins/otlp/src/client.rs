//! Sends requests to the receiver.

use std::time::Duration;

use delfin_plugin_api::{
    Failure,
    http::{BodyCompressor, Client},
};

use crate::{
    config::Config,
    outcome::{self, PartialSuccess},
};

pub(crate) struct OtlpClient {
    http: Client,
    url: String,
    config: Config,
    compressor: BodyCompressor,
}

impl OtlpClient {
    /// A client for one kind of requests. Connects with the first request.
    pub(crate) fn new(config: Config, path: &str) -> Result<Self, Failure> {
        Ok(Self {
            http: Client::new(&config.http)?,
            url: format!("{}{path}", config.url.url),
            compressor: BodyCompressor::new(config.compression),
            config,
        })
    }

    /// Sends a message of the schema. An empty one has no rows.
    pub(crate) fn send(
        &mut self,
        message: &[u8],
        time: Duration,
    ) -> Result<PartialSuccess, Failure> {
        let shown = &self.config.url.redacted;
        let response = self
            .http
            .post(&self.url)
            .header("content-type", "application/x-protobuf")
            .send_compressed(message, &mut self.compressor, time);
        let response = response.map_err(|error| error.failure(shown))?;
        outcome::of_response(&response, shown)
    }
}
