//! One round: sends the rows of a batch that are left, once.
//!
//! Promises: rows of one key are sent in order; a message holds rows of one key
//! and of one accepted batch.

use std::{collections::HashMap, ops::Range};

use delfin_plugin_api::{
    BatchPart, Skipped,
    message::{MessageFormat, MessageLimits, MessageRow},
};
use rdkafka::message::{Header, OwnedHeaders};

use super::{
    MIN_MESSAGE_BYTES, SendCall,
    events::DeliveryReport,
    producer::{KafkaProducer, ProducerMessage},
};
use crate::outcome::{RowResults, SendError, SendErrorKind};

/// Rows with the same message key, in order.
pub(super) struct KeyGroup<'a> {
    key: Option<&'a str>,
    /// Row numbers in the batch.
    pub(super) rows: Vec<usize>,
}

/// A message that librdkafka has accepted.
pub(super) struct SentMessage {
    group: usize,
    /// A range of `KeyGroup::rows`.
    rows: Range<usize>,
    bytes: usize,
}

pub(super) struct SendRound<'a, 'r> {
    pub(super) producer: &'a mut KafkaProducer,
    pub(super) call: &'a SendCall<'a>,
    pub(super) format: MessageFormat,
    pub(super) limits: MessageLimits,
    pub(super) groups: &'a [KeyGroup<'r>],
    pub(super) results: &'a mut RowResults,
    /// By message number, which is also the number in the delivery report.
    pub(super) sent: Vec<SentMessage>,
}

impl SendRound<'_, '_> {
    /// Encodes all rows and hands their messages to librdkafka. Stops at the first
    /// error that concerns all messages, such as a broker that is down.
    pub(super) fn send<'r, R: MessageRow<'r>>(
        &mut self,
        rows: &[R],
        buffer: &mut Vec<u8>,
    ) -> Skipped {
        let mut skipped = Skipped::default();
        for group in 0..self.groups.len() {
            let numbers = &self.groups[group].rows;
            let mut start = 0;
            let part = |row: usize| {
                self.call
                    .parts
                    .partition_point(|part| part.first_row <= row)
            };
            // Rows of one part share the batch id and the time of acceptance, which
            // are headers of the message. So a message ends where its part ends.
            for run in numbers.chunk_by(|&a, &b| part(a) == part(b)) {
                let part = part(run[0]).checked_sub(1);
                let run_rows: Vec<R> = run.iter().map(|&row| rows[row]).collect();
                match self.send_run((group, start), part, &run_rows, buffer) {
                    Ok(run) => skipped += run,
                    Err(error) => {
                        self.fail_unsent(&error);
                        return skipped;
                    }
                }
                start += run.len();
            }
        }
        skipped
    }

    /// Sends rows of one key and one part; they start at index `start` of the group.
    fn send_run<'r, R: MessageRow<'r>>(
        &mut self,
        (group, start): (usize, usize),
        part: Option<usize>,
        rows: &[R],
        buffer: &mut Vec<u8>,
    ) -> Result<Skipped, SendError> {
        let part = part.and_then(|part| self.call.parts.get(part));
        let headers = headers(part, self.format, self.call.origin);
        let KeyGroup { key, rows: numbers } = &self.groups[group];
        self.format
            .encode(rows, self.limits, buffer, |(range, payload)| {
                let range = start + range.start..start + range.end;
                let payload = match payload {
                    Ok(payload) => payload,
                    Err(reason) => {
                        let rejected = SendError::new(SendErrorKind::Rejected, reason);
                        self.results.set_failed(&numbers[range], rejected);
                        return Ok(());
                    }
                };
                let message = ProducerMessage {
                    number: self.sent.len(),
                    key: *key,
                    payload,
                    timestamp: part.map_or(0, |part| part.accepted_ms.max(0)),
                    headers: &headers,
                };
                match self.producer.send(&message, &self.call.time) {
                    Ok(()) => {
                        let (rows, bytes) = (range, payload.len());
                        self.sent.push(SentMessage { group, rows, bytes });
                    }
                    // librdkafka refuses a message that is longer than
                    // `message.max.bytes`. Other messages are not concerned.
                    Err(error) if error.kind == SendErrorKind::TooLarge => {
                        let error = too_large(error, range.len(), payload.len(), 0);
                        self.results.set_failed(&numbers[range], error);
                    }
                    Err(error) => return Err(error),
                }
                Ok(())
            })
    }

    /// Waits for the delivery reports. Returns an error if the producer cannot be
    /// used any more.
    pub(super) fn finish(&mut self) -> Option<SendError> {
        match self.producer.finish(&self.call.time) {
            Ok(reports) => reports.iter().for_each(|report| self.enter(report)),
            Err(error) => {
                self.fail_unsent(&error);
                return Some(error);
            }
        }
        let worst = self.results.worst_error();
        let fatal = worst.filter(|worst| worst.kind == SendErrorKind::Fatal);
        self.producer.fatal_error().or_else(|| fatal.cloned())
    }

    /// Enters the result of a message for its rows.
    fn enter(&mut self, report: &DeliveryReport) {
        let SentMessage { group, rows, bytes } = &self.sent[report.number];
        let rows = &self.groups[*group].rows[rows.clone()];
        let Some(code) = report.error else {
            self.results.set_delivered(rows);
            return;
        };
        let error = match self.producer.report_error(code) {
            error if error.kind == SendErrorKind::TooLarge => {
                too_large(error, rows.len(), *bytes, self.limits.bytes)
            }
            error => error,
        };
        self.results.set_failed(rows, error);
    }

    fn fail_unsent(&mut self, error: &SendError) {
        for group in self.groups {
            self.results.fail_unsent(&group.rows, error);
        }
    }
}

/// Decides whether smaller messages can help, or whether the row is rejected.
///
/// A broker checks the size of a whole request of several messages, at most
/// `request_bytes` long. So even a message of one row may fit when it is sent
/// alone. It is rejected only if it filled the request, or if requests cannot
/// become smaller. With `request_bytes` 0 the message was checked by itself.
fn too_large(error: SendError, rows: usize, bytes: usize, request_bytes: usize) -> SendError {
    let shared_request = bytes < request_bytes && request_bytes / 2 >= MIN_MESSAGE_BYTES;
    if rows > 1 || shared_request {
        return error;
    }
    let reason = format!(
        "a message of {bytes} bytes for one row is too large: {}",
        error.reason
    );
    SendError::new(SendErrorKind::Rejected, reason)
}

/// Groups the rows by key, in the order in which keys first occur.
pub(super) fn group_by_key<'a, R: MessageRow<'a>>(rows: &[R]) -> Vec<KeyGroup<'a>> {
    let mut groups: Vec<KeyGroup<'a>> = Vec::new();
    let mut indexes: HashMap<Option<&str>, usize> = HashMap::new();
    let mut last = None;
    for (number, row) in rows.iter().enumerate() {
        let key = row.storage_id().filter(|key| !key.is_empty());
        let group = match last {
            // Rows of a storage usually follow each other: most need no look-up.
            Some((last_key, group)) if last_key == key => group,
            Some(_) | None => *indexes.entry(key).or_insert_with(|| {
                groups.push(KeyGroup {
                    key,
                    rows: Vec::new(),
                });
                groups.len() - 1
            }),
        };
        groups[group].rows.push(number);
        last = Some((key, group));
    }
    groups
}

fn headers(part: Option<&BatchPart<'_>>, format: MessageFormat, origin: &str) -> OwnedHeaders {
    let header = |key, value| Header {
        key,
        value: Some(value),
    };
    let headers = OwnedHeaders::new_with_capacity(4)
        .insert(header("content-type", format.content_type()))
        .insert(header("source", "delfin-host"))
        .insert(header("origin", origin));
    let Some(part) = part else {
        return headers;
    };
    let batch_id = part.batch_id.to_string();
    headers.insert(header("batch-id", batch_id.as_str()))
}
