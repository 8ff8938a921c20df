//! The settings, from `[exporter.NAME.config]`.
//!
//! Promises: all mistakes are reported at once, each with its key and a remedy; a secret
//! is not shown; a bad value never falls back to a default.

use std::path::PathBuf;

use delfin_plugin_api::{
    http::{ClientSettings, ReceiverUrl, WrittenClientSettings},
    setting::{ConfigError, Mistakes, Secret},
};
use serde::Deserialize;
use serde_json::{Map, Value};

const USER_AGENT: &str = concat!("delfin-exporter-parquet/", env!("CARGO_PKG_VERSION"));
const URL: &str = "write the address of the server, such as `https://minio.example.com:9000`";
const BUCKET: &str = "write the name of a bucket";
const PREFIX: &str = "write names with `/` between them, without control characters";
const REGION: &str = "us-east-1";

/// Checked settings.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "RawSettings")]
pub(crate) struct Config {
    pub(crate) target: Target,
}

/// Where files are written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Target {
    Folder(PathBuf),
    S3(Box<S3Settings>),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct S3Settings {
    pub(crate) bucket: String,
    /// Empty, or with a slash at its end.
    pub(crate) prefix: String,
    pub(crate) region: String,
    /// `None`: Amazon's server of the region.
    pub(crate) url: Option<ReceiverUrl>,
    pub(crate) access_key_id: String,
    pub(crate) secret_access_key: Secret,
    pub(crate) http: ClientSettings,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawSettings {
    folder: Option<Value>,
    bucket: Option<Value>,
    prefix: Option<Value>,
    region: Option<Value>,
    url: Option<Value>,
    access_key_id: Option<Value>,
    secret_access_key: Option<Value>,
    ca_certificate: Option<Value>,
    client_certificate: Option<Value>,
    client_key: Option<Value>,
    proxy: Option<Value>,
}

impl TryFrom<RawSettings> for Config {
    type Error = ConfigError;

    fn try_from(mut written: RawSettings) -> Result<Self, ConfigError> {
        let mut mistakes = Mistakes::default();
        let folder = mistakes.text("folder", written.folder.take());
        let target = if let Some(folder) = folder {
            written.refuse_s3(&mut mistakes);
            Some(Target::Folder(folder.into()))
        } else if written.bucket.is_some() {
            written.read_s3(&mut mistakes).map(Box::new).map(Target::S3)
        } else {
            mistakes.missing("folder", "name a folder, or set `bucket` for S3");
            None
        };
        match target {
            Some(target) => mistakes.into_result(Self { target }),
            None => Err(mistakes.into()),
        }
    }
}

impl RawSettings {
    /// Adds a mistake for each setting of S3.
    fn refuse_s3(&self, mistakes: &mut Mistakes) {
        for (key, value) in [
            ("bucket", &self.bucket),
            ("prefix", &self.prefix),
            ("region", &self.region),
            ("url", &self.url),
            ("access_key_id", &self.access_key_id),
            ("secret_access_key", &self.secret_access_key),
            ("ca_certificate", &self.ca_certificate),
            ("client_certificate", &self.client_certificate),
            ("client_key", &self.client_key),
            ("proxy", &self.proxy),
        ] {
            if value.is_some() {
                mistakes.add(format!(
                    "`{key}` has no effect with `folder` (remove it, or `folder`)"
                ));
            }
        }
    }

    fn read_s3(self, mistakes: &mut Mistakes) -> Option<S3Settings> {
        let bucket = mistakes.read("bucket", self.bucket, read_bucket, BUCKET);
        let prefix = mistakes.read("prefix", self.prefix, read_prefix, PREFIX);
        let region = mistakes.text("region", self.region);
        let url = self
            .url
            .map(|url| ReceiverUrl::read_base(Some(url), URL, mistakes));
        for (key, value) in [
            ("access_key_id", &self.access_key_id),
            ("secret_access_key", &self.secret_access_key),
        ] {
            if value.is_none() {
                mistakes.missing(key, "write the key of an account that can put objects");
            }
        }
        let access_key_id = mistakes.text("access_key_id", self.access_key_id);
        let secret_access_key = mistakes.secret("secret_access_key", self.secret_access_key);
        let client = [
            ("ca_certificate", self.ca_certificate),
            ("client_certificate", self.client_certificate),
            ("client_key", self.client_key),
            ("proxy", self.proxy),
        ];
        let client = client
            .into_iter()
            .filter_map(|(key, value)| Some((key.to_owned(), value?)));
        let client = WrittenClientSettings::from(&mut client.collect::<Map<_, _>>());
        let http = ClientSettings::read(USER_AGENT, &[], client, mistakes);
        Some(S3Settings {
            bucket: bucket?,
            prefix: prefix.unwrap_or_default(),
            region: region.unwrap_or_else(|| REGION.to_owned()),
            url,
            access_key_id: access_key_id?,
            secret_access_key: secret_access_key?,
            http,
        })
    }
}

impl S3Settings {
    /// The bucket in messages.
    pub(crate) fn shown(&self) -> String {
        match &self.url {
            Some(url) => format!("{}/{}", url.redacted, self.bucket),
            None => format!("s3://{}", self.bucket),
        }
    }
}

fn read_bucket(value: &Value) -> Option<String> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    let bucket = value.as_str()?;
    (!bucket.is_empty() && bucket.bytes().all(plain)).then(|| bucket.to_owned())
}

/// The prefix with a slash at its end, unless it is empty.
fn read_prefix(value: &Value) -> Option<String> {
    let prefix = value.as_str()?.trim_matches('/');
    let is_name = |name: &str| !matches!(name, "" | "." | "..") && !name.contains(char::is_control);
    let is_path = prefix.is_empty() || prefix.split('/').all(is_name);
    let slash = if prefix.is_empty() { "" } else { "/" };
    is_path.then(|| format!("{prefix}{slash}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(config: Value) -> Result<Config, String> {
        serde_json::from_value(config).map_err(|error: serde_json::Error| error.to_string())
    }

    fn s3(mut more: Value) -> Value {
        for (key, value) in [
            ("bucket", "b"),
            ("access_key_id", "AK"),
            ("secret_access_key", "hunter2"),
        ] {
            more.as_object_mut()
                .unwrap()
                .entry(key)
                .or_insert(json!(value));
        }
        more
    }

    #[test]
    fn every_mistake_is_reported_with_its_remedy() {
        let check = |config: Value, reason: &str| {
            let mistakes = read(config).unwrap_err();
            assert!(mistakes.contains(reason), "{mistakes}");
            assert!(!mistakes.contains("hunter2"), "{mistakes}");
        };
        check(
            json!({}),
            "`folder` is missing (name a folder, or set `bucket` for S3)",
        );
        check(json!({ "folder": 7 }), "`folder` cannot be `7`");
        check(
            json!({ "folder": "/a", "region": "r" }),
            "`region` has no effect with `folder` (remove it, or `folder`)",
        );
        check(json!({ "bucket": "b" }), "`access_key_id` is missing");
        check(json!({ "bucket": "b" }), "`secret_access_key` is missing");
        check(s3(json!({ "bucket": "a/b" })), BUCKET);
        check(s3(json!({ "prefix": "a//b" })), PREFIX);
        check(s3(json!({ "prefix": "../b" })), PREFIX);
        check(s3(json!({ "url": "minio:9000" })), "`url`");
        check(s3(json!({ "proxy": "hunter2" })), "`proxy` does not begin");
        check(s3(json!({ "token": "t" })), "unknown field `token`");
    }

    #[test]
    fn a_prefix_ends_with_one_slash() {
        for (written, prefix) in [("", ""), ("/", ""), ("/a/b/", "a/b/"), ("a", "a/")] {
            let Ok(Config {
                target: Target::S3(settings),
            }) = read(s3(json!({ "prefix": written })))
            else {
                panic!("{written}");
            };
            assert_eq!(settings.prefix, prefix);
        }
    }

    #[test]
    fn the_example_shows_the_defaults() {
        let example: Value = toml::from_str(include_str!("../example.toml")).unwrap();
        let config = |exporter: &str| example["exporter"][exporter]["config"].clone();
        let folder = config("PerformanceExporterParquet");
        assert_eq!(
            read(folder.clone()),
            read(json!({ "folder": folder["folder"] }))
        );
        let shown = config("AlertExporterParquet");
        let keys = ["bucket", "access_key_id", "secret_access_key"];
        let required = keys.map(|key| (key.to_owned(), shown[key].clone()));
        let required = Value::Object(required.into_iter().collect());
        assert_eq!(read(shown), read(required));
    }
}
