//! Delfin's JSON, read in one pass straight into the columns of a batch.
//!
//! A body is one array of items, or items one after the other, a line each. No
//! value tree is built; strings without escapes are taken from the body, and a
//! number is parsed from its own text, so that it is exactly the one sent.

mod alert;
mod entries;
mod leaf;
mod series;
mod text;
mod trail;

use delfin_plugin_api::{AlertBatch, PerformanceBatch};
use serde::de::Deserializer;

use self::{alert::AlertItems, series::SeriesItems, text::Text, trail::Trail};
use super::{IngestError, Limits, Rejected};

/// A series batch, and what is no part of it.
pub(super) fn performance(
    bytes: &[u8],
    limits: &Limits,
) -> Result<(PerformanceBatch, Rejected), IngestError> {
    let mut items = SeriesItems::new(limits);
    read_body(bytes, &mut items)?;
    Ok(items.build())
}

/// An alert batch, and what is no part of it.
pub(super) fn alerts(
    bytes: &[u8],
    limits: &Limits,
    now_ms: i64,
) -> Result<(AlertBatch, Rejected), IngestError> {
    let mut items = AlertItems::new(limits, now_ms);
    read_body(bytes, &mut items)?;
    Ok(items.build())
}

/// Takes items of one kind as they come.
trait Items<'de> {
    /// Takes the next item.
    fn item<D: Deserializer<'de>>(&mut self, item: D) -> Result<(), D::Error>;

    /// Forgets what was taken of an item that turned out to be none.
    fn discard(&mut self);

    fn trail(&mut self) -> &mut Trail;
}

fn read_body<'de>(bytes: &'de [u8], items: &mut impl Items<'de>) -> Result<(), IngestError> {
    let text = std::str::from_utf8(bytes).map_err(|error| IngestError::NotUtf8 {
        offset: error.valid_up_to(),
    })?;
    Text::new(text).read(items)
}

#[cfg(test)]
mod tests;
