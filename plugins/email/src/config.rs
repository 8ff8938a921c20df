//! The settings, from `[exporter.NAME.config]`.
//!
//! Promises: all mistakes are reported at once, each with its key and a remedy; a bad
//! value never falls back to a default; no mistake shows the password.

use delfin_plugin_api::{
    AlertBatch,
    setting::{ConfigError, Mistakes, Secret},
    stream::Address,
    template::{NameTemplate, TemplateRules},
    tls::Tls,
};
use lettre::{address::Envelope, message::Mailbox};
use serde::Deserialize;
use serde_json::Value;

const MAILBOX: &str = "write `delfin@example.com` or `Delfin <delfin@example.com>`";
const RECIPIENTS: &str = "write an address such as `storage@example.com`, or a list";
const TLS: &str = "write `starttls`, `tls` or `off`";
const FLAG: &str = "write true or false";
const SUBJECT: &str = "[{severity}] {storage_name}: {alert_name}";
const MAX_SUBJECT: usize = 998;

/// A subject is one line.
const SUBJECT_RULES: TemplateRules = TemplateRules {
    character: |c| Some(if c.is_control() { ' ' } else { c }),
    empty: "-",
    max_value_bytes: 200,
    check: |subject| {
        if subject.contains(char::is_control) || subject.len() > MAX_SUBJECT {
            return Err("it is not one line of at most 998 bytes");
        }
        Ok(())
    },
};

const BODY_RULES: TemplateRules = TemplateRules {
    character: Some,
    empty: "-",
    max_value_bytes: 65_536,
    check: |_| Ok(()),
};

/// Checked settings.
#[derive(Debug, Deserialize)]
#[serde(try_from = "RawSettings")]
pub(crate) struct Config {
    pub(crate) server: ServerConfig,
    pub(crate) mail: MailConfig,
}

#[derive(Debug)]
pub(crate) struct ServerConfig {
    pub(crate) address: Address,
    pub(crate) encryption: MailEncryption,
    pub(crate) tls: Tls,
    pub(crate) login: Option<(String, Secret)>,
    /// `None`: an address literal.
    pub(crate) hello_name: Option<String>,
    /// Who sends, and who receives.
    pub(crate) envelope: Envelope,
}

/// How mails are written.
#[derive(Debug)]
pub struct MailConfig {
    /// The sender.
    pub from: Mailbox,
    /// At least one.
    pub to: Vec<Mailbox>,
    /// One mail for all alerts of a call.
    pub digest: bool,
    /// The subject of a mail, and in a digest the heading of an alert.
    pub subject: NameTemplate,
    /// `None`: every column and extra field.
    pub body: Option<NameTemplate>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MailEncryption {
    StartTls,
    Tls,
    Off,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawSettings {
    address: Option<Value>,
    from: Option<Value>,
    to: Option<Value>,
    digest: Option<Value>,
    subject: Option<Value>,
    body: Option<Value>,
    tls: Option<Value>,
    username: Option<Value>,
    password: Option<Value>,
    hello_name: Option<Value>,
    ca_certificate: Option<Value>,
    client_certificate: Option<Value>,
    client_key: Option<Value>,
}

impl MailEncryption {
    fn read(value: &Value) -> Option<Self> {
        match value.as_str()? {
            "starttls" => Some(Self::StartTls),
            "tls" => Some(Self::Tls),
            "off" => Some(Self::Off),
            _ => None,
        }
    }

    /// The port that is registered for mails from programs (RFC 6409, RFC 8314), and that of
    /// servers between each other.
    fn port(self) -> u16 {
        match self {
            Self::StartTls => 587,
            Self::Tls => 465,
            Self::Off => 25,
        }
    }
}

impl TryFrom<RawSettings> for Config {
    type Error = ConfigError;

    fn try_from(written: RawSettings) -> Result<Self, ConfigError> {
        let mut mistakes = Mistakes::default();
        let encryption = mistakes.read("tls", written.tls, MailEncryption::read, TLS);
        let encryption = encryption.unwrap_or(MailEncryption::StartTls);
        let address = Address::read("address", written.address, encryption.port(), &mut mistakes);
        if written.from.is_none() {
            mistakes.missing("from", MAILBOX);
        }
        let from = mistakes.read("from", written.from, mailbox, MAILBOX);
        if written.to.is_none() {
            mistakes.missing("to", RECIPIENTS);
        }
        let to = mistakes.read("to", written.to, mailboxes, RECIPIENTS);
        let digest = mistakes.read("digest", written.digest, Value::as_bool, FLAG);
        let subject = NameTemplate::read::<AlertBatch>(
            "subject",
            written.subject,
            SUBJECT,
            &SUBJECT_RULES,
            &mut mistakes,
        );
        let body = written.body.map(|body| {
            NameTemplate::read::<AlertBatch>("body", Some(body), "", &BODY_RULES, &mut mistakes)
        });
        let username = mistakes.text("username", written.username);
        let password = mistakes.secret("password", written.password);
        if username.is_some() != password.is_some() {
            mistakes.add("`username` and `password` come together (set both)".to_owned());
        }
        let hello_name = mistakes.text("hello_name", written.hello_name);
        let tls = Tls::read(
            written.ca_certificate,
            written.client_certificate,
            written.client_key,
            &mut mistakes,
        );
        if encryption == MailEncryption::Off && tls != Tls::default() {
            mistakes.add(
                "certificates have no effect with `tls = \"off\"` (remove them, or set another `tls`)"
                    .to_owned(),
            );
        }
        let (Some(address), Some(from), Some(to)) = (address, from, to) else {
            return Err(mistakes.into());
        };
        let recipients = to.iter().map(|mailbox| mailbox.email.clone()).collect();
        let Ok(envelope) = Envelope::new(Some(from.email.clone()), recipients) else {
            mistakes.missing("to", RECIPIENTS);
            return Err(mistakes.into());
        };
        mistakes.into_result(Self {
            server: ServerConfig {
                address,
                encryption,
                tls,
                login: username.zip(password),
                hello_name,
                envelope,
            },
            mail: MailConfig {
                from,
                to,
                digest: digest.unwrap_or(false),
                subject,
                body,
            },
        })
    }
}

/// A mailbox whose address every server can transport.
fn mailbox(value: &Value) -> Option<Mailbox> {
    let mailbox: Mailbox = value.as_str()?.parse().ok()?;
    let address: &str = mailbox.email.as_ref();
    address.is_ascii().then_some(mailbox)
}

fn mailboxes(value: &Value) -> Option<Vec<Mailbox>> {
    let list = match value {
        Value::Array(list) => list.iter().map(mailbox).collect::<Option<Vec<_>>>()?,
        one => vec![mailbox(one)?],
    };
    (!list.is_empty()).then_some(list)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn with(key: &str, value: Value) -> Result<Config, String> {
        let mut config = json!({ "address": "a", "from": "d@example.com", "to": "s@example.com" });
        config[key] = value;
        serde_json::from_value(config).map_err(|error: serde_json::Error| error.to_string())
    }

    #[test]
    fn the_port_follows_from_the_encryption() {
        for (tls, port) in [("starttls", 587), ("tls", 465), ("off", 25)] {
            let config = with("tls", json!(tls)).unwrap();
            assert_eq!(config.server.address.port(), port);
        }
    }

    #[test]
    fn every_mistake_is_reported_with_its_remedy() {
        let missing = serde_json::from_value::<Config>(json!({})).unwrap_err();
        assert_eq!(
            missing.to_string(),
            format!(
                "`address` is missing (write a host and a port, such as \
                 `receiver.example.com:587`); `from` is missing ({MAILBOX}); \
                 `to` is missing ({RECIPIENTS})"
            )
        );
        let check = |key: &str, value: Value, reason: &str| {
            let mistakes = with(key, value).unwrap_err();
            assert!(mistakes.contains(reason), "{mistakes}");
            assert!(!mistakes.contains("hunter2"), "{mistakes}");
        };
        check("from", json!("delfin"), MAILBOX);
        check("from", json!("dé@example.com"), MAILBOX);
        check("to", json!([]), RECIPIENTS);
        check("to", json!(["s@example.com", 7]), RECIPIENTS);
        check("tls", json!(true), TLS);
        check("digest", json!("daily"), FLAG);
        check("subject", json!("a\nb"), "not one line");
        check("body", json!("{unit}"), "`{unit}` is not a placeholder");
        check("password", json!("hunter2"), "come together");
        check("password", json!(["hunter2"]), "has a wrong value");
        check("client_key", json!("k"), "come together");
        let off = json!({
            "address": "a", "from": "d@example.com", "to": "s@example.com",
            "tls": "off", "ca_certificate": "ca.pem",
        });
        let mistakes = serde_json::from_value::<Config>(off).unwrap_err();
        assert!(mistakes.to_string().contains("remove them"), "{mistakes}");
        check("cc", json!("a@example.com"), "unknown field `cc`");
    }

    #[test]
    fn the_example_shows_the_defaults() {
        let example: Value = toml::from_str(include_str!("../example.toml")).unwrap();
        let shown = &example["exporter"]["AlertExporterEmail"]["config"];
        let mut least = json!({});
        for key in ["address", "from", "to"] {
            least[key] = shown[key].clone();
        }
        let show = |config: &Value| {
            let config: Config = serde_json::from_value(config.clone()).unwrap();
            format!("{config:?}")
        };
        assert_eq!(show(shown), show(&least));
    }
}
