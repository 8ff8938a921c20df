//! Syslog messages: receives them over UDP, TCP and TLS, and makes alerts of them.
//!
//! A message belongs to the storage that has the address of its sender (`senders.rs`). It becomes
//! an alert by a mapping file, or as it is if it is severe enough (`alert.rs`).
//!
//! Promises: a message that was received becomes an alert once, unless the host is killed: the
//! protocol has no acknowledgement. If the journal does not take alerts, nothing more is read.

mod alert;
mod datagrams;
mod framing;
mod input;
mod mapping;
mod message;
mod receiver;
mod senders;
mod stats;
mod streams;
mod writer;

pub use alert::syslog_alert;
pub use mapping::SyslogMappings;
pub use message::ParsedMessage;
pub use receiver::{SyslogParts, SyslogReceiver, SyslogStartError};
pub use stats::SyslogStats;
