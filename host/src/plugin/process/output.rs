//! What a process writes to standard output and standard error, as lines of the log.
//!
//! Promises: a line is cut at [`MAX_LINE`] bytes, and a process gets at most
//! [`MAX_LINES`] lines a second into the log. The log says how many were left out.

use std::{
    io,
    time::{Duration, Instant},
};

use super::connection::ReadProgress;
use crate::{logging::LogLine, platform::OutputPipe, plugin::host::InstanceHost};

/// How often is read at once, and of a process that has ended.
const READS_AT_ONCE: usize = 16;
const LAST_READS: usize = 1024;

/// The most bytes of a line.
const MAX_LINE: usize = 4096;

/// The most lines in a second.
const MAX_LINES: u64 = 100;

/// Target of the lines.
const TARGET: &str = "output";

pub(super) struct ProcessOutput {
    pipe: OutputPipe,
    /// Whether the process can still write.
    is_open: bool,
    line: Vec<u8>,
    /// Since when the lines are counted.
    since: Instant,
    lines: u64,
}

impl ProcessOutput {
    pub(super) fn new(pipe: OutputPipe) -> Self {
        Self {
            pipe,
            is_open: true,
            line: Vec::new(),
            since: Instant::now(),
            lines: 0,
        }
    }

    pub(super) fn is_open(&self) -> bool {
        self.is_open
    }

    /// Waits until the process has written something. An error is found by the next read.
    pub(super) async fn readable(&self) {
        self.pipe.readable().await;
    }

    /// Logs what is there, or a part of it.
    pub(super) fn read(&mut self, host: &InstanceHost) -> ReadProgress {
        let mut buffer = [0; 8192];
        for _ in 0..READS_AT_ONCE {
            let read = self.pipe.try_read(&mut buffer);
            if !self.on_read(read.map(|count| &buffer[..count]), host) {
                return ReadProgress::All;
            }
        }
        ReadProgress::Part
    }

    /// Logs what a process that has ended has left. Processes that it left behind can hold its
    /// output, and write indefinitely.
    pub(super) fn drain(&mut self, host: &InstanceHost) {
        let mut buffer = [0; 8192];
        for _ in 0..LAST_READS {
            let read = self.pipe.read_last(&mut buffer);
            if !self.is_open || !self.on_read(read.map(|count| &buffer[..count]), host) {
                break;
            }
        }
        self.report_left_out(host);
    }

    /// Returns whether there may be more now.
    fn on_read(&mut self, read: io::Result<&[u8]>, host: &InstanceHost) -> bool {
        match read {
            Ok([]) => {
                self.end_line(host);
                self.is_open = false;
            }
            Ok(bytes) => self.push(bytes, host),
            Err(error) => match error.kind() {
                io::ErrorKind::Interrupted => {}
                io::ErrorKind::WouldBlock => return false,
                _ => self.is_open = false,
            },
        }
        self.is_open
    }

    fn push(&mut self, bytes: &[u8], host: &InstanceHost) {
        let mut lines = bytes.split(|byte| *byte == b'\n').peekable();
        while let Some(part) = lines.next() {
            let room = MAX_LINE.saturating_sub(self.line.len());
            self.line.extend_from_slice(&part[..part.len().min(room)]);
            if lines.peek().is_some() {
                self.end_line(host);
            }
        }
    }

    fn end_line(&mut self, host: &InstanceHost) {
        if self.line.is_empty() {
            return;
        }
        if self.since.elapsed() > Duration::from_secs(1) {
            self.report_left_out(host);
            (self.since, self.lines) = (Instant::now(), 0);
        }
        self.lines += 1;
        if self.lines <= MAX_LINES {
            let line = String::from_utf8_lossy(&self.line);
            host.write(&LogLine {
                level: log::Level::Info,
                target: TARGET,
                message: line.trim_end(),
                fields: &[],
            });
        }
        self.line.clear();
    }

    fn report_left_out(&self, host: &InstanceHost) {
        if let Some(left_out @ 1..) = self.lines.checked_sub(MAX_LINES) {
            let lines = [("lines".to_owned(), left_out.to_string())];
            host.write(&LogLine {
                level: log::Level::Warn,
                target: TARGET,
                message: "lines of output left out",
                fields: &lines,
            });
        }
    }
}
