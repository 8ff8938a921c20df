//! What a driver process sends: answers to calls, records for the log, counters.
//!
//! Promises: no text of a process that is longer than [`MAX_TEXT`], or that has more than one
//! line, becomes a reason.

use bytes::Bytes;
use delfin_plugin_abi::{Class, OutcomeCode};
use delfin_plugin_protocol::{
    DriverMessage, OutcomeClass, OutcomeMessage, ResultMessage, SharedFile, SharedPayload,
    WireFrame, decode,
};
use serde_json::Value;

use crate::{
    collect::DriverError,
    plugin::{RestartReason, host::InstanceHost, process::check_version},
};

/// The longest text of a failure, in characters.
const MAX_TEXT: usize = 1024;

/// The answer to a call.
#[derive(Debug)]
pub(super) enum Answer {
    /// A call without result has succeeded.
    Done,
    Value(Value),
    Payload(UncheckedPayload),
    Failed(DriverError),
    /// The driver cannot do this.
    Unsupported(String),
    /// The process has to be replaced, or has ended.
    Ended(DriverEnd),
}

/// Why a process is not used again.
#[derive(Clone, Debug)]
pub(super) struct DriverEnd {
    pub(super) reason: RestartReason,
    /// For people.
    pub(super) text: String,
}

/// A batch as the process has sent it: not checked yet.
#[derive(Debug)]
pub(super) enum UncheckedPayload {
    Inline(Vec<u8>),
    Shared(SharedPayload),
}

pub(super) enum DriverEvent {
    /// The answer to the call with this number.
    Answer(u64, Answer),
    Other,
}

/// Reads a message; what is not an answer is passed to the host. The error is how the message
/// breaks the protocol.
pub(super) fn read(frame: WireFrame, host: &InstanceHost) -> Result<DriverEvent, String> {
    let message = decode(&frame.header).map_err(|error| error.to_string())?;
    let delfin_plugin_protocol::Incoming::Message(message) = message else {
        // Messages of a newer version need no answer from the host.
        return Ok(DriverEvent::Other);
    };
    match message {
        DriverMessage::Hello(hello) => check_version(hello.protocol)?,
        DriverMessage::Outcome(outcome) => {
            return Ok(DriverEvent::Answer(outcome.id, of_outcome(outcome)));
        }
        DriverMessage::Result(result) => {
            let id = result.id;
            let answer = of_result(result, frame.payload, frame.descriptor);
            return Ok(DriverEvent::Answer(id, answer?));
        }
        DriverMessage::Log(record) => host.write_record(&record),
        DriverMessage::Count { name, by } => host.add(&name, by),
        DriverMessage::Unsupported {
            id: Some(id),
            message,
        } => return Ok(DriverEvent::Answer(id, Answer::Unsupported(line(message)))),
        DriverMessage::Unsupported { id: None, .. } => {}
    }
    Ok(DriverEvent::Other)
}

fn of_result(
    result: ResultMessage,
    payload: Bytes,
    descriptor: Option<SharedFile>,
) -> Result<Answer, String> {
    Ok(match (result.shared, descriptor) {
        (Some(shared), Some(descriptor)) => {
            let shared = SharedPayload::receive(descriptor, shared.len);
            Answer::Payload(UncheckedPayload::Shared(
                shared.map_err(|error| error.to_string())?,
            ))
        }
        (Some(_), None) => return Err("the descriptor of a shared payload is missing".to_owned()),
        (None, _) if payload.is_empty() => Answer::Value(result.value),
        (None, _) => Answer::Payload(UncheckedPayload::Inline(payload.into())),
    })
}

fn of_outcome(outcome: OutcomeMessage) -> Answer {
    let reason = line(outcome.message);
    Answer::Failed(match (outcome.class, outcome.detail) {
        (OutcomeClass::Delivered, _) => return Answer::Done,
        (OutcomeClass::Restart, detail) => {
            let is_panic =
                OutcomeCode::new(Class::Restart, detail) == OutcomeCode::RESTART_PANICKED;
            return Answer::Ended(DriverEnd {
                reason: match is_panic {
                    true => RestartReason::Panic,
                    false => RestartReason::Unusable,
                },
                text: reason,
            });
        }
        (OutcomeClass::Retry, _) => DriverError::Unavailable { reason },
        (OutcomeClass::Pause, 1) => DriverError::Refused { reason },
        (OutcomeClass::Pause, _) => DriverError::Options { reason },
        (
            OutcomeClass::Partial
            | OutcomeClass::Split
            | OutcomeClass::Reject
            | OutcomeClass::Uncertain
            | OutcomeClass::Unknown,
            _,
        ) => DriverError::BadAnswer { reason },
    })
}

/// One line of a bounded length.
pub(super) fn line(text: String) -> String {
    let start = text.chars().take(MAX_TEXT);
    start
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}
