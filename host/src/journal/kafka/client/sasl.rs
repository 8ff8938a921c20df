//! Logs in to a broker with SASL.

use std::time::Duration;

use base64::{Engine, prelude::BASE64_STANDARD};
use delfin_plugin_api::setting::Secret;
use kafka_protocol::{
    error::ResponseError,
    messages::{SaslAuthenticateRequest, SaslHandshakeRequest},
    protocol::StrBytes,
};
use rand::Rng;

use super::{
    connection::BrokerConnection,
    failure::BrokerFailure,
    scram::{ScramExchange, ScramHash},
};

/// How a client proves its password.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SaslMechanism {
    /// It sends the password.
    Plain,
    ScramSha256,
    ScramSha512,
}

/// Who logs in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SaslLogin {
    pub mechanism: SaslMechanism,
    pub username: String,
    pub password: Secret,
}

impl SaslMechanism {
    pub const ALL: [Self; 3] = [Self::Plain, Self::ScramSha256, Self::ScramSha512];

    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Plain => "PLAIN",
            Self::ScramSha256 => "SCRAM-SHA-256",
            Self::ScramSha512 => "SCRAM-SHA-512",
        }
    }
}

impl SaslLogin {
    /// Logs in. Returns how long the broker accepts requests on the connection, if it has a limit.
    pub(super) async fn log_in(
        &self,
        broker: &mut BrokerConnection,
    ) -> Result<Option<Duration>, BrokerFailure> {
        let mechanism = self.mechanism.as_str();
        let request =
            SaslHandshakeRequest::default().with_mechanism(StrBytes::from_static_str(mechanism));
        let answer = broker.call(&request).await?;
        let offered = answer.mechanisms.iter().map(|name| &**name);
        let reason = match ResponseError::try_from_code(answer.error_code) {
            None => None,
            Some(ResponseError::UnsupportedSaslMechanism) => Some(format!(
                "it does not offer `{mechanism}` (set `cluster.kafka.sasl.mechanism` to one that it offers: {})",
                offered.collect::<Vec<_>>().join(", ")
            )),
            Some(ResponseError::IllegalSaslState) => Some(
                "its listener has no SASL (remove `cluster.kafka.sasl`, or use the port of another listener)"
                    .to_owned(),
            ),
            Some(error) => Some(format!("it refuses SASL: {error}")),
        };
        if let Some(reason) = reason {
            return Err(BrokerFailure::of_broker(broker.address(), reason));
        }
        match self.mechanism {
            SaslMechanism::Plain => {
                let message = format!("\0{}\0{}", self.username, self.password.reveal());
                let (_, lifetime) = self.exchange(broker, message).await?;
                Ok(lifetime)
            }
            SaslMechanism::ScramSha256 => self.scram(broker, ScramHash::sha_256()).await,
            SaslMechanism::ScramSha512 => self.scram(broker, ScramHash::sha_512()).await,
        }
    }

    async fn scram(
        &self,
        broker: &mut BrokerConnection,
        hash: ScramHash,
    ) -> Result<Option<Duration>, BrokerFailure> {
        let nonce = BASE64_STANDARD.encode(rand::rng().random::<[u8; 24]>());
        let exchange = ScramExchange::new(hash, &self.username, self.password.reveal(), nonce);
        let (server, _) = self.exchange(broker, exchange.first_message()).await?;
        let (last, proof) = exchange
            .last_message(&server)
            .map_err(|reason| BrokerFailure::garbled(broker.address(), reason))?;
        let (server, lifetime) = self.exchange(broker, last).await?;
        if proof.is_given_by(&server) {
            return Ok(lifetime);
        }
        let reason = "it does not prove that it knows the password, so that it may be another server (check the address)";
        Err(BrokerFailure::of_broker(broker.address(), reason))
    }

    /// Sends a message, and returns that of the broker with the lifetime of the connection.
    async fn exchange(
        &self,
        broker: &mut BrokerConnection,
        message: String,
    ) -> Result<(String, Option<Duration>), BrokerFailure> {
        let request =
            SaslAuthenticateRequest::default().with_auth_bytes(message.into_bytes().into());
        let answer = broker.call(&request).await?;
        if answer.error_code != 0 {
            let reason = answer
                .error_message
                .as_deref()
                .unwrap_or("no reason is given");
            let reason = format!(
                "it refuses the login of user `{}` with `{}`: {reason} (check `username` and `password` of \
                 `cluster.kafka.sasl`, and that the user exists for this mechanism)",
                self.username,
                self.mechanism.as_str()
            );
            return Err(BrokerFailure::of_broker(broker.address(), reason));
        }
        let lifetime = u64::try_from(answer.session_lifetime_ms).ok();
        let lifetime = lifetime.filter(|lifetime| *lifetime > 0);
        let message = String::from_utf8_lossy(&answer.auth_bytes).into_owned();
        Ok((message, lifetime.map(Duration::from_millis)))
    }
}
