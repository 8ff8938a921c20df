//! The settings, from `[exporter.NAME.config]`.
//!
//! Promises: all mistakes are reported at once, each with its key and a remedy; a bad
//! value never falls back to a default.

use delfin_plugin_api::{
    quantity::parse_size,
    setting::{ConfigError, Mistakes},
    stream::Address,
    tls::Tls,
};
use serde::Deserialize;
use serde_json::Value;

const TRANSPORT: &str = "write `tls`, `tcp` or `udp`";
const FRAMING: &str = "write `octet-counting` or `newline`";
const FLAG: &str = "write true or false";
const FACILITY: &str = "write a facility such as `daemon` or `local0`";
const SIZE: &str = "write a size from `2KiB` to 65507 bytes";
const NUMBER: &str = "write a private enterprise number of IANA";

/// Every receiver should take this many bytes (RFC 5424). A message that is shortened as far as
/// possible is never longer.
const MIN_MESSAGE_BYTES: usize = 2048;
/// The largest UDP datagram over IPv4.
const MAX_MESSAGE_BYTES: usize = 65_507;
const DEFAULT_MESSAGE_BYTES: usize = 8192;

/// The number that RFC 5612 reserves for documentation: the project has none of its own.
const DOCUMENTATION_NUMBER: u32 = 32_473;

const DEFAULT_FACILITY: u8 = 16;
const FACILITIES: [(&str, u8); 20] = [
    ("kern", 0),
    ("user", 1),
    ("mail", 2),
    ("daemon", 3),
    ("auth", 4),
    ("syslog", 5),
    ("lpr", 6),
    ("news", 7),
    ("uucp", 8),
    ("cron", 9),
    ("authpriv", 10),
    ("ftp", 11),
    ("local0", 16),
    ("local1", 17),
    ("local2", 18),
    ("local3", 19),
    ("local4", 20),
    ("local5", 21),
    ("local6", 22),
    ("local7", 23),
];

/// Checked settings.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "RawSettings")]
pub(crate) struct Config {
    pub(crate) address: Address,
    pub(crate) transport: Transport,
    /// The number of the facility.
    pub(crate) facility: u8,
    pub(crate) max_message_bytes: usize,
    pub(crate) enterprise_number: u32,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Transport {
    Udp,
    Stream {
        /// `None`: TCP without TLS.
        tls: Option<Tls>,
        framing: Framing,
        /// Whether each batch has its own connection, whose close confirms it.
        confirm_by_close: bool,
    },
}

/// How messages are told apart on a connection (RFC 6587).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Framing {
    OctetCounting,
    Newline,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawSettings {
    address: Option<Value>,
    transport: Option<Value>,
    facility: Option<Value>,
    confirm_by_close: Option<Value>,
    framing: Option<Value>,
    max_message_bytes: Option<Value>,
    enterprise_number: Option<Value>,
    ca_certificate: Option<Value>,
    client_certificate: Option<Value>,
    client_key: Option<Value>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum TransportName {
    Tls,
    Tcp,
    Udp,
}

impl TryFrom<RawSettings> for Config {
    type Error = ConfigError;

    fn try_from(mut written: RawSettings) -> Result<Self, ConfigError> {
        let mut mistakes = Mistakes::default();
        let read_transport = |value: &Value| match value.as_str()? {
            "tls" => Some(TransportName::Tls),
            "tcp" => Some(TransportName::Tcp),
            "udp" => Some(TransportName::Udp),
            _ => None,
        };
        let name = written.transport.take();
        let name = mistakes.read("transport", name, read_transport, TRANSPORT);
        let name = name.unwrap_or(TransportName::Tls);
        let port = match name {
            TransportName::Tls => 6514,
            TransportName::Tcp => 601,
            TransportName::Udp => 514,
        };
        let address = Address::read("address", written.address.take(), port, &mut mistakes);
        let facility = written.facility.take();
        let facility = mistakes.read("facility", facility, read_facility, FACILITY);
        let bytes = written.max_message_bytes.take();
        let bytes = mistakes.read("max_message_bytes", bytes, read_size, SIZE);
        let number = written.enterprise_number.take();
        let number = mistakes.read("enterprise_number", number, read_number, NUMBER);
        let transport = transport(name, written, &mut mistakes);
        let Some(address) = address else {
            return Err(mistakes.into());
        };
        mistakes.into_result(Self {
            address,
            transport,
            facility: facility.unwrap_or(DEFAULT_FACILITY),
            max_message_bytes: bytes.unwrap_or(DEFAULT_MESSAGE_BYTES),
            enterprise_number: number.unwrap_or(DOCUMENTATION_NUMBER),
        })
    }
}

/// Reads the settings that depend on the transport, and refuses those that it ignores.
fn transport(name: TransportName, written: RawSettings, mistakes: &mut Mistakes) -> Transport {
    let RawSettings {
        confirm_by_close,
        framing,
        ca_certificate,
        client_certificate,
        client_key,
        ..
    } = written;
    let mut only_with = |names: &[TransportName], key: &str, value: &Option<Value>, needs: &str| {
        if value.is_some() && !names.contains(&name) {
            mistakes.add(format!(
                "`{key}` has no effect with this `transport` ({needs})"
            ));
        }
    };
    let tls = [TransportName::Tls];
    for (key, value) in [
        ("ca_certificate", &ca_certificate),
        ("client_certificate", &client_certificate),
        ("client_key", &client_key),
    ] {
        only_with(&tls, key, value, "remove it, or set `transport = \"tls\"`");
    }
    let connected = [TransportName::Tls, TransportName::Tcp];
    let needs = "remove it: UDP has no connection";
    only_with(&connected, "confirm_by_close", &confirm_by_close, needs);
    only_with(&connected, "framing", &framing, needs);
    let confirm_by_close =
        mistakes.read("confirm_by_close", confirm_by_close, Value::as_bool, FLAG);
    let framing = mistakes.read("framing", framing, read_framing, FRAMING);
    let framing = framing.unwrap_or(Framing::OctetCounting);
    if framing == Framing::Newline && name == TransportName::Tls {
        mistakes.add("`framing = \"newline\"` cannot be combined with TLS, which requires `octet-counting` (remove it)".to_owned());
    }
    let tls = Tls::read(ca_certificate, client_certificate, client_key, mistakes);
    match name {
        TransportName::Udp => Transport::Udp,
        TransportName::Tls | TransportName::Tcp => Transport::Stream {
            tls: (name == TransportName::Tls).then_some(tls),
            framing,
            confirm_by_close: confirm_by_close.unwrap_or(true),
        },
    }
}

fn read_framing(value: &Value) -> Option<Framing> {
    match value.as_str()? {
        "octet-counting" => Some(Framing::OctetCounting),
        "newline" => Some(Framing::Newline),
        _ => None,
    }
}

fn read_facility(value: &Value) -> Option<u8> {
    let name = value.as_str()?;
    let found = FACILITIES.iter().find(|(facility, _)| *facility == name);
    found.map(|&(_, number)| number)
}

fn read_size(value: &Value) -> Option<usize> {
    let bytes = value.as_u64().or_else(|| parse_size(value.as_str()?))?;
    let bytes = usize::try_from(bytes).ok()?;
    (MIN_MESSAGE_BYTES..=MAX_MESSAGE_BYTES)
        .contains(&bytes)
        .then_some(bytes)
}

fn read_number(value: &Value) -> Option<u32> {
    let number = u32::try_from(value.as_u64()?).ok()?;
    (number > 0).then_some(number)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(config: Value) -> Result<Config, String> {
        serde_json::from_value(config).map_err(|error: serde_json::Error| error.to_string())
    }

    #[test]
    fn the_port_and_the_framing_depend_on_the_transport() {
        let check = |transport: &str, address: &str| {
            let config = read(json!({ "address": "log", "transport": transport })).unwrap();
            assert_eq!(config.address.to_string(), address);
        };
        check("tls", "log:6514");
        check("tcp", "log:601");
        check("udp", "log:514");
        let newline = json!({ "address": "log", "transport": "tcp", "framing": "newline" });
        let Transport::Stream {
            tls,
            framing,
            confirm_by_close,
        } = read(newline).unwrap().transport
        else {
            panic!("TCP is a stream")
        };
        assert_eq!(
            (tls, framing, confirm_by_close),
            (None, Framing::Newline, true)
        );
    }

    #[test]
    fn every_mistake_is_reported_with_its_remedy() {
        assert_eq!(
            read(json!({ "transport": "tcp", "ca_certificate": "ca.pem", "facility": "local8" }))
                .unwrap_err(),
            "`address` is missing (write a host and a port, such as `receiver.example.com:601`); \
             `facility` cannot be `\"local8\"` (write a facility such as `daemon` or `local0`); \
             `ca_certificate` has no effect with this `transport` (remove it, or set `transport = \"tls\"`)"
        );
        let check = |settings: Value, reason: &str| {
            let mut config = json!({ "address": "log" });
            config
                .as_object_mut()
                .unwrap()
                .extend(settings.as_object().unwrap().clone());
            let mistakes = read(config).unwrap_err();
            assert!(mistakes.contains(reason), "{mistakes}");
        };
        check(json!({ "address": "a b" }), "`address` cannot be");
        check(json!({ "transport": "relp" }), TRANSPORT);
        check(
            json!({ "framing": "newline" }),
            "cannot be combined with TLS",
        );
        check(
            json!({ "transport": "udp", "confirm_by_close": true }),
            "UDP has no connection",
        );
        check(json!({ "confirm_by_close": "yes" }), FLAG);
        check(json!({ "client_key": "k" }), "come together");
        for bytes in [json!(2047), json!("64KiB"), json!("much")] {
            check(json!({ "max_message_bytes": bytes }), SIZE);
        }
        for number in [json!(0), json!(-1), json!(4_294_967_296_u64)] {
            check(json!({ "enterprise_number": number }), NUMBER);
        }
        check(json!({ "relp": true }), "unknown field `relp`");
    }

    #[test]
    fn the_example_shows_the_defaults() {
        let example: Value = toml::from_str(include_str!("../example.toml")).unwrap();
        let shown = &example["exporter"]["AlertExporterSyslog"]["config"];
        assert_eq!(
            read(shown.clone()),
            read(json!({ "address": shown["address"] }))
        );
    }
}
