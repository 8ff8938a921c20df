//! The protocol between the host and an exporter or a driver in a process of its own.
//!
//! - A [`WireFrame`] is a JSON header and, for some messages, a payload. [`FrameReader`],
//!   [`FrameWriter`] and [`FrameSender`] move frames over the socket of a connection;
//!   [`FrameDecoder`] and [`encode_frame`] do so over any stream of bytes.
//! - [`HostMessage`] and [`ExporterMessage`] are the headers, [`DriverRequest`] and
//!   [`DriverMessage`] those of a driver, and [`decode`] reads one.
//! - A [`SharedPayload`] is a payload that several processes map, written once. A [`FilePayload`] is one
//!   whose file is used again.
//!
//! Promises: no bytes from the other side cause a panic, a wait without end inside this
//! crate, or an allocation that is much larger than what has arrived.
//!
//! Knows nothing of Arrow and of plugins. The page `exporter/protocol.md` of the book
//! describes the protocol.

#![warn(missing_docs)]

mod driver;
mod files;
mod frame;
mod message;
mod platform;
mod shared;
mod socket;

pub use driver::{
    CapabilitiesMessage, CapacityMessage, ClearAlertMessage, CollectMessage, DRIVER_EXTENSION,
    DriverExtensionRequest, DriverMessage, DriverRequest, ListAlertsMessage, ListResourcesMessage,
    MetricMessage, OpenMessage, ParseTrapMessage, ResultMessage, StorageMessage,
};
pub use files::{FilePayload, PayloadBuffer, PayloadFiles, map_file};
pub use frame::{FrameDecoder, FrameError, MAX_HEADER, PREFIX, Progress, WireFrame, encode_frame};
pub use message::{
    CallMessage, CheckMessage, CreateMessage, ExportMessage, ExporterHello, ExporterMessage,
    HostHello, HostMessage, Incoming, LogLevel, LogRecordMessage, Message, MessageError,
    OutcomeClass, OutcomeMessage, PartMessage, RowsMessage, SharedForm, VERSION, decode,
};
pub use platform::{
    BorrowedFile, CAN_SHARE_FILES, FrameSocket, Mapping, SharedFile, close_sending, into_number,
    into_stdio, socket_from_number, socket_pair,
};
pub use shared::{SharedError, SharedPayload};
pub use socket::{FramePayload, FrameReader, FrameSender, FrameWriter, is_readable};
