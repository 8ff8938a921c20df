//! Collects the commands for the writer thread into groups that share a transaction.
//!
//! The cost of a transaction is one sync of the disk, for one command or for a
//! thousand. So a group takes every command that has arrived, up to a number and a
//! size, commits are delayed for a moment so that they need few transactions, and
//! small appends of several callers wait for each other.

use std::time::{Duration, Instant};

use super::channel::{Awaited, CommandReceiver, NoCommand};
use super::command::WriterCommand;
use super::gathering::Gathering;

const MAX_COMMANDS: usize = 1024;
const MAX_BYTES: usize = 64 << 20;

/// With so many bytes that are not encoded together, appends do not wait for others: to write
/// them takes longer than the sync that they would share, and others encode meanwhile.
const MAX_SEPARATE_BYTES: usize = 32 << 10;

/// Commands that share a transaction.
#[derive(Default)]
pub(super) struct CommandGroup {
    pub(super) commands: Vec<WriterCommand>,
    /// How many of them are appends.
    appends: usize,
    bytes: usize,
    separate_bytes: usize,
    /// No group follows.
    pub(super) last: bool,
}

pub(super) struct CommandQueue {
    commands: CommandReceiver,
    /// Commands that can wait, in the order of their arrival.
    delayed: Vec<WriterCommand>,
    /// When delayed commands last became part of a group.
    last_release: Option<Instant>,
    gathering: Gathering,
}

/// How long commands wait for others.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct QueueDelays {
    /// Of commands that can wait.
    pub(super) commit: Duration,
    /// Of appends, for one more.
    pub(super) append: Duration,
}

impl CommandQueue {
    pub(super) fn new(commands: CommandReceiver) -> Self {
        Self {
            commands,
            delayed: Vec::new(),
            last_release: None,
            gathering: Gathering::default(),
        }
    }

    /// The next group. It is empty if no command arrives within `idle_timeout`.
    ///
    /// Commands that can wait are delayed until `delays.commit` has passed since such
    /// commands were last in a group. So the first commit after a quiet time is not
    /// delayed, and a steady stream of commits is written at most once per delay.
    /// A group with a command that cannot wait only waits for further appends, while
    /// it has nothing else. A command that is no append takes the delayed ones with
    /// it, to keep their order.
    pub(super) fn next_group(
        &mut self,
        idle_timeout: Duration,
        delays: QueueDelays,
    ) -> CommandGroup {
        let mut group = CommandGroup::default();
        let idle_until = Instant::now() + idle_timeout;
        let delayed_until = self
            .last_release
            .map_or_else(Instant::now, |at| at + delays.commit);
        self.gathering.begin(delays.append);
        while !group.is_full(self.delayed.len()) {
            let until = if self.delayed.is_empty() {
                idle_until
            } else {
                delayed_until
            };
            let gathering = &mut self.gathering;
            // Once the group has a command, take only what has arrived already, or other appends.
            let received = self.commands.receive(|| match group.commands.len() {
                0 => (
                    Awaited::AnyCommand,
                    until.saturating_duration_since(Instant::now()),
                ),
                appends
                    if appends == group.appends && group.separate_bytes < MAX_SEPARATE_BYTES =>
                {
                    gathering.wait(appends)
                }
                _ => (Awaited::Nothing, Duration::ZERO),
            });
            match received {
                Ok(command) if command.can_wait() => self.delayed.push(command),
                Ok(command) => {
                    if !command.overtakes() {
                        self.release(&mut group);
                    }
                    group.push(command);
                }
                Err(NoCommand::Yet) => break,
                Err(NoCommand::Ever) => {
                    self.release(&mut group);
                    group.last = true;
                    break;
                }
            }
        }
        self.gathering.end(group.appends);
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
        self.separate_bytes += command.separate_bytes();
        self.appends += usize::from(command.is_append());
        self.last |= matches!(command, WriterCommand::Close);
        self.commands.push(command);
    }

    fn is_full(&self, delayed: usize) -> bool {
        self.last || self.commands.len() + delayed >= MAX_COMMANDS || self.bytes >= MAX_BYTES
    }
}
