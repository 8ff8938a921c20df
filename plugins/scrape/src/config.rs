//! The options of a storage, checked.
//!
//! A registered storage has them as `extra_attributes`, a declared one in `[storage.options]`. Without
//! `url`, the access data `rest` says where the page is and how to log in.

use std::time::Duration;

use delfin_plugin_api::{
    driver::RegisteredStorage,
    http::{ClientSettings, ReceiverUrl, WithClientSettings},
    quantity::parse_size,
    setting::{ConfigError, Mistakes},
};
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::decode::{PageLimits, read_labels};

const USER_AGENT: &str = concat!(env!("CARGO_PKG_NAME"), "/", env!("CARGO_PKG_VERSION"));
const URL: &str = "write the URL of the page, such as `http://10.0.0.7:9100/metrics`";
const MAPPING: &str = "name the exporter, such as `node_exporter`, or a mapping file of yours";
const SELECT: &str = "write labels, such as `cluster=\"a\"`";
const SIZE: &str = "write a size of at least 1KiB, such as `64MiB`";
const NUMBER: &str = "write a number of at least 1";

/// The most bytes of a page by default, decompressed.
const MAX_BODY_BYTES: usize = 64 << 20;

/// The longest time for a page by default.
const TIMEOUT: Duration = Duration::from_secs(60);

/// Parameters of a page that name an array: that of exporters in general, and that of Pure's.
const TARGETS: [&str; 2] = ["target", "endpoint"];

/// Options that are not those of this driver.
const ACCESS: [&str; 5] = ["rest", "ssh", "cli", "smis", "extra_attributes"];

/// How a page is asked for and read.
#[derive(Debug)]
pub(crate) struct ScrapeConfig {
    pub url: ReceiverUrl,
    pub http: ClientSettings,
    /// The name or the path of the mapping.
    pub mapping: String,
    /// The labels of the samples that belong to this storage. Empty: all samples do.
    pub select: Vec<(String, String)>,
    pub timeout: Duration,
    pub max_body_bytes: usize,
    pub limits: PageLimits,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawSettings {
    url: Option<Value>,
    mapping: Option<Value>,
    select: Option<Value>,
    timeout: Option<Value>,
    max_body_bytes: Option<Value>,
    max_samples: Option<Value>,
}

impl ScrapeConfig {
    pub(crate) fn read(storage: &RegisteredStorage) -> Result<Self, ConfigError> {
        let mut mistakes = Mistakes::default();
        let options = options(storage);
        let written = serde_json::from_value(Value::Object(options));
        let WithClientSettings::<RawSettings> { client, own } = match written {
            Ok(written) => written,
            Err(error) => {
                mistakes.add(error.to_string());
                return Err(mistakes.into());
            }
        };
        let url = ReceiverUrl::read(own.url, URL, &mut mistakes);
        if own.mapping.is_none() {
            mistakes.missing("mapping", MAPPING);
        }
        let mapping = mistakes.text("mapping", own.mapping);
        let select = mistakes.read("select", own.select, selection, SELECT);
        let timeout = mistakes.duration("timeout", own.timeout);
        let bytes = mistakes.read("max_body_bytes", own.max_body_bytes, size, SIZE);
        let samples = mistakes.read("max_samples", own.max_samples, number, NUMBER);
        let http = ClientSettings::read(USER_AGENT, &["accept"], client, &mut mistakes);
        mistakes.into_result(Self {
            url,
            http,
            mapping: mapping.unwrap_or_default(),
            select: select.unwrap_or_default(),
            timeout: timeout.unwrap_or(TIMEOUT),
            max_body_bytes: bytes.unwrap_or(MAX_BODY_BYTES),
            limits: PageLimits {
                samples: samples.unwrap_or(PageLimits::default().samples),
                ..PageLimits::default()
            },
        })
    }

    /// What tells the page from others: the address of the exporter, and a hash of path and query, which may hold a
    /// secret. The path `/metrics` alone has no hash.
    pub(crate) fn page_id(&self) -> String {
        let (address, rest) = self.address();
        if ["", "/", "/metrics"].contains(&rest) {
            return address.to_owned();
        }
        format!("{address}#{:016x}", fnv(rest))
    }

    /// How people know the page: exporters of several arrays have a parameter that names the array.
    pub(crate) fn page_name(&self) -> String {
        let (address, rest) = self.address();
        let query = rest.split_once('?').map_or("", |(_, query)| query);
        let mut parameters = query.split('&').filter_map(|one| one.split_once('='));
        let target =
            parameters.find(|(name, value)| TARGETS.contains(name) && !value.contains('@'));
        match target {
            Some((_, target)) => format!("{address} {target}"),
            None => self.page_id(),
        }
    }

    /// The address of the exporter, and path and query.
    fn address(&self) -> (&str, &str) {
        let length = self.url.redacted.trim_end_matches("/…").len();
        self.url.url.split_at(length.min(self.url.url.len()))
    }

    /// The selection as a query of Prometheus has it; empty if all samples belong to the storage.
    pub(crate) fn selection(&self) -> String {
        if self.select.is_empty() {
            return String::new();
        }
        let labels = self.select.iter();
        let labels: Vec<_> = labels
            .map(|(key, value)| format!("{key}={value:?}"))
            .collect();
        format!("{{{}}}", labels.join(","))
    }
}

/// A hash that stays the same from one version to the next, as those of the standard library need not: FNV-1a.
fn fnv(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

/// All options as one table.
fn options(storage: &RegisteredStorage) -> Map<String, Value> {
    let mut options = storage.options.clone();
    options.retain(|key, _| !ACCESS.contains(&&**key));
    let extra = storage.options.get("extra_attributes");
    options.extend(
        extra
            .and_then(Value::as_object)
            .cloned()
            .unwrap_or_default(),
    );
    if options.contains_key("url") {
        return options;
    }
    let Some(rest) = storage.access("rest").filter(|rest| !rest.host.is_empty()) else {
        return options;
    };
    let url = format!("https://{}/metrics", rest.authority());
    options.insert("url".to_owned(), url.into());
    let has_own = ["username", "bearer_token"]
        .iter()
        .any(|key| options.contains_key(*key));
    if !has_own && !rest.username.is_empty() {
        options.insert("username".to_owned(), rest.username.into());
        options.insert("password".to_owned(), rest.password.into());
    }
    options
}

fn selection(value: &Value) -> Option<Vec<(String, String)>> {
    let labels = read_labels(value.as_str()?).ok()?;
    let owned = labels.into_iter();
    Some(
        owned
            .map(|(key, value)| (key.into_owned(), value.into_owned()))
            .collect(),
    )
}

fn size(value: &Value) -> Option<usize> {
    let bytes = match value {
        Value::String(text) => parse_size(text)?,
        other => other.as_u64()?,
    };
    usize::try_from(bytes)
        .ok()
        .filter(|bytes| *bytes >= 1 << 10)
}

/// A number, or a text with one: `extra_attributes` are texts.
fn number(value: &Value) -> Option<usize> {
    let number = match value {
        Value::String(text) => text.trim().parse().ok()?,
        other => usize::try_from(other.as_u64()?).ok()?,
    };
    (number > 0).then_some(number)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(options: Value) -> Result<ScrapeConfig, String> {
        let storage = RegisteredStorage {
            id: "id".to_owned(),
            vendor: "prometheus".to_owned(),
            model: "scrape".to_owned(),
            options: options.as_object().cloned().unwrap_or_default(),
            interval: None,
        };
        ScrapeConfig::read(&storage).map_err(|error| error.to_string())
    }

    #[test]
    fn pages_of_one_exporter_differ_and_show_no_secret() {
        let page = |url: &str| {
            let config = read(json!({"url": url, "mapping": "node_exporter"})).unwrap();
            (config.page_id(), config.page_name())
        };
        let address = || "http://h:9490".to_owned();
        for plain in ["http://h:9490", "http://h:9490/", "http://h:9490/metrics"] {
            assert_eq!(page(plain), (address(), address()));
        }
        let (a, name) = page("http://h:9490/metrics?endpoint=a");
        assert_eq!(
            (&*a, &*name),
            ("http://h:9490#958b591fd4211c83", "http://h:9490 a")
        );
        assert_ne!(page("http://h:9490/metrics?endpoint=b").0, a);
        let (secret, name) = page("http://h:9490/s3cret?target=u:s3cret@a");
        assert_eq!(secret, name);
        assert!(!secret.contains("s3cret"), "{secret}");
    }

    #[test]
    fn options_come_from_the_attributes_the_declaration_or_the_access_data() {
        let declared = json!({"url": "http://h:9100/metrics", "mapping": "node_exporter"});
        let config = read(declared).unwrap();
        assert_eq!(config.url.url, "http://h:9100/metrics");
        assert_eq!(
            (config.timeout, config.selection()),
            (TIMEOUT, String::new())
        );
        let registered = json!({"extra_attributes": {
            "url": "http://h:9100/metrics", "mapping": "x", "select": "cluster=\"a b\"",
            "timeout": "9s", "max_body_bytes": "1MiB", "max_samples": "7", "bearer_token": "t",
        }, "rest": {"host": "other", "port": 1, "username": "u", "password": "p"}});
        let config = read(registered).unwrap();
        assert_eq!(config.selection(), "{cluster=\"a b\"}");
        assert_eq!(config.max_body_bytes, 1 << 20);
        assert_eq!(config.limits.samples, 7);
        assert!(config.url.url.starts_with("http://h"));
        let access = json!({"mapping": "x", "rest": {
            "host": "fd00::1", "port": 9283, "username": "u", "password": "p",
        }});
        let config = read(access).unwrap();
        assert_eq!(config.url.url, "https://[fd00::1]:9283/metrics");
        assert!(config.http.is_authorized());
    }

    #[test]
    fn every_mistake_is_named_at_once_and_no_secret_is_shown() {
        let error = read(json!({"select": "a=b", "timeout": 5, "max_samples": "0",
            "max_body_bytes": "many", "username": "u", "bearer_token": "hunter2"}))
        .unwrap_err();
        for key in [
            "`url` is missing",
            "`mapping` is missing",
            "`select` cannot be",
            "`timeout` cannot be",
            "`max_samples` cannot be",
            "`max_body_bytes` cannot be",
            "`username`",
        ] {
            assert!(error.contains(key), "{key}: {error}");
        }
        assert!(!error.contains("hunter2"), "{error}");
        let unknown = read(json!({"url": "http://h", "mapping": "x", "selekt": "y"}));
        assert!(unknown.unwrap_err().contains("selekt"));
    }
}
