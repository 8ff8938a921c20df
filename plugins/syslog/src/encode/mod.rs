//! An alert as a message of RFC 5424, with the structured data of RFC 5674.
//!
//! Promises: a message is valid, has no control character and is never longer than the
//! limit; a name that is too long or has a character that is not allowed is changed, never
//! left out.
//!
//! Knows nothing of connections.

mod severity;
mod text;

use std::{
    fmt::Write,
    time::{Duration, SystemTime},
};

use delfin_plugin_api::Alert;

use self::{
    severity::{event_type, severity},
    text::{push_header, push_name, push_text, push_value},
};

const APP_NAME: &str = "delfin-host";
/// The version of the protocol, and the fields that are unknown.
const VERSION: u8 = 1;
const NIL: &str = "-";

/// The lengths of the header's fields (RFC 5424).
const MAX_HOSTNAME: usize = 255;
const MAX_MSGID: usize = 32;

/// The characters of each text, in the attempts to make a message short enough. With the
/// last of them, and without extras, a message has fewer than 2048 bytes.
const TEXT_LIMITS: [usize; 5] = [usize::MAX, 1024, 256, 64, 16];

/// The column that is in the text of the message only.
const DESCRIPTION: &str = "description";

/// Writes alerts as messages.
pub struct MessageEncoder {
    facility: u8,
    max_bytes: usize,
    /// The names of the elements with the columns and with the extras.
    columns_id: String,
    extras_id: String,
}

/// A message without its framing.
pub struct SyslogMessage {
    /// The message.
    pub bytes: Vec<u8>,
    /// Whether a text ends early, or the extras are missing.
    pub is_shortened: bool,
}

impl MessageEncoder {
    /// An encoder for messages of at most `max_bytes` bytes. The names of elements have the
    /// enterprise number.
    #[must_use]
    pub fn new(facility: u8, enterprise_number: u32, max_bytes: usize) -> Self {
        Self {
            facility,
            max_bytes,
            columns_id: format!("delfin@{enterprise_number}"),
            extras_id: format!("extra@{enterprise_number}"),
        }
    }

    /// The message of an alert.
    #[must_use]
    pub fn encode(&self, alert: &Alert<'_>) -> SyslogMessage {
        let with_extras = TEXT_LIMITS.map(|limit| (limit, true));
        let shortest = (TEXT_LIMITS[TEXT_LIMITS.len() - 1], false);
        let attempts = with_extras.into_iter().chain([shortest]);
        let mut message = String::new();
        let mut is_shortened = false;
        for (attempt, (limit, extras)) in attempts.enumerate() {
            message.clear();
            self.write(alert, limit, extras, &mut message);
            is_shortened = attempt > 0;
            if message.len() <= self.max_bytes {
                break;
            }
        }
        SyslogMessage {
            bytes: message.into_bytes(),
            is_shortened,
        }
    }

    /// Appends a message whose texts have at most `limit` characters.
    fn write(&self, alert: &Alert<'_>, limit: usize, extras: bool, out: &mut String) {
        let severity = severity(alert);
        let priority = self.facility * 8 + severity.code;
        // Writing to a `String` cannot fail.
        let _ = write!(out, "<{priority}>{VERSION} ");
        push_time(out, alert.occur_time());
        let host = non_empty(alert.storage_name()).or(non_empty(alert.storage_id()));
        push_header(out, host, MAX_HOSTNAME);
        let _ = write!(out, " {APP_NAME} {NIL}");
        push_header(out, non_empty(alert.alert_id()), MAX_MSGID);

        let resource = [alert.location(), alert.resource_type(), host].map(non_empty);
        let resource = resource.into_iter().flatten().next().unwrap_or("unknown");
        out.push_str(" [alarm");
        push_param(out, "resource", resource, limit);
        // RFC 5674 requires a cause of its list, which storages do not report.
        push_param(out, "probableCause", "other", limit);
        push_param(out, "perceivedSeverity", severity.perceived, limit);
        if let Some(kind) = non_empty(alert.alert_type()).and_then(event_type) {
            push_param(out, "eventType", kind, limit);
        }
        out.push(']');

        let columns = alert.texts();
        let columns = columns.filter(|(name, text)| *name != DESCRIPTION && !text.is_empty());
        push_element(out, &self.columns_id, columns, limit);
        if extras {
            let extras = alert.extra().iter();
            let extras = extras.filter(|(_, text)| !text.is_empty());
            push_element(out, &self.extras_id, extras, limit);
        }
        push_message(out, alert, limit);
    }
}

/// An element of structured data, unless it would be empty.
fn push_element<'k, 'v>(
    out: &mut String,
    id: &str,
    params: impl Iterator<Item = (&'k str, &'v str)>,
    limit: usize,
) {
    let mut params = params.peekable();
    if params.peek().is_none() {
        return;
    }
    out.push('[');
    out.push_str(id);
    for (name, value) in params {
        push_param(out, name, value, limit);
    }
    out.push(']');
}

fn push_param(out: &mut String, name: &str, value: &str, limit: usize) {
    out.push(' ');
    push_name(out, name);
    out.push_str("=\"");
    push_value(out, value, limit);
    out.push('"');
}

/// The text of the message: the name and the description.
fn push_message(out: &mut String, alert: &Alert<'_>, limit: usize) {
    let name = non_empty(alert.alert_name()).or(non_empty(alert.alert_id()));
    let texts = [name, non_empty(alert.description())];
    let mut texts = texts.into_iter().flatten().peekable();
    if texts.peek().is_none() {
        return;
    }
    out.push(' ');
    let start = out.len();
    for (index, text) in texts.enumerate() {
        if index > 0 {
            out.push_str(": ");
        }
        push_text(out, text, limit);
    }
    // The mark says that the text is UTF-8. Many receivers show it, so a text that needs
    // none has none.
    if !out[start..].is_ascii() {
        out.insert(start, '\u{feff}');
    }
}

/// Appends the time in UTC; the nil value if it is unset or cannot be expressed.
fn push_time(out: &mut String, millis: i64) {
    const YEAR_9999_MS: i64 = 253_370_764_800_000;
    if !(1..YEAR_9999_MS).contains(&millis) {
        return out.push_str(NIL);
    }
    let time = SystemTime::UNIX_EPOCH + Duration::from_millis(millis.unsigned_abs());
    let _ = write!(out, "{}", humantime::format_rfc3339_millis(time));
}

/// A text unless it is empty.
fn non_empty(text: Option<&str>) -> Option<&str> {
    text.filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests;
