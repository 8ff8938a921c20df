//! What librdkafka says meanwhile: reports, errors and its log.
//!
//! Promises: what it logs comes out of the host's log, without the secrets.

use std::sync::{Mutex, MutexGuard, PoisonError};

use delfin_plugin_api::log;
use rdkafka::{
    ClientContext, Statistics,
    config::RDKafkaLogLevel,
    error::KafkaError,
    producer::{DeliveryResult, ProducerContext},
    types::RDKafkaErrorCode as Code,
};

use crate::{
    secret::Secrets,
    trouble::{Kind, Trouble, kind},
};

/// What became of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Report {
    /// Which one.
    pub(crate) number: usize,
    /// What went wrong, if it was not delivered.
    pub(crate) error: Option<Code>,
}

/// Listens to a producer.
pub(crate) struct Watcher {
    secrets: Secrets,
    seen: Mutex<Seen>,
}

#[derive(Default)]
struct Seen {
    reports: Vec<Report>,
    /// The trouble since the last message that was delivered.
    last: Option<Trouble>,
    /// Trouble that only a person can end, and nobody has heard of.
    lasting: Option<Trouble>,
}

impl Watcher {
    pub(super) fn new(secrets: Secrets) -> Self {
        Self {
            secrets,
            seen: Mutex::default(),
        }
    }

    /// Moves the reports that came.
    pub(super) fn take_reports(&self, reports: &mut Vec<Report>) {
        reports.append(&mut self.seen().reports);
    }

    /// News of trouble that only a person can end.
    pub(super) fn take_lasting(&self) -> Option<Trouble> {
        self.seen().lasting.take()
    }

    /// The trouble that there is.
    pub(super) fn last(&self) -> Option<Trouble> {
        self.seen().last.clone()
    }

    /// A text without the secrets.
    pub(super) fn scrubbed(&self, text: &str) -> String {
        self.secrets.scrub(text).into_owned()
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ProducerContext for Watcher {
    type DeliveryOpaque = usize;

    fn delivery(&self, result: &DeliveryResult<'_>, number: usize) {
        let error = result.as_ref().err();
        let error = error.map(|(error, _)| error.rdkafka_error_code().unwrap_or(Code::Unknown));
        let mut seen = self.seen();
        if error.is_none() {
            seen.last = None;
            seen.lasting = None;
        }
        seen.reports.push(Report { number, error });
    }
}

impl ClientContext for Watcher {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, text: &str) {
        let text = self.secrets.scrub(text);
        match level {
            // Nothing is lost by any of it: what is, the outcome says.
            RDKafkaLogLevel::Emerg
            | RDKafkaLogLevel::Alert
            | RDKafkaLogLevel::Critical
            | RDKafkaLogLevel::Error
            | RDKafkaLogLevel::Warning => log::warn!("librdkafka: {facility}: {text}"),
            RDKafkaLogLevel::Notice | RDKafkaLogLevel::Info => {
                log::info!("librdkafka: {facility}: {text}");
            }
            RDKafkaLogLevel::Debug => log::debug!("librdkafka: {facility}: {text}"),
        }
    }

    fn error(&self, error: KafkaError, reason: &str) {
        let reason = self.secrets.scrub(reason);
        log::debug!(reason:%; "trouble with the brokers: {error}");
        let Some(code) = error.rdkafka_error_code() else {
            return;
        };
        // That all are down follows from the trouble with each.
        if code == Code::AllBrokersDown {
            return;
        }
        let trouble = Trouble::new(kind(code), reason);
        let mut seen = self.seen();
        if matches!(trouble.kind, Kind::Misconfigured | Kind::Unauthorized) {
            seen.lasting = Some(trouble.clone());
        }
        seen.last = Some(trouble);
    }

    fn stats(&self, _: Statistics) {}

    fn stats_raw(&self, statistics: &[u8]) {
        let statistics = String::from_utf8_lossy(statistics);
        log::debug!(
            "librdkafka: statistics: {}",
            self.secrets.scrub(&statistics)
        );
    }
}

#[cfg(test)]
mod tests;
