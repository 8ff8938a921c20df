//! Splits a body into items: those of one array, or one per line.
//!
//! A value that is JSON but not a valid item is rejected alone, and so are an item in which
//! a number, word or text is not JSON, and one with bytes that are not UTF-8. After other text
//! that is not JSON the next item of an array cannot be found, so the whole body is refused;
//! in a body of lines only that line is rejected.

use std::ops::Range;

use serde::de::{Deserialize, IgnoredAny};
use serde_json::{Deserializer, error::Category};

use super::{
    ItemBuilder,
    body_text::BodyText,
    extent::value_length,
    faulty_scalar,
    tracker::{ItemTracker, reason},
};
use crate::ingest::{IngestError, ItemError, rules::excerpt};

/// A body, and the position up to which it was read.
pub(super) struct ItemSplitter<'de> {
    body: &'de BodyText<'de>,
    text: &'de str,
    at: usize,
    in_array: bool,
    /// The next byte that is not UTF-8.
    invalid_byte: Option<usize>,
    /// End of the line that was asked for last.
    line_end: usize,
    /// A position, and its line: lines before it need not be counted again.
    counted: (usize, usize),
}

/// The result of reading an item.
enum ItemOutcome {
    /// The item is in the batch, and has this many bytes.
    Valid(usize),
    /// The item is JSON but not valid, and has this many bytes.
    Invalid(ItemError, usize),
    /// The text is not JSON, and its end is unknown.
    NotJson(ItemError),
}

impl<'de> ItemSplitter<'de> {
    /// The items of a part of the body.
    pub(super) fn new(body: &'de BodyText<'de>, part: Range<usize>) -> Self {
        let mut splitter = Self {
            body,
            text: &body.as_str()[..part.end],
            at: part.start,
            in_array: false,
            invalid_byte: body.invalid_byte(part.start),
            line_end: 0,
            counted: (0, 1),
        };
        splitter.skip_space();
        splitter
    }

    /// Reads every item.
    pub(super) fn read(mut self, items: &mut impl ItemBuilder<'de>) -> Result<(), IngestError> {
        if self.rest().is_empty() {
            return Err(IngestError::Empty);
        }
        if self.is_array_of_items() {
            self.read_array(items)
        } else {
            self.read_lines(items)
        }
    }

    /// Whether the body is an array of items. A line may be an array too, a series
    /// `[name, labels, values]`; that array begins with a string, and no item is a string.
    fn is_array_of_items(&self) -> bool {
        self.rest()
            .strip_prefix('[')
            .is_some_and(|inside| !without_space(inside).starts_with('"'))
    }

    fn read_array(&mut self, items: &mut impl ItemBuilder<'de>) -> Result<(), IngestError> {
        self.in_array = true;
        self.skip('[');
        let mut more = !self.skip(']');
        while more {
            match self.read_item(self.rest(), items)? {
                ItemOutcome::Valid(length) => self.at += length,
                ItemOutcome::Invalid(error, length) => {
                    reject(items, None, error);
                    self.at += length;
                }
                ItemOutcome::NotJson(error) => {
                    let index = items.tracker().index();
                    return Err(error.into_body_error(index));
                }
            }
            self.skip_space();
            more = !self.skip(']');
            if more && !self.skip(',') {
                return Err(self.unexpected("expected `,` or `]`", items.tracker()));
            }
        }
        if self.rest().is_empty() {
            Ok(())
        } else {
            Err(self.unexpected("trailing characters", items.tracker()))
        }
    }

    fn read_lines(&mut self, items: &mut impl ItemBuilder<'de>) -> Result<(), IngestError> {
        // An item may span lines until the first text that is not JSON. After that, each
        // item must end on its line: otherwise every further line that never ends would be
        // read to the end of the body, and the cost would be quadratic.
        let mut one_per_line = false;
        while !self.rest().is_empty() {
            let reach = if one_per_line {
                self.line()
            } else {
                self.rest()
            };
            match self.read_item(reach, items)? {
                ItemOutcome::Valid(length) => self.at += length,
                ItemOutcome::Invalid(error, length) => {
                    reject(items, Some(self.line_number(self.at)), error);
                    self.at += length;
                }
                ItemOutcome::NotJson(error) => {
                    reject(items, Some(self.line_number(self.at)), error);
                    self.at += self.line().len();
                    one_per_line = true;
                }
            }
            self.skip_space();
        }
        Ok(())
    }

    /// Reads the item at the begin of `reach`.
    fn read_item(
        &mut self,
        reach: &'de str,
        items: &mut impl ItemBuilder<'de>,
    ) -> Result<ItemOutcome, IngestError> {
        items.tracker().begin_item()?;
        if items.tracker().needs_check() {
            let memory = items.memory_bytes();
            items.tracker().check(memory)?;
        }
        items.begin_item();
        if let Some(invalid) = self.invalid_bytes(reach) {
            return Ok(invalid);
        }
        if let Some(length) = items.plain_item(reach) {
            items.tracker().end_item();
            return Ok(ItemOutcome::Valid(length));
        }
        discard(items)?;
        items.tracker().begin_item()?;
        items.begin_item();
        let mut json = Deserializer::from_str(reach);
        let Err(error) = items.item(&mut json) else {
            items.tracker().end_item();
            return Ok(ItemOutcome::Valid(length(json)));
        };
        discard(items)?;
        let item_error = items.tracker().item_error(&error);
        if error.classify() != Category::Data {
            return self.not_json(reach, &error, None, items);
        }
        // The reader stopped at the error, inside the item. Reading the item again, with any
        // content allowed, finds its end.
        let mut json = Deserializer::from_str(reach);
        match IgnoredAny::deserialize(&mut json) {
            Ok(IgnoredAny) => Ok(ItemOutcome::Invalid(item_error, length(json))),
            Err(error) => self.not_json(reach, &error, Some(item_error), items),
        }
    }

    /// An item that is not JSON, also if it has an `earlier` error: rejected alone if its end is
    /// known.
    fn not_json(
        &mut self,
        reach: &str,
        error: &serde_json::Error,
        earlier: Option<ItemError>,
        items: &mut impl ItemBuilder<'de>,
    ) -> Result<ItemOutcome, IngestError> {
        let value = value_length(reach).map_or("", |length| &reach[..length]);
        // The item is copied.
        let memory = items.memory_bytes() + faulty_scalar::MAX_GROWTH * value.len();
        items.tracker().check(memory)?;
        // A line that is no object or array is one item, although it may have several words.
        let is_item = self.in_array || value.starts_with(['{', '[']);
        let found = is_item.then(|| faulty_scalar::find(value)).flatten();
        Ok(match found {
            Some(scalar) => {
                let error = earlier.unwrap_or_else(|| items.tracker().not_a_value(scalar));
                ItemOutcome::Invalid(error, value.len())
            }
            None => ItemOutcome::NotJson(self.syntax(error)),
        })
    }

    /// The item at the begin of `reach`, if it has bytes that are not UTF-8.
    fn invalid_bytes(&mut self, reach: &str) -> Option<ItemOutcome> {
        if self.invalid_byte? < self.at {
            self.invalid_byte = self.body.invalid_byte(self.at);
        }
        let offset = self.invalid_byte?;
        // An item that does not end is read as one line.
        let length = value_length(reach);
        let end = self.at + length.unwrap_or_else(|| self.line().len());
        if offset >= end {
            return None;
        }
        let error = ItemError::NotUtf8 { offset };
        Some(match length {
            Some(length) => ItemOutcome::Invalid(error, length),
            None => ItemOutcome::NotJson(error),
        })
    }

    fn rest(&self) -> &'de str {
        &self.text[self.at..]
    }

    /// The rest of the line.
    fn line(&mut self) -> &'de str {
        if self.line_end <= self.at {
            let end = self.rest().find('\n');
            self.line_end = end.map_or(self.text.len(), |end| self.at + end);
        }
        &self.text[self.at..self.line_end]
    }

    /// Skips a character, and the space after it, if it comes next.
    fn skip(&mut self, mark: char) -> bool {
        let found = self.rest().starts_with(mark);
        if found {
            self.at += mark.len_utf8();
            self.skip_space();
        }
        found
    }

    fn skip_space(&mut self) {
        self.at = self.text.len() - without_space(self.rest()).len();
    }

    /// The line of a position, from 1. Positions must be asked for in ascending order.
    fn line_number(&mut self, at: usize) -> usize {
        let (before, line) = self.counted;
        let line = line + self.text[before..at].matches('\n').count();
        self.counted = (at, line);
        line
    }

    /// A JSON error in the rest, with its position in the body.
    fn syntax(&mut self, error: &serde_json::Error) -> ItemError {
        let (line, column) = (error.line(), error.column());
        let before = if line == 1 { self.column() - 1 } else { 0 };
        ItemError::Syntax {
            reason: reason(error),
            line: self.line_number(self.at) + line - 1,
            column: before + column,
        }
    }

    fn unexpected(&mut self, reason: &str, tracker: &ItemTracker) -> IngestError {
        let reason = if self.rest().is_empty() {
            "EOF while parsing a list"
        } else {
            reason
        };
        let error = ItemError::Syntax {
            reason: reason.to_owned(),
            line: self.line_number(self.at),
            column: self.column(),
        };
        error.into_body_error(tracker.index())
    }

    /// The column at which the rest begins, from 1.
    fn column(&self) -> usize {
        let before = &self.text[..self.at];
        self.at - before.rfind('\n').map_or(0, |newline| newline + 1) + 1
    }
}

/// Removes the parts of an item that was not read to its end.
fn discard<'de>(items: &mut impl ItemBuilder<'de>) -> Result<(), IngestError> {
    items.discard();
    items.tracker().take_body_error().map_or(Ok(()), Err)
}

/// Ends an item that is invalid.
fn reject<'de>(items: &mut impl ItemBuilder<'de>, line: Option<usize>, error: ItemError) {
    let name = items.item_name().map(|name| excerpt(&name));
    items.tracker().reject_item(line, name, error);
}

/// Number of bytes that were read.
fn length(json: Deserializer<serde_json::de::StrRead<'_>>) -> usize {
    json.into_iter::<IgnoredAny>().byte_offset()
}

fn without_space(text: &str) -> &str {
    text.trim_start_matches([' ', '\t', '\n', '\r'])
}
