//! Delfin's JSON, read in one pass straight into the columns of a batch.
//!
//! A body is one array of items, or one item per line. No tree of values is built:
//! strings without escapes are borrowed from the body, and a number is parsed from its
//! own text, so that no precision is lost.

mod alert;
mod object;
mod scalar;
mod series;
mod splitter;
mod tracker;

use delfin_plugin_api::{AlertBatch, PerformanceBatch};
use serde::de::Deserializer;

use self::{
    alert::AlertItemBuilder, series::SeriesItemBuilder, splitter::ItemSplitter,
    tracker::ItemTracker,
};
use super::{BodyLimits, IngestError, RejectedItems};

/// The valid series of a body, and the invalid ones.
pub(super) fn performance(
    bytes: &[u8],
    limits: &BodyLimits,
) -> Result<(PerformanceBatch, RejectedItems), IngestError> {
    let mut items = SeriesItemBuilder::new(limits);
    read_body(bytes, &mut items)?;
    Ok(items.build())
}

/// The valid alerts of a body, and the invalid ones.
pub(super) fn alerts(
    bytes: &[u8],
    limits: &BodyLimits,
    now_ms: i64,
) -> Result<(AlertBatch, RejectedItems), IngestError> {
    let mut items = AlertItemBuilder::new(limits, now_ms);
    read_body(bytes, &mut items)?;
    Ok(items.build())
}

/// Builds a batch of one kind from items.
trait ItemBuilder<'de> {
    /// Adds the next item.
    fn item<D: Deserializer<'de>>(&mut self, item: D) -> Result<(), D::Error>;

    /// Removes the parts of an item that turned out to be invalid.
    fn discard(&mut self);

    fn tracker(&mut self) -> &mut ItemTracker;
}

fn read_body<'de>(bytes: &'de [u8], items: &mut impl ItemBuilder<'de>) -> Result<(), IngestError> {
    let text = std::str::from_utf8(bytes).map_err(|error| IngestError::NotUtf8 {
        offset: error.valid_up_to(),
    })?;
    ItemSplitter::new(text).read(items)
}

#[cfg(test)]
mod tests;
