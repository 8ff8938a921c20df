//! The answer to an inform. It is made when the alert is durable, with the time of then.

use async_snmp::{
    Community, Pdu, SecurityLevel, Version,
    message::{CommunityMessage, MsgFlags, MsgGlobalData, ScopedPdu, V3Message},
    pdu::ResponsePdu,
    v3::{DesSaltState, PrivKey, SaltCounter, UsmSecurityParams, auth::authenticate_message},
};
use bytes::Bytes;

use super::{engine::LocalEngine, keys::EngineKeys};

/// What the answer to an inform needs.
#[derive(Debug)]
pub(super) enum Acknowledgement {
    Community { community: Community, pdu: Pdu },
    User(Box<UserAcknowledgement>),
}

/// The answer to an inform of version 3.
pub(super) struct UserAcknowledgement {
    pub(super) msg_id: i32,
    pub(super) level: SecurityLevel,
    pub(super) username: Bytes,
    pub(super) keys: Option<EngineKeys>,
    pub(super) scoped: ScopedPdu,
}

/// Makes answers.
pub(super) struct Answerer {
    pub(super) engine: LocalEngine,
    pub(super) aes_salts: SaltCounter,
    pub(super) des_salts: DesSaltState,
}

/// The largest message that is accepted: that of a UDP datagram.
const MAX_MESSAGE: i32 = 65_507;

impl Acknowledgement {
    pub(super) fn of_community(community: Community, pdu: Pdu) -> Self {
        Self::Community { community, pdu }
    }

    /// `None` if the answer cannot be encoded, as with values that only old devices send.
    pub(super) fn encode(self, answerer: &Answerer) -> Option<Bytes> {
        match self {
            Self::Community { community, pdu } => {
                let response = response(pdu, Version::V2c)?;
                CommunityMessage::v2c(community, response)
                    .ok()?
                    .encode()
                    .ok()
            }
            Self::User(user) => answerer.encode(*user),
        }
    }
}

impl Answerer {
    fn encode(&self, user: UserAcknowledgement) -> Option<Bytes> {
        let ScopedPdu {
            context_engine_id,
            context_name,
            pdu,
        } = user.scoped;
        let scoped = ScopedPdu::new(context_engine_id, context_name, response(pdu, Version::V3)?);
        let keys = user.keys.as_ref();
        let level = user.level;
        let content = match keys.and_then(|keys| keys.privacy.first()) {
            Some(key) if level.requires_priv() => {
                let (encrypted, salt) = self.encrypt(key, &scoped.encode_to_bytes().ok()?)?;
                MessageContent::Encrypted(encrypted, salt)
            }
            _ => MessageContent::Plain(scoped),
        };
        let to = Addressee {
            level,
            username: &user.username,
            keys,
        };
        self.message(user.msg_id, to, content)
    }

    /// A report of a counter, which tells the sender the engine and the time of the host.
    pub(super) fn report(
        &self,
        msg_id: i32,
        username: &Bytes,
        counter: async_snmp::Oid,
        keys: Option<&EngineKeys>,
    ) -> Option<Bytes> {
        let variable = async_snmp::VarBind::new(counter, async_snmp::Value::Counter32(1));
        let pdu = ResponsePdu::report(0, vec![variable]).ok()?.into_raw();
        let scoped = ScopedPdu::new(self.engine.id().clone(), Bytes::new(), pdu);
        let level = match keys {
            Some(_) => SecurityLevel::AuthNoPriv,
            None => SecurityLevel::NoAuthNoPriv,
        };
        let to = Addressee {
            level,
            username,
            keys,
        };
        self.message(msg_id, to, MessageContent::Plain(scoped))
    }

    fn message(&self, msg_id: i32, to: Addressee<'_>, content: MessageContent) -> Option<Bytes> {
        let (boots, time) = self.engine.boots_time();
        let id = self.engine.id().clone();
        let mut params = UsmSecurityParams::new(id, boots, time, to.username.clone()).ok()?;
        let auth = to
            .keys
            .map(|keys| &keys.auth)
            .filter(|_| to.level.requires_auth());
        if let Some(key) = auth {
            params = params.with_auth_placeholder(key.mac_len()).ok()?;
        }
        let size = async_snmp::MessageSize::from_i32(MAX_MESSAGE).ok()?;
        let global = MsgGlobalData::new(msg_id, size, MsgFlags::new(to.level, false)).ok()?;
        let message = match content {
            MessageContent::Plain(scoped) => V3Message::new(global, params.encode().ok()?, scoped),
            MessageContent::Encrypted(encrypted, salt) => {
                let params = params.with_priv_params(salt).ok()?.encode().ok()?;
                V3Message::new_with_opaque_encrypted_scoped_pdu(global, params, encrypted)
            }
        };
        let mut bytes = message.ok()?.encode().ok()?.to_vec();
        if let Some(key) = auth {
            let (at, length) = UsmSecurityParams::find_auth_params_offset(&bytes)?;
            authenticate_message(key, &mut bytes, at, length).ok()?;
        }
        Some(bytes.into())
    }

    fn encrypt(&self, key: &PrivKey, text: &[u8]) -> Option<(Bytes, Bytes)> {
        use async_snmp::PrivProtocol::{Des, Des3};

        let encrypted = match key.protocol() {
            Des | Des3 => key.encrypt_des_family(text, &self.des_salts),
            _ => {
                let (boots, time) = self.engine.boots_time();
                key.encrypt_aes(text, boots, time, &self.aes_salts)
            }
        };
        encrypted.ok()
    }
}

/// The user whom a message is for.
#[derive(Clone, Copy)]
struct Addressee<'a> {
    level: SecurityLevel,
    username: &'a Bytes,
    keys: Option<&'a EngineKeys>,
}

/// The content of a message, and the salt of its encryption.
enum MessageContent {
    Plain(ScopedPdu),
    Encrypted(Bytes, Bytes),
}

fn response(pdu: Pdu, version: Version) -> Option<Pdu> {
    let (request_id, _, variables) = pdu.into_raw_parts();
    let response = ResponsePdu::success(version, request_id, variables);
    response.ok().map(ResponsePdu::into_raw)
}

impl std::fmt::Debug for UserAcknowledgement {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("UserAcknowledgement")
            .field("msg_id", &self.msg_id)
            .field("level", &self.level)
            .finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Answerer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Answerer")
            .field("engine", &self.engine)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::{net::IpAddr, sync::Arc};

    use async_snmp::{Value, VarBind, oid, pdu::NotificationPdu};
    use uuid::Uuid;

    use super::*;
    use crate::{
        inventory::{
            AlertSource, SnmpAuthProtocol, SnmpConfig, SnmpPrivacyProtocol, SnmpSecurityLevel,
            SnmpVersion,
        },
        traps::{
            keys::UserKeys,
            message::Opener,
            source::{Lookup, SenderTable},
            usm::UsmReceiver,
        },
    };

    fn answerer() -> Answerer {
        let folder = tempfile::tempdir().unwrap();
        Answerer {
            engine: LocalEngine::open(folder.path()).unwrap(),
            aes_salts: SaltCounter::new().unwrap(),
            des_salts: DesSaltState::install(|_| Ok::<(), std::io::Error>(())).unwrap(),
        }
    }

    fn config(privacy: SnmpPrivacyProtocol) -> SnmpConfig {
        SnmpConfig {
            host: "127.0.0.1".to_owned(),
            version: SnmpVersion::V3,
            community: None,
            username: Some("user".to_owned()),
            security_level: Some(SnmpSecurityLevel::AuthPriv),
            auth: Some((SnmpAuthProtocol::Sha1, "authentication".to_owned())),
            privacy: Some((privacy, "encryption".to_owned())),
            engine_id: None,
            context_name: None,
            port: None,
            retry_num: None,
            expiration: None,
        }
    }

    /// A trap that a device with this user sends.
    fn trap(user: &SnmpConfig) -> Bytes {
        let device = answerer();
        let keys = UserKeys::new(user).unwrap().unwrap();
        let keys = keys.of_engine(device.engine.id()).unwrap();
        let variable = VarBind::new(oid!(1, 3, 6, 1, 4, 1, 99999, 1), Value::from("fan 3"));
        let trap = oid!(1, 3, 6, 1, 4, 1, 99999, 0, 1);
        let pdu = NotificationPdu::trap_v2(Version::V3, 1, 2, &trap, vec![variable]).unwrap();
        let scoped = ScopedPdu::new(device.engine.id().clone(), Bytes::new(), pdu.into_raw());
        let text = scoped.encode_to_bytes().unwrap();
        let (encrypted, salt) = device.encrypt(&keys.privacy[0], &text).unwrap();
        let to = Addressee {
            level: SecurityLevel::AuthPriv,
            username: &Bytes::from_static(b"user"),
            keys: Some(&keys),
        };
        let content = MessageContent::Encrypted(encrypted, salt);
        device.message(1, to, content).unwrap()
    }

    /// net-snmp cannot send 3DES.
    #[tokio::test]
    async fn a_trap_with_each_privacy_protocol_is_opened_and_not_with_another() {
        let address = IpAddr::from([127, 0, 0, 1]);
        let all = [
            SnmpPrivacyProtocol::Des,
            SnmpPrivacyProtocol::TripleDes,
            SnmpPrivacyProtocol::Aes128,
            SnmpPrivacyProtocol::Aes192,
            SnmpPrivacyProtocol::Aes256,
        ];
        for (index, privacy) in all.into_iter().enumerate() {
            let source = AlertSource {
                storage_id: Uuid::from_u128(1),
                snmp: config(privacy),
                created_us: 0,
                updated_us: None,
            };
            let sources = Arc::new([(source.storage_id, source)].into());
            let table = SenderTable::default().updated(&sources, Lookup::All).await;
            let mut opener = Opener {
                usm: UsmReceiver::new(Arc::new(answerer())),
            };
            let opened = opener.open(trap(&config(privacy)), address, &table);
            let notification = opened.unwrap().notification;
            assert_eq!(notification.trap.to_string(), "1.3.6.1.4.1.99999.0.1");
            assert_eq!(notification.variables[0].value.as_str(), Some("fan 3"));
            let other = all[(index + 1) % all.len()];
            let refused = opener.open(trap(&config(other)), address, &table);
            assert!(refused.is_err(), "{privacy:?} opens {other:?}");
        }
    }
}
