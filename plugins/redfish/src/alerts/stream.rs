//! Events that the service sends by itself, over server-sent events.
//!
//! Promises: the thread ends with the driver's process; a connection that broke is made again with
//! the id of the last event; the length of lines and events is limited.

use std::{
    io::{self, BufRead, BufReader, Read},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use delfin_plugin_api::{Failure, Host, http::ResponseStream, log};
use serde_json::Value;

use super::{AlertRequest, queue::EventQueue, record::FaultRecord};
use crate::{
    client::{AskError, CallBudget, RedfishClient},
    decode::{flag, link, list, text},
};

/// The longest line, and the longest event.
const MAX_EVENT: usize = 1 << 20;

/// After this time the connection is made again: one that broke without a sign is noticed.
const LIFETIME: Duration = Duration::from_secs(600);

/// The waits before the connection is made again.
const BACKOFF: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));

/// The requests of one connection: it can need a login.
const REQUESTS: u32 = 10;

/// How often the wait looks whether the driver has ended.
const TICK: Duration = Duration::from_millis(200);

/// A thread that receives events.
pub(super) struct EventStream {
    queue: Arc<EventQueue>,
    is_stopped: Arc<AtomicBool>,
}

/// The path of the stream; `None` if the service sends no events.
pub(super) fn uri(request: &AlertRequest<'_>) -> Result<Option<String>, AskError> {
    let Some(path) = link(&request.tree.root, "/EventService") else {
        return Ok(None);
    };
    let service = request.client.get(&path, request.budget)?;
    let is_off = flag(&service, "/ServiceEnabled") == Some(false);
    let uri = text(&service, "/ServerSentEventUri").filter(|_| !is_off);
    Ok(uri.and_then(|uri| request.client.own_path(uri)))
}

impl EventStream {
    pub(super) fn start(
        client: Arc<RedfishClient>,
        host: Host,
        path: String,
    ) -> Result<Self, Failure> {
        let queue = Arc::<EventQueue>::default();
        let is_stopped = Arc::<AtomicBool>::default();
        let mut receiver = EventReceiver {
            client,
            path,
            queue: Arc::clone(&queue),
            is_stopped: Arc::clone(&is_stopped),
            last_id: None,
        };
        let thread = thread::Builder::new().name("events".to_owned());
        let started = thread.spawn(move || host.scope(|| receiver.run()));
        started.map_err(|error| Failure::retry(format!("cannot start a thread: {error}")))?;
        Ok(Self { queue, is_stopped })
    }

    /// The events since the last call.
    pub(super) fn drain(&self) -> Vec<FaultRecord> {
        let (events, dropped) = self.queue.drain();
        if dropped > 0 {
            log::warn!(events = dropped; "events arrived faster than they are asked for: the oldest are dropped, the logs have them");
        }
        events
    }
}

impl Drop for EventStream {
    fn drop(&mut self) {
        self.is_stopped.store(true, Ordering::Relaxed);
    }
}

struct EventReceiver {
    client: Arc<RedfishClient>,
    path: String,
    queue: Arc<EventQueue>,
    is_stopped: Arc<AtomicBool>,
    last_id: Option<String>,
}

impl EventReceiver {
    fn run(&mut self) {
        let mut wait = BACKOFF.0;
        while !self.is_stopped.load(Ordering::Relaxed) {
            match self.receive() {
                Ok(()) => wait = BACKOFF.0,
                Err(EventStreamEnd::Refused(reason)) => {
                    log::info!(reason; "the service does not send its events");
                    return;
                }
                Err(EventStreamEnd::Broken(reason)) => {
                    log::debug!(reason; "no connection for events");
                    wait = (wait * 2).min(BACKOFF.1);
                }
            }
            self.sleep(wait);
        }
    }

    /// Receives until the connection ends.
    fn receive(&mut self) -> Result<(), EventStreamEnd> {
        let budget = CallBudget::of_thread(LIFETIME, REQUESTS);
        let last_id = self.last_id.as_deref();
        let opened = self
            .client
            .open_stream(&self.path, last_id, LIFETIME, &budget);
        let stream = match opened {
            Ok(stream) => stream,
            Err(
                AskError::Absent(reason)
                | AskError::Call(
                    Failure::Unauthorized { message: reason }
                    | Failure::Rejected { message: reason },
                ),
            ) => {
                return Err(EventStreamEnd::Refused(reason));
            }
            Err(error) => return Err(EventStreamEnd::Broken(error.to_string())),
        };
        log::debug!("receiving events");
        let mut lines = BufReader::new(stream);
        let mut event = EventText::default();
        // A connection that ends is nothing to report: some services close it when nothing happens.
        while let Ok(Some(line)) = read_line(&mut lines) {
            if self.is_stopped.load(Ordering::Relaxed) {
                break;
            }
            if let Some(data) = event.add(&line) {
                self.accept(&data);
                self.last_id.clone_from(&event.id);
            }
        }
        Ok(())
    }

    fn accept(&self, data: &str) {
        match serde_json::from_str::<Value>(data) {
            Ok(event) => {
                for record in list(&event, "/Events") {
                    self.queue.push(FaultRecord::of_event(record));
                }
            }
            Err(error) => log::debug!(error:% = error; "an event is no JSON"),
        }
    }

    fn sleep(&self, time: Duration) {
        let mut left = time;
        while !left.is_zero() && !self.is_stopped.load(Ordering::Relaxed) {
            thread::sleep(left.min(TICK));
            left = left.saturating_sub(TICK);
        }
    }
}

/// Why there is no connection.
enum EventStreamEnd {
    /// Another attempt would not help, or lock the account.
    Refused(String),
    Broken(String),
}

/// A line without its end; `None` at the end of the stream.
fn read_line(lines: &mut BufReader<ResponseStream>) -> io::Result<Option<String>> {
    let mut line = Vec::new();
    let limit = MAX_EVENT as u64 + 1;
    lines.take(limit).read_until(b'\n', &mut line)?;
    if line.len() > MAX_EVENT {
        return Err(io::Error::other("a line is too long"));
    }
    if line.pop() != Some(b'\n') {
        return Ok(None);
    }
    if line.last() == Some(&b'\r') {
        line.pop();
    }
    Ok(Some(String::from_utf8_lossy(&line).into_owned()))
}

/// The event that is being received.
#[derive(Default)]
struct EventText {
    data: String,
    /// The id of this event, or of the last one that had one.
    id: Option<String>,
}

impl EventText {
    /// Adds a line. An empty one ends the event, and returns its data.
    fn add(&mut self, line: &str) -> Option<String> {
        if line.is_empty() {
            let data = std::mem::take(&mut self.data);
            return (!data.is_empty()).then_some(data);
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "data" if self.data.len() + value.len() <= MAX_EVENT => {
                if !self.data.is_empty() {
                    self.data.push('\n');
                }
                self.data.push_str(value);
            }
            // It goes into a header.
            "id" if value.len() <= 256
                && value.bytes().all(|byte| (b' '..=b'~').contains(&byte)) =>
            {
                self.id = Some(value.to_owned());
            }
            _ => {}
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_become_events() {
        let mut event = EventText::default();
        let lines = [
            ": comment",
            "id: 7",
            "event: x",
            "data: {\"a\":",
            "data:1}",
            "",
            "",
            "data: b",
            "",
        ];
        let events: Vec<String> = lines.iter().filter_map(|line| event.add(line)).collect();
        assert_eq!(events, ["{\"a\":\n1}", "b"]);
        assert_eq!(event.id.as_deref(), Some("7"));
        event.add("id: 8\u{7}");
        event.add(&format!("data: {}", "x".repeat(MAX_EVENT + 1)));
        assert_eq!(event.id.as_deref(), Some("7"));
        assert_eq!(event.add(""), None);
    }
}
