//! Alert sources: from where a storage sends SNMP traps, and with which credentials.

use std::fmt;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// The alert source of a storage. A storage has at most one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AlertSource {
    pub storage_id: Uuid,
    pub snmp: SnmpConfig,
    /// In microseconds since the Unix epoch.
    pub created_us: i64,
    /// Last change, in microseconds since the Unix epoch.
    pub updated_us: Option<i64>,
}

/// How a storage speaks SNMP. `Debug` omits the credentials.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SnmpConfig {
    /// Name or address of the sender of traps.
    pub host: String,
    pub version: SnmpVersion,
    /// Versions 1 and 2c only, as the other credentials are of version 3 only.
    pub community: Option<String>,
    pub username: Option<String>,
    pub security_level: Option<SnmpSecurityLevel>,
    pub auth: Option<(SnmpAuthProtocol, String)>,
    pub privacy: Option<(SnmpPrivacyProtocol, String)>,
    /// The engine of the sender, in hexadecimal digits.
    pub engine_id: Option<String>,
    pub context_name: Option<String>,
    /// The port at which the storage answers requests.
    pub port: Option<u16>,
    /// How often an unanswered request is repeated.
    pub retry_num: Option<i64>,
    /// The wait for an answer, in seconds.
    pub expiration: Option<i64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub enum SnmpVersion {
    #[serde(rename = "SNMPv1", alias = "snmpv1")]
    V1,
    #[serde(rename = "SNMPv2c", alias = "snmpv2c")]
    V2c,
    #[serde(rename = "SNMPv3", alias = "snmpv3")]
    V3,
}

/// Which protection a message must have. In order, the weakest first.
#[expect(
    clippy::enum_variant_names,
    reason = "they are the names of the levels in RFC 3411"
)]
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema,
)]
pub enum SnmpSecurityLevel {
    /// The spelling is that of Delfin.
    #[serde(rename = "noAuthnoPriv")]
    NoAuthNoPriv,
    #[serde(rename = "authNoPriv")]
    AuthNoPriv,
    #[serde(rename = "authPriv")]
    AuthPriv,
}

/// The names are those of Delfin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub enum SnmpAuthProtocol {
    #[serde(rename = "HMACMD5")]
    Md5,
    #[serde(rename = "HMACSHA")]
    Sha1,
    #[serde(rename = "HMCSHA2224")]
    Sha224,
    #[serde(rename = "HMCSHA2256")]
    Sha256,
    #[serde(rename = "HMCSHA2384")]
    Sha384,
    #[serde(rename = "HMCSHA2512")]
    Sha512,
}

/// The names are those of Delfin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub enum SnmpPrivacyProtocol {
    #[serde(rename = "DES")]
    Des,
    #[serde(rename = "3DES")]
    TripleDes,
    #[serde(rename = "AES")]
    Aes128,
    #[serde(rename = "AES192")]
    Aes192,
    #[serde(rename = "AES256")]
    Aes256,
}

impl fmt::Debug for SnmpConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SnmpConfig")
            .field("host", &self.host)
            .field("version", &self.version)
            .finish_non_exhaustive()
    }
}
