//! Why a broker did not do what it should, in the sentences of every exporter.

use std::io;

use delfin_plugin_api::{tls, unreachable};
use kafka_protocol::error::ResponseError;

/// A request that failed, with the name of the broker or the topic, and the remedy.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(in crate::journal::kafka) struct BrokerFailure(String);

impl BrokerFailure {
    pub(super) fn of_broker(address: &str, reason: impl std::fmt::Display) -> Self {
        Self(format!("broker `{address}`: {reason}"))
    }

    pub(super) fn of_topic(topic: &str, reason: impl std::fmt::Display) -> Self {
        Self(format!("topic `{topic}`: {reason}"))
    }

    pub(super) fn connecting(address: &str, error: &io::Error, is_encrypted: bool) -> Self {
        if is_encrypted && error.kind() == io::ErrorKind::UnexpectedEof {
            let reason = "it ends the TLS handshake (is it stopping, or does its listener not use TLS? Then set \
                          `cluster.kafka.tls = false`, or use the port of another listener)";
            return Self::of_broker(address, reason);
        }
        if let Some(reason) = tls::reason_of(error) {
            return Self::of_broker(address, reason);
        }
        match unreachable::reason_of(error) {
            Some(reason) => Self::of_broker(address, reason),
            None => Self::interrupted(address, error),
        }
    }

    /// The broker closed the connection, or the network did.
    pub(super) fn interrupted(address: &str, error: &io::Error) -> Self {
        let reason = match error.kind() {
            io::ErrorKind::UnexpectedEof => {
                "it closed the connection (is it stopping, or does its listener want TLS or SASL?)"
                    .to_owned()
            }
            _ => error.to_string(),
        };
        Self::of_broker(address, reason)
    }

    pub(super) fn encrypted(address: &str) -> Self {
        Self::of_broker(
            address,
            "its listener uses TLS (set `cluster.kafka.tls`, or use the port of another listener)",
        )
    }

    pub(super) fn silent(address: &str) -> Self {
        Self::of_broker(
            address,
            "it does not answer in time (check that the port is that of a broker of Kafka)",
        )
    }

    /// It answered with bytes that are not an answer to the request.
    pub(super) fn garbled(address: &str, reason: impl std::fmt::Display) -> Self {
        Self::of_broker(
            address,
            format_args!(
                "its answer cannot be read: {reason} (check that the port is that of a broker of Kafka)"
            ),
        )
    }

    /// A broker has answered with an error code.
    pub(super) fn of_code(topic: &str, code: i16) -> Self {
        use ResponseError as Code;
        let error = Code::try_from_code(code).unwrap_or(Code::Unknown(code));
        let reason = match error {
            Code::NotEnoughReplicas | Code::NotEnoughReplicasAfterAppend => {
                "fewer replicas are in sync than `min.insync.replicas` asks for (start the brokers that are away)"
            }
            Code::LeaderNotAvailable | Code::NotLeaderOrFollower => {
                "no broker leads its partition now (start the brokers that are away, or try again)"
            }
            Code::UnknownTopicOrPartition => {
                "it does not exist, and the database has a journal of it (restore the topic, or set another `cluster.name`)"
            }
            Code::OffsetOutOfRange => {
                "it lacks records that the database expects (restore the topic, or use another one and another \
                 `cluster.name`)"
            }
            Code::TopicAuthorizationFailed => {
                "this host may not use it (allow its user `READ`, `WRITE`, `DELETE`, `CREATE` and `DESCRIBE_CONFIGS` on it)"
            }
            Code::ClusterAuthorizationFailed => {
                "this host may not create it (allow its user `CREATE` on the cluster, or create the topic)"
            }
            Code::MessageTooLarge | Code::RecordListTooLarge => {
                "a record is larger than the topic's `max.message.bytes` (raise it)"
            }
            Code::InvalidReplicationFactor => {
                "the cluster has fewer brokers than the wanted replicas (start them, or lower `cluster.kafka.replicas`)"
            }
            Code::PolicyViolation => {
                "a policy of the cluster refuses it (see the log of the brokers)"
            }
            other => return Self::of_topic(topic, format_args!("{other} (code {code})")),
        };
        Self::of_topic(topic, reason)
    }
}
