//! The body of a call that sets an SNMP configuration.

use serde::{Deserialize, Deserializer, de::Error};
use serde_json::Value;
use utoipa::ToSchema;

use crate::{
    api::{
        error::ApiError,
        storages::request::{host, optional_port, optional_text},
    },
    inventory::{
        SnmpAuthProtocol, SnmpConfig, SnmpPrivacyProtocol, SnmpSecurityLevel, SnmpVersion,
    },
};

/// The largest number that Delfin can store.
const MAX_COUNT: i64 = 2_147_483_647;

/// From where a storage sends SNMP traps, and with which credentials.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::api::storages) struct SetSnmpConfigRequest {
    /// Address or name of the sender.
    #[serde(deserialize_with = "host")]
    #[schema(
        max_length = 255,
        pattern = "^[A-Za-z0-9_.:-]*$",
        example = "192.0.2.10"
    )]
    host: String,
    version: SnmpVersion,
    /// Required for versions 1 and 2c.
    #[serde(default, deserialize_with = "optional_text::<_, 32>")]
    #[schema(min_length = 1, max_length = 32, nullable = false)]
    community_string: Option<String>,
    /// Required for version 3, as is `security_level`.
    #[serde(default, deserialize_with = "optional_text::<_, 32>")]
    #[schema(min_length = 1, max_length = 32, nullable = false)]
    username: Option<String>,
    /// The least protection of a message.
    #[schema(nullable = false)]
    security_level: Option<SnmpSecurityLevel>,
    /// Required for `authNoPriv` and `authPriv`, as is `auth_protocol`.
    #[serde(default, deserialize_with = "key")]
    #[schema(min_length = 8, max_length = 65535, nullable = false)]
    auth_key: Option<String>,
    #[schema(nullable = false)]
    auth_protocol: Option<SnmpAuthProtocol>,
    #[schema(nullable = false)]
    privacy_protocol: Option<SnmpPrivacyProtocol>,
    /// Required for `authPriv`, as is `privacy_protocol`.
    #[serde(default, deserialize_with = "key")]
    #[schema(min_length = 8, max_length = 65535, nullable = false)]
    privacy_key: Option<String>,
    /// Engine of the sender in hexadecimal digits. If given, traps of other engines are refused.
    #[serde(default, deserialize_with = "engine_id")]
    #[schema(
        min_length = 9,
        max_length = 64,
        pattern = "^[0-9A-Fa-f]*$",
        nullable = false,
        example = "80001f8804616272617931"
    )]
    engine_id: Option<String>,
    /// SNMP context for requests to the storage.
    #[serde(default, deserialize_with = "context_name")]
    #[schema(max_length = 32, nullable = false)]
    context_name: Option<String>,
    /// How often an unanswered request to the storage is repeated; 1 if not given, and never more than 5 times.
    #[serde(default, deserialize_with = "count")]
    #[schema(minimum = 0, maximum = 2_147_483_647, nullable = false)]
    retry_num: Option<i64>,
    /// Seconds to wait for an answer of the storage; 2 if not given, and never more than 30.
    #[serde(default, deserialize_with = "count")]
    #[schema(minimum = 0, maximum = 2_147_483_647, nullable = false)]
    expiration: Option<i64>,
    /// Port at which the storage answers SNMP requests; 161 if not given.
    #[serde(default, deserialize_with = "optional_port")]
    #[schema(nullable = false)]
    port: Option<u16>,
}

impl SetSnmpConfigRequest {
    /// Credentials that the version or the security level does not need are dropped.
    ///
    /// # Errors
    ///
    /// A credential is missing.
    pub(in crate::api::storages) fn into_config(self) -> Result<SnmpConfig, ApiError> {
        let mut config = SnmpConfig {
            host: self.host,
            version: self.version,
            community: None,
            username: None,
            security_level: None,
            auth: None,
            privacy: None,
            engine_id: None,
            context_name: self.context_name,
            port: self.port,
            retry_num: self.retry_num,
            expiration: self.expiration,
        };
        if self.version != SnmpVersion::V3 {
            config.community = Some(self.community_string.ok_or_else(|| {
                ApiError::invalid(
                    "If snmp version is SNMPv1 or SNMPv2c, community_string is required.",
                )
            })?);
            return Ok(config);
        }
        let (Some(username), Some(level)) = (self.username, self.security_level) else {
            return Err(ApiError::invalid(
                "If snmp version is SNMPv3, then username, security_level are required.",
            ));
        };
        config.username = Some(username);
        config.security_level = Some(level);
        config.engine_id = self.engine_id;
        if level >= SnmpSecurityLevel::AuthNoPriv {
            let auth = self.auth_protocol.zip(self.auth_key);
            config.auth = Some(auth.ok_or_else(|| {
                ApiError::invalid(
                    "If snmp version is SNMPv3 and security_level is authPriv or authNoPriv, \
                     auth_protocol and auth_key are required.",
                )
            })?);
        }
        if level == SnmpSecurityLevel::AuthPriv {
            let privacy = self.privacy_protocol.zip(self.privacy_key);
            config.privacy = Some(privacy.ok_or_else(|| {
                ApiError::invalid(
                    "If snmp version is SNMPv3 and security_level is authPriv, privacy_protocol \
                     and privacy_key are required.",
                )
            })?);
        }
        Ok(config)
    }
}

fn key<'de, D: Deserializer<'de>>(field: D) -> Result<Option<String>, D::Error> {
    sized(field, 8, 65_535)
}

fn context_name<'de, D: Deserializer<'de>>(field: D) -> Result<Option<String>, D::Error> {
    sized(field, 0, 32)
}

fn engine_id<'de, D: Deserializer<'de>>(field: D) -> Result<Option<String>, D::Error> {
    let text = sized(field, 9, 64)?;
    let is_hex = |text: &String| text.bytes().all(|byte| byte.is_ascii_hexdigit());
    if !text.iter().all(is_hex) {
        return Err(D::Error::custom(
            "should be a set of octets in hexadecimal format",
        ));
    }
    Ok(text)
}

fn sized<'de, D: Deserializer<'de>>(
    field: D,
    min: usize,
    max: usize,
) -> Result<Option<String>, D::Error> {
    let value = Value::deserialize(field)?;
    let text = value.as_str().map(str::to_owned);
    text.filter(|text| (min..=max).contains(&text.chars().count()))
        .map(Some)
        .ok_or_else(|| D::Error::custom(format!("must be a text of {min} to {max} characters")))
}

fn count<'de, D: Deserializer<'de>>(field: D) -> Result<Option<i64>, D::Error> {
    let value = Value::deserialize(field)?;
    let number = value
        .as_i64()
        .filter(|number| (0..=MAX_COUNT).contains(number));
    number
        .map(Some)
        .ok_or_else(|| D::Error::custom(format!("must be a whole number from 0 to {MAX_COUNT}")))
}
