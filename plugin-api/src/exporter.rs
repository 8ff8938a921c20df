//! The trait that an exporter author implements.

use std::time::Duration;

use serde::de::DeserializeOwned;

use crate::{
    batch::Batch,
    context::{Context, Host},
    outcome::{Failure, Outcome},
};

/// An exporter: receives batches of one kind and sends them somewhere.
///
/// An instance gets one call at a time, on a thread of its own, so it may block
/// until [`Context::remaining`] is over. It keeps no queue and does not retry:
/// the host does both. It may panic: the panic is caught and the host makes a
/// new instance.
pub trait Exporter: Sized + Send + 'static {
    /// What it receives: [`PerformanceBatch`](crate::PerformanceBatch) or
    /// [`AlertBatch`](crate::AlertBatch).
    type Batch: Batch;

    /// Its settings, from `[exporter.NAME.config]`. With
    /// `#[serde(deny_unknown_fields)]` a misspelt key is refused.
    type Config: DeserializeOwned;

    /// Whether two instances with one configuration exclude each other, because
    /// of a port or a file. If so, the old one is closed before a new one is
    /// made, and one that hangs is not doubled.
    const EXCLUSIVE: bool = true;

    /// The most points, or alerts, that it takes in one call: the host splits
    /// what is larger. A series is never split, so that one with more points
    /// comes alone.
    const MAX_POINTS: Option<u64> = None;

    /// For an exporter of alerts: how often it wants to be sent all that are
    /// active, in whole seconds, for a receiver that forgets. Those batches have
    /// the origin [`Resend`](crate::Origin::Resend); an alert that ended lately
    /// is among them as a `Recovery`. Whoever asks for them is spared, after its
    /// receiver was away, what a later batch has overtaken. An operator may
    /// choose another rhythm, or none.
    const RESEND: Option<Duration> = None;

    /// Makes an instance.
    ///
    /// # Errors
    ///
    /// [`Failure::Misconfigured`] for settings that cannot work, which stops
    /// the exporter until they change; any other failure is tried again.
    fn create(config: Self::Config, host: &Host) -> Result<Self, Failure>;

    /// Sends a batch. `Ok` means that the receiver has all of it, for good.
    ///
    /// # Errors
    ///
    /// See [`Failure`].
    fn export(&mut self, batch: &Self::Batch, context: &Context<'_>) -> Outcome;

    /// Sends what was kept back.
    ///
    /// # Errors
    ///
    /// See [`Failure`].
    fn flush(&mut self, _context: &Context<'_>) -> Outcome {
        Ok(())
    }

    /// Asks the receiver whether a batch would have a chance now.
    ///
    /// # Errors
    ///
    /// See [`Failure`].
    fn health(&mut self, _context: &Context<'_>) -> Outcome {
        Ok(())
    }

    /// Called about once a second, for what must happen without a batch.
    ///
    /// # Errors
    ///
    /// See [`Failure`].
    fn tick(&mut self, _context: &Context<'_>) -> Outcome {
        Ok(())
    }

    /// The last call: gives ports, files and connections back.
    ///
    /// # Errors
    ///
    /// See [`Failure`].
    fn close(&mut self, _context: &Context<'_>) -> Outcome {
        Ok(())
    }
}
