//! The settings, from `[exporter.NAME.config]`.
//!
//! Promises: all mistakes are reported at once, each with its key and a remedy; a bad
//! value never falls back to a default; no mistake shows a secret.

use std::{marker::PhantomData, path::PathBuf};

use delfin_plugin_api::{
    message::{MessageConfig, MessageRules, MessageSettings, WrittenMessages},
    setting::{ConfigError, Mistakes, Secret},
    stream::Address,
    template::TemplateRules,
    tls::Tls,
};
use nkeys::KeyPair;
use serde::Deserialize;
use serde_json::Value;

use crate::{client::NatsClient, encode::NatsBatch};

const SERVERS: &str = "write `nats.example.com:4222`, or a list";
const NKEY: &str = "write the seed of a user, which begins with `SU`";
const DEFAULT_PORT: u16 = 4222;
/// Half of what a server accepts by default.
const DEFAULT_BYTES: usize = 500_000;

/// What NATS allows in a subject. Dots separate its tokens, so a value has none.
const SUBJECT: TemplateRules = TemplateRules {
    character: |c| {
        let special = c.is_whitespace() || c.is_control() || matches!(c, '.' | '*' | '>');
        (!special).then_some(c)
    },
    empty: "_",
    // The first line of a message has at most 4,096 bytes by default.
    max_value_bytes: 255,
    check: |subject| {
        let is_token = |token: &str| {
            let special = |c: char| c.is_whitespace() || c.is_control() || matches!(c, '*' | '>');
            !token.is_empty() && !token.contains(special)
        };
        if !subject.split('.').all(is_token) {
            return Err(
                "a subject has words with dots between them, and no space, `*` or `>` (write \
                 `delfin.{storage_id}`)",
            );
        }
        if subject.starts_with('$') || subject.len() > 1024 {
            return Err("it begins with `$`, or is longer than 1024 bytes");
        }
        Ok(())
    },
};

/// Checked settings of an exporter of batches `B`.
#[derive(Debug, Deserialize)]
#[serde(try_from = "RawSettings", bound = "B: NatsBatch")]
pub(crate) struct Config<B> {
    pub(crate) connection: NatsConfig,
    pub(crate) messages: MessageSettings,
    batches: PhantomData<fn(B)>,
}

#[derive(Debug)]
pub(crate) struct NatsConfig {
    pub(crate) servers: Vec<Address>,
    pub(crate) login: NatsLogin,
    /// `None`: connections without TLS.
    pub(crate) tls: Option<Tls>,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum NatsLogin {
    None,
    Password { username: String, password: Secret },
    Token(Secret),
    Nkey(Secret),
    Credentials(PathBuf),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawSettings {
    servers: Option<Value>,
    subject: Option<Value>,
    message_format: Option<Value>,
    message_rows: Option<Value>,
    message_bytes: Option<Value>,
    username: Option<Value>,
    password: Option<Value>,
    token: Option<Value>,
    nkey: Option<Value>,
    credentials: Option<Value>,
    tls: Option<Value>,
    ca_certificate: Option<Value>,
    client_certificate: Option<Value>,
    client_key: Option<Value>,
}

impl NatsLogin {
    /// Whether the server gets a secret. Of a key, it gets a signature.
    pub(crate) fn is_sent(&self) -> bool {
        match self {
            Self::Password { .. } | Self::Token(_) => true,
            Self::None | Self::Nkey(_) | Self::Credentials(_) => false,
        }
    }

    /// What to check if a server refuses the login.
    pub(crate) fn remedy(&self) -> &'static str {
        match self {
            Self::None => "set `username`, `token`, `nkey` or `credentials`",
            Self::Password { .. } => "check `username` and `password`",
            Self::Token(_) => "check `token`",
            Self::Nkey(_) => "check `nkey`, and the users of the server",
            Self::Credentials(_) => "check `credentials`, and the accounts of the server",
        }
    }
}

impl<B: NatsBatch> MessageConfig for Config<B> {
    type Batch = B;
    type Client = NatsClient;

    fn into_parts(self) -> (NatsConfig, MessageSettings) {
        (self.connection, self.messages)
    }
}

impl<B: NatsBatch> TryFrom<RawSettings> for Config<B> {
    type Error = ConfigError;

    fn try_from(mut written: RawSettings) -> Result<Self, ConfigError> {
        let mut mistakes = Mistakes::default();
        let servers = servers(written.servers.take(), &mut mistakes);
        let messages = WrittenMessages {
            name: written.subject.take(),
            format: written.message_format.take(),
            rows: written.message_rows.take(),
            bytes: written.message_bytes.take(),
        };
        let rules = rules(B::SUBJECT);
        let messages = MessageSettings::read::<B>(messages, &rules, &mut mistakes);
        let login = login(&mut written, &mut mistakes);
        let certificates = [
            written.ca_certificate,
            written.client_certificate,
            written.client_key,
        ];
        let tls = Tls::read_optional(written.tls, certificates, &mut mistakes);
        mistakes.into_result(Self {
            connection: NatsConfig {
                servers,
                login,
                tls,
            },
            messages,
            batches: PhantomData,
        })
    }
}

const fn rules(default: &'static str) -> MessageRules {
    MessageRules {
        key: "subject",
        default,
        bytes: DEFAULT_BYTES,
        template: SUBJECT,
    }
}

fn servers(value: Option<Value>, mistakes: &mut Mistakes) -> Vec<Address> {
    let list = match value {
        Some(Value::Array(list)) if !list.is_empty() => list,
        Some(Value::String(text)) => vec![Value::String(text)],
        None => {
            mistakes.missing("servers", SERVERS);
            return Vec::new();
        }
        Some(other) => {
            mistakes.add(format!("`servers` cannot be `{other}` ({SERVERS})"));
            return Vec::new();
        }
    };
    let read = |value| Address::read("servers", Some(value), DEFAULT_PORT, mistakes);
    list.into_iter().filter_map(read).collect()
}

fn login(written: &mut RawSettings, mistakes: &mut Mistakes) -> NatsLogin {
    let username = mistakes.text("username", written.username.take());
    let password = mistakes.secret("password", written.password.take());
    if username.is_some() != password.is_some() {
        mistakes.add("`username` and `password` come together (set both)".to_owned());
    }
    let token = mistakes.secret("token", written.token.take());
    let nkey = mistakes.read_secret("nkey", written.nkey.take(), user_seed, NKEY);
    let credentials = mistakes.text("credentials", written.credentials.take());
    let pair = username
        .zip(password)
        .map(|(username, password)| NatsLogin::Password { username, password });
    let mut given = [
        pair,
        token.map(NatsLogin::Token),
        nkey.map(NatsLogin::Nkey),
        credentials.map(|path| NatsLogin::Credentials(path.into())),
    ]
    .into_iter()
    .flatten();
    let login = given.next().unwrap_or(NatsLogin::None);
    if given.next().is_some() {
        mistakes.add(
            "`username`, `token`, `nkey` and `credentials` are alternatives (keep one)".to_owned(),
        );
    }
    login
}

fn user_seed(value: &Value) -> Option<Secret> {
    let seed = value.as_str()?.trim();
    let is_valid = seed.starts_with("SU") && KeyPair::from_seed(seed).is_ok();
    is_valid.then(|| Secret::new(seed))
}

#[cfg(test)]
mod tests {
    use delfin_plugin_api::{AlertBatch, PerformanceBatch};
    use serde_json::json;

    use super::*;

    fn read(config: Value) -> Result<Config<AlertBatch>, String> {
        serde_json::from_value(config).map_err(|error: serde_json::Error| error.to_string())
    }

    #[test]
    fn servers_are_a_text_or_a_list() {
        let servers = |value: Value| {
            let config = read(json!({ "servers": value })).unwrap();
            let servers = config.connection.servers.iter().map(ToString::to_string);
            servers.collect::<Vec<_>>()
        };
        assert_eq!(servers(json!("a")), ["a:4222"]);
        assert_eq!(servers(json!(["a:1", "b"])), ["a:1", "b:4222"]);
    }

    #[test]
    fn every_mistake_is_reported_with_its_remedy() {
        let check = |settings: Value, reason: &str| {
            let mut config = json!({ "servers": "a" });
            config
                .as_object_mut()
                .unwrap()
                .extend(settings.as_object().unwrap().clone());
            let mistakes = read(config).unwrap_err();
            assert!(mistakes.contains(reason), "{mistakes}");
            assert!(!mistakes.contains("hunter2"), "{mistakes}");
        };
        assert!(read(json!({})).unwrap_err().contains(SERVERS));
        for bad in [json!([]), json!(7), json!("a b"), json!(["a", 1])] {
            check(json!({ "servers": bad }), "`servers` cannot be");
        }
        for bad in [
            "a b",
            "a..b",
            ".a",
            "a.>",
            "*",
            "a.{storage_id}.*",
            "$SYS.a",
        ] {
            check(json!({ "subject": bad }), "`subject` cannot be");
        }
        check(
            json!({ "subject": "{unit}" }),
            "`{unit}` is not a placeholder",
        );
        check(json!({ "username": "u" }), "come together");
        check(
            json!({ "token": "hunter2", "credentials": "file" }),
            "are alternatives",
        );
        // The last one is the seed of an account.
        for bad in [
            "hunter2",
            "SUACSSL3UAHUDXKFSNVUZRF5UHPMWZ6BFDTJ7M6USDXIEDNPPQYYYCU3VX",
            "SAACSSL3UAHUDXKFSNVUZRF5UHPMWZ6BFDTJ7M6USDXIEDNPPQYYYCTIMI",
        ] {
            let reason = "`nkey` has a wrong value (write the seed of a user";
            check(json!({ "nkey": bad }), reason);
        }
        check(json!({ "password": ["hunter2"] }), "has a wrong value");
        check(
            json!({ "message_format": "delfin" }),
            "write `json` or `arrow`",
        );
        check(json!({ "message_bytes": 10 }), "at least 1024");
        check(
            json!({ "tls": false, "client_key": "k" }),
            "with `tls = false`",
        );
        check(json!({ "stream": "s" }), "unknown field `stream`");
    }

    #[test]
    fn the_example_shows_the_defaults() {
        let example: Value = toml::from_str(include_str!("../example.toml")).unwrap();
        let shown = &example["exporter"]["PerformanceExporterNats"]["config"];
        let show = |config: &Value| {
            let config: Config<PerformanceBatch> = serde_json::from_value(config.clone()).unwrap();
            format!("{config:?}")
        };
        assert_eq!(show(shown), show(&json!({ "servers": shown["servers"] })));
    }
}
