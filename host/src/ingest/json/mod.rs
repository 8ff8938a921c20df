//! Delfin's JSON, read in one pass straight into the columns of a batch.
//!
//! A body is one array of items, or items one after the other, a line each. No
//! value tree is built; strings without escapes are taken from the body, and a
//! number is parsed from its own text, so that it is exactly the one sent.

mod alert;
mod entries;
mod leaf;
mod series;
mod trail;

use delfin_plugin_api::{AlertBatch, PerformanceBatch};
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, SeqAccess, Visitor};

use self::{alert::AlertItems, series::SeriesItems, trail::Trail};
use super::{IngestError, Limits};

/// A series batch.
pub(super) fn performance(bytes: &[u8], limits: &Limits) -> Result<PerformanceBatch, IngestError> {
    let mut items = SeriesItems::new(limits);
    read_body(bytes, &mut items)?;
    Ok(items.build())
}

/// An alert batch.
pub(super) fn alerts(
    bytes: &[u8],
    limits: &Limits,
    now_ms: i64,
) -> Result<AlertBatch, IngestError> {
    let mut items = AlertItems::new(limits, now_ms);
    read_body(bytes, &mut items)?;
    Ok(items.build())
}

/// Takes items of one kind as they come.
trait Items<'de> {
    /// Takes the next item.
    fn item<D: Deserializer<'de>>(&mut self, item: D) -> Result<(), D::Error>;

    fn trail(&mut self) -> &mut Trail;
}

fn read_body<'de>(bytes: &'de [u8], items: &mut impl Items<'de>) -> Result<(), IngestError> {
    let text = std::str::from_utf8(bytes).map_err(|error| IngestError::NotUtf8 {
        offset: error.valid_up_to(),
    })?;
    if without_space(text).is_empty() {
        return Err(IngestError::Empty);
    }
    if is_array_of_items(text) {
        read_array(text, items)
    } else {
        read_lines(text, items)
    }
}

/// A line may be an array too, `[name, labels, values]`: then it begins with a
/// string, which no item does.
fn is_array_of_items(text: &str) -> bool {
    without_space(text)
        .strip_prefix('[')
        .is_some_and(|inside| !without_space(inside).starts_with('"'))
}

fn read_array<'de>(text: &'de str, items: &mut impl Items<'de>) -> Result<(), IngestError> {
    let mut json = serde_json::Deserializer::from_str(text);
    json.deserialize_seq(AllItems(items))
        .and_then(|()| json.end())
        .map_err(|error| items.trail().failed(&error, ""))
}

fn read_lines<'de>(text: &'de str, items: &mut impl Items<'de>) -> Result<(), IngestError> {
    let mut rest = without_space(text);
    while !rest.is_empty() {
        let mut json = serde_json::Deserializer::from_str(rest);
        if let Err(error) = NextItem(items).deserialize(&mut json) {
            let before = &text[..text.len() - rest.len()];
            return Err(items.trail().failed(&error, before));
        }
        let read = json.into_iter::<IgnoredAny>().byte_offset();
        rest = without_space(&rest[read..]);
    }
    Ok(())
}

fn without_space(text: &str) -> &str {
    text.trim_start_matches([' ', '\t', '\n', '\r'])
}

struct AllItems<'i, I>(&'i mut I);

impl<'de, I: Items<'de>> Visitor<'de> for AllItems<'_, I> {
    type Value = ();

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("an array of items")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        while seq.next_element_seed(NextItem(self.0))?.is_some() {}
        Ok(())
    }
}

struct NextItem<'i, I>(&'i mut I);

impl<'de, I: Items<'de>> DeserializeSeed<'de> for NextItem<'_, I> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, item: D) -> Result<(), D::Error> {
        self.0.trail().begin_item()?;
        self.0.item(item)?;
        self.0.trail().end_item();
        Ok(())
    }
}

#[cfg(test)]
mod tests;
