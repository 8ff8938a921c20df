//! A producer of librdkafka: takes messages and returns a report for each.
//!
//! Promises: each message that was taken gets one report, and no message is in
//! flight after [`KafkaProducer::finish`]. While librdkafka's queue is full,
//! sending waits. Nothing secret is logged.
//!
//! Knows nothing of batches.

use std::time::Duration;

use delfin_plugin_api::log;
use rdkafka::{
    ClientConfig,
    config::RDKafkaLogLevel,
    error::KafkaError,
    message::OwnedHeaders,
    producer::{BaseProducer, BaseRecord, Producer, PurgeConfig},
    types::RDKafkaErrorCode as Code,
};

use super::{
    events::{DeliveryReport, ProducerEvents},
    tls,
};
use crate::{
    config::Properties,
    outcome::{SendError, SendErrorKind},
};

/// How long to wait for an event before checking the time that is left.
const POLL_INTERVAL: Duration = Duration::from_millis(2);

/// Time to keep at the end of a call: messages without an acknowledgement are
/// purged then, and their reports arrive within this time.
pub(crate) const MARGIN: Duration = Duration::from_millis(500);

pub(super) struct KafkaProducer {
    producer: BaseProducer<ProducerEvents>,
    topic: String,
    /// Messages of the round that librdkafka has taken.
    taken: usize,
    reports: Vec<DeliveryReport>,
    /// Why the round was stopped before all messages were acknowledged.
    stopped: Option<SendError>,
}

/// The time that a call has left.
pub(crate) struct CallTime<'a> {
    remaining: &'a dyn Fn() -> Duration,
    margin: Duration,
}

pub(super) struct ProducerMessage<'a> {
    /// Comes back in the delivery report.
    pub(super) number: usize,
    pub(super) key: Option<&'a str>,
    pub(super) payload: &'a [u8],
    /// Milliseconds since the Unix epoch.
    pub(super) timestamp: i64,
    pub(super) headers: &'a OwnedHeaders,
}

impl KafkaProducer {
    /// A producer for `topic`. A request to a broker has at most `request_bytes`,
    /// unless a single message is longer. The producer connects in the background.
    pub(super) fn new(
        topic: &str,
        properties: &Properties,
        request_bytes: usize,
    ) -> Result<Self, SendError> {
        let mut config = ClientConfig::new();
        config.set_log_level(RDKafkaLogLevel::Info);
        for (key, value) in properties.iter() {
            if key == "debug" {
                config.set_log_level(RDKafkaLogLevel::Debug);
            }
            config.set(key, value);
        }
        config.set("batch.size", request_bytes.to_string());
        let redactor = properties.redactor();
        let created = config.create_with_context(ProducerEvents::new(properties.clone()));
        let producer = created.map_err(|error: KafkaError| {
            let reason = match error {
                // Without the value: it may be a secret.
                KafkaError::ClientConfig(_, reason, key, _) => format!("`{key}`: {reason}"),
                KafkaError::ClientCreation(reason) => {
                    tls::file_error(&reason, properties).unwrap_or(reason)
                }
                error => error.to_string(),
            };
            SendError::new(SendErrorKind::Misconfigured, redactor.redact(&reason))
        })?;
        Ok(Self {
            producer,
            topic: topic.to_owned(),
            taken: 0,
            reports: Vec::new(),
            stopped: None,
        })
    }

    pub(super) fn start_round(&mut self) {
        self.poll_events();
        // An error from before this round, such as a wrong password, may be fixed.
        self.events().start_round();
        self.stopped = None;
    }

    /// Hands a message to librdkafka. Waits while its queue is full.
    pub(super) fn send(
        &mut self,
        message: &ProducerMessage<'_>,
        time: &CallTime<'_>,
    ) -> Result<(), SendError> {
        self.poll(Duration::ZERO);
        let topic = self.topic.clone();
        let mut record = BaseRecord::with_opaque_to(&topic, message.number)
            .payload(message.payload)
            .timestamp(message.timestamp)
            .headers(message.headers.clone());
        record.key = message.key;
        loop {
            self.check_stop(time);
            if let Some(stopped) = &self.stopped {
                return Err(stopped.clone());
            }
            let Err((error, back)) = self.producer.send(record) else {
                self.taken += 1;
                return Ok(());
            };
            if error.rdkafka_error_code() != Some(Code::QueueFull) {
                return Err(self.with_cause(SendError::of_error(&error, &self.topic)));
            }
            record = back;
            self.poll(POLL_INTERVAL);
        }
    }

    /// Waits for the report of each message. When the time is up or an error stops
    /// the round, purges the messages that no broker has acknowledged: purged
    /// messages are reported too, so that every message has a result.
    pub(super) fn finish(&mut self, time: &CallTime<'_>) -> Result<Vec<DeliveryReport>, SendError> {
        while self.stopped.is_none() && self.in_flight() > 0 {
            self.poll(POLL_INTERVAL);
            if self.in_flight() > 0 {
                self.check_stop(time);
            }
        }
        if let Some(error) = &self.stopped {
            log::debug!(in_flight = self.in_flight(), reason = error.reason; "purging messages");
            let everything = PurgeConfig::default().queue().inflight();
            self.producer.purge(everything);
            while self.in_flight() > 0 && !time.is_over() {
                self.poll(POLL_INTERVAL);
            }
        }
        let in_flight = self.in_flight();
        self.taken = 0;
        if in_flight > 0 {
            let reason = "librdkafka does not return messages";
            return Err(SendError::new(SendErrorKind::Fatal, reason));
        }
        Ok(std::mem::take(&mut self.reports))
    }

    /// The error behind the code of a delivery report.
    ///
    /// The code of a purged message says only that it was purged. Its cause is why
    /// the round was stopped. A message that was purged from the queue was never
    /// sent. A message that was purged in flight may have arrived, so it is
    /// uncertain, unless the cause is more severe.
    pub(super) fn report_error(&self, code: Code) -> SendError {
        let error = SendError::of_code(code, &self.topic);
        match (code, &self.stopped) {
            (Code::PurgeQueue, Some(stopped)) => stopped.clone(),
            (Code::PurgeInflight, Some(stopped)) if stopped.kind > SendErrorKind::Uncertain => {
                stopped.clone()
            }
            (Code::PurgeInflight, Some(stopped)) => SendError::new(
                SendErrorKind::Uncertain,
                format!("sent, but not acknowledged: {}", stopped.reason),
            ),
            (_, _) => self.with_cause(error),
        }
    }

    /// Lets librdkafka report what happened.
    pub(super) fn poll_events(&mut self) {
        self.poll(POLL_INTERVAL);
    }

    /// The error that makes this producer unusable, if there is one.
    pub(super) fn fatal_error(&self) -> Option<SendError> {
        let (code, reason) = self.producer.client().fatal_error()?;
        let kind = SendError::of_code(code, &self.topic).kind;
        let kind = match kind {
            SendErrorKind::Misconfigured | SendErrorKind::Unauthorized => kind,
            SendErrorKind::Rejected
            | SendErrorKind::TooLarge
            | SendErrorKind::Unavailable
            | SendErrorKind::Throttled
            | SendErrorKind::Uncertain
            | SendErrorKind::Fatal => SendErrorKind::Fatal,
        };
        Some(SendError::new(kind, self.events().redact(&reason)))
    }

    /// Asks a broker for the topic's metadata.
    pub(super) fn fetch_metadata(&self, timeout: Duration) -> Result<(), SendError> {
        let answer = self
            .producer
            .client()
            .fetch_metadata(Some(&self.topic), timeout);
        // The reason of a failure arrives as an event, and events need a poll.
        self.producer.poll(POLL_INTERVAL);
        let Err(error) = answer else {
            return Ok(());
        };
        let error = SendError::of_error(&error, &self.topic);
        Err(self.with_cause(match error.kind {
            SendErrorKind::Unavailable => self.events().late(),
            _ => error,
        }))
    }

    /// Stops the round if waiting is pointless: after a fatal error, after an error
    /// that an operator has to fix, or when the time is up.
    fn check_stop(&mut self, time: &CallTime<'_>) {
        let error = self
            .fatal_error()
            .or_else(|| self.events().take_operator_error());
        let late = || self.with_cause(self.events().late());
        self.stopped = error.or_else(|| time.is_short().then(late));
    }

    fn in_flight(&self) -> usize {
        self.taken - self.reports.len()
    }

    fn poll(&mut self, timeout: Duration) {
        self.producer.poll(timeout);
        self.producer.context().take_reports(&mut self.reports);
    }

    /// Replaces "unavailable" by the last error event, which says why: a refused
    /// connection, a failed TLS handshake, a wrong password.
    fn with_cause(&self, error: SendError) -> SendError {
        let Some(last) = self.events().last_error() else {
            return error;
        };
        match error.kind {
            SendErrorKind::Unavailable => last,
            SendErrorKind::Rejected
            | SendErrorKind::Uncertain
            | SendErrorKind::TooLarge
            | SendErrorKind::Throttled
            | SendErrorKind::Fatal
            | SendErrorKind::Misconfigured
            | SendErrorKind::Unauthorized => error,
        }
    }

    fn events(&self) -> &ProducerEvents {
        self.producer.context()
    }
}

impl<'a> CallTime<'a> {
    pub(crate) fn new(remaining: &'a dyn Fn() -> Duration) -> Self {
        let margin = MARGIN.min(remaining() / 10);
        Self { remaining, margin }
    }

    /// The time left for sending, without the margin for purging.
    pub(crate) fn left(&self) -> Duration {
        (self.remaining)().saturating_sub(self.margin)
    }

    /// Whether only the margin is left.
    pub(crate) fn is_short(&self) -> bool {
        self.left().is_zero()
    }

    /// Whether nothing is left, not even the margin.
    pub(crate) fn is_over(&self) -> bool {
        (self.remaining)().is_zero()
    }
}
