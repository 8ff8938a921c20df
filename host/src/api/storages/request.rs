//! Bodies of the calls on storages, checked while they are read.

use serde::{Deserialize, Deserializer, Serialize, de::Error};
use serde_json::{Map, Value};
use utoipa::{
    ToSchema,
    openapi::{Object, ObjectBuilder, schema::Type},
};

use crate::{
    api::error::ApiError,
    collect::EXTRA,
    inventory::{Access, PerformanceSchedule},
    storages::NewStorage,
};

/// Longer intervals are mistakes: a year, in seconds.
const MAX_INTERVAL: u64 = 31_536_000;

/// A storage to register. At least one of `rest`, `ssh`, `cli`, `smis` and `extra_attributes` is
/// required; the driver can require more.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RegisterStorageRequest {
    /// Vendor, which with the model selects the driver.
    #[serde(deserialize_with = "text::<_, 255>")]
    #[schema(min_length = 1, max_length = 255, example = "fake_storage")]
    vendor: String,
    /// Model, which with the vendor selects the driver.
    #[serde(deserialize_with = "text::<_, 255>")]
    #[schema(min_length = 1, max_length = 255, example = "fake_driver")]
    model: String,
    /// Name of the storage.
    #[serde(default, deserialize_with = "optional_text::<_, 255>")]
    #[schema(min_length = 1, max_length = 255, nullable = false)]
    storage_name: Option<String>,
    #[schema(nullable = false)]
    rest: Option<RestAccess>,
    #[schema(nullable = false)]
    ssh: Option<SshAccess>,
    #[schema(nullable = false)]
    cli: Option<CliAccess>,
    #[schema(nullable = false)]
    smis: Option<SmisAccess>,
    /// Settings of the driver, by name.
    #[serde(default, deserialize_with = "extra_attributes")]
    #[schema(value_type = Option<Object>, nullable = false, example = json!({"volumes": "20"}))]
    extra_attributes: Option<Map<String, Value>>,
}

/// A change of the access data of a storage. At least one of `rest`, `ssh`, `cli`, `smis` and
/// `extra_attributes` is required. Their fields replace the stored ones; all others stay.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ChangeAccessRequest {
    #[schema(nullable = false)]
    rest: Option<RestAccess>,
    #[schema(nullable = false)]
    ssh: Option<SshAccessChange>,
    #[schema(nullable = false)]
    cli: Option<CliAccess>,
    #[schema(nullable = false)]
    smis: Option<SmisAccess>,
    /// Settings of the driver, by name.
    #[serde(default, deserialize_with = "extra_attributes")]
    #[schema(value_type = Option<Object>, nullable = false, example = json!({"volumes": "20"}))]
    extra_attributes: Option<Map<String, Value>>,
}

/// Access over REST.
#[derive(Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct RestAccess {
    /// Host name or address.
    #[serde(deserialize_with = "host")]
    #[schema(
        max_length = 255,
        pattern = "^[A-Za-z0-9_.:-]*$",
        example = "127.0.0.1"
    )]
    host: String,
    #[serde(deserialize_with = "port")]
    #[schema(example = 8080)]
    port: u16,
    #[serde(deserialize_with = "text::<_, 255>")]
    #[schema(min_length = 1, max_length = 255, example = "admin")]
    username: String,
    #[serde(deserialize_with = "text::<_, 255>")]
    #[schema(min_length = 1, max_length = 255)]
    password: String,
}

/// Access over SSH.
#[derive(Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct SshAccess {
    /// Host name or address.
    #[serde(deserialize_with = "host")]
    #[schema(max_length = 255, pattern = "^[A-Za-z0-9_.:-]*$")]
    host: String,
    #[serde(deserialize_with = "port")]
    port: u16,
    #[serde(deserialize_with = "text::<_, 255>")]
    #[schema(min_length = 1, max_length = 255)]
    username: String,
    #[serde(deserialize_with = "text::<_, 255>")]
    #[schema(min_length = 1, max_length = 255)]
    password: String,
    /// The storage's public key.
    #[serde(deserialize_with = "text::<_, 4096>")]
    #[schema(min_length = 1, max_length = 4096)]
    pub_key: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub_key_type: Option<KeyType>,
}

/// A change of the access over SSH. The stored password and public key stay unless they are
/// given.
#[derive(Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct SshAccessChange {
    /// Host name or address.
    #[serde(deserialize_with = "host")]
    #[schema(max_length = 255, pattern = "^[A-Za-z0-9_.:-]*$")]
    host: String,
    #[serde(deserialize_with = "port")]
    port: u16,
    #[serde(deserialize_with = "text::<_, 255>")]
    #[schema(min_length = 1, max_length = 255)]
    username: String,
    #[serde(
        default,
        deserialize_with = "optional_text::<_, 255>",
        skip_serializing_if = "Option::is_none"
    )]
    #[schema(min_length = 1, max_length = 255, nullable = false)]
    password: Option<String>,
    /// The storage's public key.
    #[serde(
        default,
        deserialize_with = "optional_text::<_, 4096>",
        skip_serializing_if = "Option::is_none"
    )]
    #[schema(min_length = 1, max_length = 4096, nullable = false)]
    pub_key: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub_key_type: Option<KeyType>,
}

/// Access over the storage's command line.
#[derive(Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct CliAccess {
    /// Host name or address.
    #[serde(deserialize_with = "host")]
    #[schema(max_length = 255, pattern = "^[A-Za-z0-9_.:-]*$")]
    host: String,
    #[serde(
        default,
        deserialize_with = "optional_port",
        skip_serializing_if = "Option::is_none"
    )]
    #[schema(nullable = false)]
    port: Option<u16>,
    #[serde(deserialize_with = "text::<_, 255>")]
    #[schema(min_length = 1, max_length = 255)]
    username: String,
    #[serde(deserialize_with = "text::<_, 255>")]
    #[schema(min_length = 1, max_length = 255)]
    password: String,
}

/// Access over SMI-S.
#[derive(Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct SmisAccess {
    /// Host name or address.
    #[serde(deserialize_with = "host")]
    #[schema(max_length = 255, pattern = "^[A-Za-z0-9_.:-]*$")]
    host: String,
    #[serde(
        default,
        deserialize_with = "optional_port",
        skip_serializing_if = "Option::is_none"
    )]
    #[schema(nullable = false)]
    port: Option<u16>,
    #[serde(deserialize_with = "text::<_, 255>")]
    #[schema(min_length = 1, max_length = 255)]
    username: String,
    #[serde(deserialize_with = "text::<_, 255>")]
    #[schema(min_length = 1, max_length = 255)]
    password: String,
    #[serde(
        default,
        deserialize_with = "optional_text::<_, 255>",
        skip_serializing_if = "Option::is_none"
    )]
    #[schema(min_length = 1, max_length = 255, nullable = false)]
    namespace: Option<String>,
}

/// Type of a public key.
#[derive(Clone, Copy, Deserialize, Serialize, ToSchema)]
enum KeyType {
    #[serde(rename = "ssh-ed25519")]
    Ed25519,
    #[serde(rename = "ecdsa-sha2-nistp256")]
    EcdsaP256,
    #[serde(rename = "ecdsa-sha2-nistp384")]
    EcdsaP384,
    #[serde(rename = "ecdsa-sha2-nistp521")]
    EcdsaP521,
    #[serde(rename = "ssh-rsa")]
    Rsa,
    /// Deprecated by OpenSSH; Delfin takes it.
    #[serde(rename = "ssh-dss")]
    Dss,
}

/// How often a storage is collected from.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct MetricsConfig {
    array_polling: ArrayPolling,
}

/// How often all resources of a storage are collected from.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ArrayPolling {
    /// Whether performance is collected at all.
    perf_collection: bool,
    /// Interval in seconds.
    #[serde(deserialize_with = "interval")]
    #[schema(minimum = 1, maximum = 31_536_000, example = 60)]
    interval: u64,
    /// Whether the time in which the host did not run is collected too, from a
    /// storage that keeps its history.
    is_historic: bool,
}

/// The part of its history that a storage is to look at for alerts.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct SyncAlertsRequest {
    /// Begin, in milliseconds since the Unix epoch; 0 for no limit.
    #[serde(deserialize_with = "milliseconds")]
    #[schema(schema_with = time_schema)]
    pub(super) begin_time: i64,
    /// End, in milliseconds since the Unix epoch; 0 for no limit.
    #[serde(deserialize_with = "milliseconds")]
    #[schema(schema_with = time_schema)]
    pub(super) end_time: i64,
}

impl RegisterStorageRequest {
    /// # Errors
    ///
    /// No way of access is given.
    pub(super) fn into_storage(self) -> Result<NewStorage, ApiError> {
        let access = access_of(
            (self.rest, self.ssh, self.cli, self.smis),
            self.extra_attributes,
        )?;
        Ok(NewStorage {
            vendor: self.vendor,
            model: self.model,
            storage_name: self.storage_name,
            access,
        })
    }
}

impl ChangeAccessRequest {
    /// # Errors
    ///
    /// Nothing is given.
    pub(super) fn into_access(self) -> Result<Access, ApiError> {
        access_of(
            (self.rest, self.ssh, self.cli, self.smis),
            self.extra_attributes,
        )
    }
}

/// The access data of a body, with what it gives.
fn access_of<S: Serialize>(
    (rest, ssh, cli, smis): (
        Option<RestAccess>,
        Option<S>,
        Option<CliAccess>,
        Option<SmisAccess>,
    ),
    attributes: Option<Map<String, Value>>,
) -> Result<Access, ApiError> {
    let ways = [
        ("rest", rest.map(serde_json::to_value)),
        ("ssh", ssh.map(serde_json::to_value)),
        ("cli", cli.map(serde_json::to_value)),
        ("smis", smis.map(serde_json::to_value)),
    ];
    let mut access = Access::new();
    for (name, way) in ways {
        let way = way.transpose().map_err(|error| ApiError::Internal {
            log: format!("cannot write `{name}` of a storage: {error}"),
        })?;
        access.extend(way.map(|way| (name.to_owned(), way)));
    }
    access.extend(attributes.map(|attributes| (EXTRA.to_owned(), attributes.into())));
    if access.is_empty() {
        return Err(ApiError::invalid(
            "one of `rest`, `ssh`, `cli`, `smis` and `extra_attributes` is required",
        ));
    }
    Ok(access)
}

impl From<&PerformanceSchedule> for MetricsConfig {
    fn from(schedule: &PerformanceSchedule) -> Self {
        // Declared storages may be collected from more often than once a second.
        let seconds = schedule.interval.as_secs().max(1);
        Self {
            array_polling: ArrayPolling {
                perf_collection: schedule.enabled,
                interval: seconds,
                is_historic: schedule.backfill,
            },
        }
    }
}

impl From<&MetricsConfig> for PerformanceSchedule {
    fn from(config: &MetricsConfig) -> Self {
        let config = &config.array_polling;
        Self {
            enabled: config.perf_collection,
            interval: std::time::Duration::from_secs(config.interval),
            backfill: config.is_historic,
        }
    }
}

pub(super) fn text<'de, D: Deserializer<'de>, const MAX: usize>(
    field: D,
) -> Result<String, D::Error> {
    let value = Value::deserialize(field)?;
    let text = value.as_str().map(str::to_owned);
    text.filter(|text| (1..=MAX).contains(&text.chars().count()))
        .ok_or_else(|| D::Error::custom(format!("must be a text of 1 to {MAX} characters")))
}

pub(super) fn optional_text<'de, D: Deserializer<'de>, const MAX: usize>(
    field: D,
) -> Result<Option<String>, D::Error> {
    text::<D, MAX>(field).map(Some)
}

pub(super) fn host<'de, D: Deserializer<'de>>(field: D) -> Result<String, D::Error> {
    let value = Value::deserialize(field)?;
    let host = value.as_str().map(str::to_owned);
    host.filter(|host| host.len() <= 255 && host.bytes().all(is_host_byte))
        .ok_or_else(|| D::Error::custom("must be a host name or an address"))
}

fn port<'de, D: Deserializer<'de>>(field: D) -> Result<u16, D::Error> {
    let value = Value::deserialize(field)?;
    let port = value.as_u64().and_then(|port| u16::try_from(port).ok());
    port.ok_or_else(|| D::Error::custom("must be a whole number from 0 to 65535"))
}

pub(super) fn optional_port<'de, D: Deserializer<'de>>(field: D) -> Result<Option<u16>, D::Error> {
    port(field).map(Some)
}

fn interval<'de, D: Deserializer<'de>>(field: D) -> Result<u64, D::Error> {
    let value = Value::deserialize(field)?;
    let seconds = value.as_u64();
    seconds
        .filter(|seconds| (1..=MAX_INTERVAL).contains(seconds))
        .ok_or_else(|| {
            D::Error::custom(format!(
                "must be a whole number of seconds from 1 to {MAX_INTERVAL}"
            ))
        })
}

/// A whole number of any length, as Python sends it.
pub(super) fn time_schema() -> Object {
    ObjectBuilder::new().schema_type(Type::Integer).build()
}

fn milliseconds<'de, D: Deserializer<'de>>(field: D) -> Result<i64, D::Error> {
    let value = Value::deserialize(field)?;
    // Python sends whole numbers of any length. A number past the range of i64 was
    // written as a whole number, and is as good as the end of the range.
    let beyond = || {
        let number = value.as_f64()?;
        (number.abs() >= i64::MAX as f64).then_some(number as i64)
    };
    let time = value.as_i64().or_else(beyond);
    time.ok_or_else(|| D::Error::custom("must be a whole number of milliseconds"))
}

/// A value whose name Delfin knows the pattern of has to be a text; the others are
/// between the client and the driver.
fn extra_attributes<'de, D: Deserializer<'de>>(
    field: D,
) -> Result<Option<Map<String, Value>>, D::Error> {
    let Value::Object(attributes) = Value::deserialize(field)? else {
        return Err(D::Error::custom("must be an object"));
    };
    let is_short = |value: &Value| {
        let text = value.as_str();
        text.is_some_and(|text| text.chars().count() <= 255)
    };
    for (name, value) in &attributes {
        if is_plain(name) && !is_short(value) {
            return Err(D::Error::custom(
                "has a value that is not a text of at most 255 characters",
            ));
        }
    }
    Ok(Some(attributes))
}

fn is_plain(name: &str) -> bool {
    let is_plain_byte = |byte: u8| is_host_byte(byte) || byte == b' ';
    (1..=255).contains(&name.len()) && name.bytes().all(is_plain_byte)
}

fn is_host_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-_.:".contains(&byte)
}
