//! A batch on its way to the brokers.
//!
//! Promises: rows of one key are sent in order, in messages that do not mix
//! keys nor what was accepted apart; what is too large for the brokers is cut
//! smaller, down to single rows.

use std::{collections::HashMap, ops::Range};

use delfin_plugin_api::{BatchPart, Outcome, log};
use rdkafka::message::{Header, OwnedHeaders};

use crate::{
    client::{Client, Message, Report, Time},
    config::Config,
    encode::{Encode, Format, LeftOut, Limits, Row},
    fates::Fates,
    trouble::{Kind, Trouble},
};

/// Below this, smaller messages are no remedy for what is too large.
const SMALLEST: usize = 1024;

/// Sends batches, with one client after the other.
pub(crate) struct Deliverer<B> {
    config: Config<B>,
    /// How large messages may be, as far as the brokers have said.
    limits: Limits,
    client: Option<Client>,
    buffer: Vec<u8>,
}

/// One call.
pub(crate) struct Call<'a> {
    /// How much time there is.
    pub(crate) time: Time<'a>,
    /// What the rows were accepted as, in order.
    pub(crate) parts: Vec<BatchPart<'a>>,
    /// Where they came from.
    pub(crate) origin: &'static str,
}

/// The rows of one key, in order.
struct Group<'a> {
    key: Option<&'a str>,
    rows: Vec<usize>,
}

/// Some rows of a group, in a message.
struct Sent {
    group: usize,
    rows: Range<usize>,
    bytes: usize,
}

/// One pass over the rows that are to be sent.
struct Round<'a, 'r> {
    client: &'a mut Client,
    call: &'a Call<'a>,
    format: Format,
    limits: Limits,
    groups: &'a [Group<'r>],
    fates: &'a mut Fates,
    sent: Vec<Sent>,
}

impl<B: Encode> Deliverer<B> {
    /// With those settings. Connects later.
    pub(crate) fn new(config: Config<B>) -> Result<Self, Trouble> {
        let mut deliverer = Self {
            limits: config.limits,
            client: None,
            buffer: Vec::new(),
            config,
        };
        deliverer.client()?;
        Ok(deliverer)
    }

    /// Sends a batch, and waits until it is known what became of each row.
    pub(crate) fn deliver(&mut self, batch: &B, call: &Call<'_>) -> (LeftOut, Outcome) {
        let rows = batch.all();
        let mut groups = grouped(&rows);
        let mut fates = Fates::new(rows.len());
        let mut left_out = None;
        loop {
            match self.round(&rows, &groups, call, &mut fates) {
                Ok(more) => left_out = left_out.or(Some(more)),
                Err(trouble) => return (LeftOut::default(), Err(trouble.into())),
            }
            for group in &mut groups {
                group.rows = fates.open(&group.rows);
            }
            let worst = fates.worst().filter(|worst| worst.is_open()).cloned();
            let Some(worst) = worst else {
                break;
            };
            let cut = worst.kind == Kind::TooLarge && self.cut_smaller(&worst);
            if !cut || call.time.is_short() {
                for group in &groups {
                    fates.again(&group.rows, &worst);
                }
                break;
            }
            for group in &groups {
                fates.wait(&group.rows);
            }
        }
        (left_out.unwrap_or_default(), fates.outcome())
    }

    /// Handles what happened meanwhile.
    pub(crate) fn tick(&mut self) {
        if let Some(client) = &mut self.client {
            client.idle();
        }
    }

    /// Whether a broker answers.
    pub(crate) fn health(&mut self, time: &Time<'_>) -> Outcome {
        Ok(self.client()?.ask(time.left())?)
    }

    /// Gives the connections back.
    pub(crate) fn close(&mut self) {
        self.client = None;
    }

    fn client(&mut self) -> Result<&mut Client, Trouble> {
        let client = match self.client.take() {
            Some(client) => client,
            None => {
                let Config {
                    topic, properties, ..
                } = &self.config;
                Client::new(topic, properties, self.limits.bytes)?
            }
        };
        Ok(self.client.insert(client))
    }

    /// Sends the rows of the groups once, and notes what became of them.
    fn round<'a>(
        &mut self,
        rows: &[B::Row<'a>],
        groups: &[Group<'_>],
        call: &Call<'_>,
        fates: &mut Fates,
    ) -> Result<LeftOut, Trouble> {
        let mut buffer = std::mem::take(&mut self.buffer);
        let (format, limits) = (self.config.format, self.limits);
        let client = self.client()?;
        client.begin();
        let mut round = Round {
            client,
            call,
            format,
            limits,
            groups,
            fates,
            sent: Vec::new(),
        };
        let sent = round.send(rows, &mut buffer);
        let beyond_use = round.finish();
        self.buffer = buffer;
        if let Some(trouble) = beyond_use {
            log::warn!(reason = trouble.reason; "the producer is beyond use, a new one takes its place");
            self.client = None;
        }
        Ok(sent)
    }

    /// Has smaller messages made from now on, if that is possible.
    fn cut_smaller(&mut self, trouble: &Trouble) -> bool {
        let bytes = self.limits.bytes / 2;
        if bytes < SMALLEST {
            return false;
        }
        log::warn!(bytes, reason = trouble.reason; "messages are too large for the brokers and are cut smaller (set `message_bytes`)");
        self.limits.bytes = bytes;
        // How much is sent at once is fixed for a producer's life.
        self.client = None;
        true
    }
}

impl Round<'_, '_> {
    /// Sends everything, until there is no point in it.
    fn send<'r, R: Row<'r>>(&mut self, rows: &[R], buffer: &mut Vec<u8>) -> LeftOut {
        let mut left_out = LeftOut::default();
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
                    Ok(more) => left_out += more,
                    Err(trouble) => {
                        self.give_up(&trouble);
                        return left_out;
                    }
                }
                start += run.len();
            }
        }
        left_out
    }

    /// Sends rows of one key that were accepted together.
    fn send_run<'r, R: Row<'r>>(
        &mut self,
        (group, start): (usize, usize),
        part: Option<usize>,
        rows: &[R],
        buffer: &mut Vec<u8>,
    ) -> Result<LeftOut, Trouble> {
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
    fn finish(&mut self) -> Option<Trouble> {
        match self.client.finish(&self.call.time) {
            Ok(reports) => reports.iter().for_each(|report| self.note(report)),
            Err(trouble) => {
                self.give_up(&trouble);
                return Some(trouble);
            }
        }
        self.client.fatal()
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
fn grouped<'a, R: Row<'a>>(rows: &[R]) -> Vec<Group<'a>> {
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

#[cfg(test)]
mod tests;
