//! What waits for the writer thread, taken out in groups.
//!
//! A group is all that waits, up to a number and a size. Commands that can wait
//! are held back for a moment, so that moving cursors costs few commits, and few
//! of those that appends make. Nothing but an append overtakes them.

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
    /// Nothing comes after this group.
    pub(super) last: bool,
}

/// The commands on their way to the writer thread.
pub(super) struct Queue {
    commands: Receiver<Command>,
    held_back: Vec<Command>,
    /// When there was last something in a group that could have waited.
    released: Option<Instant>,
}

impl Queue {
    pub(super) fn new(commands: Receiver<Command>) -> Self {
        Self {
            commands,
            held_back: Vec::new(),
            released: None,
        }
    }

    /// The next group; an empty one if nothing came within `patience`. What can
    /// wait is held back until `gather` after such were last in a group.
    pub(super) fn take(&mut self, patience: Duration, gather: Duration) -> Group {
        let mut group = Group::default();
        let idle_until = Instant::now() + patience;
        // The first to wait waits only if others did a moment ago.
        let held_until = self.released.map_or_else(Instant::now, |at| at + gather);
        while !group.is_full(self.held_back.len()) {
            let until = if self.held_back.is_empty() {
                idle_until
            } else {
                held_until
            };
            let wait = if group.commands.is_empty() {
                until.saturating_duration_since(Instant::now())
            } else {
                Duration::ZERO
            };
            match self.commands.recv_timeout(wait) {
                Ok(command) if command.can_wait() => self.held_back.push(command),
                Ok(command) => {
                    if !command.overtakes() {
                        self.release(&mut group);
                    }
                    group.push(command);
                }
                Err(RecvTimeoutError::Timeout) => break,
                Err(RecvTimeoutError::Disconnected) => {
                    self.release(&mut group);
                    group.last = true;
                    break;
                }
            }
        }
        if Instant::now() >= held_until || self.held_back.len() >= MOST_COMMANDS {
            self.release(&mut group);
        }
        group
    }

    /// Lets go of what was held back.
    fn release(&mut self, group: &mut Group) {
        if !self.held_back.is_empty() {
            self.released = Some(Instant::now());
            self.held_back
                .drain(..)
                .for_each(|command| group.push(command));
        }
    }
}

impl Group {
    fn push(&mut self, command: Command) {
        self.bytes += command.bytes();
        self.last |= matches!(command, Command::Close);
        self.commands.push(command);
    }

    fn is_full(&self, held_back: usize) -> bool {
        self.last || self.commands.len() + held_back >= MOST_COMMANDS || self.bytes >= MOST_BYTES
    }
}
