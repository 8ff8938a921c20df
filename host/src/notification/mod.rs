//! What SNMP traps, syslog messages and webhooks have in common: mapping files, the alerts that
//! they make, and their way into the journal.
//!
//! Knows nothing of the three protocols.

mod alert;
mod appender;
mod mapping;
mod socket;

pub use alert::NotificationAlert;
pub use appender::{AlertAppender, AppendResult, StorageNames};
pub use mapping::{
    FieldCondition, FieldRule, FieldValues, KeyError, MappedField, MappedInput, MappingError,
    MappingFile, MappingFolder, MappingRule, MappingSet, RuleReader, Tables, parse_mapping_file,
    parse_time,
};
pub use socket::DatagramSocket;
