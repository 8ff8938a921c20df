//! The settings, from `[exporter.NAME.config]`.
//!
//! Promises: all mistakes are reported at once, each with its key and a remedy; a bad
//! value never falls back to a default; no mistake shows the password.

use delfin_plugin_api::{
    Failure,
    postgres::{PostgresConnector, tokio_postgres},
    setting::{ConfigError, Mistakes, Secret},
    stream::Address,
    tls::Tls,
};
use serde::Deserialize;
use serde_json::Value;

const FLAG: &str = "write true or false";
const NAME: &str = "write up to 63 of a-z, 0-9 and `_`, and no digit first";
const DEFAULT_PORT: u16 = 5432;
const DEFAULT_DATABASE: &str = "delfin";
const DEFAULT_SCHEMA: &str = "public";
/// The longest name in PostgreSQL.
const MAX_NAME: usize = 63;

/// Checked settings.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "RawSettings")]
pub(crate) struct Config {
    pub(crate) address: Address,
    pub(crate) database: String,
    pub(crate) username: String,
    pub(crate) password: Option<Secret>,
    /// The schema of the tables. It needs no quotes.
    pub(crate) schema: String,
    pub(crate) create_tables: bool,
    /// `None`: connections without TLS.
    pub(crate) tls: Option<Tls>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawSettings {
    address: Option<Value>,
    database: Option<Value>,
    username: Option<Value>,
    password: Option<Value>,
    schema: Option<Value>,
    create_tables: Option<Value>,
    tls: Option<Value>,
    ca_certificate: Option<Value>,
    client_certificate: Option<Value>,
    client_key: Option<Value>,
}

impl TryFrom<RawSettings> for Config {
    type Error = ConfigError;

    fn try_from(written: RawSettings) -> Result<Self, ConfigError> {
        let mut mistakes = Mistakes::default();
        let address = Address::read("address", written.address, DEFAULT_PORT, &mut mistakes);
        let database = mistakes.text("database", written.database);
        if written.username.is_none() {
            mistakes.missing("username", "name a role of the database");
        }
        let username = mistakes.text("username", written.username);
        let password = mistakes.secret("password", written.password);
        let schema = mistakes.read("schema", written.schema, read_name, NAME);
        let create = written.create_tables;
        let create_tables = mistakes.read("create_tables", create, Value::as_bool, FLAG);
        let certificates = [
            written.ca_certificate,
            written.client_certificate,
            written.client_key,
        ];
        let tls = Tls::read_optional(written.tls, certificates, &mut mistakes);
        let (Some(address), Some(username)) = (address, username) else {
            return Err(mistakes.into());
        };
        mistakes.into_result(Self {
            address,
            database: database.unwrap_or_else(|| DEFAULT_DATABASE.to_owned()),
            username,
            password,
            schema: schema.unwrap_or_else(|| DEFAULT_SCHEMA.to_owned()),
            create_tables: create_tables.unwrap_or(true),
            tls,
        })
    }
}

impl Config {
    /// Opens connections to the database.
    ///
    /// # Errors
    ///
    /// A file of the certificates cannot be used.
    pub(crate) fn connector(&self) -> Result<PostgresConnector, Failure> {
        let mut options = tokio_postgres::Config::new();
        options
            .host(self.address.host())
            .port(self.address.port())
            .dbname(&self.database)
            .user(&self.username);
        if let Some(password) = &self.password {
            options.password(password.reveal());
        }
        PostgresConnector::new(options, self.tls.as_ref())
    }
}

/// A name that PostgreSQL takes without quotes.
fn read_name(value: &Value) -> Option<String> {
    let name = value.as_str()?;
    let is_valid = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    let starts = name.starts_with(|c: char| c.is_ascii_lowercase() || c == '_');
    (starts && name.len() <= MAX_NAME && name.chars().all(is_valid)).then(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(config: Value) -> Result<Config, String> {
        serde_json::from_value(config).map_err(|error: serde_json::Error| error.to_string())
    }

    #[test]
    fn connections_are_encrypted_unless_the_operator_says_otherwise() {
        let config = read(json!({ "address": "db", "username": "u" })).unwrap();
        assert_eq!(config.tls, Some(Tls::default()));
        assert_eq!(config.address.to_string(), "db:5432");
        assert!(config.create_tables);
        let plain = json!({ "address": "db", "username": "u", "tls": false });
        assert_eq!(read(plain).unwrap().tls, None);
    }

    #[test]
    fn every_mistake_is_reported_with_its_remedy() {
        assert_eq!(
            read(json!({ "password": ["hunter2"], "tls": false, "client_key": "k" })).unwrap_err(),
            "`address` is missing (write a host and a port, such as `receiver.example.com:5432`); \
             `username` is missing (name a role of the database); \
             `password` has a wrong value (write a text in quotes that is not empty); \
             `client_key` has no effect with `tls = false` (remove one of the two); \
             `client_certificate` and `client_key` come together, and one is missing or wrong (set both)"
        );
        let check = |key: &str, value: Value, reason: &str| {
            let mut config = json!({ "address": "db", "username": "u" });
            config[key] = value;
            let mistakes = read(config).unwrap_err();
            assert!(mistakes.contains(reason), "{mistakes}");
        };
        for name in ["", "a-b", "A", "1a", "a b", "a\"", &"a".repeat(64)] {
            check("schema", json!(name), NAME);
        }
        check("create_tables", json!("yes"), FLAG);
        check("tls", json!("require"), FLAG);
        check("port", json!(1), "unknown field `port`");
    }

    #[test]
    fn the_example_shows_the_defaults() {
        let example: Value = toml::from_str(include_str!("../example.toml")).unwrap();
        let shown = &example["exporter"]["PerformanceExporterPostgres"]["config"];
        let mut least = shown.clone();
        for key in ["database", "schema", "create_tables", "tls"] {
            least.as_object_mut().unwrap().remove(key);
        }
        assert_eq!(read(shown.clone()), read(least));
    }
}
