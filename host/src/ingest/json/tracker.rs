//! Tracks the current item and field, so that an error can name them, and collects the
//! invalid items.

use delfin_plugin_api::text;

use crate::ingest::{
    BodyLimits, IngestError, IngestNotes, ItemError, ItemRejection, NoteKind, ParsedItems,
    RejectedItems, guard::ParseGuard, rules::excerpt, times::TimeReader,
};

/// Maximum length of the reason of an error in characters: it may quote the item.
const MAX_REASON_CHARS: usize = 300;

/// Items between two looks at the clock.
const ITEMS_PER_CHECK: usize = 64;

#[derive(Debug)]
pub(super) struct ItemTracker {
    index: usize,
    field: Option<&'static str>,
    too_long: Option<ItemError>,
    rejected: RejectedItems,
    limits: BodyLimits,
    guard: ParseGuard,
    /// An error of the whole body that occurred within an item.
    body_error: Option<IngestError>,
    times: TimeReader,
    notes: IngestNotes,
    /// Notes about the current item, which count if it is valid.
    item_notes: IngestNotes,
}

impl ItemTracker {
    pub(super) fn new(limits: &BodyLimits, now_ms: i64, guard: ParseGuard) -> Self {
        Self {
            index: 0,
            field: None,
            too_long: None,
            rejected: RejectedItems::default(),
            limits: *limits,
            guard,
            body_error: None,
            times: TimeReader::new(now_ms),
            notes: IngestNotes::default(),
            item_notes: IngestNotes::default(),
        }
    }

    /// The current item, from 0.
    pub(super) fn index(&self) -> usize {
        self.index
    }

    pub(super) fn begin_item(&mut self) -> Result<(), IngestError> {
        let limit = self.limits.max_rows;
        if self.index as u64 >= limit {
            return Err(IngestError::TooManyRows { limit });
        }
        self.field = None;
        self.item_notes.clear();
        Ok(())
    }

    /// Whether the next item has to begin with a look at the clock and the memory.
    pub(super) fn needs_check(&self) -> bool {
        self.index.is_multiple_of(ITEMS_PER_CHECK)
    }

    /// Looks at the clock, and claims the memory of what was made so far.
    pub(super) fn check(&mut self, made_bytes: usize) -> Result<(), IngestError> {
        self.guard.check(made_bytes)
    }

    /// As `check`, within an item. The error of the body is kept for `take_body_error`.
    pub(super) fn check_within_item(&mut self, made_bytes: usize) -> Result<(), String> {
        self.guard.check(made_bytes).map_err(|error| {
            let reason = error.to_string();
            self.body_error = Some(error);
            reason
        })
    }

    /// The error of the whole body that occurred within the item.
    pub(super) fn take_body_error(&mut self) -> Option<IngestError> {
        self.body_error.take()
    }

    /// Ends an item that is valid.
    pub(super) fn end_item(&mut self) {
        self.notes.take(&mut self.item_notes);
        self.index += 1;
    }

    /// Ends an item that is invalid.
    pub(super) fn reject_item(
        &mut self,
        line: Option<usize>,
        name: Option<String>,
        error: ItemError,
    ) {
        let index = self.index;
        self.rejected.push(ItemRejection {
            index,
            line,
            name,
            error,
        });
        self.index += 1;
    }

    pub(super) fn into_items<B>(self, batch: B) -> ParsedItems<B> {
        ParsedItems::new(batch, self.rejected, self.notes, self.guard)
    }

    /// The milliseconds of a time in text.
    pub(super) fn time(&mut self, text: &str) -> Result<i64, String> {
        self.times.read(text, &mut self.item_notes)
    }

    /// Adds a note about the current item.
    pub(super) fn note(&mut self, kind: NoteKind) {
        self.item_notes.add(kind, 1);
    }

    /// Whether there are notes about the current item.
    pub(super) fn has_notes(&self) -> bool {
        self.item_notes != IngestNotes::default()
    }

    /// Sets the current field; `None` between two fields.
    pub(super) fn enter(&mut self, field: Option<&'static str>) {
        self.field = field;
    }

    /// Refuses a text that is too long. `owner` names the text in the error.
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

    /// The error of the current item, in which `scalar` is not JSON.
    pub(super) fn not_a_value(&self, scalar: &str) -> ItemError {
        let scalar = excerpt(scalar);
        let reason = match scalar.parse::<f64>() {
            Ok(number) if !number.is_finite() => format!("`{scalar}` is not a finite number"),
            _ if scalar.is_empty() => "a value is missing".to_owned(),
            _ => format!(
                "`{scalar}` is not JSON (write a number such as `1.5`, or a text in quotes)"
            ),
        };
        ItemError::Invalid {
            field: self.field,
            reason,
        }
    }

    /// The error of the current item, which is JSON but not a valid item. It has no text if it is only counted.
    pub(super) fn item_error(&mut self, error: &serde_json::Error) -> ItemError {
        self.too_long.take().unwrap_or_else(|| ItemError::Invalid {
            field: self.field,
            reason: match self.rejected.is_full() {
                true => String::new(),
                false => reason(error),
            },
        })
    }
}

/// The text of a JSON error without its position, which counts from the begin of the item
/// and not of the body.
pub(super) fn reason(error: &serde_json::Error) -> String {
    let message = error.to_string();
    let place = format!(" at line {} column {}", error.line(), error.column());
    text::excerpt(
        message.strip_suffix(&place).unwrap_or(&message),
        MAX_REASON_CHARS,
    )
}
