//! What a process writes to standard output and standard error, as lines of the log.
//!
//! Promises: a line is cut at [`MAX_LINE`] bytes, and a process gets at most
//! [`MAX_LINES`] lines a second into the log. The log says how many were left out.

use std::{
    io,
    os::fd::OwnedFd,
    time::{Duration, Instant},
};

use rustix::io::Errno;

use crate::{logging::LogLine, plugin::host::InstanceHost};

/// The most bytes of a line.
const MAX_LINE: usize = 4096;

/// The most lines in a second.
const MAX_LINES: u64 = 100;

/// Target of the lines.
const TARGET: &str = "output";

pub(in crate::plugin) struct ProcessOutput {
    pipe: OwnedFd,
    line: Vec<u8>,
    /// Since when the lines are counted.
    since: Instant,
    lines: u64,
}

impl ProcessOutput {
    pub(in crate::plugin) fn new(pipe: OwnedFd) -> Self {
        Self {
            pipe,
            line: Vec::new(),
            since: Instant::now(),
            lines: 0,
        }
    }

    pub(in crate::plugin) fn pipe(&self) -> &OwnedFd {
        &self.pipe
    }

    /// Logs what is there. Returns whether there may be more later.
    pub(in crate::plugin) fn read(&mut self, host: &InstanceHost) -> bool {
        let mut buffer = [0; 8192];
        // A process that never stops writing must not keep the supervisor.
        for _ in 0..16 {
            match rustix::io::read(&self.pipe, &mut buffer) {
                Ok(0) => {
                    self.end_line(host);
                    return false;
                }
                Ok(count) => self.push(&buffer[..count], host),
                Err(Errno::INTR) => {}
                Err(error) => return error.kind() == io::ErrorKind::WouldBlock,
            }
        }
        true
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
            if let Some(left_out @ 1..) = self.lines.checked_sub(MAX_LINES) {
                let lines = [("lines".to_owned(), left_out.to_string())];
                host.write(&LogLine {
                    level: log::Level::Warn,
                    target: TARGET,
                    message: "lines of output left out",
                    fields: &lines,
                });
            }
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
}
