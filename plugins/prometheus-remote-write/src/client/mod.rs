//! Sends rows to the receiver, in the version of the protocol that it knows.

mod shards;

use std::{
    sync::atomic::{AtomicU8, Ordering},
    time::Instant,
};

use delfin_plugin_api::{
    Failure, Outcome, Series,
    http::{Client, Response},
};

pub(crate) use self::shards::Shards;
use crate::{
    config::{Config, ProtocolSetting},
    encode::{Protocol, WriteRequest},
    outcome::{self, RefusedRow, WriteResult},
};

const UNKNOWN: u8 = 0;
const USES_V1: u8 = 1;
const USES_V2: u8 = 2;

pub(crate) struct RemoteWriteClient {
    http: Client,
    config: Config,
    /// What the receiver knows, as far as a response has shown it.
    protocol: AtomicU8,
}

/// The buffers of one request after the other.
#[derive(Default)]
pub(crate) struct RequestBuffers {
    pub(crate) request: WriteRequest,
    compressed: Vec<u8>,
}

impl RemoteWriteClient {
    /// A client for the receiver in `config`. Connects with the first request.
    pub(crate) fn new(config: Config) -> Result<Self, Failure> {
        let protocol = match config.protocol {
            ProtocolSetting::Auto => UNKNOWN,
            ProtocolSetting::V1 => USES_V1,
            ProtocolSetting::V2 => USES_V2,
        };
        Ok(Self {
            http: Client::new(&config.http)?,
            config,
            protocol: AtomicU8::new(protocol),
        })
    }

    /// Sends rows in one request. A receiver that does not know version 2 gets them in version 1.
    pub(crate) fn send(
        &self,
        rows: &[Series<'_>],
        buffers: &mut RequestBuffers,
        deadline: Instant,
    ) -> Result<WriteResult, Failure> {
        let protocol = self.protocol();
        let response = self.send_in(protocol, rows, buffers, deadline)?;
        let is_open = self.protocol.load(Ordering::Relaxed) == UNKNOWN;
        if !is_open || !outcome::lacks_v2(&response) {
            if is_open && outcome::written(&response).is_some() {
                self.protocol.store(USES_V2, Ordering::Relaxed);
            }
            return self.complete(&response, rows, buffers, deadline);
        }
        let response = self.send_in(Protocol::V1, rows, buffers, deadline)?;
        let result = self.complete(&response, rows, buffers, deadline)?;
        if matches!(result, WriteResult::All(Ok(()))) {
            self.protocol.store(USES_V1, Ordering::Relaxed);
        }
        Ok(result)
    }

    /// Sends a request without rows, which the receiver answers as it would answer rows. A receiver
    /// accepts it: it may be one of a later version of the protocol, whose content is new.
    pub(crate) fn health(&self, deadline: Instant) -> Outcome {
        match self.send(&[], &mut RequestBuffers::default(), deadline)? {
            WriteResult::All(outcome) => outcome.map_err(outcome::with_remedy_of_health),
            WriteResult::Part(failure) => Err(failure),
            WriteResult::Refused(_) => Ok(()),
        }
    }

    fn protocol(&self) -> Protocol {
        if self.protocol.load(Ordering::Relaxed) == USES_V1 {
            Protocol::V1
        } else {
            Protocol::V2
        }
    }

    fn send_in(
        &self,
        protocol: Protocol,
        rows: &[Series<'_>],
        buffers: &mut RequestBuffers,
        deadline: Instant,
    ) -> Result<Response, Failure> {
        buffers.request.clear(protocol);
        for series in rows {
            buffers.request.push(series);
        }
        self.post(buffers, deadline)
    }

    /// The reply that follows from a response. For a single row, it has the number of refused
    /// points.
    fn complete(
        &self,
        response: &Response,
        rows: &[Series<'_>],
        buffers: &mut RequestBuffers,
        deadline: Instant,
    ) -> Result<WriteResult, Failure> {
        let url = &self.config.url.redacted;
        let series = rows.iter().copied();
        let result = outcome::of_response(response, &buffers.request, series, url);
        let (WriteResult::All(Err(failure)) | WriteResult::Part(failure), [row]) = (&result, rows)
        else {
            return Ok(result);
        };
        let reason = failure.to_string();
        let is_rejected = matches!(failure, Failure::Rejected { .. });
        if !is_rejected || !outcome::names_time_conflict(&reason) {
            return Ok(result);
        }
        let all = buffers.request.samples();
        let points = match outcome::written(response) {
            Some(written) if buffers.request.protocol() == Protocol::V2 => {
                all.saturating_sub(written)
            }
            _ => self.send_each_point(row, buffers, deadline)?,
        };
        Ok(WriteResult::Refused(vec![RefusedRow {
            row: 0,
            points,
            reason,
        }]))
    }

    /// Sends each point of a row by itself, so that a refused one takes no other with it. Returns
    /// how many are refused.
    fn send_each_point(
        &self,
        row: &Series<'_>,
        buffers: &mut RequestBuffers,
        deadline: Instant,
    ) -> Result<u64, Failure> {
        let points = buffers.request.samples();
        let mut refused = 0;
        for point in 0..points as usize {
            buffers.request.keep_only(row, point);
            let response = self.post(buffers, deadline)?;
            if !response.is_success() {
                match response.failure(&self.config.url.redacted) {
                    Failure::Rejected { .. } => refused += 1,
                    failure => return Err(failure),
                }
            }
        }
        buffers.request.clear(Protocol::V1);
        buffers.request.push(row);
        Ok(refused)
    }

    fn post(&self, buffers: &mut RequestBuffers, deadline: Instant) -> Result<Response, Failure> {
        let RequestBuffers {
            request,
            compressed,
        } = buffers;
        let protocol = request.protocol();
        let message = request.finish();
        compressed.resize(snap::raw::max_compress_len(message.len()), 0);
        let length = snap::raw::Encoder::new().compress(message, compressed);
        let length = length.map_err(|error| Failure::TooLarge {
            message: error.to_string(),
        })?;
        let (content_type, version) = match protocol {
            Protocol::V1 => ("application/x-protobuf", "0.1.0"),
            Protocol::V2 => (
                "application/x-protobuf;proto=io.prometheus.write.v2.Request",
                "2.0.0",
            ),
        };
        let sent = self
            .http
            .post(&self.config.url.url)
            .header("content-type", content_type)
            .header("content-encoding", "snappy")
            .header("x-prometheus-remote-write-version", version)
            .max_response(outcome::MAX_RESPONSE_BYTES)
            .send(
                &compressed[..length],
                deadline.saturating_duration_since(Instant::now()),
            );
        // Not uncertain: a point that is sent twice is stored once.
        sent.map_err(|error| error.repeatable_failure(&self.config.url.redacted))
    }
}
