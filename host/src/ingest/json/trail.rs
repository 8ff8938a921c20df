//! Where in the body the reader is, so that a mistake can be named.

use delfin_plugin_api::text;

use crate::ingest::{IngestError, ItemError, Limits, Rejected, RejectedItem, rules::excerpt};

/// The reason of an item's error has at most so many characters: it may quote the
/// item.
const MAX_REASON_CHARS: usize = 300;

/// Where the reader is, and which items it has left out.
#[derive(Debug)]
pub(super) struct Trail {
    index: usize,
    field: Option<&'static str>,
    too_long: Option<ItemError>,
    rejected: Rejected,
    limits: Limits,
}

impl Trail {
    pub(super) fn new(limits: &Limits) -> Self {
        Self {
            index: 0,
            field: None,
            too_long: None,
            rejected: Rejected::default(),
            limits: *limits,
        }
    }

    /// The item that is being read, from 0.
    pub(super) fn index(&self) -> usize {
        self.index
    }

    pub(super) fn begin_item(&mut self) -> Result<(), IngestError> {
        let limit = self.limits.max_rows;
        if self.index as u64 >= limit {
            return Err(IngestError::TooManyRows { limit });
        }
        self.field = None;
        Ok(())
    }

    pub(super) fn end_item(&mut self) {
        self.index += 1;
    }

    /// Ends an item that is no part of the batch.
    pub(super) fn reject_item(&mut self, line: Option<usize>, error: ItemError) {
        let index = self.index;
        self.rejected.push(RejectedItem { index, line, error });
        self.end_item();
    }

    /// The items that were left out.
    pub(super) fn into_rejected(self) -> Rejected {
        self.rejected
    }

    /// The field that is being read, or none between two fields.
    pub(super) fn enter(&mut self, field: Option<&'static str>) {
        self.field = field;
    }

    /// Refuses a text that is too long; `owner` says whose it is.
    pub(super) fn check_text(&mut self, text: &str, owner: &str) -> Result<(), String> {
        let (bytes, limit) = (text.len(), self.limits.max_string_bytes);
        if bytes as u64 <= limit {
            return Ok(());
        }
        self.too_long = Some(ItemError::TextTooLong {
            field: excerpt(owner),
            bytes,
            limit,
        });
        Err("a text is too long".to_owned())
    }

    /// What is wrong with the item that is being read, which is JSON.
    pub(super) fn refused(&mut self, error: &serde_json::Error) -> ItemError {
        self.too_long.take().unwrap_or_else(|| ItemError::Invalid {
            field: self.field,
            reason: reason(error),
        })
    }
}

/// What the JSON reader says, without where it says it: it has seen only a part
/// of the body.
pub(super) fn reason(error: &serde_json::Error) -> String {
    let message = error.to_string();
    let place = format!(" at line {} column {}", error.line(), error.column());
    text::excerpt(
        message.strip_suffix(&place).unwrap_or(&message),
        MAX_REASON_CHARS,
    )
}
