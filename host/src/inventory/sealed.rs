//! The sealed parts of an inventory, as a database stores them.

use serde::{Serialize, de::DeserializeOwned};
use uuid::Uuid;
use zeroize::Zeroizing;

use super::{
    Access, AlertSource, Registration, SnmpConfig,
    error::{InventoryError, unavailable},
    seal::Sealer,
};

/// A registration whose access data is sealed.
pub(super) struct SealedRegistration {
    /// Without access data.
    pub(super) registration: Registration,
    pub(super) access: Vec<u8>,
}

/// An alert source whose credentials are sealed.
pub(super) struct SealedAlertSource {
    pub(super) storage_id: Uuid,
    pub(super) created_us: i64,
    pub(super) updated_us: Option<i64>,
    pub(super) snmp: Vec<u8>,
}

/// What a sealed text is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SecretKind {
    /// The access data of a storage.
    Access,
    /// The credentials of an alert source.
    Snmp,
}

/// A sealed text of a storage.
pub(super) struct SealedText {
    pub(super) kind: SecretKind,
    /// That of the storage.
    pub(super) id: Uuid,
    pub(super) text: Vec<u8>,
}

impl SecretKind {
    /// The owner of the sealed text: another one for each kind, so that one text cannot take the place of the other.
    fn owner(self, id: Uuid) -> Vec<u8> {
        match self {
            Self::Access => id.as_bytes().to_vec(),
            Self::Snmp => [id.as_bytes(), b"alert source".as_slice()].concat(),
        }
    }
}

impl SealedText {
    pub(super) fn unseal(&self, sealer: &Sealer) -> Result<Zeroizing<Vec<u8>>, InventoryError> {
        let id = self.id;
        let plain = sealer.unseal(&self.kind.owner(id), &self.text);
        plain.map_err(|_| InventoryError::Sealed { id })
    }

    /// The same text, sealed with another key.
    pub(super) fn seal_again(&self, old: &Sealer, new: &Sealer) -> Result<Self, InventoryError> {
        let plain = self.unseal(old)?;
        let sealed = new.seal(&self.kind.owner(self.id), &plain);
        Ok(Self {
            text: sealed.map_err(unavailable)?,
            ..*self
        })
    }
}

impl Sealer {
    pub(super) fn seal_access(&self, id: Uuid, access: &Access) -> Result<Vec<u8>, InventoryError> {
        self.seal_value(SecretKind::Access, id, access)
    }

    pub(super) fn seal_snmp(&self, id: Uuid, snmp: &SnmpConfig) -> Result<Vec<u8>, InventoryError> {
        self.seal_value(SecretKind::Snmp, id, snmp)
    }

    pub(super) fn registration(
        &self,
        stored: SealedRegistration,
    ) -> Result<Registration, InventoryError> {
        let id = stored.registration.id;
        Ok(Registration {
            access: self.unseal_value(SecretKind::Access, id, stored.access)?,
            ..stored.registration
        })
    }

    pub(super) fn alert_source(
        &self,
        stored: SealedAlertSource,
    ) -> Result<AlertSource, InventoryError> {
        let id = stored.storage_id;
        Ok(AlertSource {
            storage_id: id,
            snmp: self.unseal_value(SecretKind::Snmp, id, stored.snmp)?,
            created_us: stored.created_us,
            updated_us: stored.updated_us,
        })
    }

    fn seal_value(
        &self,
        kind: SecretKind,
        id: Uuid,
        value: &impl Serialize,
    ) -> Result<Vec<u8>, InventoryError> {
        let text = Zeroizing::new(serde_json::to_vec(value).map_err(unavailable)?);
        self.seal(&kind.owner(id), &text).map_err(unavailable)
    }

    fn unseal_value<T: DeserializeOwned>(
        &self,
        kind: SecretKind,
        id: Uuid,
        text: Vec<u8>,
    ) -> Result<T, InventoryError> {
        let plain = SealedText { kind, id, text }.unseal(self)?;
        serde_json::from_slice(&plain).map_err(|_| InventoryError::Sealed { id })
    }
}
