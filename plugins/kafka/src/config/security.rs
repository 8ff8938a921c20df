//! The settings `tls` and `sasl`, as properties of librdkafka.

use serde_json::{Map, Value};

use super::{Mistakes, Properties, property};

const FILE: &str = "write the path of a PEM file";
const SECRET: &str = "write text";
const FLAG: &str = "write true or false";
const TLS: &str = "write true, or a table of `ca`, `certificate`, `key`, `key_password` and \
                   `verify_hostname`";
const SASL: &str = "write a table of `mechanism`, `username` and `password`";
const MECHANISM: &str = "write `PLAIN`, `SCRAM-SHA-256` or `SCRAM-SHA-512`";

/// Reads both settings and sets `security.protocol`.
pub(super) fn read(
    tls: Option<&Value>,
    sasl: Option<&Value>,
    properties: &mut Properties,
    mistakes: &mut Mistakes,
) {
    let encrypted = tls.is_some_and(|tls| read_tls(tls, properties, mistakes));
    if let Some(sasl) = sasl {
        read_sasl(sasl, properties, mistakes);
    }
    let protocol = match (encrypted, sasl.is_some()) {
        (false, false) => return,
        (true, false) => "ssl",
        (false, true) => "sasl_plaintext",
        (true, true) => "sasl_ssl",
    };
    properties.set("security.protocol", protocol.to_owned());
}

/// Reads `tls` and returns whether TLS is on.
fn read_tls(tls: &Value, properties: &mut Properties, mistakes: &mut Mistakes) -> bool {
    let table = match tls {
        Value::Bool(on) => return *on,
        Value::Object(table) => table,
        Value::Null | Value::Number(_) | Value::String(_) | Value::Array(_) => {
            mistakes.add(format!("`tls` cannot be `{tls}` ({TLS})"));
            return false;
        }
    };
    let files = [
        ("ca", "ssl.ca.location"),
        ("certificate", "ssl.certificate.location"),
        ("key", "ssl.key.location"),
    ];
    for (key, name) in files {
        let path = mistakes.read(&format!("tls.{key}"), table.get(key), text, FILE);
        if let Some(path) = path {
            properties.set(name, path);
        }
    }
    let password = table.get("key_password");
    if let Some(password) = mistakes.read_secret("tls.key_password", password, text, SECRET) {
        properties.set("ssl.key.password", password);
    }
    let verify = table.get("verify_hostname");
    let verify = mistakes.read("tls.verify_hostname", verify, Value::as_bool, FLAG);
    if verify == Some(false) {
        properties.set("ssl.endpoint.identification.algorithm", "none".to_owned());
    }
    let known = [
        "ca",
        "certificate",
        "key",
        "key_password",
        "verify_hostname",
    ];
    refuse_unknown("tls", table, &known, mistakes);
    true
}

fn read_sasl(sasl: &Value, properties: &mut Properties, mistakes: &mut Mistakes) {
    let Some(table) = sasl.as_object() else {
        mistakes.add(format!("`sasl` cannot be that ({SASL})"));
        return;
    };
    let mechanism = |value: &Value| {
        let known = ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"];
        let text = value.as_str().filter(|text| known.contains(text));
        text.map(str::to_owned)
    };
    let (key, name) = ("sasl.mechanism", "sasl.mechanism");
    match mistakes.read(key, table.get("mechanism"), mechanism, MECHANISM) {
        Some(mechanism) => properties.set(name, mechanism),
        None if table.contains_key("mechanism") => {}
        None => mistakes.add(format!("`{key}` is missing ({MECHANISM})")),
    }
    for key in ["username", "password"] {
        let name = format!("sasl.{key}");
        match mistakes.read_secret(&name, table.get(key), text, SECRET) {
            Some(value) => properties.set(&name, value),
            None if table.contains_key(key) => {}
            None => mistakes.add(format!("`{name}` is missing ({SECRET})")),
        }
    }
    let known = ["mechanism", "username", "password"];
    refuse_unknown("sasl", table, &known, mistakes);
}

fn text(value: &Value) -> Option<String> {
    let text = value.as_str().filter(|text| !text.is_empty())?;
    property(&Value::from(text))
}

fn refuse_unknown(name: &str, table: &Map<String, Value>, known: &[&str], mistakes: &mut Mistakes) {
    for key in table.keys().filter(|key| !known.contains(&key.as_str())) {
        let known = known.join("`, `");
        mistakes.add(format!(
            "unknown field `{name}.{key}`, expected one of `{known}`"
        ));
    }
}
