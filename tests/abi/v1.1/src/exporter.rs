//! One configured exporter inside a plugin.

use abi_stable::{
    sabi_trait,
    std_types::{RBox, RString},
};

use crate::{arrow::ArrowBatch, context::ContextRef, outcome::Outcome};

/// An [`Exporter`], owned by the host.
pub type ExporterBox = Exporter_TO<'static, RBox<()>>;

/// What the host asks of an instance. One call at a time, from one thread at a
/// time; no call returns by unwinding.
#[sabi_trait]
pub trait Exporter: Send {
    /// Sends the rows to the receiver and says what became of them.
    fn export(&mut self, batch: ArrowBatch<'_>, context: ContextRef<'_>) -> Outcome;

    /// Sends what the exporter has kept back.
    fn flush(&mut self, context: ContextRef<'_>) -> Outcome;

    /// Asks whether a batch would have a chance now.
    fn health(&mut self, context: ContextRef<'_>) -> Outcome;

    /// Called now and then, for what must happen without a batch.
    fn tick(&mut self, context: ContextRef<'_>) -> Outcome;

    /// The last call: gives ports, files and connections back.
    #[sabi(last_prefix_field)]
    fn close(&mut self, context: ContextRef<'_>) -> Outcome;

    /// New in 1.1: what the exporter is doing.
    fn describe(&self) -> RString {
        RString::from("cannot say")
    }
}
