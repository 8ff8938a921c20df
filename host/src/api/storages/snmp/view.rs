//! An SNMP configuration in answers. Which members it has depends on the version, as in Delfin.

use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    api::storages::{access::HIDDEN, view::time},
    inventory::{
        AlertSource, SnmpAuthProtocol, SnmpPrivacyProtocol, SnmpSecurityLevel, SnmpVersion,
    },
};

/// The SNMP configuration of a storage, without credentials. Times are in UTC.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::api::storages) struct SnmpConfigView {
    #[schema(example = "2026-01-02T03:04:05.678901")]
    created_at: String,
    /// Last change; null if there was none.
    updated_at: Option<String>,
    /// Id of the storage.
    storage_id: String,
    /// Address or name of the sender.
    host: String,
    version: SnmpVersion,
    /// `***`; absent for version 3.
    #[serde(skip_serializing_if = "Option::is_none")]
    community_string: Option<&'static str>,
    /// Absent for version 2c, and null for version 1; so are the fields that follow it, up to
    /// the context name.
    #[serde(flatten)]
    user: Option<SnmpUserView>,
    /// Port for SNMP requests; null if not given.
    port: Option<u16>,
    /// Repetitions of an unanswered request; null if not given.
    retry_num: Option<i64>,
    /// Seconds to wait for an answer; null if not given.
    expiration: Option<i64>,
}

/// The user of SNMP version 3.
#[derive(Debug, Serialize, ToSchema)]
struct SnmpUserView {
    username: Option<String>,
    security_level: Option<SnmpSecurityLevel>,
    auth_protocol: Option<SnmpAuthProtocol>,
    privacy_protocol: Option<SnmpPrivacyProtocol>,
    /// Engine of the sender in hexadecimal digits.
    engine_id: Option<String>,
    /// SNMP context for requests to the storage.
    context_name: Option<String>,
}

impl From<AlertSource> for SnmpConfigView {
    fn from(source: AlertSource) -> Self {
        let snmp = source.snmp;
        let user = SnmpUserView {
            username: snmp.username,
            security_level: snmp.security_level,
            auth_protocol: snmp.auth.map(|(protocol, _)| protocol),
            privacy_protocol: snmp.privacy.map(|(protocol, _)| protocol),
            engine_id: snmp.engine_id,
            context_name: snmp.context_name,
        };
        Self {
            created_at: time(source.created_us),
            updated_at: source.updated_us.map(time),
            storage_id: source.storage_id.to_string(),
            host: snmp.host,
            version: snmp.version,
            community_string: snmp.community.map(|_| HIDDEN),
            user: (snmp.version != SnmpVersion::V2c).then_some(user),
            port: snmp.port,
            retry_num: snmp.retry_num,
            expiration: snmp.expiration,
        }
    }
}
