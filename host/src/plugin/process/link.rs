//! The host's end of the connection to a process, and the decision about its end.

use std::{
    io,
    sync::Arc,
    time::{Duration, Instant},
};

use delfin_plugin_protocol::{FramePayload, FrameSender, FrameSocket, close_sending};
use serde::Serialize;

use super::ending::Ending;

pub(in crate::plugin) struct Link {
    sender: FrameSender,
    socket: Arc<FrameSocket>,
    pub(in crate::plugin) ending: Ending,
}

impl Link {
    pub(super) fn new(socket: Arc<FrameSocket>) -> Self {
        Self {
            sender: FrameSender::new(Arc::clone(&socket)),
            socket,
            ending: Ending::default(),
        }
    }

    /// Sends a message. What the process does not take at once is sent when it does; if it
    /// never does, it misses the deadline of the call.
    pub(in crate::plugin) fn send(&mut self, message: &impl Serialize, payload: FramePayload<'_>) {
        if let Err(error) = self.sender.send(message, payload) {
            self.ending.on_unsent(&error);
        }
    }

    pub(super) fn has_unsent(&self) -> bool {
        self.sender.has_unsent()
    }

    /// # Errors
    ///
    /// The process does not take all that is left.
    pub(super) fn try_send_rest(&mut self) -> io::Result<()> {
        self.sender.try_send_rest().inspect_err(|error| {
            if error.kind() != io::ErrorKind::WouldBlock {
                self.ending.on_unsent(error);
            }
        })
    }

    /// Asks the call in progress to return. If it does not, the process is ended by SIGTERM,
    /// and a second later by SIGKILL.
    pub(in crate::plugin) fn cancel(&mut self, message: &impl Serialize) {
        if self.ending.cause.is_none() {
            self.ending.on_cancel();
            self.send(message, FramePayload::None);
        }
    }

    /// The process should exit within this time.
    pub(in crate::plugin) fn release(&mut self, time: Duration) {
        self.ending.on_release(Instant::now() + time);
    }

    /// Closes the connection towards the process, which exits then.
    pub(in crate::plugin) fn close(&mut self) {
        // It fails only if the process has closed it before.
        let _ = close_sending(&self.socket);
    }
}
