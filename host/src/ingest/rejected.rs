//! The invalid items of a body.
//!
//! All are counted, but only the first ones are kept with their errors: a body in
//! which every item is invalid costs no more than one with a few.

use std::collections::BTreeMap;

use super::{IngestError, ItemError};

/// How many items are kept with their errors.
const MAX_NAMED: usize = 100;

/// The invalid items of a body.
#[derive(Clone, Debug, Default)]
pub struct RejectedItems {
    named: BTreeMap<usize, ItemRejection>,
    counts: BTreeMap<&'static str, u64>,
}

/// An invalid item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ItemRejection {
    /// Position in the body, from 0.
    pub index: usize,
    /// Line on which the item begins, from 1; `None` unless the body has one item per line.
    pub line: Option<usize>,
    /// An excerpt of its name; `None` if it was not read.
    pub name: Option<String>,
    pub error: ItemError,
}

impl RejectedItems {
    /// The first items with their errors, at most 100, in the order of the body.
    pub fn named(&self) -> impl ExactSizeIterator<Item = &ItemRejection> {
        self.named.values()
    }

    /// Number of invalid items.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.counts.values().sum()
    }

    /// Number of invalid items by reason.
    pub fn by_reason(&self) -> impl Iterator<Item = (&'static str, u64)> {
        self.counts.iter().map(|(reason, count)| (*reason, *count))
    }

    /// Returns `batch` if there are no invalid items.
    ///
    /// # Errors
    ///
    /// The error of the first invalid item.
    pub fn require_empty<B>(mut self, batch: B) -> Result<B, IngestError> {
        match self.named.pop_first() {
            None => Ok(batch),
            Some((index, first)) => Err(first.error.into_body_error(index)),
        }
    }

    /// Whether the errors of further items of the body are not kept.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.named.len() >= MAX_NAMED
    }

    pub fn push(&mut self, item: ItemRejection) {
        *self.counts.entry(item.error.reason()).or_default() += 1;
        self.named.insert(item.index, item);
        if self.named.len() > MAX_NAMED {
            self.named.pop_last();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(index: usize) -> ItemRejection {
        let reason = "is empty".to_owned();
        let error = ItemError::Invalid {
            field: Some("name"),
            reason,
        };
        ItemRejection {
            index,
            line: None,
            name: None,
            error,
        }
    }

    #[test]
    fn the_first_are_named_and_all_are_counted() {
        let mut rejected = RejectedItems::default();
        assert!(!rejected.is_full());
        (0..250).rev().for_each(|index| rejected.push(item(index)));
        assert!(rejected.is_full());
        let named: Vec<_> = rejected.named().map(|item| item.index).collect();
        assert_eq!(named, (0..MAX_NAMED).collect::<Vec<_>>());
        assert_eq!(rejected.total(), 250);
        assert_eq!(rejected.by_reason().collect::<Vec<_>>(), [("invalid", 250)]);
    }

    #[test]
    fn a_batch_is_returned_only_without_invalid_items() {
        let mut rejected = RejectedItems::default();
        assert_eq!(rejected.clone().require_empty(7).unwrap(), 7);
        rejected.push(item(3));
        rejected.push(item(2));
        let error = rejected.require_empty(7).unwrap_err().to_string();
        assert_eq!(error, "item 2: name: is empty");
    }
}
