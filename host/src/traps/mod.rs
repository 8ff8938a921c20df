//! SNMP traps and informs: receives them, and makes alerts of them.
//!
//! A datagram is opened with the credentials of the alert source that has its address
//! (`message.rs`, `usm.rs`). A notification becomes an alert by the driver of its storage, by a
//! mapping file, or as it is (`writer.rs`, `alert.rs`). Messages are decoded and encrypted by
//! `async-snmp`; its own receiver is not used, because it answers an inform before anyone can
//! make it durable.
//!
//! Knows nothing of the API and of exporters.

mod acknowledgement;
mod alert;
mod engine;
mod keys;
mod mapping;
mod message;
mod mibs;
mod names;
mod notification;
mod opened;
mod receiver;
mod source;
mod stats;
mod usm;
mod validation;
mod writer;

pub use alert::{trap_alert, trap_name};
pub use mapping::TrapMappings;
pub use message::{PlainMessage, open_plain};
pub use notification::text_of;
pub use receiver::{TrapParts, TrapReceiver, TrapStartError};
pub use stats::TrapStats;
pub use validation::SourceValidator;
