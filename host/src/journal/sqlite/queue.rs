//! What waits for the writer thread, taken out in groups.
//!
//! A group is all that waits, up to a number and a size. Commands that can wait
//! are held back for a moment, so that moving cursors costs few commits.

use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use super::command::Command;

const MOST_COMMANDS: usize = 1024;
const MOST_BYTES: usize = 64 << 20;

/// Commands that share one commit.
#[derive(Default)]
pub(super) struct Group {
    pub(super) commands: Vec<Command>,
    bytes: usize,
    urgent: bool,
    /// Nothing comes after this group.
    pub(super) last: bool,
}

/// The commands on their way to the writer thread.
pub(super) struct Queue {
    commands: Receiver<Command>,
    gather: Duration,
    last_taken: Option<Instant>,
}

impl Queue {
    pub(super) fn new(commands: Receiver<Command>, gather: Duration) -> Self {
        Self {
            commands,
            gather,
            last_taken: None,
        }
    }

    /// The next group; an empty one if nothing came for so long.
    pub(super) fn take(&mut self, patience: Duration) -> Group {
        let mut group = Group::default();
        let idle_until = Instant::now() + patience;
        // The first to wait waits only if there was a commit a moment ago.
        let gathered = self
            .last_taken
            .map_or_else(Instant::now, |last| last + self.gather);
        while !group.is_full() {
            let until = if group.commands.is_empty() {
                idle_until
            } else {
                gathered
            };
            let wait = if group.urgent {
                Duration::ZERO
            } else {
                until.saturating_duration_since(Instant::now())
            };
            match self.commands.recv_timeout(wait) {
                Ok(command) => group.push(command),
                Err(RecvTimeoutError::Timeout) => break,
                Err(RecvTimeoutError::Disconnected) => {
                    group.last = true;
                    break;
                }
            }
        }
        if !group.commands.is_empty() {
            self.last_taken = Some(Instant::now());
        }
        group
    }
}

impl Group {
    fn push(&mut self, command: Command) {
        self.bytes += command.bytes();
        self.urgent |= !command.can_wait();
        self.last |= matches!(command, Command::Close);
        self.commands.push(command);
    }

    fn is_full(&self) -> bool {
        self.last || self.commands.len() >= MOST_COMMANDS || self.bytes >= MOST_BYTES
    }
}
