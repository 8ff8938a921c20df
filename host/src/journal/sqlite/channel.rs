//! The way of commands to the writer thread.
//!
//! A channel whose receiver says what it waits for: to wake a thread costs more than to append, so that
//! a group of appends must not wake it for each of them.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::command::WriterCommand;

/// Sends commands until it is dropped.
pub(super) struct CommandSender(Arc<SharedChannel>);

pub(super) struct CommandReceiver {
    shared: Arc<SharedChannel>,
    /// Commands that were taken out of the channel and not received yet.
    taken: VecDeque<WriterCommand>,
}

/// What a receiver waits for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Awaited {
    #[default]
    Nothing,
    AnyCommand,
    /// So many appends, or a command of another kind that cannot wait.
    Appends(usize),
}

/// Why a receiver has no command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NoCommand {
    /// None has arrived.
    Yet,
    /// The sender is gone.
    Ever,
}

struct SharedChannel {
    state: Mutex<ChannelState>,
    arrived: Condvar,
}

struct ChannelState {
    commands: VecDeque<WriterCommand>,
    awaited: Awaited,
    has_sender: bool,
    has_receiver: bool,
}

pub(super) fn channel() -> (CommandSender, CommandReceiver) {
    let shared = Arc::new(SharedChannel {
        state: Mutex::new(ChannelState {
            commands: VecDeque::new(),
            awaited: Awaited::Nothing,
            has_sender: true,
            has_receiver: true,
        }),
        arrived: Condvar::new(),
    });
    let receiver = CommandReceiver {
        shared: Arc::clone(&shared),
        taken: VecDeque::new(),
    };
    (CommandSender(shared), receiver)
}

impl CommandSender {
    /// Sends a command. Without a receiver, the command is dropped, and the result is false.
    pub(super) fn send(&self, command: WriterCommand) -> bool {
        let mut state = self.0.lock();
        if !state.has_receiver {
            return false;
        }
        let is_met = state.awaited.is_met_by(&command);
        state.commands.push_back(command);
        drop(state);
        if is_met {
            self.0.arrived.notify_one();
        }
        true
    }
}

impl CommandReceiver {
    /// The oldest command. If none has arrived, waits for what is awaited, for at most this time.
    pub(super) fn receive(
        &mut self,
        wait: impl FnOnce() -> (Awaited, Duration),
    ) -> Result<WriterCommand, NoCommand> {
        let received = self.take();
        if !matches!(received, Err(NoCommand::Yet)) {
            return received;
        }
        let (awaited, timeout) = wait();
        if awaited == Awaited::Nothing || timeout.is_zero() {
            return received;
        }
        self.wait(awaited, timeout);
        self.take()
    }

    fn take(&mut self) -> Result<WriterCommand, NoCommand> {
        if self.taken.is_empty() {
            let mut state = self.shared.lock();
            std::mem::swap(&mut self.taken, &mut state.commands);
            if !state.has_sender && self.taken.is_empty() {
                return Err(NoCommand::Ever);
            }
        }
        self.taken.pop_front().ok_or(NoCommand::Yet)
    }

    fn wait(&self, awaited: Awaited, timeout: Duration) {
        let mut state = self.shared.lock();
        if !state.commands.is_empty() {
            return;
        }
        state.awaited = awaited;
        let waits =
            |state: &mut ChannelState| state.has_sender && state.awaited != Awaited::Nothing;
        let waited = self
            .shared
            .arrived
            .wait_timeout_while(state, timeout, waits);
        let (mut state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        state.awaited = Awaited::Nothing;
    }
}

impl Awaited {
    /// Whether the wait ends with a command.
    pub(super) fn is_met_by(&mut self, command: &WriterCommand) -> bool {
        let is_met = match self {
            Self::Nothing => false,
            Self::AnyCommand => true,
            Self::Appends(missing) if command.is_append() => {
                *missing = missing.saturating_sub(1);
                *missing == 0
            }
            Self::Appends(_) => !command.can_wait(),
        };
        if is_met {
            *self = Self::Nothing;
        }
        is_met
    }
}

impl SharedChannel {
    fn lock(&self) -> MutexGuard<'_, ChannelState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for CommandSender {
    fn drop(&mut self) {
        self.0.lock().has_sender = false;
        self.0.arrived.notify_one();
    }
}

impl Drop for CommandReceiver {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        state.has_receiver = false;
        // Their callers learn that there is no receiver any more.
        let commands = std::mem::take(&mut state.commands);
        drop(state);
        drop(commands);
    }
}
