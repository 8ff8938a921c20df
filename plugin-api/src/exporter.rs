//! The trait that an exporter author implements.

use std::time::Duration;

use serde::de::DeserializeOwned;

use crate::{
    batch::Batch,
    context::{Context, Host},
    outcome::{Failure, Outcome},
};

/// An exporter: receives batches of one kind and sends them to a receiver.
///
/// An instance gets one call at a time, on a thread of its own, so it may block
/// until [`Context::remaining`] is over. It keeps no queue and does not retry: the
/// host does both. If it panics, the host catches the panic and makes a new
/// instance.
pub trait Exporter: Sized + Send + 'static {
    /// The kind of batches: [`PerformanceBatch`](crate::PerformanceBatch) or
    /// [`AlertBatch`](crate::AlertBatch).
    type Batch: Batch;

    /// The settings, from `[exporter.NAME.config]`. Use
    /// `#[serde(deny_unknown_fields)]`, so that a misspelt key is an error, and
    /// [`setting`](crate::setting) to report all mistakes at once.
    type Config: DeserializeOwned;

    /// Whether two instances with the same configuration exclude each other, because
    /// of a port or a file; true by default. If so, the host closes the old instance
    /// before it makes a new one, and makes no second instance while one is stuck.
    const EXCLUSIVE: bool = true;

    /// The settings in which no two exporters of the plugin may have the same value, such as the path
    /// of a file or a port; none by default. `delfin-host check` names both exporters if two have the
    /// same value.
    const UNIQUE_SETTINGS: &'static [&'static str] = &[];

    /// The most items (points or alerts) that one call gets; `None`, the default, is no
    /// limit. The host splits larger requests. It never splits a series, so a series
    /// with more points comes alone.
    const MAX_POINTS: Option<u64> = None;

    /// For an exporter of alerts: the interval, in whole seconds, at which the host
    /// sends all active alerts again, for a receiver that forgets them. `None`, the
    /// default, is never.
    ///
    /// These batches have the origin [`Resend`](crate::Origin::Resend). An alert that
    /// ended recently is among them as a `Recovery`. Rows that have waited for longer
    /// than the interval, and that later alerts have replaced meanwhile, are not sent
    /// but counted as filtered. The operator can choose another interval, or none.
    const RESEND: Option<Duration> = None;

    /// Checks settings further than their type does, as far as that is possible without an
    /// instance: for example, reads a certificate that they name. It creates nothing and
    /// connects to nothing. `delfin-host check` and a reload call it. By default it does
    /// nothing. An exporter that is a server can look whether its port is free, with
    /// `connections::check_port`.
    ///
    /// # Errors
    ///
    /// [`Failure::Misconfigured`] for settings that cannot work, any other failure for a reason that
    /// can pass.
    fn check(_config: Self::Config) -> Outcome {
        Ok(())
    }

    /// Makes an instance.
    ///
    /// # Errors
    ///
    /// [`Failure::Misconfigured`] for settings that cannot work: the exporter is
    /// `failed` until a reload. The host retries after any other failure.
    fn create(config: Self::Config, host: &Host) -> Result<Self, Failure>;

    /// Sends a batch. `Ok` means that the receiver has stored all rows.
    ///
    /// # Errors
    ///
    /// See [`Failure`].
    fn export(&mut self, batch: &Self::Batch, context: &Context<'_>) -> Outcome;

    /// Sends rows that the exporter has buffered. By default it does nothing.
    ///
    /// # Errors
    ///
    /// See [`Failure`].
    fn flush(&mut self, _context: &Context<'_>) -> Outcome {
        Ok(())
    }

    /// Checks whether the receiver would accept a batch now. The default is `Ok`.
    ///
    /// # Errors
    ///
    /// See [`Failure`].
    fn health(&mut self, _context: &Context<'_>) -> Outcome {
        Ok(())
    }

    /// Called about once a second, for work that does not depend on a batch. By
    /// default it does nothing.
    ///
    /// # Errors
    ///
    /// See [`Failure`].
    fn tick(&mut self, _context: &Context<'_>) -> Outcome {
        Ok(())
    }

    /// The last call: release ports, files and connections. By default it does
    /// nothing; the instance is dropped afterwards.
    ///
    /// # Errors
    ///
    /// See [`Failure`].
    fn close(&mut self, _context: &Context<'_>) -> Outcome {
        Ok(())
    }
}
