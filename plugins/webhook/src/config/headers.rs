//! Headers of the operator's own.
//!
//! Promises: a value is not shown; what would make requests unreadable, or say
//! something else than the exporter does, is refused.

use delfin_plugin_api::setting::{Mistakes, Secret};
use serde_json::Value;

const HEADERS: &str = "write a table such as `headers = { X-Tenant = \"7\" }`";

/// What the exporter says itself, or the connection needs.
const RESERVED: [&str; 20] = [
    "accept-encoding",
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "date",
    "expect",
    "host",
    "idempotency-key",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "user-agent",
    "x-delfin-signature",
    "x-delfin-timestamp",
];

/// Reads the setting `headers`; `authorized` is whether another setting gives
/// the header `Authorization`.
pub(super) fn read_headers(
    value: Option<Value>,
    authorized: bool,
    mistakes: &mut Mistakes,
) -> Vec<(String, Secret)> {
    let table = match value {
        None => return Vec::new(),
        Some(Value::Object(table)) => table,
        Some(_) => {
            mistakes.add(format!("`headers` is no table ({HEADERS})"));
            return Vec::new();
        }
    };
    let mut headers: Vec<(String, Secret)> = Vec::new();
    for (name, value) in table {
        let read = read_header(&name, &value, authorized);
        let again = |(other, _): &(String, Secret)| other.eq_ignore_ascii_case(&name);
        match read {
            Ok(_) if headers.iter().any(again) => {
                mistakes.add(format!("`headers.{name}` is there twice (keep one)"));
            }
            Ok(value) => headers.push((name, value)),
            Err(reason) => mistakes.add(format!("`headers.{name}` {reason}")),
        }
    }
    headers
}

fn read_header(name: &str, value: &Value, authorized: bool) -> Result<Secret, &'static str> {
    let lower = name.to_ascii_lowercase();
    if name.is_empty() || !name.bytes().all(is_name) {
        return Err("cannot be a header's name (write letters, digits and `-`)");
    }
    if RESERVED.contains(&&*lower) {
        return Err("is set by the exporter (remove it)");
    }
    if lower == "authorization" && authorized {
        return Err("stands beside `username` or `bearer_token` (keep one)");
    }
    match value {
        Value::String(text) if text.bytes().all(|byte| matches!(byte, b' '..=b'~')) => {
            Ok(Secret::new(text.trim()))
        }
        Value::String(_) => Err("has a character that no header has (write printable ASCII)"),
        _ => Err("is no text (write a text in quotes)"),
    }
}

fn is_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}
