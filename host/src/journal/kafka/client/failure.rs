//! Why a broker did not do what it should, in the sentences of every exporter.

use std::io;

use delfin_plugin_api::{tls, unreachable};
use kafka_protocol::error::ResponseError;

/// A request that failed, with the name of the broker or the topic, and the remedy.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub(in crate::journal::kafka) struct BrokerFailure {
    text: String,
    may_pass: bool,
}

impl BrokerFailure {
    /// Whether the same request may succeed later, when brokers are back that are away now.
    pub(in crate::journal::kafka) const fn may_pass(&self) -> bool {
        self.may_pass
    }

    /// This failure after that of another broker. It may pass if one of them may. The text is that of the first broker, which the
    /// reader of the configuration knows, unless only the other one needs the reader.
    pub(super) fn after(self, first: Option<Self>) -> Self {
        let Some(first) = first else {
            return self;
        };
        let may_pass = first.may_pass || self.may_pass;
        let shown = if first.may_pass && !self.may_pass {
            self
        } else {
            first
        };
        Self { may_pass, ..shown }
    }

    pub(super) fn of_broker(address: &str, reason: impl std::fmt::Display) -> Self {
        Self::lasting(format!("broker `{address}`: {reason}"))
    }

    pub(super) fn of_topic(topic: &str, reason: impl std::fmt::Display) -> Self {
        Self::lasting(format!("topic `{topic}`: {reason}"))
    }

    /// The broker cannot be reached now.
    pub(super) fn unreachable(address: &str, reason: impl std::fmt::Display) -> Self {
        Self {
            may_pass: true,
            ..Self::of_broker(address, reason)
        }
    }

    const fn lasting(text: String) -> Self {
        Self {
            text,
            may_pass: false,
        }
    }

    pub(super) fn connecting(address: &str, error: &io::Error, is_encrypted: bool) -> Self {
        if is_encrypted && error.kind() == io::ErrorKind::UnexpectedEof {
            let reason = "it ends the TLS handshake (is it stopping, or does its listener not use TLS? Then set \
                          `cluster.kafka.tls = false`, or use the port of another listener)";
            return Self::unreachable(address, reason);
        }
        if let Some(reason) = tls::reason_of(error) {
            return Self::of_broker(address, reason);
        }
        match unreachable::reason_of(error) {
            Some(reason) => Self::unreachable(address, reason),
            None => Self::interrupted(address, error),
        }
    }

    /// The broker closed the connection, or the network did.
    pub(super) fn interrupted(address: &str, error: &io::Error) -> Self {
        let reason = match error.kind() {
            io::ErrorKind::UnexpectedEof => {
                "it closed the connection (is it stopping, or does its listener want TLS or SASL? Then set `cluster.kafka.tls` \
                 or `cluster.kafka.sasl`)"
                    .to_owned()
            }
            _ => error.to_string(),
        };
        Self::unreachable(address, reason)
    }

    pub(super) fn encrypted(address: &str) -> Self {
        Self::of_broker(
            address,
            "its listener uses TLS (set `cluster.kafka.tls`, or use the port of another listener)",
        )
    }

    pub(super) fn silent(address: &str) -> Self {
        Self::unreachable(
            address,
            "it does not answer in time (is it paused or overloaded? Check also that the port is that of a broker of Kafka)",
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

    /// The coordinator of a consumer group has answered with an error code.
    pub(super) fn of_group(group: &str, code: i16) -> Self {
        use ResponseError as Code;
        let error = Code::try_from_code(code).unwrap_or(Code::Unknown(code));
        let reason = match error {
            Code::GroupAuthorizationFailed => {
                "this host may not set its offsets (allow its user `READ` and `DELETE` on the groups whose names begin with the \
                 name of the cluster and `.`)"
                    .to_owned()
            }
            Code::UnknownMemberId | Code::IllegalGeneration | Code::NonEmptyGroup => {
                "another program consumes with it (let that program use another group)".to_owned()
            }
            other => format!("{other} (code {code})"),
        };
        Self {
            text: format!("consumer group `{group}`: {reason}"),
            may_pass: error.is_retriable(),
        }
    }

    /// A broker has answered with an error code.
    pub(super) fn of_code(topic: &str, code: i16) -> Self {
        use ResponseError as Code;
        let error = Code::try_from_code(code).unwrap_or(Code::Unknown(code));
        let unknown;
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
            other => {
                unknown = format!("{other} (code {code})");
                &unknown
            }
        };
        let is_missing = error == Code::UnknownTopicOrPartition;
        Self {
            // Brokers that start are enough for the wanted replicas.
            may_pass: error.is_retriable() && !is_missing
                || error == Code::InvalidReplicationFactor,
            ..Self::of_topic(topic, reason)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_several_brokers_the_one_that_needs_the_reader_is_named_and_one_that_may_come_back_is_waited_for()
     {
        let away = || BrokerFailure::unreachable("a:9092", "refuses connections");
        let wrong = || BrokerFailure::of_broker("b:9092", "the password is wrong");
        assert_eq!(wrong().after(None), wrong());
        for both in [away().after(Some(wrong())), wrong().after(Some(away()))] {
            assert!(both.may_pass());
            assert_eq!(both.to_string(), wrong().to_string());
        }
        let second = BrokerFailure::unreachable("c:9092", "refuses connections");
        assert_eq!(second.after(Some(away())), away());
    }
}
