//! The messages of the protocol, from and to the types of the plugin interface.

use abi_stable::std_types::{RString, Tuple2};
use delfin_plugin_abi::{self as abi, Class, OutcomeCode};
use delfin_plugin_protocol::{
    ExportMessage, LogLevel, OutcomeClass, OutcomeMessage, PartMessage, RowsMessage,
};

use crate::plugin::call::ExportRequest;
use delfin_plugin_api::text::TextBudget;

/// The longest text of an outcome that is sent, in bytes, and all texts of one. They are
/// longer than what the host shows, because it redacts them before it cuts them.
const MAX_TEXT: usize = 16 << 10;
const MAX_TEXTS: usize = 8 << 20;

/// Where a call is in the sequence of calls, and when it is past its deadline.
#[derive(Clone, Copy, Debug)]
pub(super) struct CallNumber {
    pub(super) id: u64,
    pub(super) deadline_ms: u64,
}

pub(super) fn export_message(
    number: CallNumber,
    request: &ExportRequest,
    attempt: u32,
) -> ExportMessage {
    let parts = request.parts.iter().map(|part| PartMessage {
        batch_id: part.header.batch_id.to_string(),
        first_row: part.first_row,
        rows: part.rows,
        accepted_ms: part.header.accepted_ms,
        storage_id: part.header.storage_id.clone(),
        complete: part.header.complete,
    });
    ExportMessage {
        id: number.id,
        deadline_ms: number.deadline_ms,
        attempt,
        origin: request.origin.as_str().to_owned(),
        parts: parts.collect(),
        rows: None,
        shared: None,
        level: None,
    }
}

pub(in crate::plugin) fn log_level(level: log::LevelFilter) -> LogLevel {
    match level {
        log::LevelFilter::Off => LogLevel::Off,
        log::LevelFilter::Error => LogLevel::Error,
        log::LevelFilter::Warn => LogLevel::Warn,
        log::LevelFilter::Info => LogLevel::Info,
        log::LevelFilter::Debug => LogLevel::Debug,
        log::LevelFilter::Trace => LogLevel::Trace,
    }
}

pub(super) fn outcome_message(id: u64, outcome: abi::Outcome) -> OutcomeMessage {
    let mut budget = TextBudget::new(MAX_TEXTS);
    let mut cut = |text: RString| budget.cut(text, MAX_TEXT);
    let message = cut(outcome.message);
    let extra = outcome.extra.into_iter();
    let extra = extra
        .map(|Tuple2(name, value)| (cut(name), cut(value)))
        .collect();
    let rows = outcome.rows.into_iter().map(|range| RowsMessage {
        first: range.first,
        len: range.len,
        class: class_of(range.code),
        reason: cut(range.reason),
    });
    let rows = rows.collect();
    OutcomeMessage {
        id,
        class: class_of(outcome.code),
        detail: outcome.code.detail(),
        after_ms: outcome.after_ms,
        message,
        rows,
        extra,
        keeps_rows: false,
    }
}

pub(super) fn outcome(message: OutcomeMessage) -> abi::Outcome {
    let rows = message.rows.into_iter().map(|rows| abi::RowRange {
        first: rows.first,
        len: rows.len,
        code: code_of(rows.class, 0),
        reason: rows.reason.into(),
    });
    let extra = message.extra.into_iter();
    abi::Outcome {
        code: code_of(message.class, message.detail),
        after_ms: message.after_ms,
        message: message.message.into(),
        rows: rows.collect(),
        extra: extra
            .map(|(name, value)| Tuple2(name.into(), value.into()))
            .collect(),
    }
}

const CLASSES: [(OutcomeClass, Class); 8] = [
    (OutcomeClass::Delivered, Class::Delivered),
    (OutcomeClass::Partial, Class::Partial),
    (OutcomeClass::Retry, Class::Retry),
    (OutcomeClass::Split, Class::Split),
    (OutcomeClass::Reject, Class::Reject),
    (OutcomeClass::Pause, Class::Pause),
    (OutcomeClass::Restart, Class::Restart),
    (OutcomeClass::Uncertain, Class::Uncertain),
];

fn class_of(code: OutcomeCode) -> OutcomeClass {
    let known = CLASSES
        .iter()
        .find(|(_, class)| Some(*class) == code.class());
    known.map_or(OutcomeClass::Unknown, |(word, _)| *word)
}

fn code_of(word: OutcomeClass, detail: u16) -> OutcomeCode {
    let known = CLASSES.iter().find(|(known, _)| *known == word);
    known.map_or(OutcomeCode(u32::MAX), |(_, class)| {
        OutcomeCode::new(*class, detail)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outcome_is_the_same_on_the_other_side() {
        let mut sent = abi::Outcome::new(OutcomeCode::RETRY_THROTTLED, "why");
        sent.after_ms = 7;
        sent.extra = vec![Tuple2("status".into(), "429".into())].into();
        sent.rows = vec![abi::RowRange {
            first: 3,
            len: u64::MAX,
            code: OutcomeCode::REJECT,
            reason: "bad".into(),
        }]
        .into();
        assert_eq!(outcome(outcome_message(1, sent.clone())), sent);
        let unknown = outcome(outcome_message(
            1,
            abi::Outcome::new(OutcomeCode(0x42_0000), ""),
        ));
        assert_eq!(unknown.code.class(), None);
    }

    #[test]
    fn an_outcome_has_a_bound() {
        let long = "é".repeat(MAX_TEXT);
        let mut outcome = abi::Outcome::new(OutcomeCode::PARTIAL, long.clone());
        let rows = (0..2000).map(|first| abi::RowRange {
            first,
            len: 1,
            code: OutcomeCode::REJECT,
            reason: long.clone().into(),
        });
        outcome.rows = rows.collect();
        let message = outcome_message(1, outcome);
        assert_eq!(message.message.len(), MAX_TEXT);
        let reasons: usize = message.rows.iter().map(|rows| rows.reason.len()).sum();
        assert_eq!((message.rows.len(), reasons + MAX_TEXT), (2000, MAX_TEXTS));
    }
}
