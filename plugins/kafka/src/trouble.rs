//! What went wrong, and what that means for the rows.
//!
//! Promises: nothing that may pass is taken for final, and what only a person
//! can mend is never tried again and again.

use delfin_plugin_api::Failure;
use rdkafka::{error::KafkaError, types::RDKafkaErrorCode as Code};

/// Something that went wrong.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Trouble {
    /// What it means.
    pub(crate) kind: Kind,
    /// The reason.
    pub(crate) reason: String,
}

/// What trouble means for rows, the worst last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Kind {
    /// Will never be taken.
    Refused,
    /// Will never be taken in such large pieces.
    TooLarge,
    /// Will be taken when the broker is back.
    Away,
    /// Will be taken when the broker has time.
    Busy,
    /// May have been taken: sent, but the answer is unknown.
    Unknown,
    /// The producer is beyond use; a new one will be taken.
    Fatal,
    /// Settings have to change, here or there.
    Misconfigured,
    /// Credentials or permissions have to change.
    Unauthorized,
}

impl Trouble {
    /// Trouble of that kind.
    pub(crate) fn new(kind: Kind, reason: impl Into<String>) -> Self {
        let reason = reason.into();
        Self { kind, reason }
    }

    /// What a code means for a message to that topic.
    pub(crate) fn of_code(code: Code, topic: &str) -> Self {
        let kind = kind(code);
        let reason = match code {
            Code::UnknownTopic | Code::UnknownTopicOrPartition | Code::UnknownTopicId => {
                format!("topic `{topic}` does not exist (create it, or name another one)")
            }
            Code::TopicAuthorizationFailed => {
                format!("no permission to write to topic `{topic}` (allow it, or log in otherwise)")
            }
            code => code.to_string(),
        };
        Self { kind, reason }
    }

    /// What an error means for a message to that topic.
    pub(crate) fn of_error(error: &KafkaError, topic: &str) -> Self {
        match error.rdkafka_error_code() {
            Some(code) => Self::of_code(code, topic),
            // Only a configuration or a text can be wrong then, and its value
            // may be a secret.
            None => Self::new(Kind::Misconfigured, "librdkafka refuses a setting"),
        }
    }

    /// Whether the same rows have to be sent once more.
    pub(crate) fn is_open(&self) -> bool {
        self.kind != Kind::Refused
    }
}

impl From<Trouble> for Failure {
    fn from(trouble: Trouble) -> Self {
        let message = trouble.reason;
        match trouble.kind {
            Kind::Refused => Self::Rejected { message },
            Kind::TooLarge => Self::TooLarge { message },
            Kind::Away | Kind::Fatal => Self::retry(message),
            Kind::Busy => Self::Throttled {
                message,
                after: None,
            },
            Kind::Unknown => Self::Uncertain { message },
            Kind::Misconfigured => Self::Misconfigured { message },
            Kind::Unauthorized => Self::Unauthorized { message },
        }
    }
}

/// What a code means.
pub(crate) fn kind(code: Code) -> Kind {
    match code {
        Code::Authentication
        | Code::SaslAuthenticationFailed
        | Code::TopicAuthorizationFailed
        | Code::GroupAuthorizationFailed
        | Code::ClusterAuthorizationFailed
        | Code::TransactionalIdAuthorizationFailed
        | Code::DelegationTokenAuthorizationFailed
        | Code::DelegationTokenExpired
        | Code::UnacceptableCredential => Kind::Unauthorized,
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
        | Code::NotConfigured => Kind::Misconfigured,
        Code::MessageSizeTooLarge | Code::MessageBatchTooLarge | Code::InvalidMessageSize => {
            Kind::TooLarge
        }
        Code::InvalidRecord | Code::InvalidTimestamp => Kind::Refused,
        Code::PurgeInflight
        | Code::MessageTimedOut
        | Code::RequestTimedOut
        | Code::NotEnoughReplicasAfterAppend
        | Code::OutOfOrderSequenceNumber
        | Code::DuplicateSequenceNumber
        | Code::BadMessage => Kind::Unknown,
        Code::ThrottlingQuotaExceeded | Code::QueueFull => Kind::Busy,
        Code::Fatal
        | Code::Fenced
        | Code::ProducerFenced
        | Code::GaplessGuarantee
        | Code::Inconsistent
        | Code::State
        | Code::BrokerDestroy
        | Code::CriticalSystemResource => Kind::Fatal,
        // The rest is about a broker that is away or being replaced, or about
        // consumers; and of a code that is not known yet, only so much is
        // certain: the host still has the rows, and another try loses nothing.
        _ => Kind::Away,
    }
}

#[cfg(test)]
mod tests {
    use delfin_plugin_api::encode_outcome;

    use super::*;

    #[test]
    fn every_code_becomes_the_outcome_that_its_remedy_asks_for() {
        let check = |code: Code, expected: fn(String) -> Failure| {
            let trouble = Trouble::of_code(code, "t");
            let reason = trouble.reason.clone();
            assert_eq!(Failure::from(trouble), expected(reason), "{code:?}");
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
        let trouble = Trouble::of_code(Code::UnknownTopic, "metrics");
        let outcome = encode_outcome(Err(trouble.into()));
        assert_eq!(
            outcome.message,
            "topic `metrics` does not exist (create it, or name another one)"
        );
    }
}
