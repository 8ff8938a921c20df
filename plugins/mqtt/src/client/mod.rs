//! Publishes messages.
//!
//! Promises: a call ends within its time; messages are published in order; a row counts as
//! delivered only after its acknowledgement.

mod session;

use std::time::Duration;

use delfin_plugin_api::{
    Failure, Host, Outcome,
    message::{EncodedMessage, MessageClient, MessageResults, groups},
    stream::{Connector, deadline},
};

pub(crate) use self::session::PublishAck;
use self::session::{MqttError, MqttSession};
use crate::{
    config::BrokerConfig,
    outcome::{connect_failure, disconnect_failure, set_acknowledged},
};

/// Bytes of payloads that are sent before their acknowledgements are awaited.
const GROUP_BYTES: usize = 1 << 20;

pub(crate) struct MqttClient {
    connector: Connector,
    config: BrokerConfig,
    /// `None` before the first call, and after a failure.
    session: Option<MqttSession>,
    host: Host,
}

impl MessageClient for MqttClient {
    type Config = BrokerConfig;

    fn check(config: BrokerConfig) -> Outcome {
        Connector::new(config.address, config.tls.as_ref()).map(drop)
    }

    fn new(config: BrokerConfig, host: &Host) -> Result<Self, Failure> {
        if config.password.is_some() && config.tls.is_none() {
            config
                .address
                .warn_of_plain_credentials("remove `tls = false`");
        }
        Ok(Self {
            connector: Connector::new(config.address.clone(), config.tls.as_ref())?,
            config,
            session: None,
            host: host.clone(),
        })
    }

    fn send(&mut self, messages: Vec<EncodedMessage>, rows: usize, remaining: Duration) -> Outcome {
        let mut session = self.open(remaining)?;
        let mut results = MessageResults::new(rows);
        let mut usable = true;
        let mut unread = 0;
        for group in groups(&messages, session.window(), GROUP_BYTES) {
            for message in group {
                results.set_sent(&message.rows);
            }
            match session.publish(group, self.config.retain) {
                Ok(acknowledgements) => {
                    for (message, acknowledgement) in group.iter().zip(&acknowledgements) {
                        unread += u64::from(acknowledgement.is_unread());
                        // Behind a message that must be sent again, others of its topic must be
                        // sent again too, so that the last one is the latest.
                        if !results.has_failed() {
                            set_acknowledged(&mut results, message, acknowledgement);
                        }
                    }
                }
                Err(error) => {
                    results.set_failure(self.failure(error, true));
                    usable = false;
                }
            }
            if results.has_failed() {
                break;
            }
        }
        self.session = usable.then_some(session);
        if unread > 0 {
            self.host.count("messages_without_subscriber", unread);
        }
        results.into_outcome()
    }

    fn health(&mut self, remaining: Duration) -> Outcome {
        let mut session = self.open(remaining)?;
        session.ping().map_err(|error| self.failure(error, false))?;
        self.session = Some(session);
        Ok(())
    }

    fn close(&mut self) {
        if let Some(session) = self.session.take() {
            session.disconnect();
        }
    }
}

impl MqttClient {
    /// The open session if it still works, else a new one.
    fn open(&mut self, remaining: Duration) -> Result<MqttSession, Failure> {
        let deadline = deadline(remaining);
        if let Some(mut session) = self.session.take()
            && session.continue_until(deadline)
        {
            return Ok(session);
        }
        let connection = self.connector.connect(deadline)?;
        let session = MqttSession::open(connection, &self.config);
        session.map_err(|error| self.failure(error, false))
    }

    /// `is_sent`: whether the broker may have messages of the call.
    fn failure(&self, error: MqttError, is_sent: bool) -> Failure {
        let address = self.connector.address();
        match error {
            MqttError::Io(error) if is_sent => self.connector.send_failure(&error),
            MqttError::Io(error) => self.connector.login_failure(&error),
            MqttError::Refused(code) => connect_failure(code, address),
            MqttError::Disconnected(code) => disconnect_failure(code, address),
        }
    }
}
