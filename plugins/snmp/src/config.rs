//! The settings, from `[exporter.NAME.config]`.
//!
//! Promises: all mistakes are reported at once, each with its key and a remedy; a bad
//! value never falls back to a default; no mistake shows a secret.

use std::str::FromStr;

use async_snmp::{Auth, AuthProtocol, PrivProtocol, UsmConfig};
use delfin_plugin_api::{
    setting::{ConfigError, Mistakes, Secret},
    stream::Address,
};
use serde::Deserialize;
use serde_json::Value;

use crate::{encode::DOCUMENTATION_NUMBER, state::from_hex};

const NOTIFICATION: &str = "write \"inform\" or \"trap\"";
const VERSION: &str = "write \"3\" or \"2c\"";
const AUTH: &str = "write \"MD5\", \"SHA\", \"SHA-224\", \"SHA-256\", \"SHA-384\" or \"SHA-512\"";
const PRIVACY: &str =
    "write \"DES\", \"AES\", or \"AES-192\" or \"AES-256\" with \"-Blumenthal\" or \"-Reeder\"";
const PASSWORD: &str = "write a text of at least 8 characters";
const ENGINE: &str = "write 5 to 32 bytes as hexadecimal digits";
const NUMBER: &str = "write a private enterprise number of IANA";
const PORT: u16 = 162;
/// RFC 3414 allows no shorter passwords.
const MIN_PASSWORD: usize = 8;

/// Checked settings.
#[derive(Clone, Deserialize)]
#[serde(try_from = "RawSettings")]
pub(crate) struct Config {
    pub(crate) address: Address,
    pub(crate) kind: NotificationKind,
    pub(crate) login: Auth,
    /// For traps of version 3: of this exporter.
    pub(crate) engine_id: Option<Vec<u8>>,
    pub(crate) enterprise_number: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NotificationKind {
    Inform,
    Trap,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawSettings {
    address: Option<Value>,
    notification: Option<Value>,
    version: Option<Value>,
    username: Option<Value>,
    auth_protocol: Option<Value>,
    auth_password: Option<Value>,
    privacy_protocol: Option<Value>,
    privacy_password: Option<Value>,
    community: Option<Value>,
    engine_id: Option<Value>,
    enterprise_number: Option<Value>,
}

impl TryFrom<RawSettings> for Config {
    type Error = ConfigError;

    fn try_from(mut written: RawSettings) -> Result<Self, ConfigError> {
        let mut mistakes = Mistakes::default();
        let address = Address::read("address", written.address.take(), PORT, &mut mistakes);
        let kind = |value: &Value| match value.as_str()? {
            "inform" => Some(NotificationKind::Inform),
            "trap" => Some(NotificationKind::Trap),
            _ => None,
        };
        let kind = mistakes.read(
            "notification",
            written.notification.take(),
            kind,
            NOTIFICATION,
        );
        let community = |value: &Value| match value.as_str()? {
            "3" => Some(false),
            "2c" => Some(true),
            _ => None,
        };
        let version = written.version.take();
        let has_community = mistakes.read("version", version, community, VERSION);
        let engine = |value: &Value| {
            let bytes = from_hex(value.as_str()?)?;
            (5..=32).contains(&bytes.len()).then_some(bytes)
        };
        let engine_id = mistakes.read("engine_id", written.engine_id.take(), engine, ENGINE);
        let number = |value: &Value| u32::try_from(value.as_u64()?).ok();
        let number = mistakes.read(
            "enterprise_number",
            written.enterprise_number.take(),
            number,
            NUMBER,
        );
        let login = if has_community.unwrap_or(false) {
            read_community(&mut written, &mut mistakes)
        } else {
            read_user(&mut written, &mut mistakes)
        };
        let (Some(address), Some(login)) = (address, login) else {
            return Err(mistakes.into());
        };
        mistakes.into_result(Self {
            address,
            kind: kind.unwrap_or(NotificationKind::Inform),
            login,
            engine_id,
            enterprise_number: number.unwrap_or(DOCUMENTATION_NUMBER),
        })
    }
}

fn read_community(written: &mut RawSettings, mistakes: &mut Mistakes) -> Option<Auth> {
    for (key, value) in [
        ("username", &written.username),
        ("auth_protocol", &written.auth_protocol),
        ("auth_password", &written.auth_password),
        ("privacy_protocol", &written.privacy_protocol),
        ("privacy_password", &written.privacy_password),
    ] {
        if value.is_some() {
            mistakes.add(format!(
                "`{key}` has no effect in version 2c (remove it, or set `version = \"3\"`)"
            ));
        }
    }
    if written.community.is_none() {
        mistakes.missing("community", "version 2c needs one");
    }
    let community = mistakes.secret("community", written.community.take())?;
    Some(Auth::v2c(community.reveal()))
}

fn read_user(written: &mut RawSettings, mistakes: &mut Mistakes) -> Option<Auth> {
    if written.community.is_some() {
        mistakes.add(
            "`community` has no effect in version 3 (remove it, or set `version = \"2c\"`)"
                .to_owned(),
        );
    }
    if written.username.is_none() {
        mistakes.missing("username", "version 3 needs one");
    }
    if written.auth_password.is_none() {
        mistakes.missing("auth_password", "version 3 needs one");
    }
    let username = mistakes.text("username", written.username.take());
    let auth: Option<AuthProtocol> = read_protocol(
        "auth_protocol",
        written.auth_protocol.take(),
        AUTH,
        mistakes,
    );
    let auth_password = read_password("auth_password", written.auth_password.take(), mistakes);
    let privacy = written.privacy_protocol.take();
    if privacy.is_some() && written.privacy_password.is_none() {
        mistakes.missing("privacy_password", "it comes with `privacy_protocol`");
    }
    let privacy: Option<PrivProtocol> =
        read_protocol("privacy_protocol", privacy, PRIVACY, mistakes);
    let password = written.privacy_password.take();
    let privacy_password = read_password("privacy_password", password, mistakes);
    let user = UsmConfig::new(username?);
    let (auth, auth_password) = (auth.unwrap_or(AuthProtocol::Sha256), auth_password?);
    let auth_password = auth_password.reveal();
    let user = match privacy_password {
        Some(password) => {
            let privacy = privacy.unwrap_or(PrivProtocol::Aes128);
            user.auth_priv(auth, auth_password, privacy, password.reveal())
        }
        None => user.auth(auth, auth_password),
    };
    match user {
        Ok(user) => Some(Auth::Usm(user)),
        Err(error) => {
            mistakes.add(format!("the protocols do not fit together: {error}"));
            None
        }
    }
}

fn read_protocol<T: FromStr>(
    key: &str,
    value: Option<Value>,
    remedy: &str,
    mistakes: &mut Mistakes,
) -> Option<T> {
    mistakes.read(key, value, |value| value.as_str()?.parse().ok(), remedy)
}

fn read_password(key: &str, value: Option<Value>, mistakes: &mut Mistakes) -> Option<Secret> {
    let read = |value: &Value| {
        let text = value.as_str()?;
        (text.len() >= MIN_PASSWORD).then(|| Secret::new(text))
    };
    mistakes.read_secret(key, value, read, PASSWORD)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(config: Value) -> Result<Config, String> {
        serde_json::from_value(config).map_err(|error: serde_json::Error| error.to_string())
    }

    fn user() -> Value {
        json!({ "address": "a", "username": "u", "auth_password": "hunter2hunter2" })
    }

    #[test]
    fn both_versions_are_read() {
        let config = read(json!({ "address": "a", "version": "2c", "community": "c" })).unwrap();
        assert_eq!(config.address.to_string(), "a:162");
        assert_eq!(config.kind, NotificationKind::Inform);
        assert!(matches!(config.login, Auth::Community { .. }));
        for protocol in ["DES", "AES", "AES-192-Reeder", "AES-256-Blumenthal"] {
            let mut config = user();
            config["auth_protocol"] = json!("SHA-512");
            config["privacy_protocol"] = json!(protocol);
            config["privacy_password"] = json!("hunter2hunter2");
            let Auth::Usm(user) = read(config).unwrap().login else {
                panic!("a user")
            };
            assert_eq!(user.auth_protocol(), Some(AuthProtocol::Sha512));
        }
    }

    #[test]
    fn every_mistake_is_reported_with_its_remedy() {
        assert_eq!(
            read(json!({})).err().unwrap(),
            "`address` is missing (write a host and a port, such as `receiver.example.com:162`); \
             `username` is missing (version 3 needs one); \
             `auth_password` is missing (version 3 needs one)"
        );
        let check = |key: &str, value: Value, reason: &str| {
            let mut config = user();
            config[key] = value;
            let mistakes = read(config).err().unwrap();
            assert!(mistakes.contains(reason), "{mistakes}");
            assert!(!mistakes.contains("hunter2"), "{mistakes}");
        };
        check("notification", json!("both"), NOTIFICATION);
        check("version", json!(3), VERSION);
        check("version", json!("2c"), "`community` is missing");
        check("version", json!("2c"), "`auth_password` has no effect");
        check("community", json!("hunter2"), "`community` has no effect");
        check("auth_protocol", json!("CRC"), AUTH);
        check("auth_password", json!("hunter2"), PASSWORD);
        check(
            "privacy_protocol",
            json!("AES"),
            "`privacy_password` is missing",
        );
        check("privacy_protocol", json!("ROT13"), PRIVACY);
        check("engine_id", json!("80"), ENGINE);
        check("enterprise_number", json!("delfin"), NUMBER);
        check("port", json!(162), "unknown field `port`");
    }

    #[test]
    fn the_example_shows_the_defaults() {
        let example: Value = toml::from_str(include_str!("../example.toml")).unwrap();
        let shown = &example["exporter"]["AlertExporterSnmp"]["config"];
        let mut least = shown.clone();
        for key in [
            "notification",
            "version",
            "auth_protocol",
            "privacy_protocol",
            "enterprise_number",
        ] {
            least.as_object_mut().unwrap().remove(key);
        }
        let show = |config: &Value| {
            let config = read(config.clone()).unwrap();
            let Auth::Usm(user) = &config.login else {
                panic!("a user")
            };
            let protocols = (user.auth_protocol(), user.priv_protocol());
            format!(
                "{:?} {protocols:?} {}",
                config.kind, config.enterprise_number
            )
        };
        assert_eq!(show(shown), show(&least));
    }
}
