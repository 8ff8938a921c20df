//! Callbacks of librdkafka: delivery reports, errors and log lines.
//!
//! Promises: librdkafka's log appears in the host's log, without secrets; a warning that
//! lasts appears once, and then at debug.

use std::{
    collections::BTreeSet,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use delfin_plugin_api::log;
use rdkafka::{
    ClientContext, Statistics,
    config::RDKafkaLogLevel,
    error::KafkaError,
    producer::{DeliveryResult, ProducerContext},
    types::RDKafkaErrorCode as Code,
};

use super::{connect, tls};
use crate::{
    config::{BROKERS, Properties},
    outcome::{SendError, SendErrorKind},
};

/// librdkafka repeats its warnings every 30 seconds while a broker is away. After this time
/// without one, the next delivered message ends the outage.
const QUIET: Duration = Duration::from_mins(2);

/// The result of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct DeliveryReport {
    /// The number of the message.
    pub(super) number: usize,
    /// `None` if the message was delivered.
    pub(super) error: Option<Code>,
}

/// Collects the events of one producer.
pub(super) struct ProducerEvents {
    properties: Properties,
    state: Mutex<EventState>,
}

#[derive(Default)]
struct EventState {
    reports: Vec<DeliveryReport>,
    /// The last error since a message was delivered.
    last_error: Option<SendError>,
    /// An error that only an operator can fix, until it is reported once.
    operator_error: Option<SendError>,
    /// The last error of TLS that an operator can fix, with the text of librdkafka.
    tls_error: Option<(String, SendError)>,
    outage: Outage,
}

/// The warnings of one outage, of one broker or of all.
#[derive(Default)]
struct Outage {
    /// What librdkafka has warned of, such as `FAIL`.
    facilities: BTreeSet<String>,
    last_warning: Option<Instant>,
}

impl Outage {
    /// Whether a warning is the first of its facility in this outage.
    fn is_first(&mut self, facility: &str, now: Instant) -> bool {
        self.last_warning = Some(now);
        self.facilities.insert(facility.to_owned())
    }

    /// A message was delivered. Others may still fail, while one of several brokers is away.
    fn on_delivery(&mut self, now: Instant) {
        if self.last_warning.is_some_and(|last| now - last > QUIET) {
            *self = Self::default();
        }
    }
}

impl ProducerEvents {
    pub(super) fn new(properties: Properties) -> Self {
        Self {
            properties,
            state: Mutex::default(),
        }
    }

    /// Moves the reports that arrived to `reports`.
    pub(super) fn take_reports(&self, reports: &mut Vec<DeliveryReport>) {
        reports.append(&mut self.state().reports);
    }

    /// Forgets what may be fixed since the last round.
    pub(super) fn start_round(&self) {
        let mut state = self.state();
        state.operator_error = None;
        state.tls_error = None;
    }

    pub(super) fn take_operator_error(&self) -> Option<SendError> {
        self.state().operator_error.take()
    }

    pub(super) fn last_error(&self) -> Option<SendError> {
        self.state().last_error.clone()
    }

    /// The error of a call without an answer, if no event says why.
    pub(super) fn late(&self) -> SendError {
        connect::late(self.properties.get(BROKERS).unwrap_or_default())
    }

    pub(super) fn redact(&self, text: &str) -> String {
        self.properties.redactor().redact(text).into_owned()
    }

    /// The error behind an event, if it is about TLS. The reason takes a connection to find, so it is
    /// found once in a round.
    fn tls_error(&self, state: &mut EventState, text: &str) -> Option<SendError> {
        // What follows, such as `(after 3ms in state SSL_HANDSHAKE)`, differs each time.
        let what = text.split(" (after ").next()?;
        match &state.tls_error {
            Some((known, error)) if known == what => Some(error.clone()),
            _ => {
                let error = tls::error(text, &self.properties)?;
                if error.kind == SendErrorKind::Misconfigured {
                    state.tls_error = Some((what.to_owned(), error.clone()));
                }
                Some(error)
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, EventState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ProducerContext for ProducerEvents {
    type DeliveryOpaque = usize;

    fn delivery(&self, result: &DeliveryResult<'_>, number: usize) {
        let error = result.as_ref().err();
        let error = error.map(|(error, _)| error.rdkafka_error_code().unwrap_or(Code::Unknown));
        let mut state = self.state();
        if error.is_none() {
            state.last_error = None;
            state.operator_error = None;
            state.outage.on_delivery(Instant::now());
        }
        state.reports.push(DeliveryReport { number, error });
    }
}

impl ClientContext for ProducerEvents {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, text: &str) {
        let text = self.properties.redactor().redact(text);
        if let Some(error) = tls::silence(&text, &self.properties) {
            self.state().last_error.get_or_insert(error);
        }
        if tls::is_detail(&text) {
            log::debug!("librdkafka: {facility}: {text}");
            return;
        }
        match level {
            // At most a warning, because nothing is lost here: the outcome of the
            // call reports what was not delivered.
            RDKafkaLogLevel::Emerg
            | RDKafkaLogLevel::Alert
            | RDKafkaLogLevel::Critical
            | RDKafkaLogLevel::Error
            | RDKafkaLogLevel::Warning => {
                let first = self.state().outage.is_first(facility, Instant::now());
                let level = if first {
                    log::Level::Warn
                } else {
                    log::Level::Debug
                };
                log::log!(level, "librdkafka: {facility}: {text}");
            }
            RDKafkaLogLevel::Notice | RDKafkaLogLevel::Info => {
                log::info!("librdkafka: {facility}: {text}");
            }
            RDKafkaLogLevel::Debug => log::debug!("librdkafka: {facility}: {text}"),
        }
    }

    fn error(&self, error: KafkaError, reason: &str) {
        let reason = self.properties.redactor().redact(reason);
        log::debug!(reason:%; "broker error: {error}");
        let Some(code) = error.rdkafka_error_code() else {
            return;
        };
        // This event follows the errors of the single brokers, and says less.
        if code == Code::AllBrokersDown {
            return;
        }
        let mut state = self.state();
        let error = self.tls_error(&mut state, &reason);
        let error = error.or_else(|| connect::error(&reason));
        let error = error.unwrap_or_else(|| SendError::new(SendErrorKind::of_code(code), reason));
        if matches!(
            error.kind,
            SendErrorKind::Misconfigured | SendErrorKind::Unauthorized
        ) {
            state.operator_error = Some(error.clone());
        }
        state.last_error = Some(error);
    }

    fn stats(&self, _: Statistics) {}

    fn stats_raw(&self, statistics: &[u8]) {
        let statistics = String::from_utf8_lossy(statistics);
        log::debug!(
            "librdkafka: statistics: {}",
            self.properties.redactor().redact(&statistics)
        );
    }
}

#[cfg(test)]
mod tests;
