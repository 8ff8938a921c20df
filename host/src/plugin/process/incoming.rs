//! What the process of an exporter sends, decoded.

use std::sync::Arc;

use delfin_plugin_abi as abi;
use delfin_plugin_protocol::{ExporterMessage, Incoming, VERSION, WireFrame, decode};

use super::wire;
use crate::plugin::{bounds::bounded, host::InstanceHost};

/// What concerns the calls.
pub(super) enum ExporterEvent {
    Hello {
        /// Whether the process keeps the files of payloads.
        keeps_files: bool,
    },
    Outcome {
        id: u64,
        outcome: abi::Outcome,
        /// Whether the process goes on to read the rows of the call.
        keeps_rows: bool,
    },
    Unsupported {
        id: Option<u64>,
        message: String,
    },
    Other,
}

/// Reads a message; what concerns no call is passed to the host. An outcome can name `rows`. The
/// error is how the message breaks the protocol.
pub(super) fn read(
    frame: &WireFrame,
    rows: u64,
    host: &Arc<InstanceHost>,
) -> Result<ExporterEvent, String> {
    let message = decode(&frame.header).map_err(|error| error.to_string())?;
    let Incoming::Message(message) = message else {
        // Messages of a newer version need no answer from the host.
        return Ok(ExporterEvent::Other);
    };
    match message {
        ExporterMessage::Hello(hello) => {
            check_version(hello.protocol)?;
            let keeps_files = hello.keeps_files;
            return Ok(ExporterEvent::Hello { keeps_files });
        }
        ExporterMessage::Outcome(message) => {
            let (id, keeps_rows) = (message.id, message.keeps_rows);
            let outcome = bounded(wire::outcome(message), rows, &host.redactor);
            return Ok(ExporterEvent::Outcome {
                id,
                outcome,
                keeps_rows,
            });
        }
        ExporterMessage::Log(record) => host.write_record(&record),
        ExporterMessage::Count { name, by } => host.add(&name, by),
        ExporterMessage::Unsupported { id, message } => {
            return Ok(ExporterEvent::Unsupported { id, message });
        }
    }
    Ok(ExporterEvent::Other)
}

/// # Errors
///
/// The process speaks another version of the protocol.
pub(in crate::plugin) fn check_version(protocol: [u32; 2]) -> Result<(), String> {
    if protocol[0] == VERSION[0] {
        return Ok(());
    }
    Err(format!(
        "it speaks version {} of the protocol, this host speaks version {}",
        protocol[0], VERSION[0]
    ))
}
