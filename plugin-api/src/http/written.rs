//! The settings of a client among those of an exporter.
//!
//! Promises: a key that is neither a setting of the client nor of the exporter is an error.

use serde::{
    Deserialize, Deserializer,
    de::{DeserializeOwned, Error},
};
use serde_json::{Map, Value};

/// The settings of a client, as the configuration has them.
#[derive(Clone, Default)]
pub struct WrittenClientSettings(Map<String, Value>);

/// The settings of an exporter with a client: a table with the keys of both.
///
/// serde cannot refuse unknown keys of a flattened struct, so the table is split here. `S`
/// needs `#[serde(deny_unknown_fields)]`.
///
/// ```
/// use delfin_plugin_api::http::WithClientSettings;
///
/// #[derive(serde::Deserialize)]
/// #[serde(deny_unknown_fields)]
/// struct Settings {
///     url: Option<serde_json::Value>,
/// }
///
/// let table = serde_json::json!({ "url": "http://a", "username": "u" });
/// let settings: WithClientSettings<Settings> = serde_json::from_value(table)?;
/// assert!(settings.own.url.is_some());
/// let unknown = serde_json::json!({ "user": "u" });
/// assert!(serde_json::from_value::<WithClientSettings<Settings>>(unknown).is_err());
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Default)]
pub struct WithClientSettings<S> {
    /// The settings of the client, for [`ClientSettings::read`](super::ClientSettings::read).
    pub client: WrittenClientSettings,
    /// The settings of the exporter.
    pub own: S,
}

impl WrittenClientSettings {
    /// The keys of a client: `username` and `password` are for the scheme `Basic`,
    /// `bearer_token` for `Bearer`, `oauth2` is a table with client credentials, and `headers` is a
    /// table, in which `Authorization` is for other schemes.
    pub const KEYS: [&str; 9] = [
        "username",
        "password",
        "bearer_token",
        "oauth2",
        "headers",
        "ca_certificate",
        "client_certificate",
        "client_key",
        "proxy",
    ];

    /// Takes a setting out.
    pub(super) fn take(&mut self, key: &str) -> Option<Value> {
        self.0.remove(key)
    }
}

/// Takes the settings of a client out of a table.
impl From<&mut Map<String, Value>> for WrittenClientSettings {
    fn from(table: &mut Map<String, Value>) -> Self {
        let entries = Self::KEYS.into_iter();
        Self(entries.filter_map(|key| table.remove_entry(key)).collect())
    }
}

impl<'de, S: DeserializeOwned> Deserialize<'de> for WithClientSettings<S> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut table = Map::deserialize(deserializer)?;
        let client = WrittenClientSettings::from(&mut table);
        match S::deserialize(Value::Object(table)) {
            Ok(own) => Ok(Self { client, own }),
            Err(error) => Err(D::Error::custom(with_client_keys(&error.to_string()))),
        }
    }
}

/// Completes the list of known keys in an error about an unknown one.
fn with_client_keys(error: &str) -> String {
    if !error.starts_with("unknown field") {
        return error.to_owned();
    }
    let keys = WrittenClientSettings::KEYS.map(|key| format!(", `{key}`"));
    format!("{error}{}", keys.concat())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Own {
        url: Option<Value>,
    }

    #[test]
    fn keys_of_both_are_read_and_no_others() {
        let read = |table: Value| serde_json::from_value::<WithClientSettings<Own>>(table);
        let mut settings = read(json!({ "url": 1, "proxy": 2 })).unwrap();
        assert_eq!(settings.own.url, Some(json!(1)));
        assert_eq!(settings.client.take("proxy"), Some(json!(2)));
        let error = read(json!({ "url": 1, "prxy": 2 })).err().unwrap();
        assert_eq!(
            error.to_string(),
            "unknown field `prxy`, expected `url`, `username`, `password`, `bearer_token`, \
             `oauth2`, `headers`, `ca_certificate`, `client_certificate`, `client_key`, `proxy`"
        );
        assert!(read(json!([])).is_err());
    }
}
