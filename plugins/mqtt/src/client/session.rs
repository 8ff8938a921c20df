//! A session of MQTT 5: a connection, from CONNECT to DISCONNECT.
//!
//! It asks for no keep-alive. A connection that ended meanwhile is noticed before it is used.

use std::{
    io::{self, ErrorKind, Read, Write},
    time::Instant,
};

use bytes::{Bytes, BytesMut};
use delfin_plugin_api::{message::EncodedMessage, stream::Connection};
use rumqttc::v5::mqttbytes::{
    Error, QoS,
    v5::{
        Connect, ConnectReturnCode, Disconnect, DisconnectReasonCode, Login, Packet, PingReq,
        PubAckReason, Publish, PublishProperties,
    },
};

use crate::config::BrokerConfig;

/// Messages that wait for an acknowledgement. Their acknowledgements fit into the buffers of a
/// connection, so that neither side waits for the other to read.
const WINDOW: u16 = 256;
/// Of a packet from the broker, which sends acknowledgements only.
const MAX_INCOMING: u32 = 64 << 10;

pub(super) struct MqttSession {
    connection: Connection,
    incoming: BytesMut,
    window: u16,
    /// The longest packet that the broker accepts.
    max_packet: Option<u32>,
}

/// Why a session cannot go on.
#[derive(Debug)]
pub(super) enum MqttError {
    Io(io::Error),
    /// The broker refused CONNECT.
    Refused(ConnectReturnCode),
    /// The broker has ended the session.
    Disconnected(DisconnectReasonCode),
}

/// What became of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PublishAck {
    Received(PubAckReason),
    /// Longer than the broker accepts, so it was not sent.
    TooLarge {
        max: u32,
    },
}

impl PublishAck {
    /// Whether the broker has passed the message to no subscriber.
    pub(super) fn is_unread(self) -> bool {
        self == Self::Received(PubAckReason::NoMatchingSubscribers)
    }
}

impl From<io::Error> for MqttError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl MqttSession {
    /// Opens a session over a new connection.
    pub(super) fn open(connection: Connection, config: &BrokerConfig) -> Result<Self, MqttError> {
        let mut session = Self {
            connection,
            incoming: BytesMut::new(),
            window: WINDOW,
            max_packet: None,
        };
        let login = config.username.as_ref().map(|username| Login {
            username: username.clone(),
            password: config
                .password
                .as_ref()
                .map_or_else(String::new, |password| password.reveal().to_owned()),
        });
        let connect = Connect {
            keep_alive: 0,
            client_id: config.client_id.clone(),
            clean_start: true,
            properties: None,
        };
        session.write(&[Packet::Connect(connect, None, login)])?;
        let Packet::ConnAck(answer) = session.read()? else {
            return Err(unexpected().into());
        };
        if answer.code != ConnectReturnCode::Success {
            return Err(MqttError::Refused(answer.code));
        }
        if let Some(properties) = answer.properties {
            let most = properties.receive_max.unwrap_or(WINDOW);
            session.window = most.clamp(1, WINDOW);
            session.max_packet = properties.max_packet_size;
        }
        Ok(session)
    }

    /// The number of messages that can wait for an acknowledgement.
    pub(super) fn window(&self) -> usize {
        self.window.into()
    }

    /// Sets the deadline of a call, and returns whether the session can be used.
    pub(super) fn continue_until(&mut self, deadline: Instant) -> bool {
        self.connection.set_deadline(deadline);
        !self.connection.is_closed()
    }

    /// Publishes at most as many messages as the window has, and waits for all their
    /// acknowledgements, which have the order of the messages.
    pub(super) fn publish(
        &mut self,
        messages: &[EncodedMessage],
        retain: bool,
    ) -> Result<Vec<PublishAck>, MqttError> {
        let max = self.max_packet.unwrap_or(u32::MAX);
        let mut acknowledgements = vec![PublishAck::TooLarge { max }; messages.len()];
        let mut packets = Vec::with_capacity(messages.len());
        for (id, message) in (1..).zip(messages) {
            let packet = Packet::Publish(publish(id, message, retain));
            if packet.size() <= max as usize {
                packets.push(packet);
            }
        }
        self.write(&packets)?;
        for _ in &packets {
            let Packet::PubAck(answer) = self.read()? else {
                return Err(unexpected().into());
            };
            let index = usize::from(answer.pkid).checked_sub(1);
            let entry = index.and_then(|index| acknowledgements.get_mut(index));
            *entry.ok_or_else(unexpected)? = PublishAck::Received(answer.reason);
        }
        Ok(acknowledgements)
    }

    /// Waits for an answer of the broker.
    pub(super) fn ping(&mut self) -> Result<(), MqttError> {
        self.write(&[Packet::PingReq(PingReq)])?;
        match self.read()? {
            Packet::PingResp(_) => Ok(()),
            _ => Err(unexpected().into()),
        }
    }

    /// Ends the session.
    pub(super) fn disconnect(mut self) {
        let end = Disconnect {
            reason_code: DisconnectReasonCode::NormalDisconnection,
            properties: None,
        };
        // The broker ends a session without this packet too.
        let _ = self.write(&[Packet::Disconnect(end)]);
    }

    fn write(&mut self, packets: &[Packet]) -> Result<(), MqttError> {
        let mut bytes = BytesMut::new();
        for packet in packets {
            let written = packet.write(&mut bytes, None);
            written.map_err(io::Error::other)?;
        }
        self.connection.write_all(&bytes)?;
        Ok(self.connection.flush()?)
    }

    fn read(&mut self) -> Result<Packet, MqttError> {
        loop {
            match Packet::read(&mut self.incoming, Some(MAX_INCOMING)) {
                Ok(Packet::Disconnect(end)) => {
                    return Err(MqttError::Disconnected(end.reason_code));
                }
                Ok(packet) => return Ok(packet),
                Err(Error::InsufficientBytes(_)) => {}
                Err(_) => {
                    let error = "what the receiver sends is not MQTT 5";
                    return Err(io::Error::new(ErrorKind::InvalidData, error).into());
                }
            }
            let mut buffer = [0; 4096];
            match self.connection.read(&mut buffer)? {
                0 => {
                    let reason = "the broker closed the connection";
                    return Err(io::Error::new(ErrorKind::ConnectionAborted, reason).into());
                }
                read => self.incoming.extend_from_slice(&buffer[..read]),
            }
        }
    }
}

fn publish(id: u16, message: &EncodedMessage, retain: bool) -> Publish {
    let properties = PublishProperties {
        content_type: Some(message.content_type.to_owned()),
        user_properties: [
            ("source", "delfin-host"),
            ("origin", message.origin),
            ("batch-id", &message.batch_id),
            ("message-id", &message.id),
        ]
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .into(),
        ..PublishProperties::default()
    };
    Publish {
        dup: false,
        qos: QoS::AtLeastOnce,
        retain,
        topic: Bytes::copy_from_slice(message.name.as_bytes()),
        pkid: id,
        payload: Bytes::copy_from_slice(&message.payload),
        properties: Some(properties),
    }
}

fn unexpected() -> io::Error {
    let reason = "the broker sent a packet that was not asked for";
    io::Error::new(ErrorKind::InvalidData, reason)
}
