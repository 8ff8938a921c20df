//! Where in the body the reader is, so that a mistake can be named.

use serde::de::Error;
use serde_json::error::Category;

use super::super::{IngestError, Limits, rules::excerpt};

/// Where the reader is, and what stopped it if that was no mistake in the JSON.
#[derive(Debug)]
pub(super) struct Trail {
    index: usize,
    field: Option<&'static str>,
    stopped: Option<IngestError>,
    limits: Limits,
}

impl Trail {
    pub(super) fn new(limits: &Limits) -> Self {
        Self {
            index: 0,
            field: None,
            stopped: None,
            limits: *limits,
        }
    }

    pub(super) fn begin_item<E: Error>(&mut self) -> Result<(), E> {
        let limit = self.limits.max_rows;
        if self.index as u64 >= limit {
            self.stopped = Some(IngestError::TooManyRows { limit });
            return Err(E::custom("too many items"));
        }
        Ok(())
    }

    pub(super) fn end_item(&mut self) {
        self.index += 1;
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
        self.stopped = Some(IngestError::TextTooLong {
            index: self.index,
            field: excerpt(owner),
            bytes,
            limit,
        });
        Err("a text is too long".to_owned())
    }

    /// What went wrong. `before` is what the JSON reader did not see of the body.
    pub(super) fn failed(&mut self, error: &serde_json::Error, before: &str) -> IngestError {
        if let Some(stopped) = self.stopped.take() {
            return stopped;
        }
        let (line, column) = (error.line(), error.column());
        let text = error.to_string();
        let position = format!(" at line {line} column {column}");
        let reason = shorten(text.strip_suffix(&position).unwrap_or(&text));
        match error.classify() {
            Category::Data => IngestError::Invalid {
                index: self.index,
                field: self.field,
                reason,
            },
            Category::Syntax | Category::Eof | Category::Io => {
                let last_line = before.rsplit('\n').next().unwrap_or_default();
                IngestError::Syntax {
                    index: self.index,
                    reason,
                    column: column + if line == 1 { last_line.len() } else { 0 },
                    line: line + before.matches('\n').count(),
                }
            }
        }
    }
}

/// The JSON reader quotes what it did not expect, however long that is.
fn shorten(reason: &str) -> String {
    const LONGEST: usize = 300;
    match reason.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &reason[..end]),
        None => reason.to_owned(),
    }
}
