//! Messages of SNMP version 3, by the user-based security model (RFC 3414).
//!
//! The sender of a trap is the authoritative engine, so its keys and its time count. For an
//! inform the host is: a sender asks for the engine and the time of the host first, which
//! reports answer.

use std::{collections::HashMap, sync::Arc, time::Instant};

use async_snmp::{
    DecodeConfig, Oid, SecurityLevel,
    ber::Decoder,
    message::{RawMsgData, RawV3Message, ScopedPdu},
    v3::{MAX_ENGINE_TIME, TIME_WINDOW, UsmSecurityParams, auth::verify_message, report_oids},
};
use bytes::Bytes;
use uuid::Uuid;

use super::{
    acknowledgement::{Acknowledgement, Answerer, UserAcknowledgement},
    keys::EngineKeys,
    notification::Notification,
    opened::{RefusedDatagram, SourcedNotification},
    source::TrapSender,
    stats::TrapRefusal,
};
use crate::inventory::{SnmpSecurityLevel, SnmpVersion};

/// The most engines whose time is remembered.
const MAX_ENGINES: usize = 8_192;

/// Opens messages of version 3.
#[derive(Debug)]
pub(super) struct UsmReceiver {
    answerer: Arc<Answerer>,
    times: HashMap<(Uuid, Vec<u8>), EngineTime>,
}

/// The last time of a sender's engine.
#[derive(Clone, Copy, Debug)]
struct EngineTime {
    boots: u32,
    time: u32,
    at: Instant,
}

/// A message whose envelope is decoded.
struct UsmEnvelope<'a> {
    datagram: &'a Bytes,
    raw: RawV3Message,
    params: UsmSecurityParams,
}

impl UsmReceiver {
    pub(super) fn new(answerer: Arc<Answerer>) -> Self {
        Self {
            answerer,
            times: HashMap::new(),
        }
    }

    pub(super) fn open(
        &mut self,
        datagram: &Bytes,
        senders: &[Arc<TrapSender>],
    ) -> Result<SourcedNotification, RefusedDatagram> {
        let envelope = UsmEnvelope::decode(datagram).ok_or(TrapRefusal::Malformed)?;
        let engine = envelope.params.engine_id();
        let is_local = engine == self.answerer.engine.id();
        // A trap has no answer, an inform has one: its sender must use the engine of the host.
        let is_reportable = envelope.raw.global_data().msg_flags().reportable;
        if is_reportable && !is_local {
            let oid = report_oids::unknown_engine_ids();
            return Err(self.refused(&envelope, TrapRefusal::Discovery, oid, None));
        }
        if engine.is_empty() {
            return Err(TrapRefusal::OtherEngine.into());
        }
        let sender = find_sender(senders, &envelope).map_err(|refusal| {
            let oid = report_oids::unknown_user_names();
            self.refused(&envelope, refusal, oid, None)
        })?;
        if !is_local && sender.engine_id.as_ref().is_some_and(|own| own != engine) {
            return Err(TrapRefusal::OtherEngine.into());
        }
        let level = envelope.raw.security_level();
        if sender.snmp.security_level.map(level_of) != Some(level) {
            let oid = report_oids::unsupported_sec_levels();
            return Err(self.refused(&envelope, TrapRefusal::OtherLevel, oid, None));
        }
        let keys = match (&sender.keys, level.requires_auth()) {
            (Some(keys), true) => {
                let of_engine = keys
                    .of_engine(engine)
                    .map_err(|_| TrapRefusal::WrongDigest)?;
                if !envelope.is_authentic(&of_engine) {
                    let oid = report_oids::wrong_digests();
                    return Err(self.refused(&envelope, TrapRefusal::WrongDigest, oid, None));
                }
                keys.keep(engine, &of_engine);
                Some(of_engine)
            }
            (None, true) => return Err(TrapRefusal::OtherLevel.into()),
            (_, false) => None,
        };
        if keys.is_some() && !self.is_timely(sender.storage_id, is_local, &envelope.params) {
            let oid = report_oids::not_in_time_windows();
            return Err(self.refused(&envelope, TrapRefusal::TooOld, oid, keys.as_ref()));
        }
        let (scoped, keys) = envelope.content(keys).ok_or_else(|| {
            let oid = report_oids::decryption_errors();
            self.refused(&envelope, TrapRefusal::WrongPrivacyKey, oid, None)
        })?;
        let notification =
            Notification::from_pdu(&scoped.pdu).ok_or(TrapRefusal::NotANotification)?;
        // Without the engine of the host, an acknowledgement would not be understood.
        let acknowledgement = (notification.is_inform && is_local).then(|| {
            Acknowledgement::User(Box::new(UserAcknowledgement {
                msg_id: envelope.raw.msg_id(),
                level,
                username: envelope.params.username().clone(),
                keys,
                scoped,
            }))
        });
        Ok(SourcedNotification {
            storage_id: sender.storage_id,
            notification,
            acknowledgement,
        })
    }

    /// Whether an authentic message is new: not from before the last start of its engine, and
    /// not older than the window.
    fn is_timely(&mut self, storage_id: Uuid, is_local: bool, params: &UsmSecurityParams) -> bool {
        let (boots, time) = (params.engine_boots(), params.engine_time());
        if is_local {
            return self.answerer.engine.is_timely(boots, time);
        }
        let key = (storage_id, params.engine_id().to_vec());
        let now = Instant::now();
        if let Some(last) = self.times.get(&key) {
            let passed = u32::try_from(now.duration_since(last.at).as_secs()).unwrap_or(u32::MAX);
            let expected = last.time.saturating_add(passed);
            let is_old = boots < last.boots
                || (boots == last.boots && time.saturating_add(TIME_WINDOW) < expected);
            if is_old || boots == MAX_ENGINE_TIME {
                return false;
            }
            if (boots, time) <= (last.boots, expected) {
                return true;
            }
        } else if self.times.len() >= MAX_ENGINES {
            self.times.clear();
        }
        let last = EngineTime {
            boots,
            time,
            at: now,
        };
        self.times.insert(key, last);
        true
    }

    fn refused(
        &self,
        envelope: &UsmEnvelope<'_>,
        refusal: TrapRefusal,
        counter: Oid,
        keys: Option<&EngineKeys>,
    ) -> RefusedDatagram {
        let global = envelope.raw.global_data();
        let report = global.msg_flags().reportable.then(|| {
            let username = envelope.params.username();
            self.answerer
                .report(global.msg_id(), username, counter, keys)
        });
        RefusedDatagram {
            refusal,
            report: report.flatten(),
        }
    }
}

impl<'a> UsmEnvelope<'a> {
    fn decode(datagram: &'a Bytes) -> Option<Self> {
        // What follows the message would not be authenticated.
        let config = DecodeConfig::STRICT;
        let raw = RawV3Message::decode(datagram.clone(), config).ok()?.value;
        let params = UsmSecurityParams::decode(raw.security_params().clone(), config);
        let params = params.ok()?.value;
        Some(Self {
            datagram,
            raw,
            params,
        })
    }

    fn is_authentic(&self, keys: &EngineKeys) -> bool {
        let Some((at, length)) = UsmSecurityParams::find_auth_params_offset(self.datagram) else {
            return false;
        };
        let verified = verify_message(&keys.auth, self.datagram, at, length);
        length == keys.auth.mac_len() && verified.unwrap_or(false)
    }

    /// The content, with the keys that have opened it.
    fn content(&self, keys: Option<EngineKeys>) -> Option<(ScopedPdu, Option<EngineKeys>)> {
        let encrypted = match self.raw.msg_data() {
            RawMsgData::Plaintext { data, .. } => {
                let scoped = ScopedPdu::decode(&mut Decoder::new(data.clone())).ok()?;
                return Some((scoped, keys));
            }
            RawMsgData::Encrypted(encrypted) => encrypted,
        };
        let keys = keys?;
        let (boots, time) = (self.params.engine_boots(), self.params.engine_time());
        let salt = self.params.priv_params();
        keys.privacy.iter().find_map(|key| {
            let text = key.decrypt(encrypted, boots, time, salt).ok()?;
            let scoped = ScopedPdu::decode(&mut Decoder::new(text)).ok()?;
            let keys = EngineKeys {
                auth: keys.auth.clone(),
                privacy: vec![key.clone()],
            };
            Some((scoped, Some(keys)))
        })
    }
}

fn find_sender<'a>(
    senders: &'a [Arc<TrapSender>],
    envelope: &UsmEnvelope<'_>,
) -> Result<&'a TrapSender, TrapRefusal> {
    let is_of_version = |sender: &&Arc<TrapSender>| sender.snmp.version == SnmpVersion::V3;
    let mut senders = senders.iter().filter(is_of_version).peekable();
    if senders.peek().is_none() {
        return Err(TrapRefusal::OtherVersion);
    }
    let username = envelope.params.username();
    let engine = envelope.params.engine_id();
    let users: Vec<_> = senders
        .filter(|sender| sender.snmp.username.as_deref().map(str::as_bytes) == Some(username))
        .collect();
    // Of two users with one name, the one with this engine.
    let of_engine = users
        .iter()
        .find(|sender| sender.engine_id.as_ref().is_some_and(|own| own == engine));
    let found = of_engine.or(users.first());
    found
        .map(|sender| &***sender)
        .ok_or(TrapRefusal::UnknownUser)
}

fn level_of(level: SnmpSecurityLevel) -> SecurityLevel {
    match level {
        SnmpSecurityLevel::NoAuthNoPriv => SecurityLevel::NoAuthNoPriv,
        SnmpSecurityLevel::AuthNoPriv => SecurityLevel::AuthNoPriv,
        SnmpSecurityLevel::AuthPriv => SecurityLevel::AuthPriv,
    }
}
