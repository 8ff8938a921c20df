//! Bounds of an outcome: of its texts and its row list.
//!
//! Promises: a text is redacted before it is cut, so that no part of a secret is left. An
//! outcome with more rows than the call is never taken for one with fewer.

use abi_stable::std_types::{RString, RVec, Tuple2};
use delfin_plugin_abi::{self as abi, RowRange};

use super::redactor::SharedRedactor;
use delfin_plugin_api::text::TextBudget;

/// The longest message, in bytes.
const MAX_MESSAGE: usize = 4 << 10;

/// The most bytes of all reasons of an outcome. Reasons behind them are cut.
const MAX_REASONS: usize = 4 << 20;

/// The most further texts of an outcome.
const MAX_EXTRA: usize = 64;

/// An outcome of a call with this many rows, as the host keeps and shows it.
pub(super) fn bounded(outcome: abi::Outcome, rows: u64, redactor: &SharedRedactor) -> abi::Outcome {
    let message = |text: RString| -> RString {
        let text = redactor.redact(&text);
        TextBudget::new(MAX_MESSAGE).cut(text, MAX_MESSAGE).into()
    };
    let mut reasons = TextBudget::new(MAX_REASONS);
    let mut ranges = bounded_rows(outcome.rows, rows);
    for range in &mut ranges {
        let reason = redactor.redact(&range.reason);
        range.reason = reasons.cut(reason, MAX_MESSAGE).into();
    }
    let extra = outcome.extra.into_iter().take(MAX_EXTRA);
    abi::Outcome {
        message: message(outcome.message),
        rows: ranges,
        extra: extra
            .map(|Tuple2(name, value)| Tuple2(message(name), message(value)))
            .collect(),
        ..outcome
    }
}

/// The rows that an outcome of a call with this many rows names, in at most as many ranges.
pub(super) fn bounded_rows(ranges: RVec<RowRange>, rows: u64) -> RVec<RowRange> {
    let mut ranges = ranges.into_vec();
    ranges.retain(|range| range.len > 0);
    if ranges.len() as u64 > rows {
        // Some of them name the same row, or no row of the call. One that does so is enough.
        ranges.truncate(1);
        ranges.iter_mut().for_each(|range| range.first = rows);
    }
    ranges.into()
}

#[cfg(test)]
mod tests {
    use delfin_plugin_abi::OutcomeCode;
    use delfin_plugin_api::redact::Redactor;

    use super::*;

    fn range(first: u64, len: u64, reason: &str) -> RowRange {
        RowRange {
            first,
            len,
            code: OutcomeCode::RETRY,
            reason: reason.into(),
        }
    }

    fn outcome(message: &str, rows: Vec<RowRange>) -> abi::Outcome {
        let mut outcome = abi::Outcome::new(OutcomeCode::PARTIAL, message);
        outcome.rows = rows.into();
        outcome
    }

    #[test]
    fn a_secret_at_the_end_of_what_is_shown_is_redacted() {
        let mut redactor = Redactor::default();
        redactor.hide("s3cret-s3cret");
        let redactor = SharedRedactor::from(redactor);
        let text = format!("{}s3cret-s3cret and more", "x".repeat(MAX_MESSAGE - 6));
        let bounded = bounded(outcome(&text, vec![range(0, 1, &text)]), 4, &redactor);
        assert_eq!(bounded.message.len(), MAX_MESSAGE);
        for shown in [&*bounded.message, &*bounded.rows[0].reason] {
            assert!(!shown.contains("s3"), "{}", &shown[MAX_MESSAGE - 20..]);
        }
    }

    #[test]
    fn more_ranges_than_rows_stay_invalid() {
        let bounded_ranges = |ranges, rows| {
            let outcome = bounded(outcome("", ranges), rows, &SharedRedactor::default());
            let ranges = outcome.rows.iter();
            ranges
                .map(|range| (range.first, range.len))
                .collect::<Vec<_>>()
        };
        let valid = vec![range(0, 1, ""), range(1, 0, ""), range(1, 1, "")];
        assert_eq!(bounded_ranges(valid, 2), [(0, 1), (1, 1)]);
        let many = (0..1000).map(|row| range(row % 2, 1, "")).collect();
        assert_eq!(bounded_ranges(many, 2), [(2, 1)]);
    }

    #[test]
    fn reasons_have_a_bound_together() {
        let ranges = (0..5000).map(|row| range(row, 1, &"r".repeat(9000)));
        let bounded = bounded(
            outcome("", ranges.collect()),
            5000,
            &SharedRedactor::default(),
        );
        assert_eq!(bounded.rows.len(), 5000);
        let reasons = bounded.rows.iter().map(|range| range.reason.len());
        assert_eq!(reasons.sum::<usize>(), MAX_REASONS);
    }
}
