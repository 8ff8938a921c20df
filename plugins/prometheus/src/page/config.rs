//! The settings of the scrape page, from `[exporter.NAME.config]`.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::PathBuf,
    time::Duration,
};

use delfin_plugin_api::{
    serde::Deserialize,
    setting::{ConfigError, Mistakes, Secret},
};
use serde_json::Value;

/// Two collections may fail at Delfin's default interval of 15 minutes before
/// a series leaves the page.
const EXPIRATION: Duration = Duration::from_mins(50);
const PORT: u16 = 8195;
const ADDRESS: &str = "write an IP address of this machine: `127.0.0.1`, or `0.0.0.0` for all";

/// Checked settings.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(crate = "delfin_plugin_api::serde", try_from = "Written")]
pub(crate) struct Config {
    /// Where the page is.
    pub(crate) listen: SocketAddr,
    /// How long a series stays without a new sample.
    pub(crate) metric_expiration: Duration,
    /// Whether a sample is shown with the time at which it was measured.
    pub(crate) send_timestamps: bool,
    /// Who may see the page; anybody, if `None`.
    pub(crate) login: Option<Login>,
    /// With what the page is encrypted, if it is.
    pub(crate) tls: Option<TlsFiles>,
}

/// A name and a password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Login {
    pub(crate) username: String,
    pub(crate) password: Secret,
}

/// PEM files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TlsFiles {
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
}

#[derive(Deserialize)]
#[serde(crate = "delfin_plugin_api::serde", deny_unknown_fields)]
struct Written {
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

impl TryFrom<Written> for Config {
    type Error = ConfigError;

    fn try_from(written: Written) -> Result<Self, ConfigError> {
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
                "`metric_server_ip = \"{ip}\"` shows the page to other machines, and nobody is \
                 asked who they are (set `username` and `password`, or \
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
        mistakes.add("`username` has a colon, which ends a name (leave it out)".to_owned());
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
        "`{missing}` is missing (`{}` and `{}` come together)",
        keys[0], keys[1]
    ));
}
