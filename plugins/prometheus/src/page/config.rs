//! The settings of the scrape page, from `[exporter.NAME.config]`.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::PathBuf,
    time::Duration,
};

use delfin_plugin_api::setting::{ConfigError, Mistakes, Secret};
use serde::Deserialize;
use serde_json::Value;

/// Long enough for two failed collections at Delfin's default interval of 15 minutes.
const EXPIRATION: Duration = Duration::from_mins(50);
const PORT: u16 = 8195;
const ADDRESS: &str = "write an IP address of this machine: `127.0.0.1`, or `0.0.0.0` for all";

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "PageSettings")]
pub struct PageConfig {
    pub listen: SocketAddr,
    /// A series without a new sample for this long leaves the page.
    pub metric_expiration: Duration,
    /// Whether samples have the time of their measurement.
    pub send_timestamps: bool,
    /// `None` if the page needs no login.
    pub login: Option<Login>,
    /// `None` if the page is not encrypted.
    pub tls: Option<TlsFiles>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Login {
    pub username: String,
    pub password: Secret,
}

/// PEM files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    pub certificate: PathBuf,
    pub key: PathBuf,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PageSettings {
    metric_server_ip: Option<Value>,
    metric_server_port: Option<Value>,
    metric_expiration: Option<Value>,
    send_timestamps: Option<Value>,
    username: Option<Value>,
    password: Option<Value>,
    tls_certificate: Option<Value>,
    tls_key: Option<Value>,
    allow_unauthenticated: Option<Value>,
}

impl TryFrom<PageSettings> for PageConfig {
    type Error = ConfigError;

    fn try_from(written: PageSettings) -> Result<Self, ConfigError> {
        let mut mistakes = Mistakes::default();
        let login = login(written.username, written.password, &mut mistakes);
        let open = mistakes.flag("allow_unauthenticated", written.allow_unauthenticated);
        let read_ip = |value: &Value| value.as_str()?.trim().parse().ok();
        let ip = mistakes
            .read(
                "metric_server_ip",
                written.metric_server_ip,
                read_ip,
                ADDRESS,
            )
            .unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST));
        if !ip.to_canonical().is_loopback() && login.is_none() && !open {
            mistakes.add(format!(
                "`metric_server_ip = \"{ip}\"` opens the page to other machines without a \
                 login (set `username` and `password`, or \
                 `allow_unauthenticated = true`)"
            ));
        }
        let port = mistakes.port("metric_server_port", written.metric_server_port);
        let expiration = mistakes.duration("metric_expiration", written.metric_expiration);
        let config = Self {
            listen: SocketAddr::new(ip, port.unwrap_or(PORT)),
            metric_expiration: expiration.unwrap_or(EXPIRATION),
            send_timestamps: mistakes.flag("send_timestamps", written.send_timestamps),
            login,
            tls: tls(written.tls_certificate, written.tls_key, &mut mistakes),
        };
        mistakes.into_result(config)
    }
}

fn login(
    username: Option<Value>,
    password: Option<Value>,
    mistakes: &mut Mistakes,
) -> Option<Login> {
    together(["username", "password"], [&username, &password], mistakes);
    let username = mistakes.text("username", username);
    if username.as_ref().is_some_and(|name| name.contains(':')) {
        mistakes.add("`username` contains a colon, which HTTP basic authentication does not allow (remove it)".to_owned());
    }
    let password = mistakes.secret("password", password);
    Some(Login {
        username: username?,
        password: password?,
    })
}

fn tls(
    certificate: Option<Value>,
    key: Option<Value>,
    mistakes: &mut Mistakes,
) -> Option<TlsFiles> {
    let keys = ["tls_certificate", "tls_key"];
    together(keys, [&certificate, &key], mistakes);
    let certificate = mistakes.text(keys[0], certificate);
    let key = mistakes.text(keys[1], key);
    Some(TlsFiles {
        certificate: certificate?.into(),
        key: key?.into(),
    })
}

fn together(keys: [&str; 2], values: [&Option<Value>; 2], mistakes: &mut Mistakes) {
    let missing = match values.map(Option::is_some) {
        [true, false] => keys[1],
        [false, true] => keys[0],
        [true, true] | [false, false] => return,
    };
    mistakes.add(format!(
        "`{missing}` is missing (set `{}` and `{}` together)",
        keys[0], keys[1]
    ));
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(config: Value) -> Result<PageConfig, String> {
        serde_json::from_value(config).map_err(|error: serde_json::Error| error.to_string())
    }

    #[test]
    fn without_settings_the_page_is_open_to_this_machine_only() {
        let config = read(json!({})).unwrap();
        assert_eq!(config.listen.to_string(), "127.0.0.1:8195");
        assert_eq!(config.metric_expiration, Duration::from_secs(3000));
        assert!(!config.send_timestamps);
        assert_eq!((config.login, config.tls), (None, None));
    }

    #[test]
    fn a_page_for_other_machines_needs_a_login_or_allow_unauthenticated() {
        let check = |config: Value, accepted| {
            assert_eq!(read(config.clone()).is_ok(), accepted, "{config}");
        };
        for ip in ["0.0.0.0", "192.0.2.7", "::"] {
            check(json!({ "metric_server_ip": ip }), false);
            check(
                json!({ "metric_server_ip": ip, "allow_unauthenticated": true }),
                true,
            );
            check(
                json!({ "metric_server_ip": ip, "username": "u", "password": "p" }),
                true,
            );
        }
        for ip in ["127.0.0.1", "127.1.2.3", "::1", "::ffff:127.0.0.1"] {
            check(json!({ "metric_server_ip": ip }), true);
        }
    }

    #[test]
    fn every_mistake_is_reported_and_no_password_is_shown() {
        let mistakes = read(json!({
            "metric_server_ip": "localhost",
            "metric_server_port": 65536,
            "metric_expiration": "0s",
            "send_timestamps": "no",
            "password": ["hunter2"],
            "tls_key": "key.pem",
        }))
        .unwrap_err();
        for part in [
            "`username` is missing (set `username` and `password` together)",
            "`password` has a wrong value (write a text in quotes that is not empty)",
            "`metric_server_ip` cannot be `\"localhost\"`",
            "`metric_server_port` cannot be `65536`",
            "`metric_expiration` cannot be `\"0s\"`",
            "`send_timestamps` cannot be `\"no\"`",
            "`tls_certificate` is missing",
        ] {
            assert!(mistakes.contains(part), "{part}: {mistakes}");
        }
        assert!(!mistakes.contains("hunter2"), "{mistakes}");
    }

    #[test]
    fn a_password_is_not_printed() {
        let config = read(json!({ "username": "u", "password": "hunter2" })).unwrap();
        assert!(!format!("{config:?}").contains("hunter2"));
    }

    #[test]
    fn the_example_shows_the_defaults() {
        let example: Value = toml::from_str(include_str!("../../example.toml")).unwrap();
        let shown = &example["exporter"]["PerformanceExporterPrometheus"]["config"];
        assert_eq!(read(shown.clone()), read(json!({})));
    }
}
