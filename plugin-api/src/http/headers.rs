//! Additional headers that the operator sets.
//!
//! Promises: a value is never shown; a header that would make a request invalid
//! or contradict one of the exporter's own is refused.

use serde_json::Value;

use crate::setting::{Mistakes, Secret};

const HEADERS: &str = "write a table such as `headers = { X-Tenant = \"7\" }`";

/// Headers that the client or the HTTP connection sets.
const RESERVED: [&str; 17] = [
    "accept-encoding",
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "date",
    "expect",
    "host",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "user-agent",
];

/// Reads the setting `headers`; `authorized` says whether another setting sets
/// the header `Authorization`, and `own` are the headers that the exporter sets.
pub(super) fn read_headers(
    value: Option<Value>,
    own: &[&str],
    authorized: bool,
    mistakes: &mut Mistakes,
) -> Vec<(String, Secret)> {
    let table = match value {
        None => return Vec::new(),
        Some(Value::Object(table)) => table,
        Some(_) => {
            mistakes.add(format!("`headers` is not a table ({HEADERS})"));
            return Vec::new();
        }
    };
    let mut headers: Vec<(String, Secret)> = Vec::new();
    for (name, value) in table {
        let read = read_header(&name, &value, own, authorized);
        let same_name = |(other, _): &(String, Secret)| other.eq_ignore_ascii_case(&name);
        match read {
            Ok(_) if headers.iter().any(same_name) => {
                mistakes.add(format!("`headers.{name}` is set twice (keep one)"));
            }
            Ok(value) => headers.push((name, value)),
            Err(reason) => mistakes.add(format!("`headers.{name}` {reason}")),
        }
    }
    headers
}

fn read_header(
    name: &str,
    value: &Value,
    own: &[&str],
    authorized: bool,
) -> Result<Secret, &'static str> {
    let lower = name.to_ascii_lowercase();
    if name.is_empty() || !name.bytes().all(is_name) {
        return Err("is not a valid header name (write A-Z, a-z, 0-9 and `-`)");
    }
    if RESERVED.iter().chain(own).any(|name| *name == lower) {
        return Err("is set by the exporter (remove it)");
    }
    if lower == "authorization" && authorized {
        return Err("cannot be combined with `username` or `bearer_token` (keep one)");
    }
    match value {
        Value::String(text) if text.bytes().all(|byte| matches!(byte, b' '..=b'~')) => {
            Ok(Secret::new(text.trim()))
        }
        Value::String(_) => {
            Err("has a character that is not allowed in a header (write printable ASCII)")
        }
        _ => Err("is not text (write text in quotes)"),
    }
}

fn is_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}
