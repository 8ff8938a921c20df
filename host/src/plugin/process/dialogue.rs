//! What the owner of a process and the process say to each other, as its supervisor needs it.

use delfin_plugin_protocol::WireFrame;

use super::link::Link;
use crate::plugin::death::DeathCause;

/// What an owner and its process say to each other.
pub(in crate::plugin) trait Dialogue: Send {
    /// What the owner asks for.
    type Request: Send;
    /// What the process has sent.
    type Event: Send + 'static;

    /// The process was started.
    fn on_start(&mut self, link: &mut Link);

    fn on_request(
        &mut self,
        request: Self::Request,
        link: &mut Link,
    ) -> impl Future<Output = ()> + Send;

    /// The owner is gone, so the process should exit.
    fn on_release(&mut self, link: &mut Link);

    /// Decodes a frame. The error is how it breaks the protocol.
    fn decoder(&self) -> impl FnOnce(WireFrame) -> Result<Self::Event, String> + Send + 'static;

    fn on_event(&mut self, event: Self::Event, link: &mut Link);

    /// The process has ended: answers the call in progress.
    fn on_end(&mut self, end: &ProcessEnd);

    /// Answers a request after the end.
    fn refuse(&self, request: Self::Request, end: &ProcessEnd);
}

/// Why there is no process any more.
#[derive(Clone, Debug)]
pub(in crate::plugin) enum ProcessEnd {
    NotStarted(String),
    Ended {
        cause: DeathCause,
        /// Whether the process should have exited.
        is_released: bool,
    },
}
