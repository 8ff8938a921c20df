//! Why rows were not delivered, and what the host should do about it.
//!
//! Promises: an error that may pass is never final; an error that only an operator
//! can fix pauses the exporter.

use delfin_plugin_api::{Failure, RowFailureKind};
use rdkafka::{error::KafkaError, types::RDKafkaErrorCode as Code};

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct SendError {
    pub(crate) kind: SendErrorKind,
    pub(crate) reason: String,
}

/// What an error means for its rows. The order is the severity: the worst error
/// of a batch decides its outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum SendErrorKind {
    /// No broker ever takes these rows.
    Rejected,
    /// Smaller messages may be taken.
    TooLarge,
    /// Retry when the broker is back.
    Unavailable,
    /// Retry more slowly.
    Throttled,
    /// Sent without an acknowledgement: the rows may have arrived.
    Uncertain,
    /// The producer cannot be used any more; retry with a new one.
    Fatal,
    /// An operator has to change settings, here or at the broker.
    Misconfigured,
    /// An operator has to change credentials or permissions.
    Unauthorized,
}

impl SendError {
    pub(crate) fn new(kind: SendErrorKind, reason: impl Into<String>) -> Self {
        let reason = reason.into();
        Self { kind, reason }
    }

    /// The error for a code of librdkafka; `topic` is named in the reason.
    pub(crate) fn of_code(code: Code, topic: &str) -> Self {
        let kind = SendErrorKind::of_code(code);
        let reason = match code {
            Code::UnknownTopic | Code::UnknownTopicOrPartition | Code::UnknownTopicId => {
                format!("topic `{topic}` does not exist (create it, or name another one)")
            }
            Code::TopicAuthorizationFailed => {
                format!(
                    "no permission to write to topic `{topic}` (grant it, or use other credentials)"
                )
            }
            code => code.to_string(),
        };
        Self { kind, reason }
    }

    /// The error for an error of rdkafka; `topic` is named in the reason.
    pub(crate) fn of_error(error: &KafkaError, topic: &str) -> Self {
        match error.rdkafka_error_code() {
            Some(code) => Self::of_code(code, topic),
            // Errors without a code are about settings. Their text is left out
            // because it may hold a secret.
            None => Self::new(SendErrorKind::Misconfigured, "librdkafka refuses a setting"),
        }
    }

    pub(crate) fn is_retriable(&self) -> bool {
        self.kind != SendErrorKind::Rejected
    }
}

impl From<SendError> for Failure {
    fn from(error: SendError) -> Self {
        let message = error.reason;
        match error.kind {
            SendErrorKind::Rejected => Self::Rejected { message },
            SendErrorKind::TooLarge => Self::TooLarge { message },
            SendErrorKind::Unavailable | SendErrorKind::Fatal => Self::retry(message),
            SendErrorKind::Throttled => Self::Throttled {
                message,
                after: None,
            },
            SendErrorKind::Uncertain => Self::Uncertain { message },
            SendErrorKind::Misconfigured => Self::Misconfigured { message },
            SendErrorKind::Unauthorized => Self::Unauthorized { message },
        }
    }
}

impl From<SendErrorKind> for RowFailureKind {
    fn from(kind: SendErrorKind) -> Self {
        match kind {
            SendErrorKind::Rejected => Self::Rejected,
            SendErrorKind::Uncertain => Self::Uncertain,
            SendErrorKind::TooLarge
            | SendErrorKind::Unavailable
            | SendErrorKind::Throttled
            | SendErrorKind::Fatal
            | SendErrorKind::Misconfigured
            | SendErrorKind::Unauthorized => Self::Retry,
        }
    }
}

impl SendErrorKind {
    pub(crate) fn of_code(code: Code) -> Self {
        match code {
            Code::Authentication
            | Code::SaslAuthenticationFailed
            | Code::TopicAuthorizationFailed
            | Code::GroupAuthorizationFailed
            | Code::ClusterAuthorizationFailed
            | Code::TransactionalIdAuthorizationFailed
            | Code::DelegationTokenAuthorizationFailed
            | Code::DelegationTokenExpired
            | Code::UnacceptableCredential => SendErrorKind::Unauthorized,
            Code::SSL
            | Code::UnknownTopic
            | Code::UnknownTopicOrPartition
            | Code::UnknownTopicId
            | Code::UnknownPartition
            | Code::InvalidTopic
            | Code::InvalidRequiredAcks
            | Code::InvalidConfig
            | Code::InvalidArgument
            | Code::UnsupportedVersion
            | Code::UnsupportedFeature
            | Code::UnsupportedForMessageFormat
            | Code::UnsupportedCompressionType
            | Code::UnsupportedSASLMechanism
            | Code::IllegalSASLState
            | Code::SecurityDisabled
            | Code::PolicyViolation
            | Code::NotImplemented
            | Code::NotConfigured => SendErrorKind::Misconfigured,
            Code::MessageSizeTooLarge | Code::MessageBatchTooLarge | Code::InvalidMessageSize => {
                SendErrorKind::TooLarge
            }
            Code::InvalidRecord | Code::InvalidTimestamp => SendErrorKind::Rejected,
            Code::PurgeInflight
            | Code::MessageTimedOut
            | Code::RequestTimedOut
            | Code::NotEnoughReplicasAfterAppend
            | Code::OutOfOrderSequenceNumber
            | Code::DuplicateSequenceNumber
            | Code::BadMessage => SendErrorKind::Uncertain,
            Code::ThrottlingQuotaExceeded | Code::QueueFull => SendErrorKind::Throttled,
            Code::Fatal
            | Code::Fenced
            | Code::ProducerFenced
            | Code::GaplessGuarantee
            | Code::Inconsistent
            | Code::State
            | Code::BrokerDestroy
            | Code::CriticalSystemResource => SendErrorKind::Fatal,
            // The other codes are about a broker that is down or being replaced, or
            // about consumers. An unknown code is retried too: the host still has the
            // rows, so a retry loses nothing.
            _ => SendErrorKind::Unavailable,
        }
    }
}

#[cfg(test)]
mod tests {
    use delfin_plugin_api::encode_outcome;

    use super::*;

    #[test]
    fn every_code_becomes_the_outcome_of_its_remedy() {
        let check = |code: Code, expected: fn(String) -> Failure| {
            let error = SendError::of_code(code, "t");
            let reason = error.reason.clone();
            assert_eq!(Failure::from(error), expected(reason), "{code:?}");
        };
        let unauthorized = |message| Failure::Unauthorized { message };
        check(Code::Authentication, unauthorized);
        check(Code::TopicAuthorizationFailed, unauthorized);
        check(Code::ClusterAuthorizationFailed, unauthorized);
        let misconfigured = |message| Failure::Misconfigured { message };
        check(Code::SSL, misconfigured);
        check(Code::UnknownTopicOrPartition, misconfigured);
        check(Code::UnknownTopic, misconfigured);
        let uncertain = |message| Failure::Uncertain { message };
        check(Code::PurgeInflight, uncertain);
        check(Code::MessageTimedOut, uncertain);
        let retry = |message: String| Failure::retry(message);
        check(Code::BrokerTransportFailure, retry);
        check(Code::NotLeaderForPartition, retry);
        check(Code::PurgeQueue, retry);
        check(Code::NotEnoughReplicas, retry);
        check(Code::Fatal, retry);
        check(Code::MessageSizeTooLarge, |message| Failure::TooLarge {
            message,
        });
        check(Code::InvalidRecord, |message| Failure::Rejected { message });
    }

    #[test]
    fn a_missing_topic_is_named_with_the_remedy() {
        let error = SendError::of_code(Code::UnknownTopic, "metrics");
        let outcome = encode_outcome(Err(error.into()));
        assert_eq!(
            outcome.message,
            "topic `metrics` does not exist (create it, or name another one)"
        );
    }
}
