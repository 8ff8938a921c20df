//! The lines that wait to be written.
//!
//! Promises: they have a bound, in lines and in bytes, and plugins have only a part of it:
//! a plugin that logs without end leaves room for what the host has to say.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    time::Duration,
};

/// The most lines, and the most bytes of lines.
const MAX_LINES: usize = 8192;
const MAX_BYTES: usize = 16 << 20;

/// Who logs a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LineOrigin {
    Host,
    /// A plugin. Its lines leave a half of the queue to the host.
    Plugin,
}

enum LogMessage {
    Line(String),
    Flush(SyncSender<()>),
}

/// The end of the queue that takes lines.
pub(super) struct LineQueue {
    sender: SyncSender<LogMessage>,
    waiting: Arc<WaitingLines>,
    dropped: AtomicU64,
}

/// The end of the queue that gives lines.
pub(super) struct QueuedLines {
    receiver: Receiver<LogMessage>,
    waiting: Arc<WaitingLines>,
}

#[derive(Default)]
struct WaitingLines {
    lines: AtomicUsize,
    bytes: AtomicUsize,
}

pub(super) fn line_queue() -> (LineQueue, QueuedLines) {
    // One more, so that a full queue can be flushed.
    let (sender, receiver) = sync_channel(MAX_LINES + 1);
    let waiting = Arc::new(WaitingLines::default());
    let queue = LineQueue {
        sender,
        waiting: Arc::clone(&waiting),
        dropped: AtomicU64::new(0),
    };
    (queue, QueuedLines { receiver, waiting })
}

impl LineQueue {
    /// Adds a line, or drops and counts it.
    pub(super) fn push(&self, line: String, origin: LineOrigin) {
        let part = match origin {
            LineOrigin::Host => 1,
            LineOrigin::Plugin => 2,
        };
        let length = line.len();
        // Counted before it is sent: the thread that writes it may be quicker.
        let lines = self.waiting.lines.fetch_add(1, Ordering::Relaxed) + 1;
        let bytes = self.waiting.bytes.fetch_add(length, Ordering::Relaxed) + length;
        let has_room = lines <= MAX_LINES / part && bytes <= MAX_BYTES / part;
        if !has_room || self.sender.try_send(LogMessage::Line(line)).is_err() {
            self.waiting.remove(length);
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// How many lines were dropped since the last call.
    pub(super) fn take_dropped(&self) -> u64 {
        self.dropped.swap(0, Ordering::Relaxed)
    }

    /// Waits until the lines so far are written, for at most this long.
    pub(super) fn flush(&self, patience: Duration) {
        let (done, written) = sync_channel(1);
        if self.sender.try_send(LogMessage::Flush(done)).is_ok() {
            // A pipe that stays full has no reader. Exiting must not wait for it.
            let _ = written.recv_timeout(patience);
        }
    }
}

impl QueuedLines {
    /// Writes each line, until the other end is gone.
    pub(super) fn write(&self, mut write: impl FnMut(&str)) {
        for message in &self.receiver {
            match message {
                LogMessage::Line(line) => {
                    write(&line);
                    self.waiting.remove(line.len());
                }
                LogMessage::Flush(done) => drop(done.send(())),
            }
        }
    }
}

#[cfg(test)]
impl QueuedLines {
    /// How many lines there are. They are gone then.
    pub(super) fn drain(&self) -> usize {
        self.receiver.try_iter().count()
    }
}

impl WaitingLines {
    fn remove(&self, length: usize) {
        self.lines.fetch_sub(1, Ordering::Relaxed);
        self.bytes.fetch_sub(length, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plugin_that_logs_without_end_leaves_room_for_the_host() {
        for length in [10, 60 << 10] {
            let (queue, lines) = line_queue();
            for _ in 0..10_000 {
                queue.push("p".repeat(length), LineOrigin::Plugin);
            }
            let dropped = queue.take_dropped();
            queue.push("from the host".to_owned(), LineOrigin::Host);
            assert_eq!(queue.take_dropped(), 0);
            drop(queue);
            let mut written: Vec<String> = Vec::new();
            lines.write(|line| written.push(line.to_owned()));
            assert_eq!(written.len() as u64 + dropped, 10_001);
            assert_eq!(written.pop().unwrap(), "from the host");
            let bytes: usize = written.iter().map(String::len).sum();
            assert!(written.len() > 100 && bytes <= MAX_BYTES / 2, "{bytes}");
        }
    }

    #[test]
    fn room_is_free_again_once_a_line_is_written() {
        let (queue, lines) = line_queue();
        let line = "x".repeat(MAX_BYTES / 2);
        for dropped in [0, 0, 1] {
            queue.push(line.clone(), LineOrigin::Host);
            assert_eq!(queue.take_dropped(), dropped);
        }
        let writing = std::thread::spawn(move || lines.write(|_| {}));
        queue.flush(Duration::from_mins(1));
        queue.push(line, LineOrigin::Host);
        assert_eq!(queue.take_dropped(), 0);
        drop(queue);
        writing.join().unwrap();
    }
}
