//! Opens a datagram: finds the alert source that has sent it, and checks its credentials.
//!
//! Promises: a message whose sender is unknown is not even decoded, and a message with wrong
//! credentials gives no notification.

use std::{net::IpAddr, sync::Arc};

use async_snmp::{
    DecodeConfig, Version,
    ber::Decoder,
    message::{CommunityMessage, CommunityPdu, Message},
};
use bytes::Bytes;

use super::{
    acknowledgement::Acknowledgement,
    notification::Notification,
    opened::{RefusedDatagram, SourcedNotification},
    source::{SenderTable, TrapSender},
    stats::TrapRefusal,
    usm::UsmReceiver,
};
use crate::{inventory::SnmpVersion, panics};

/// Opens datagrams.
#[derive(Debug)]
pub(super) struct Opener {
    pub(super) usm: UsmReceiver,
}

impl Opener {
    pub(super) fn open(
        &mut self,
        datagram: Bytes,
        from: IpAddr,
        table: &SenderTable,
    ) -> Result<SourcedNotification, RefusedDatagram> {
        let senders = table.at(from);
        if senders.is_empty() {
            return Err(TrapRefusal::UnknownSender.into());
        }
        match version_of(&datagram) {
            Some(3) => self.usm.open(&datagram, senders),
            Some(_) => open_community(datagram, senders).map_err(RefusedDatagram::from),
            None => Err(TrapRefusal::Malformed.into()),
        }
    }
}

fn open_community(
    datagram: Bytes,
    senders: &[Arc<TrapSender>],
) -> Result<SourcedNotification, TrapRefusal> {
    let decoded = CommunityMessage::decode(datagram, DecodeConfig::default());
    let (version, community, pdu) = decoded
        .map_err(|_| TrapRefusal::Malformed)?
        .value
        .into_parts();
    let is_of_version = |sender: &&Arc<TrapSender>| sender.snmp.version != SnmpVersion::V3;
    let mut senders = senders.iter().filter(is_of_version).peekable();
    if senders.peek().is_none() {
        return Err(TrapRefusal::OtherVersion);
    }
    let has_community = |sender: &&Arc<TrapSender>| {
        let own = sender.snmp.community.as_deref();
        own.is_some_and(|own| community.matches(own))
    };
    let sender = senders
        .find(has_community)
        .ok_or(TrapRefusal::WrongCommunity)?;
    let notification = match &pdu {
        CommunityPdu::TrapV1(trap) if version == Version::V1 => Notification::from_v1(trap),
        CommunityPdu::Standard(pdu) if version == Version::V2c => Notification::from_pdu(pdu),
        _ => None,
    };
    let notification = notification.ok_or(TrapRefusal::NotANotification)?;
    let acknowledgement = match pdu {
        CommunityPdu::Standard(pdu) if notification.is_inform => {
            Some(Acknowledgement::of_community(community, pdu))
        }
        _ => None,
    };
    Ok(SourcedNotification {
        storage_id: sender.storage_id,
        notification,
        acknowledgement,
    })
}

/// A datagram, opened without credentials.
#[derive(Debug)]
pub struct PlainMessage {
    pub version: &'static str,
    /// Or why it cannot be shown.
    pub notification: Result<Notification, String>,
}

/// Opens a datagram of any sender, to show it. One that is encrypted cannot be opened.
#[must_use]
pub fn open_plain(datagram: Bytes) -> PlainMessage {
    let version = match version_of(&datagram) {
        Some(0) => "v1",
        Some(1) => "v2c",
        Some(3) => "v3",
        Some(_) | None => "",
    };
    let decoded = panics::catch(|| Message::decode(datagram, DecodeConfig::default()));
    let notification = match decoded {
        Some(Ok(decoded)) => match decoded.value {
            Message::Community(message) => match message.pdu() {
                CommunityPdu::TrapV1(trap) => Notification::from_v1(trap),
                CommunityPdu::Standard(pdu) => Notification::from_pdu(pdu),
            }
            .ok_or_else(|| TrapRefusal::NotANotification.to_string()),
            Message::V3(message) => match message.pdu() {
                Some(pdu) => Notification::from_pdu(pdu)
                    .ok_or_else(|| TrapRefusal::NotANotification.to_string()),
                None => Err("it is encrypted, and can be opened by a running host only".to_owned()),
            },
        },
        Some(Err(_)) | None => Err(TrapRefusal::Malformed.to_string()),
    };
    PlainMessage {
        version,
        notification,
    }
}

/// The version of a message, as it is written: 0, 1 or 3.
fn version_of(datagram: &Bytes) -> Option<i32> {
    let mut message = Decoder::new(datagram.clone());
    message.read_sequence().ok()?.read_integer().ok()
}

#[cfg(test)]
mod tests;
