//! An instance of an exporter inside a plugin.

use abi_stable::{sabi_trait, std_types::RBox};

use crate::{arrow::ArrowBatch, context::ContextRef, outcome::Outcome};

/// An [`Exporter`], owned by the host.
pub type ExporterBox = Exporter_TO<'static, RBox<()>>;

/// An instance, as the host sees it. The host makes one call at a time, from one thread
/// at a time. No call unwinds.
#[sabi_trait]
pub trait Exporter: Send {
    /// Sends the rows to the receiver and reports the outcome.
    fn export(&mut self, batch: ArrowBatch<'_>, context: ContextRef<'_>) -> Outcome;

    /// Sends rows that the exporter has buffered.
    fn flush(&mut self, context: ContextRef<'_>) -> Outcome;

    /// Checks whether the receiver would accept a batch now.
    fn health(&mut self, context: ContextRef<'_>) -> Outcome;

    /// Called about once a second, for work that does not depend on a batch.
    fn tick(&mut self, context: ContextRef<'_>) -> Outcome;

    /// The last call: releases ports, files and connections.
    #[sabi(last_prefix_field)]
    fn close(&mut self, context: ContextRef<'_>) -> Outcome;
}
