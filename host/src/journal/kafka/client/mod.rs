//! A client for one partition of a topic of Apache Kafka.
//!
//! It sends one request after the other, and tries none again: only its caller knows whether a record
//! may be written twice. After a failure, the next request connects again to the partition's leader.
//!
//! librdkafka would be a build in C within the host, which Windows builds do not have, and its consumers read
//! from one place on, while each exporter reads a journal from its own. `kafka-protocol` has the messages only.
//!
//! Knows nothing of what records contain.

mod connection;
mod failure;
mod group;
mod partition;
mod record_batch;
mod sasl;
mod scram;
mod topic;

pub(super) use failure::BrokerFailure;
pub(super) use group::GroupClient;
pub(super) use partition::{PartitionClient, PartitionName};
pub(super) use record_batch::{NewPartitionRecord, PartitionRecord, encode};
pub use sasl::{SaslLogin, SaslMechanism};
pub(super) use topic::MAX_BATCH_BYTES;
