//! One pass over the rows of a batch that are to be sent.
//!
//! Promises: rows of one key are sent in order, in messages that do not mix
//! keys nor what was accepted apart.

use std::{collections::HashMap, ops::Range};

use delfin_plugin_api::{BatchPart, Skipped};
use rdkafka::message::{Header, OwnedHeaders};

use super::{Call, SMALLEST};
use crate::{
    client::{Client, Message, Report},
    encode::{Format, Limits, Row},
    fates::Fates,
    trouble::{Kind, Trouble},
};

/// The rows of one key, in order.
pub(super) struct Group<'a> {
    key: Option<&'a str>,
    /// Their numbers in the batch.
    pub(super) rows: Vec<usize>,
}

/// Some rows of a group, in a message.
pub(super) struct Sent {
    group: usize,
    rows: Range<usize>,
    bytes: usize,
}

/// One pass over the rows that are to be sent.
pub(super) struct Round<'a, 'r> {
    pub(super) client: &'a mut Client,
    pub(super) call: &'a Call<'a>,
    pub(super) format: Format,
    pub(super) limits: Limits,
    pub(super) groups: &'a [Group<'r>],
    pub(super) fates: &'a mut Fates,
    pub(super) sent: Vec<Sent>,
}

impl Round<'_, '_> {
    /// Sends everything, until there is no point in it.
    pub(super) fn send<'r, R: Row<'r>>(&mut self, rows: &[R], buffer: &mut Vec<u8>) -> Skipped {
        let mut skipped = Skipped::default();
        for group in 0..self.groups.len() {
            let numbers = &self.groups[group].rows;
            let mut start = 0;
            let part = |row: usize| {
                self.call
                    .parts
                    .partition_point(|part| part.first_row <= row)
            };
            for run in numbers.chunk_by(|&a, &b| part(a) == part(b)) {
                let part = part(run[0]).checked_sub(1);
                let of_run: Vec<R> = run.iter().map(|&row| rows[row]).collect();
                let place = (group, start);
                match self.send_run(place, part, &of_run, buffer) {
                    Ok(more) => skipped += more,
                    Err(trouble) => {
                        self.give_up(&trouble);
                        return skipped;
                    }
                }
                start += run.len();
            }
        }
        skipped
    }

    /// Sends rows of one key that were accepted together.
    fn send_run<'r, R: Row<'r>>(
        &mut self,
        (group, start): (usize, usize),
        part: Option<usize>,
        rows: &[R],
        buffer: &mut Vec<u8>,
    ) -> Result<Skipped, Trouble> {
        let part = part.and_then(|part| self.call.parts.get(part));
        let headers = headers(part, self.format, self.call.origin);
        let Group { key, rows: numbers } = &self.groups[group];
        self.format
            .encode(rows, self.limits, buffer, |(range, payload)| {
                let range = start + range.start..start + range.end;
                let payload = match payload {
                    Ok(payload) => payload,
                    Err(reason) => {
                        let refused = Trouble::new(Kind::Refused, reason);
                        self.fates.failed(&numbers[range], refused);
                        return Ok(());
                    }
                };
                let message = Message {
                    number: self.sent.len(),
                    key: *key,
                    payload,
                    timestamp: part.map_or(0, |part| part.accepted_ms.max(0)),
                    headers: &headers,
                };
                match self.client.send(&message, &self.call.time) {
                    Ok(()) => {
                        let (rows, bytes) = (range, payload.len());
                        self.sent.push(Sent { group, rows, bytes });
                    }
                    Err(trouble) if trouble.kind == Kind::TooLarge => {
                        // librdkafka looks at each message by itself.
                        let trouble = too_large(trouble, range.len(), payload.len(), 0);
                        self.fates.failed(&numbers[range], trouble);
                    }
                    Err(trouble) => return Err(trouble),
                }
                Ok(())
            })
    }

    /// Waits for the reports. What it gives back is why the client is beyond use.
    pub(super) fn finish(&mut self) -> Option<Trouble> {
        match self.client.finish(&self.call.time) {
            Ok(reports) => reports.iter().for_each(|report| self.note(report)),
            Err(trouble) => {
                self.give_up(&trouble);
                return Some(trouble);
            }
        }
        let worst = self.fates.worst();
        let fatal = worst.filter(|worst| worst.kind == Kind::Fatal);
        self.client.fatal().or_else(|| fatal.cloned())
    }

    fn note(&mut self, report: &Report) {
        let Sent { group, rows, bytes } = &self.sent[report.number];
        let rows = &self.groups[*group].rows[rows.clone()];
        let Some(code) = report.error else {
            self.fates.delivered(rows);
            return;
        };
        let trouble = match self.client.trouble(code) {
            trouble if trouble.kind == Kind::TooLarge => {
                too_large(trouble, rows.len(), *bytes, self.limits.bytes)
            }
            trouble => trouble,
        };
        self.fates.failed(rows, trouble);
    }

    /// What was not sent yet will not be.
    fn give_up(&mut self, trouble: &Trouble) {
        for group in self.groups {
            self.fates.give_up(&group.rows, trouble);
        }
    }
}

/// What it means that a message is too large. Brokers look at what they get at
/// once: a row stands by itself only if nothing else had room beside it.
fn too_large(trouble: Trouble, rows: usize, bytes: usize, at_once: usize) -> Trouble {
    if rows > 1 || bytes < at_once && at_once / 2 >= SMALLEST {
        return trouble;
    }
    let reason = format!(
        "a message of {bytes} bytes for one row is too large: {}",
        trouble.reason
    );
    Trouble::new(Kind::Refused, reason)
}

/// The rows by key, each key where it comes first.
pub(super) fn grouped<'a, R: Row<'a>>(rows: &[R]) -> Vec<Group<'a>> {
    let mut groups: Vec<Group<'a>> = Vec::new();
    let mut known: HashMap<Option<&str>, usize> = HashMap::new();
    let mut last = None;
    for (number, row) in rows.iter().enumerate() {
        let key = row.storage_id().filter(|key| !key.is_empty());
        let group = match last {
            // Rows of one storage stand together: most need no look-up.
            Some((last_key, group)) if last_key == key => group,
            Some(_) | None => *known.entry(key).or_insert_with(|| {
                groups.push(Group {
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

fn headers(part: Option<&BatchPart<'_>>, format: Format, origin: &str) -> OwnedHeaders {
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
