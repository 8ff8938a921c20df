//! Delfin's JSON, read straight into the columns of a batch.
//!
//! A body is one array of items, or one item per line. No tree of values is built:
//! strings without escapes are borrowed from the body, and a number is parsed from its
//! own text, so that no precision is lost.
//!
//! An item is read in one pass by a [`PlainReader`](plain::PlainReader), as long as it is valid and written as
//! programs write JSON. Any other item is read again by `serde_json`, from which its error is.

mod alert;
mod body_text;
mod envelope;
mod extent;
mod faulty_scalar;
mod object;
mod plain;
mod scalar;
mod series;
mod splitter;
mod tracker;

use std::borrow::Cow;

use delfin_plugin_api::{AlertBatch, PerformanceBatch};
use serde::de::Deserializer;

use self::{
    alert::AlertItemBuilder, body_text::BodyText, series::SeriesItemBuilder,
    splitter::ItemSplitter, tracker::ItemTracker,
};
use super::{BodyLimits, IngestError, ParsedItems, guard::ParseGuard};

/// The valid series of a body, and the invalid ones.
pub(super) fn performance(
    bytes: &[u8],
    limits: &BodyLimits,
    now_ms: i64,
    mut guard: ParseGuard,
) -> Result<ParsedItems<PerformanceBatch>, IngestError> {
    let body = BodyText::new(bytes);
    guard.hold_body(body.memory_bytes())?;
    let mut items = SeriesItemBuilder::new(ItemTracker::new(limits, now_ms, guard));
    let part = body.start()..body.as_str().len();
    ItemSplitter::new(&body, part).read(&mut items)?;
    Ok(items.build())
}

/// The valid alerts of a body, and the invalid ones.
pub(super) fn alerts(
    bytes: &[u8],
    limits: &BodyLimits,
    now_ms: i64,
    mut guard: ParseGuard,
) -> Result<ParsedItems<AlertBatch>, IngestError> {
    let body = BodyText::new(bytes);
    guard.hold_body(body.memory_bytes())?;
    let mut items = AlertItemBuilder::new(ItemTracker::new(limits, now_ms, guard), now_ms);
    let envelope = envelope::find(body.as_str(), body.start())?;
    let (part, complete_for) = match envelope {
        Some(envelope) => (envelope.alerts, envelope.complete_for),
        None => (body.start()..body.as_str().len(), None),
    };
    ItemSplitter::new(&body, part).read(&mut items)?;
    Ok(ParsedItems {
        complete_for,
        ..items.build()
    })
}

/// Builds a batch of one kind from items.
trait ItemBuilder<'de> {
    /// Prepares for the next item.
    fn begin_item(&mut self);

    /// Adds the item at the begin of `text` and returns its length, if it is valid and plain.
    /// Otherwise a part of it may have been added.
    fn plain_item(&mut self, text: &'de str) -> Option<usize>;

    /// Adds the next item.
    fn item<D: Deserializer<'de>>(&mut self, item: D) -> Result<(), D::Error>;

    /// The memory of the batch so far.
    fn memory_bytes(&self) -> usize;

    /// Removes the parts of an item that turned out to be invalid.
    fn discard(&mut self);

    /// The name of the current item, as far as it was read.
    fn item_name(&self) -> Option<Cow<'_, str>>;

    fn tracker(&mut self) -> &mut ItemTracker;
}

#[cfg(test)]
mod plain_tests;
#[cfg(test)]
mod tests;
