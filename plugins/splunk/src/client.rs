//! Sends requests, and waits for their acknowledgements together.

use std::{
    collections::HashSet,
    sync::{Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

use delfin_plugin_api::{
    Failure, Outcome, Skipped, Uuid,
    http::{BodyCompressor, Client},
    workers::{BufferPool, combine_outcomes},
};
use serde_json::json;

use crate::{
    config::Config,
    encode::{EventBatch, EventMetadata, EventRequest, EventRequests},
    outcome,
    state::{AckId, PendingAcks, key_of_request},
};

/// The wait before Splunk is asked again, at first and at most. It indexes within seconds.
const POLL_INTERVALS: [Duration; 2] = [Duration::from_millis(50), Duration::from_secs(2)];

/// The part of the call's time that is kept back for the last question.
const RESERVE: Duration = Duration::from_secs(1);

pub(crate) struct SplunkClient {
    http: Client,
    metadata: EventMetadata,
    buffers: BufferPool<(EventRequests, BodyCompressor)>,
    url: String,
    redacted_url: String,
    /// `None`: a request that is accepted is delivered.
    pending: Option<Mutex<PendingAcks>>,
    /// Acknowledgements belong to a channel. Only this instance uses it.
    channel: String,
}

impl SplunkClient {
    /// A client for the collector in `config`. Connects with the first request.
    pub(crate) fn new(config: Config) -> Result<Self, Failure> {
        let pending = Mutex::new(PendingAcks::new(config.acknowledgement_timeout));
        let compression = config.compression;
        let buffers = move || (EventRequests::default(), BodyCompressor::new(compression));
        Ok(Self {
            http: Client::new(&config.http)?,
            metadata: config.metadata,
            buffers: BufferPool::new(buffers),
            url: format!("{}/services/collector", config.url.url),
            redacted_url: config.url.redacted,
            pending: config.acknowledgement.then_some(pending),
            channel: Uuid::now_v7().to_string(),
        })
    }

    /// Begins a call.
    pub(crate) fn begin(&self, now: Instant) {
        if let Some(mut pending) = self.pending() {
            pending.expire(now);
        }
    }

    /// Sends rows, and waits for their acknowledgements.
    pub(crate) fn send(
        &self,
        batch: &impl EventBatch,
        deadline: Instant,
        is_stopping: &dyn Fn() -> bool,
    ) -> (Outcome, Skipped) {
        self.buffers.with(|(requests, compressor)| {
            requests.clear();
            let skipped = batch.encode(&self.metadata, requests);
            let outcomes = self.send_requests(requests, compressor, deadline, is_stopping);
            let rows: Vec<Vec<usize>> = requests.rows().map(Iterator::collect).collect();
            let outcome = combine_outcomes(rows.iter().map(Vec::as_slice).zip(outcomes));
            (outcome, skipped)
        })
    }

    /// The outcome of each request; `None` if it was not sent, because one before it has failed.
    fn send_requests(
        &self,
        requests: &EventRequests,
        compressor: &mut BodyCompressor,
        deadline: Instant,
        is_stopping: &dyn Fn() -> bool,
    ) -> Vec<Option<Outcome>> {
        let mut outcomes: Vec<Option<Outcome>> = vec![None; requests.iter().len()];
        let mut waiting = Vec::new();
        for (number, request) in requests.iter().enumerate() {
            match self.send_one(&request, compressor, deadline) {
                Ok(None) => outcomes[number] = Some(Ok(())),
                Ok(Some(ack)) => waiting.push((number, ack)),
                Err(failure) => {
                    let is_about_rows =
                        matches!(failure, Failure::Partial { .. } | Failure::Rejected { .. });
                    outcomes[number] = Some(Err(failure));
                    if !is_about_rows {
                        break;
                    }
                }
            }
        }
        let acks: HashSet<_> = waiting.iter().map(|&(_, ack)| ack).collect();
        let end = self.wait_for(acks, deadline, is_stopping);
        let texts: Vec<_> = requests.iter().map(|request| request.text).collect();
        for (number, ack) in waiting {
            let is_open = end.open.contains(&ack);
            if let (false, Some(mut pending)) = (is_open, self.pending()) {
                pending.remove(key_of_request(texts[number]));
            }
            outcomes[number] = Some(if is_open {
                Err(end.reason.clone())
            } else {
                Ok(())
            });
        }
        outcomes
    }

    /// Asks whether the collector accepts events. It does not check the token.
    pub(crate) fn health(&self, time: Duration) -> Outcome {
        let shown = &self.redacted_url;
        let response = self
            .http
            .get(&format!("{}/health", self.url))
            .send(b"", time);
        let response = response.map_err(|error| error.repeatable_failure(shown))?;
        outcome::of_health(&response, shown)
    }

    /// The acknowledgement to wait for.
    fn send_one(
        &self,
        request: &EventRequest<'_>,
        compressor: &mut BodyCompressor,
        deadline: Instant,
    ) -> Result<Option<AckId>, Failure> {
        let key = key_of_request(request.text);
        let known = self.pending().and_then(|pending| pending.ack_of(key));
        if known.is_some() {
            return Ok(known);
        }
        let shown = &self.redacted_url;
        let response = self
            .http
            .post(&format!("{}/event", self.url))
            .header("content-type", "application/json")
            .header("x-splunk-request-channel", &self.channel)
            .send_compressed(request.text, compressor, left(deadline));
        let response = response.map_err(|error| error.failure(shown))?;
        let ack = outcome::of_response(&response, request, shown)?;
        let Some(mut pending) = self.pending() else {
            return Ok(None);
        };
        let Some(ack) = ack else {
            return Err(Failure::misconfigured(format!(
                "`{shown}` accepts events without an acknowledgement (allow indexer acknowledgement \
                 for the token, or set `acknowledgement = false`)"
            )));
        };
        pending.add(key, ack, Instant::now());
        Ok(Some(ack))
    }

    fn pending(&self) -> Option<MutexGuard<'_, PendingAcks>> {
        let pending = self.pending.as_ref()?;
        Some(pending.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Waits until all acknowledgements have come, or the time is over.
    fn wait_for(
        &self,
        mut open: HashSet<AckId>,
        deadline: Instant,
        is_stopping: &dyn Fn() -> bool,
    ) -> AckWait {
        let [mut interval, max_interval] = POLL_INTERVALS;
        let mut reason = Failure::retry(format!(
            "`{}` has not acknowledged the events yet",
            self.redacted_url
        ));
        while !open.is_empty() {
            match self.poll(&open, deadline) {
                Ok(acks) => open.retain(|ack| !acks.contains(ack)),
                Err(failure) => {
                    reason = failure;
                    break;
                }
            }
            if open.is_empty() || is_stopping() || left(deadline) < RESERVE + interval {
                break;
            }
            thread::sleep(interval);
            interval = (interval * 2).min(max_interval);
        }
        AckWait { open, reason }
    }

    fn poll(&self, open: &HashSet<AckId>, deadline: Instant) -> Result<Vec<AckId>, Failure> {
        let shown = &self.redacted_url;
        let url = format!("{}/ack?channel={}", self.url, self.channel);
        let response = self
            .http
            .post(&url)
            .header("content-type", "application/json")
            .header("x-splunk-request-channel", &self.channel)
            .send(
                json!({ "acks": open }).to_string().as_bytes(),
                left(deadline),
            );
        // A question can be asked twice without harm.
        let response = response.map_err(|error| error.repeatable_failure(shown))?;
        outcome::of_acks(&response, shown)
    }
}

/// How a wait has ended.
struct AckWait {
    open: HashSet<AckId>,
    /// Why these are open.
    reason: Failure,
}

fn left(deadline: Instant) -> Duration {
    deadline.saturating_duration_since(Instant::now())
}
