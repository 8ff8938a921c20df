//! Batches as requests of events.
//!
//! Promises: rows that are encoded again have the same events; nothing is left out without being
//! counted; nothing is allocated for a point.
//!
//! Knows nothing of connections.

mod alert;
mod field;
mod performance;

use std::ops::Range;

use delfin_plugin_api::{
    Batch, Skipped,
    json::{Compact, Style},
};

pub use crate::config::EventMetadata;

/// Bytes of a request before compression; a row that is longer is a request of its own. Splunk
/// accepts 1 MB everywhere.
const MAX_REQUEST: usize = 900_000;

/// A batch that can be written as events.
pub trait EventBatch: Batch {
    /// Appends the events of each row.
    fn encode(&self, metadata: &EventMetadata, requests: &mut EventRequests) -> Skipped;
}

/// Events, in requests of whole rows.
#[derive(Debug, Default)]
pub struct EventRequests {
    text: Vec<u8>,
    requests: Vec<RequestRange>,
    /// For each row of the batch: its end in the text, and the number of events up to there.
    row_ends: Vec<(usize, usize)>,
}

#[derive(Debug, Clone)]
struct RequestRange {
    rows: Range<usize>,
    text: Range<usize>,
}

/// One request.
pub(crate) struct EventRequest<'a> {
    pub(crate) text: &'a [u8],
    rows: Range<usize>,
    all: &'a EventRequests,
}

impl EventRequests {
    /// Removes all events.
    pub fn clear(&mut self) {
        self.text.clear();
        self.requests.clear();
        self.row_ends.clear();
    }

    /// The bytes of all events.
    #[must_use]
    pub fn text(&self) -> &[u8] {
        &self.text
    }

    /// The numbers of the rows of each request.
    pub(crate) fn rows(&self) -> impl Iterator<Item = Range<usize>> {
        self.requests.iter().map(|request| request.rows.clone())
    }

    pub(crate) fn iter(&self) -> impl ExactSizeIterator<Item = EventRequest<'_>> {
        self.requests.iter().map(|request| EventRequest {
            text: &self.text[request.text.clone()],
            rows: request.rows.clone(),
            all: self,
        })
    }

    /// Ends a row, to which this number of events was appended. A row without one needs no request.
    fn end_row(&mut self, events: usize) {
        let row = self.row_ends.len();
        let (start, before) = self.row_ends.last().copied().unwrap_or_default();
        let end = self.text.len();
        self.row_ends.push((end, before + events));
        if events == 0 {
            return;
        }
        match self.requests.last_mut() {
            Some(last) if end - last.text.start <= MAX_REQUEST => {
                last.rows.end = row + 1;
                last.text.end = end;
            }
            Some(_) | None => self.requests.push(RequestRange {
                rows: row..row + 1,
                text: start..end,
            }),
        }
    }
}

impl EventRequest<'_> {
    /// The number of rows.
    pub(crate) fn row_count(&self) -> usize {
        self.rows.len()
    }

    /// The row of an event, both from 0 in the request.
    pub(crate) fn row_of_event(&self, event: usize) -> Option<usize> {
        let ends = &self.all.row_ends;
        let before = self.rows.start.checked_sub(1).map_or(0, |row| ends[row].1);
        let row = ends[self.rows.clone()].partition_point(|&(_, end)| end <= before + event);
        (row < self.rows.len()).then_some(row)
    }
}

/// Appends `{"source":…,"time":…` and the other metadata. Without a time, Splunk sets its own.
fn begin_event(time_ms: Option<i64>, metadata: &EventMetadata, text: &mut Vec<u8>) {
    text.extend_from_slice(b"{\"source\":");
    Compact::text(&metadata.source, text);
    if let Some(time_ms) = time_ms {
        text.extend_from_slice(b",\"time\":");
        push_time(time_ms, text);
    }
    for (key, value) in [
        ("index", &metadata.index),
        ("sourcetype", &metadata.sourcetype),
    ] {
        if let Some(value) = value {
            push_member(key, value, text);
        }
    }
}

fn push_member(key: &str, value: &str, text: &mut Vec<u8>) {
    text.extend_from_slice(b",\"");
    text.extend_from_slice(key.as_bytes());
    text.extend_from_slice(b"\":");
    Compact::text(value, text);
}

/// Seconds with three decimals.
fn push_time(time_ms: i64, text: &mut Vec<u8>) {
    if time_ms < 0 {
        text.push(b'-');
    }
    let (seconds, ms) = (time_ms.unsigned_abs() / 1000, time_ms.unsigned_abs() % 1000);
    text.extend_from_slice(itoa::Buffer::new().format(seconds).as_bytes());
    text.push(b'.');
    for digit in [ms / 100, ms / 10 % 10, ms % 10] {
        text.push(b'0' + digit as u8);
    }
}

#[cfg(test)]
mod tests;
