//! What the reason codes of the broker mean for the rows.

use delfin_plugin_api::{
    Failure,
    message::{EncodedMessage, MessageResults},
    stream::Address,
};
use rumqttc::v5::mqttbytes::v5::{ConnectReturnCode, DisconnectReasonCode, PubAckReason};

use crate::client::PublishAck;

/// Enters what became of a message.
pub(crate) fn set_acknowledged(
    results: &mut MessageResults,
    message: &EncodedMessage,
    acknowledgement: &PublishAck,
) {
    let topic = &message.name;
    let is_single = message.rows.len() == 1;
    let reason = match acknowledgement {
        PublishAck::Received(reason) => reason,
        PublishAck::TooLarge { max } => {
            let reason = format!("`{topic}`: the broker accepts at most {max} bytes");
            if is_single {
                return results.set_rejected(&message.rows, &reason);
            }
            return results.set_failure(Failure::TooLarge {
                message: format!("{reason} (set a smaller `message_bytes`)"),
            });
        }
    };
    match reason {
        PubAckReason::Success | PubAckReason::NoMatchingSubscribers => {
            results.set_delivered(&message.rows);
        }
        PubAckReason::NotAuthorized => results.set_failure(Failure::misconfigured(format!(
            "`{topic}`: not authorized (allow the user to publish to the topic)"
        ))),
        PubAckReason::QuotaExceeded => results.set_failure(Failure::Throttled {
            message: format!("`{topic}`: quota exceeded"),
            after: None,
        }),
        // The broker is not willing to accept the message, for its length for example.
        PubAckReason::ImplementationSpecificError
        | PubAckReason::TopicNameInvalid
        | PubAckReason::PayloadFormatInvalid => {
            let reason = format!("`{topic}`: refused with {reason:?}");
            if is_single {
                results.set_rejected(&message.rows, &reason);
            } else {
                results.set_failure(Failure::rejected(reason));
            }
        }
        PubAckReason::UnspecifiedError | PubAckReason::PacketIdentifierInUse => {
            results.set_failure(Failure::retry(format!(
                "`{topic}`: refused with {reason:?}"
            )));
        }
    }
}

pub(crate) fn connect_failure(code: ConnectReturnCode, address: &Address) -> Failure {
    use ConnectReturnCode as Code;
    let message = format!("`{address}`: connection refused with {code:?}");
    match code {
        Code::BadUserNamePassword
        | Code::NotAuthorized
        | Code::Banned
        | Code::BadAuthenticationMethod => Failure::Unauthorized {
            message: format!("{message} (check `username`, `password` and `client_id`)"),
        },
        Code::RefusedProtocolVersion | Code::UnsupportedProtocolVersion => Failure::misconfigured(
            format!("{message} (the broker does not speak MQTT 5: turn it on there)"),
        ),
        Code::BadClientId | Code::ClientIdentifierNotValid => {
            Failure::misconfigured(format!("{message} (set another `client_id`)"))
        }
        Code::UseAnotherServer | Code::ServerMoved => {
            Failure::misconfigured(format!("{message} (set another `address`)"))
        }
        Code::QuotaExceeded | Code::ServerBusy | Code::ConnectionRateExceeded => {
            Failure::Throttled {
                message,
                after: None,
            }
        }
        Code::Success
        | Code::ServiceUnavailable
        | Code::UnspecifiedError
        | Code::MalformedPacket
        | Code::ProtocolError
        | Code::ImplementationSpecificError
        | Code::ServerUnavailable
        | Code::TopicNameInvalid
        | Code::PacketTooLarge
        | Code::PayloadFormatInvalid
        | Code::RetainNotSupported
        | Code::QoSNotSupported => Failure::retry(message),
    }
}

pub(crate) fn disconnect_failure(code: DisconnectReasonCode, address: &Address) -> Failure {
    use DisconnectReasonCode as Code;
    let message = format!("`{address}`: the broker ended the session with {code:?}");
    match code {
        Code::NotAuthorized => Failure::Unauthorized { message },
        Code::PacketTooLarge => Failure::TooLarge { message },
        Code::QuotaExceeded
        | Code::MessageRateTooHigh
        | Code::ServerBusy
        | Code::ConnectionRateExceeded => Failure::Throttled {
            message,
            after: None,
        },
        Code::RetainNotSupported => {
            Failure::misconfigured(format!("{message} (set `retain = false`)"))
        }
        Code::QoSNotSupported => Failure::misconfigured(format!(
            "{message} (the broker takes no messages with acknowledgements)"
        )),
        Code::UseAnotherServer | Code::ServerMoved => {
            Failure::misconfigured(format!("{message} (set another `address`)"))
        }
        // Messages may be on their way.
        Code::NormalDisconnection
        | Code::DisconnectWithWillMessage
        | Code::UnspecifiedError
        | Code::MalformedPacket
        | Code::ProtocolError
        | Code::ImplementationSpecificError
        | Code::ServerShuttingDown
        | Code::KeepAliveTimeout
        | Code::SessionTakenOver
        | Code::TopicFilterInvalid
        | Code::TopicNameInvalid
        | Code::ReceiveMaximumExceeded
        | Code::TopicAliasInvalid
        | Code::AdministrativeAction
        | Code::PayloadFormatInvalid
        | Code::SharedSubscriptionNotSupported
        | Code::MaximumConnectTime
        | Code::SubscriptionIdentifiersNotSupported
        | Code::WildcardSubscriptionsNotSupported => Failure::Uncertain { message },
    }
}

#[cfg(test)]
mod tests {
    use delfin_plugin_api::{Outcome, RowFailureKind, testkit::check_outcome};
    use serde_json::json;

    use super::*;

    fn outcome(rows: &[usize], acknowledgement: PublishAck) -> Outcome {
        let message = EncodedMessage {
            name: "t".to_owned(),
            id: String::new(),
            batch_id: String::new(),
            content_type: "",
            origin: "",
            payload: Vec::new(),
            rows: rows.to_vec(),
        };
        let mut results = MessageResults::new(2);
        set_acknowledged(&mut results, &message, &acknowledgement);
        results.into_outcome()
    }

    #[test]
    fn the_reason_of_an_acknowledgement_decides_what_happens_to_the_rows() {
        let check = |reason, name: &str, part: &str| {
            let acknowledgement = PublishAck::Received(reason);
            check_outcome(&outcome(&[0, 1], acknowledgement), name, part);
        };
        for reason in [PubAckReason::Success, PubAckReason::NoMatchingSubscribers] {
            assert_eq!(outcome(&[0, 1], PublishAck::Received(reason)), Ok(()));
        }
        check(PubAckReason::NotAuthorized, "misconfigured", "`t`");
        check(PubAckReason::QuotaExceeded, "throttled", "`t`");
        check(PubAckReason::PayloadFormatInvalid, "rejected", "`t`");
        check(PubAckReason::UnspecifiedError, "retry", "`t`");
        let large = PublishAck::TooLarge { max: 10 };
        check_outcome(&outcome(&[0, 1], large), "too large", "at most 10 bytes");
        for refused in [
            large,
            PublishAck::Received(PubAckReason::ImplementationSpecificError),
        ] {
            let Err(Failure::Partial { rows, .. }) = outcome(&[1], refused) else {
                panic!("a single row is rejected")
            };
            assert!(
                rows.iter()
                    .any(|row| row.rows == (1..2) && row.kind == RowFailureKind::Rejected)
            );
        }
    }

    #[test]
    fn the_code_of_a_refused_connection_names_the_remedy() {
        let mut mistakes = delfin_plugin_api::setting::Mistakes::default();
        let address = Address::read("address", Some(json!("a")), 1883, &mut mistakes).unwrap();
        let check = |code, name: &str, part: &str| {
            check_outcome(&Err(connect_failure(code, &address)), name, part);
        };
        let code = ConnectReturnCode::BadUserNamePassword;
        check(code, "unauthorized", "check `username`");
        let code = ConnectReturnCode::UnsupportedProtocolVersion;
        check(code, "misconfigured", "MQTT 5");
        check(ConnectReturnCode::ServerBusy, "throttled", "");
        check(ConnectReturnCode::ServerUnavailable, "retry", "");
        let ended = disconnect_failure(DisconnectReasonCode::ServerShuttingDown, &address);
        check_outcome(&Err(ended), "uncertain", "ServerShuttingDown");
    }
}
