//! Says in plain sentences why TLS with a broker fails, with the remedy.
//!
//! The texts of librdkafka and OpenSSL name functions and codes, which mean nothing to an
//! operator. They are logged at DEBUG.

mod certificate;
mod file;
mod platform;

pub(super) use self::file::file_error;
use super::connect::broker;
use crate::{
    config::Properties,
    outcome::{SendError, SendErrorKind},
};

/// The error behind an event of librdkafka, if it is about TLS.
pub(super) fn error(text: &str, properties: &Properties) -> Option<SendError> {
    let broker = broker(text)?;
    let (kind, reason) = kind_and_reason(text, broker, properties)?;
    Some(SendError::new(kind, format!("broker `{broker}`: {reason}")))
}

/// The error behind a line of librdkafka's log that no event follows: a broker whose listener uses
/// TLS closes a connection without TLS before it answers.
pub(super) fn silence(line: &str, properties: &Properties) -> Option<SendError> {
    let silent = line.contains("Disconnected") && line.contains("in state APIVERSION_QUERY");
    if !silent || is_encrypted(properties) {
        return None;
    }
    let text = line.split_once("]: ").map_or(line, |(_, text)| text);
    let reason = format!(
        "broker `{}`: it closes the connection without an answer (set `tls` if its listener uses \
         TLS, or use the port of another listener)",
        broker(text)?
    );
    Some(SendError::new(SendErrorKind::Unavailable, reason))
}

/// Whether a line of librdkafka's log has details of TLS. The outcome of the call has the reason.
pub(super) fn is_detail(line: &str) -> bool {
    ["SSL handshake", "SSL_HANDSHAKE", ":SSL routines:"]
        .iter()
        .any(|detail| line.contains(detail))
}

fn is_encrypted(properties: &Properties) -> bool {
    let protocol = properties.get("security.protocol");
    protocol.is_some_and(|protocol| protocol.to_ascii_lowercase().ends_with("ssl"))
}

fn kind_and_reason(
    text: &str,
    broker: &str,
    properties: &Properties,
) -> Option<(SendErrorKind, String)> {
    if !is_encrypted(properties) {
        return None;
    }
    if text.contains("Disconnected") {
        let reason = "it closes the connection during TLS (leave `tls` out if its listener does \
                      not use TLS, or use the port of another listener)";
        let during = text.contains("SSL handshake") || text.contains("SSL_HANDSHAKE");
        return during.then(|| (SendErrorKind::Unavailable, reason.to_owned()));
    }
    let operator = |reason: &str| Some((SendErrorKind::Misconfigured, reason.to_owned()));
    if text.contains("certificate verify failed") || text.contains("verify broker certificate") {
        return operator(&certificate::reason(broker, properties));
    }
    if let Some(alert) = alert(text) {
        let shown = [
            "ssl.certificate.location",
            "ssl.certificate.pem",
            "ssl.keystore.location",
        ];
        let shown = shown.iter().any(|key| properties.get(key).is_some());
        return operator(alert_reason(alert, shown));
    }
    let other = [
        "wrong version number",
        "packet length too long",
        "record layer failure",
    ];
    if other.iter().any(|other| text.contains(other)) {
        return operator(
            "it does not speak TLS (use the port of a listener with TLS, or leave `tls` out)",
        );
    }
    let old = [
        "unsupported protocol",
        "no protocols available",
        "no shared cipher",
    ];
    if old.iter().any(|old| text.contains(old)) {
        return operator(
            "it speaks no version of TLS that is secure (it must speak TLS 1.2 or 1.3)",
        );
    }
    if text.contains("SSL") && text.contains("error:") {
        return operator(
            "TLS fails (the log of the broker may say why; `librdkafka = { debug = \"security\" }` logs more here)",
        );
    }
    None
}

/// The number of the alert that a broker sent.
fn alert(text: &str) -> Option<u8> {
    let (_, number) = text.split_once("SSL alert number ")?;
    number
        .split(|c: char| !c.is_ascii_digit())
        .next()?
        .parse()
        .ok()
}

/// The reason of an alert by its number in RFC 8446, which depends on whether the exporter shows a
/// client certificate.
fn alert_reason(alert: u8, shows_certificate: bool) -> &'static str {
    match (alert, shows_certificate) {
        (116, _) | (40..=49, false) => {
            "it asks for a client certificate (set `tls.certificate` and `tls.key`)"
        }
        (41..=49 | 51, true) => "it refuses the client certificate (use one that it trusts)",
        (40 | 70 | 71, _) => {
            "it refuses the connection: it may want another version of TLS, or another client \
             certificate"
        }
        (112, _) => "it does not know the name that it is called by (connect to its own name)",
        (_, _) => "it ends the connection during TLS (its log may say why)",
    }
}

#[cfg(test)]
mod tests;
