//! The headers of frames, as JSON.
//!
//! Messages grow by new fields and new types. A reader ignores fields that it does not
//! know. A program answers a type that it does not know with [`ExporterMessage::Unsupported`]; the host
//! ignores one.

use std::{borrow::Cow, collections::BTreeMap};

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::{Map, Value};

/// The version of the protocol: major and minor. Both sides must have the same major
/// version.
pub const VERSION: [u32; 2] = [1, 0];

/// A message of one side.
pub trait Message: Serialize + DeserializeOwned {
    /// The types of the messages.
    const TYPES: &'static [&'static str];

    /// Reads a message of one of the types. Those that come with each call are read as what
    /// they are: to find the type, an enum with a tag first copies each value.
    ///
    /// # Errors
    ///
    /// As [`decode`].
    fn read(_kind: &str, header: &[u8]) -> serde_json::Result<Self> {
        serde_json::from_slice(header)
    }
}

/// From the host to the exporter.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum HostMessage {
    /// The first message.
    Hello(HostHello),
    /// Create the instance. The outcome is the answer, as to all messages with an `id`.
    Create(CreateMessage),
    /// Check settings without an instance.
    Check(CheckMessage),
    /// Send rows to the receiver. The payload has the rows.
    Export(ExportMessage),
    /// Send what is buffered.
    Flush(CallMessage),
    /// Check whether the receiver is available.
    Health(CallMessage),
    /// Do what must happen without rows.
    Tick(CallMessage),
    /// Release ports, files and connections.
    Close(CallMessage),
    /// The call in progress should return soon.
    Cancel,
}

/// From the exporter to the host.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ExporterMessage {
    /// The first message.
    Hello(ExporterHello),
    /// The result of a call.
    Outcome(OutcomeMessage),
    /// A log record.
    Log(LogRecordMessage),
    /// Adds to a counter.
    Count {
        /// At most 64 bytes.
        name: String,
        /// How much is added.
        by: u64,
    },
    /// The answer to a message of an unknown type.
    Unsupported {
        /// The id of the message, if it had one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        id: Option<u64>,
        /// Names the type.
        message: String,
    },
}

/// The host introduces itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HostHello {
    /// As [`VERSION`].
    pub protocol: [u32; 2],
    /// Name and version.
    pub host: String,
}

/// The exporter introduces itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ExporterHello {
    /// As [`VERSION`].
    pub protocol: [u32; 2],
    /// Name and version of the program.
    #[serde(default)]
    pub program: String,
    /// The program keeps what it has mapped of a file that is used again, and says in each outcome
    /// whether it goes on to read the rows.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub keeps_files: bool,
}

/// Creates the instance.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CreateMessage {
    /// The answer has the same number.
    pub id: u64,
    /// Milliseconds from now until the call is past its deadline.
    pub deadline_ms: u64,
    /// Which of the exporters that the program offers.
    pub exporter: String,
    /// The exporter's name in the configuration of the host.
    pub name: String,
    /// The number of the instance among those of the same exporter, from 0.
    #[serde(default)]
    pub instance: u32,
    /// A folder for files of the exporter.
    pub state_dir: String,
    /// The least severe level that the host logs: `off`, `error`, `warn`, `info`, `debug`,
    /// `trace`.
    pub level: String,
    /// The settings.
    pub config: Map<String, Value>,
}

/// Checks settings, and creates nothing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CheckMessage {
    /// The answer has the same number.
    pub id: u64,
    /// Milliseconds from now until the call is past its deadline.
    pub deadline_ms: u64,
    /// Which of the exporters that the program offers.
    pub exporter: String,
    /// The settings.
    pub config: Map<String, Value>,
}

/// A call without further content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallMessage {
    /// The answer has the same number.
    pub id: u64,
    /// Milliseconds from now until the call is past its deadline.
    pub deadline_ms: u64,
    /// The level of [`CreateMessage::level`] from now on; absent if it has not changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub level: Option<LogLevel>,
}

/// The least severe level that the host logs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogLevel {
    /// Nothing is logged.
    Off,
    /// An operator must act, or data is lost.
    Error,
    /// Something is off, and nothing is lost.
    Warn,
    /// The default.
    Info,
    /// What happens once a batch.
    Debug,
    /// More than that.
    #[serde(other)]
    Trace,
}

/// Rows for the receiver.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ExportMessage {
    /// The answer has the same number.
    pub id: u64,
    /// Milliseconds from now until the call is past its deadline.
    pub deadline_ms: u64,
    /// The number of the attempt with these rows, from 1.
    pub attempt: u32,
    /// Where the rows come from, as a word; unknown words are valid.
    pub origin: String,
    /// The accepted batches of the rows, in the order of the rows.
    pub parts: Vec<PartMessage>,
    /// The first row and the number of rows of the payload that the call is about; all rows
    /// if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rows: Option<[u64; 2]>,
    /// The payload is a shared one; inline if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shared: Option<SharedForm>,
    /// As [`CallMessage::level`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub level: Option<LogLevel>,
}

/// The payload is in the descriptor that came with the frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SharedForm {
    /// Bytes.
    pub len: u64,
    /// The number of the file, if it is used again for later payloads: only for processes that keep
    /// files.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<u64>,
}

/// Consecutive rows of a call that belong to one accepted batch.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PartMessage {
    /// UUID.
    pub batch_id: String,
    /// The number of the first row in the accepted batch, from 0.
    pub first_row: u64,
    /// How many rows.
    pub rows: u64,
    /// When the batch was accepted, in milliseconds since the Unix epoch.
    pub accepted_ms: i64,
    /// The storage of all rows; absent if they are of several, or of no storage.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub storage_id: Option<String>,
    /// The batch holds every active alert of its storage.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub complete: bool,
}

/// The result of a call.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OutcomeMessage {
    /// The number of the call.
    pub id: u64,
    /// What the host does.
    pub class: OutcomeClass,
    /// A number that refines the class; 0 is no detail.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub detail: u16,
    /// How long the receiver asks to wait before the next attempt; 0 if it does not say.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub after_ms: u64,
    /// For people; empty when delivered.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// The rows that are not delivered; only with the class `partial`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rows: Vec<RowsMessage>,
    /// Additional values; the host ignores unknown names.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub extra: BTreeMap<String, String>,
    /// The program goes on to read the rows of the call, so their file must not be used again.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub keeps_rows: bool,
}

/// The class of an outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OutcomeClass {
    /// The receiver has all rows.
    Delivered,
    /// Some rows are not delivered; each named range has its own class.
    Partial,
    /// The receiver is not available or overloaded.
    Retry,
    /// The request is too large.
    Split,
    /// The receiver will never accept these rows.
    Reject,
    /// A person must correct credentials or settings.
    Pause,
    /// The instance cannot be used any more.
    Restart,
    /// The receiver may have the rows or not.
    Uncertain,
    /// A class that this version does not know: the host pauses the exporter.
    #[serde(other)]
    Unknown,
}

/// Rows of a call, and their outcome.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RowsMessage {
    /// The number of the first row in the call, from 0.
    pub first: u64,
    /// How many rows.
    pub len: u64,
    /// `retry`, `reject` or `uncertain`.
    pub class: OutcomeClass,
    /// For logs and dead letters.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
}

/// A log record.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LogRecordMessage {
    /// `error`, `warn`, `info`, `debug` or `trace`.
    pub level: String,
    /// The module or component.
    #[serde(default)]
    pub target: String,
    /// A fixed text that names the event.
    pub message: String,
    /// Keys and values.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<(String, String)>,
}

/// What a header is.
#[derive(Debug, PartialEq)]
pub enum Incoming<M> {
    /// A message that this version knows.
    Message(M),
    /// A message of a type that this version does not know.
    Unknown {
        /// The type.
        name: String,
        /// The number of the call, if it is one.
        id: Option<u64>,
    },
}

/// Why a header is not a message.
#[derive(Debug, thiserror::Error)]
#[error("a message is not valid: {0}")]
pub struct MessageError(#[from] serde_json::Error);

/// Reads a header.
///
/// # Errors
///
/// The header is not JSON, has no type, or a field of a known type is wrong.
pub fn decode<M: Message>(header: &[u8]) -> Result<Incoming<M>, MessageError> {
    #[derive(Deserialize)]
    struct Head<'a> {
        #[serde(borrow)]
        r#type: Cow<'a, str>,
        #[serde(default)]
        id: Option<u64>,
    }
    if let Some(kind) = type_at_start(header)
        && M::TYPES.contains(&kind)
    {
        return Ok(Incoming::Message(M::read(kind, header)?));
    }
    let head: Head<'_> = serde_json::from_slice(header)?;
    if M::TYPES.contains(&&*head.r#type) {
        return Ok(Incoming::Message(M::read(&head.r#type, header)?));
    }
    Ok(Incoming::Unknown {
        name: head.r#type.into_owned(),
        id: head.id,
    })
}

/// The type, if it is the first key and without escapes. Then the header needs to be read once
/// only.
fn type_at_start(header: &[u8]) -> Option<&str> {
    let rest = header.strip_prefix(br#"{"type":""#)?;
    let end = rest.iter().position(|byte| *byte == b'"')?;
    std::str::from_utf8(&rest[..end]).ok()
}

impl Message for HostMessage {
    const TYPES: &'static [&'static str] = &[
        "hello", "create", "check", "export", "flush", "health", "tick", "close", "cancel",
    ];

    fn read(kind: &str, header: &[u8]) -> serde_json::Result<Self> {
        match kind {
            "export" => serde_json::from_slice(header).map(Self::Export),
            _ => serde_json::from_slice(header),
        }
    }
}

impl Message for ExporterMessage {
    const TYPES: &'static [&'static str] = &["hello", "outcome", "log", "count", "unsupported"];

    fn read(kind: &str, header: &[u8]) -> serde_json::Result<Self> {
        match kind {
            "outcome" => serde_json::from_slice(header).map(Self::Outcome),
            _ => serde_json::from_slice(header),
        }
    }
}

fn is_zero<T: Default + PartialEq>(number: &T) -> bool {
    *number == T::default()
}
