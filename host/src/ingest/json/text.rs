//! The items of a body, one after the other: those of one array, or one a line.
//!
//! An item that is JSON but no such item is left out. What is not JSON ends an
//! array, whose next item cannot be told; of lines only that one is left out.

use serde::de::{Deserialize, IgnoredAny};
use serde_json::{Deserializer, error::Category};

use super::{
    Items,
    trail::{Trail, reason},
};
use crate::ingest::{IngestError, ItemError};

/// A body, and how far it is read.
pub(super) struct Text<'de> {
    text: &'de str,
    at: usize,
    /// The end of the line that was last asked for.
    line_end: usize,
    /// A place that was asked for before, and its line.
    counted: (usize, usize),
}

/// What became of an item.
enum Item {
    /// It is in the batch, and that long.
    Taken(usize),
    /// It is left out, and that long.
    Refused(ItemError, usize),
    /// It is not JSON, and nobody can say where it ends.
    Broken(serde_json::Error),
}

impl<'de> Text<'de> {
    pub(super) fn new(text: &'de str) -> Self {
        let mut text = Self {
            text,
            at: 0,
            line_end: 0,
            counted: (0, 1),
        };
        text.skip_space();
        text
    }

    /// Takes each item.
    pub(super) fn read(mut self, items: &mut impl Items<'de>) -> Result<(), IngestError> {
        if self.rest().is_empty() {
            return Err(IngestError::Empty);
        }
        if self.is_array_of_items() {
            self.read_array(items)
        } else {
            self.read_lines(items)
        }
    }

    /// A line may be an array too, `[name, labels, values]`: then it begins with a
    /// string, which no item does.
    fn is_array_of_items(&self) -> bool {
        self.rest()
            .strip_prefix('[')
            .is_some_and(|inside| !without_space(inside).starts_with('"'))
    }

    fn read_array(&mut self, items: &mut impl Items<'de>) -> Result<(), IngestError> {
        self.pass('[');
        let mut more = !self.pass(']');
        while more {
            match take(self.rest(), items)? {
                Item::Taken(length) => self.at += length,
                Item::Refused(error, length) => {
                    items.trail().reject_item(None, error);
                    self.at += length;
                }
                Item::Broken(error) => {
                    let index = items.trail().index();
                    return Err(self.syntax(&error).of_item(index));
                }
            }
            self.skip_space();
            more = !self.pass(']');
            if more && !self.pass(',') {
                return Err(self.unexpected("expected `,` or `]`", items.trail()));
            }
        }
        if self.rest().is_empty() {
            Ok(())
        } else {
            Err(self.unexpected("trailing characters", items.trail()))
        }
    }

    fn read_lines(&mut self, items: &mut impl Items<'de>) -> Result<(), IngestError> {
        // An item may go on in the next line as long as none was found broken. After
        // that its end would have to be looked for, each time, through the whole rest.
        let mut one_a_line = false;
        while !self.rest().is_empty() {
            let reach = if one_a_line { self.line() } else { self.rest() };
            match take(reach, items)? {
                Item::Taken(length) => self.at += length,
                Item::Refused(error, length) => {
                    let line = self.line_number(self.at);
                    items.trail().reject_item(Some(line), error);
                    self.at += length;
                }
                Item::Broken(error) => {
                    let line = self.line_number(self.at);
                    let error = self.syntax(&error);
                    items.trail().reject_item(Some(line), error);
                    self.at += self.line().len();
                    one_a_line = true;
                }
            }
            self.skip_space();
        }
        Ok(())
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

    /// Passes a mark, and the space behind it, if it comes next.
    fn pass(&mut self, mark: char) -> bool {
        let there = self.rest().starts_with(mark);
        if there {
            self.at += mark.len_utf8();
            self.skip_space();
        }
        there
    }

    fn skip_space(&mut self) {
        self.at = self.text.len() - without_space(self.rest()).len();
    }

    /// The line of a place at or behind the one last asked for, from 1.
    fn line_number(&mut self, at: usize) -> usize {
        let (before, line) = self.counted;
        let line = line + self.text[before..at].matches('\n').count();
        self.counted = (at, line);
        line
    }

    /// What the JSON reader could not read of the rest.
    fn syntax(&mut self, error: &serde_json::Error) -> ItemError {
        let (line, column) = (error.line(), error.column());
        let before = if line == 1 { self.column() - 1 } else { 0 };
        ItemError::Syntax {
            reason: reason(error),
            line: self.line_number(self.at) + line - 1,
            column: before + column,
        }
    }

    fn unexpected(&mut self, reason: &str, trail: &Trail) -> IngestError {
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
        error.of_item(trail.index())
    }

    /// Where in its line the rest begins, from 1.
    fn column(&self) -> usize {
        let before = &self.text[..self.at];
        self.at - before.rfind('\n').map_or(0, |newline| newline + 1) + 1
    }
}

/// Takes the item that the text begins with.
fn take<'de>(text: &'de str, items: &mut impl Items<'de>) -> Result<Item, IngestError> {
    items.trail().begin_item()?;
    let mut json = Deserializer::from_str(text);
    let Err(error) = items.item(&mut json) else {
        items.trail().end_item();
        return Ok(Item::Taken(length(json)));
    };
    items.discard();
    let refused = items.trail().refused(&error);
    if error.classify() != Category::Data {
        return Ok(Item::Broken(error));
    }
    // It was left where the mistake is: its end is found from its beginning.
    let mut json = Deserializer::from_str(text);
    Ok(match IgnoredAny::deserialize(&mut json) {
        Ok(IgnoredAny) => Item::Refused(refused, length(json)),
        Err(error) => Item::Broken(error),
    })
}

/// How much was read.
fn length(json: Deserializer<serde_json::de::StrRead<'_>>) -> usize {
    json.into_iter::<IgnoredAny>().byte_offset()
}

fn without_space(text: &str) -> &str {
    text.trim_start_matches([' ', '\t', '\n', '\r'])
}
