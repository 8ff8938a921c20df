//! The keys of a user of SNMP version 3, for each engine.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use async_snmp::{AuthProtocol, CryptoResult, LocalizedKey, MasterKey, PrivProtocol, v3::PrivKey};
use bytes::Bytes;

use crate::inventory::{SnmpAuthProtocol, SnmpConfig, SnmpPrivacyProtocol};

/// The most engines of one user whose keys are kept. A device has one, or one for each
/// controller.
const MAX_ENGINES: usize = 32;

/// Derives keys from the passwords of a user. `Debug` omits them.
pub(super) struct UserKeys {
    auth: MasterKey,
    privacy: Option<(MasterKey, &'static [PrivProtocol])>,
    of_engines: Mutex<HashMap<Bytes, EngineKeys>>,
}

/// The keys of a user for one engine.
#[derive(Clone)]
pub(super) struct EngineKeys {
    pub(super) auth: LocalizedKey,
    /// More than one if the standard leaves open how a long key is made of a short one.
    pub(super) privacy: Vec<PrivKey>,
}

impl UserKeys {
    /// `None` if the user has no keys. Takes some milliseconds: passwords are hashed a lot.
    pub(super) fn new(config: &SnmpConfig) -> CryptoResult<Option<Self>> {
        let Some((protocol, password)) = &config.auth else {
            return Ok(None);
        };
        let protocol = auth_protocol(*protocol);
        let auth = MasterKey::from_password(protocol, password.as_bytes())?;
        let privacy = match &config.privacy {
            Some((privacy, password)) => {
                let key = MasterKey::from_password(protocol, password.as_bytes())?;
                Some((key, privacy_protocols(*privacy)))
            }
            None => None,
        };
        Ok(Some(Self {
            auth,
            privacy,
            of_engines: Mutex::default(),
        }))
    }

    pub(super) fn of_engine(&self, engine_id: &Bytes) -> CryptoResult<EngineKeys> {
        let known = |keys: &HashMap<Bytes, EngineKeys>| keys.get(engine_id).cloned();
        if let Some(keys) = known(
            &self
                .of_engines
                .lock()
                .unwrap_or_else(PoisonError::into_inner),
        ) {
            return Ok(keys);
        }
        let privacy = match &self.privacy {
            Some((master, protocols)) => protocols
                .iter()
                .map(|protocol| PrivKey::from_master_key(master, *protocol, engine_id))
                .collect::<CryptoResult<_>>()?,
            None => Vec::new(),
        };
        let auth = self.auth.localize(engine_id)?;
        Ok(EngineKeys { auth, privacy })
    }

    /// Keeps the keys of an engine that has proven to have them.
    pub(super) fn keep(&self, engine_id: &Bytes, keys: &EngineKeys) {
        let mut kept = self
            .of_engines
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if kept.contains_key(engine_id) {
            return;
        }
        if kept.len() >= MAX_ENGINES {
            kept.clear();
        }
        // A copy, so that the datagram is not kept.
        kept.insert(Bytes::copy_from_slice(engine_id), keys.clone());
    }
}

impl std::fmt::Debug for UserKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("UserKeys").finish_non_exhaustive()
    }
}

pub(super) fn auth_protocol(protocol: SnmpAuthProtocol) -> AuthProtocol {
    match protocol {
        SnmpAuthProtocol::Md5 => AuthProtocol::Md5,
        SnmpAuthProtocol::Sha1 => AuthProtocol::Sha1,
        SnmpAuthProtocol::Sha224 => AuthProtocol::Sha224,
        SnmpAuthProtocol::Sha256 => AuthProtocol::Sha256,
        SnmpAuthProtocol::Sha384 => AuthProtocol::Sha384,
        SnmpAuthProtocol::Sha512 => AuthProtocol::Sha512,
    }
}

/// Blumenthal's way to a long key is that of net-snmp, Reeder's that of Cisco and pysnmp.
pub(super) fn privacy_protocols(protocol: SnmpPrivacyProtocol) -> &'static [PrivProtocol] {
    match protocol {
        SnmpPrivacyProtocol::Des => &[PrivProtocol::Des],
        SnmpPrivacyProtocol::TripleDes => &[PrivProtocol::Des3],
        SnmpPrivacyProtocol::Aes128 => &[PrivProtocol::Aes128],
        SnmpPrivacyProtocol::Aes192 => {
            &[PrivProtocol::Aes192Blumenthal, PrivProtocol::Aes192Reeder]
        }
        SnmpPrivacyProtocol::Aes256 => {
            &[PrivProtocol::Aes256Blumenthal, PrivProtocol::Aes256Reeder]
        }
    }
}
