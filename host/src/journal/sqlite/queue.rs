//! Collects the commands for the writer thread into groups that share a transaction.
//!
//! The cost of a transaction is one sync of the disk, for one command or for a
//! thousand. So a group takes every command that has arrived, up to a number and a
//! size, and commits are delayed for a moment so that they need few transactions.

use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use super::command::WriterCommand;

const MAX_COMMANDS: usize = 1024;
const MAX_BYTES: usize = 64 << 20;

/// Commands that share a transaction.
#[derive(Default)]
pub(super) struct CommandGroup {
    pub(super) commands: Vec<WriterCommand>,
    bytes: usize,
    /// No group follows.
    pub(super) last: bool,
}

pub(super) struct CommandQueue {
    commands: Receiver<WriterCommand>,
    /// Commands that can wait, in the order of their arrival.
    delayed: Vec<WriterCommand>,
    /// When delayed commands last became part of a group.
    last_release: Option<Instant>,
}

impl CommandQueue {
    pub(super) fn new(commands: Receiver<WriterCommand>) -> Self {
        Self {
            commands,
            delayed: Vec::new(),
            last_release: None,
        }
    }

    /// The next group. It is empty if no command arrives within `idle_timeout`.
    ///
    /// Commands that can wait are delayed until `commit_delay` has passed since such
    /// commands were last in a group. So the first commit after a quiet time is not
    /// delayed, and a steady stream of commits is written at most once per delay.
    /// A group never waits once it has a command that cannot wait. Such a command
    /// takes the delayed ones with it, to keep their order, unless it is an append.
    pub(super) fn next_group(
        &mut self,
        idle_timeout: Duration,
        commit_delay: Duration,
    ) -> CommandGroup {
        let mut group = CommandGroup::default();
        let idle_until = Instant::now() + idle_timeout;
        let delayed_until = self
            .last_release
            .map_or_else(Instant::now, |at| at + commit_delay);
        while !group.is_full(self.delayed.len()) {
            let until = if self.delayed.is_empty() {
                idle_until
            } else {
                delayed_until
            };
            // Once the group has a command, take only what has arrived already.
            let wait = if group.commands.is_empty() {
                until.saturating_duration_since(Instant::now())
            } else {
                Duration::ZERO
            };
            match self.commands.recv_timeout(wait) {
                Ok(command) if command.can_wait() => self.delayed.push(command),
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
        if Instant::now() >= delayed_until || self.delayed.len() >= MAX_COMMANDS {
            self.release(&mut group);
        }
        group
    }

    fn release(&mut self, group: &mut CommandGroup) {
        if !self.delayed.is_empty() {
            self.last_release = Some(Instant::now());
            self.delayed
                .drain(..)
                .for_each(|command| group.push(command));
        }
    }
}

impl CommandGroup {
    fn push(&mut self, command: WriterCommand) {
        self.bytes += command.bytes();
        self.last |= matches!(command, WriterCommand::Close);
        self.commands.push(command);
    }

    fn is_full(&self, delayed: usize) -> bool {
        self.last || self.commands.len() + delayed >= MAX_COMMANDS || self.bytes >= MAX_BYTES
    }
}
