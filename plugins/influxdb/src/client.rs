//! Writes lines to the server.

use std::time::Duration;

use delfin_plugin_api::{
    Failure, Outcome,
    http::{BodyCompressor, Client, Response},
};

use crate::{config::Config, encode::LineBuffer, outcome};

pub(crate) struct InfluxClient {
    http: Client,
    config: Config,
    compressor: BodyCompressor,
}

impl InfluxClient {
    /// A client for the server in `config`. Connects with the first request.
    pub(crate) fn new(config: Config) -> Result<Self, Failure> {
        Ok(Self {
            http: Client::new(&config.http)?,
            compressor: BodyCompressor::new(config.compression),
            config,
        })
    }

    /// Writes lines whose times have this precision.
    pub(crate) fn write(&mut self, lines: &LineBuffer, precision: &str, time: Duration) -> Outcome {
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
            .send_compressed(lines.text(), &mut self.compressor, time);
        // Not uncertain: points that are written twice are there once.
        let response = response.map_err(|error| error.repeatable_failure(redacted_url))?;
        outcome::of_response(&response, lines, redacted_url)
    }

    /// Writes nothing, which the server answers as it would answer points: it checks the
    /// credentials and the database. Some versions then miss the points, with a 400.
    pub(crate) fn health(&self, time: Duration) -> Outcome {
        let request = self.http.post(&self.config.write_url);
        let response = request.send(b"", time);
        let response: Response =
            response.map_err(|error| error.repeatable_failure(&self.config.redacted_url))?;
        if response.is_success() || response.status() == 400 {
            return Ok(());
        }
        Err(response.failure(&self.config.redacted_url))
    }
}
