//! The items of a body that are no part of its batch.
//!
//! All of them are counted, and the first ones named: a body that is wrong from
//! end to end costs no more than one with a few mistakes.

use std::collections::BTreeMap;

use super::{IngestError, ItemError};

/// How many items are named.
const MOST_NAMED: usize = 100;

/// The items of a body that are no part of its batch.
#[derive(Clone, Debug, Default)]
pub struct Rejected {
    named: BTreeMap<usize, RejectedItem>,
    counts: BTreeMap<&'static str, u64>,
}

/// An item that is no part of its batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RejectedItem {
    /// Which one of the body, from 0.
    pub index: usize,
    /// The line that it begins on, from 1, in a body of lines.
    pub line: Option<usize>,
    /// What is wrong with it.
    pub error: ItemError,
}

impl Rejected {
    /// The first ones, at most a hundred, in the order of the body.
    pub fn named(&self) -> impl ExactSizeIterator<Item = &RejectedItem> {
        self.named.values()
    }

    /// How many there are.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.counts.values().sum()
    }

    /// How many there are for each reason.
    pub fn by_reason(&self) -> impl Iterator<Item = (&'static str, u64)> {
        self.counts.iter().map(|(reason, count)| (*reason, *count))
    }

    /// A batch, if nothing was left out of it.
    ///
    /// # Errors
    ///
    /// The first item that was.
    pub fn whole<B>(mut self, batch: B) -> Result<B, IngestError> {
        match self.named.pop_first() {
            None => Ok(batch),
            Some((index, first)) => Err(first.error.of_item(index)),
        }
    }

    pub(super) fn push(&mut self, item: RejectedItem) {
        *self.counts.entry(item.error.reason()).or_default() += 1;
        self.named.insert(item.index, item);
        if self.named.len() > MOST_NAMED {
            self.named.pop_last();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(index: usize) -> RejectedItem {
        let reason = "is empty".to_owned();
        let error = ItemError::Invalid {
            field: Some("name"),
            reason,
        };
        RejectedItem {
            index,
            line: None,
            error,
        }
    }

    #[test]
    fn the_first_are_named_and_all_are_counted() {
        let mut rejected = Rejected::default();
        (0..250).rev().for_each(|index| rejected.push(item(index)));
        let named: Vec<_> = rejected.named().map(|item| item.index).collect();
        assert_eq!(named, (0..MOST_NAMED).collect::<Vec<_>>());
        assert_eq!(rejected.total(), 250);
        assert_eq!(rejected.by_reason().collect::<Vec<_>>(), [("invalid", 250)]);
    }

    #[test]
    fn a_batch_is_whole_if_nothing_was_left_out() {
        let mut rejected = Rejected::default();
        assert_eq!(rejected.clone().whole(7).unwrap(), 7);
        rejected.push(item(3));
        rejected.push(item(2));
        let error = rejected.whole(7).unwrap_err().to_string();
        assert_eq!(error, "item 2: name: is empty");
    }
}
