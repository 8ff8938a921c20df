//! A syslog message: RFC 5424, RFC 3164, or what devices send in their place.

use syslog_loose::{ProcId, Variant, decompose_pri, parse_message_with_year};

use crate::{config::SyslogSeverity, panics};

/// The most parameters of structured data that are kept.
const MAX_PARAMETERS: usize = 256;
/// The priority of a message without one, as RFC 3164 has it: `user.notice`.
const DEFAULT_FACILITY: &str = "user";

/// A message. Texts that it does not have are empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParsedMessage {
    pub severity: SyslogSeverity,
    pub facility: &'static str,
    /// Of RFC 5424 only: the time of RFC 3164 has neither year nor zone.
    pub time_ms: Option<i64>,
    pub hostname: String,
    pub app_name: String,
    pub proc_id: String,
    pub msg_id: String,
    /// Structured data, as `ID.NAME` and the value.
    pub parameters: Vec<(String, String)>,
    pub text: String,
}

impl ParsedMessage {
    /// Never fails: a text that is in no known form is a message without fields.
    #[must_use]
    pub fn parse(bytes: &[u8]) -> Self {
        let text = String::from_utf8_lossy(bytes);
        let text = text.trim_matches(|c: char| c.is_whitespace() || c == '\0');
        // A text that the library cannot read has no fields.
        panics::catch(|| Self::read(text)).unwrap_or_else(|| Self::plain(text))
    }

    fn read(text: &str) -> Self {
        let mut parsed = parse_message_with_year(text, |_| 1970, Variant::Either);
        if parsed.severity.is_none()
            && let Some((priority, rest)) = split_priority(text)
        {
            // The library leaves a priority without a header in the text.
            (parsed.facility, parsed.severity) = decompose_pri(priority);
            parsed.msg = rest;
        }
        let is_5424 = matches!(parsed.protocol, syslog_loose::Protocol::RFC5424(_));
        let owned = |text: Option<&str>| text.unwrap_or_default().to_owned();
        let elements = parsed.structured_data.iter();
        let parameters = elements.flat_map(|element| {
            let parameters = element.params();
            parameters.map(|(name, value)| (format!("{}.{name}", element.id), value))
        });
        Self {
            severity: parsed
                .severity
                .and_then(|severity| SyslogSeverity::from_code(severity as u8))
                .unwrap_or(SyslogSeverity::Notice),
            facility: parsed
                .facility
                .map_or(DEFAULT_FACILITY, |facility| facility.as_str()),
            time_ms: parsed
                .timestamp
                .filter(|_| is_5424)
                .map(|time| time.timestamp_millis()),
            hostname: owned(parsed.hostname),
            app_name: owned(parsed.appname),
            proc_id: match parsed.procid {
                Some(ProcId::PID(number)) => number.to_string(),
                Some(ProcId::Name(name)) => name.to_owned(),
                None => String::new(),
            },
            msg_id: owned(parsed.msgid),
            parameters: parameters.take(MAX_PARAMETERS).collect(),
            text: parsed.msg.trim_start_matches('\u{feff}').trim().to_owned(),
        }
    }

    fn plain(text: &str) -> Self {
        Self {
            severity: SyslogSeverity::Notice,
            facility: DEFAULT_FACILITY,
            time_ms: None,
            hostname: String::new(),
            app_name: String::new(),
            proc_id: String::new(),
            msg_id: String::new(),
            parameters: Vec::new(),
            text: text.to_owned(),
        }
    }

    /// Names and texts of what the message has, but for its text.
    pub fn fields(&self) -> impl Iterator<Item = (&str, &str)> {
        let fixed = [
            ("severity", self.severity.as_str()),
            ("facility", self.facility),
            ("hostname", &self.hostname),
            ("app_name", &self.app_name),
            ("proc_id", &self.proc_id),
            ("msg_id", &self.msg_id),
        ];
        let parameters = self.parameters.iter();
        let parameters = parameters.map(|(name, value)| (&**name, &**value));
        let all = fixed.into_iter().chain(parameters);
        all.filter(|(_, text)| !text.is_empty())
    }
}

/// The number in angle brackets at the begin of a text.
fn split_priority(text: &str) -> Option<(u8, &str)> {
    let (number, rest) = text.strip_prefix('<')?.split_once('>')?;
    Some((number.parse().ok()?, rest))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn fields(message: &ParsedMessage) -> Vec<(&str, &str)> {
        message.fields().collect()
    }

    #[test]
    fn rfc_5424_has_all_fields_and_structured_data() {
        let message = ParsedMessage::parse(
            b"<163>1 2023-11-14T22:13:20.5Z array-7 mgmtd 4711 DISK [acme@99999 slot=\"3\" text=\"a \\\"b\\\"\"][origin ip=\"192.0.2.7\"] \xef\xbb\xbfdisk 3 failed\n",
        );
        assert_eq!(message.severity, SyslogSeverity::Error);
        assert_eq!(message.time_ms, Some(1_700_000_000_500));
        assert_eq!(
            fields(&message),
            [
                ("severity", "error"),
                ("facility", "local4"),
                ("hostname", "array-7"),
                ("app_name", "mgmtd"),
                ("proc_id", "4711"),
                ("msg_id", "DISK"),
                ("acme@99999.slot", "3"),
                ("acme@99999.text", "a \"b\""),
                ("origin.ip", "192.0.2.7"),
            ]
        );
        assert_eq!(message.text, "disk 3 failed");
    }

    #[test]
    fn rfc_3164_and_what_devices_send_in_its_place_keep_their_text() {
        let message = ParsedMessage::parse(b"<34>Oct 11 22:14:15 array-7 su[12]: 'su root' failed");
        assert_eq!(message.severity, SyslogSeverity::Critical);
        assert_eq!(message.facility, "auth");
        assert_eq!(message.time_ms, None);
        assert_eq!(message.hostname, "array-7");
        assert_eq!(message.app_name, "su");
        assert_eq!(message.text, "'su root' failed");
        let message = ParsedMessage::parse(b"<9>fan 2 stopped");
        assert_eq!(message.severity, SyslogSeverity::Alert);
        assert_eq!(message.text, "fan 2 stopped");
        let message = ParsedMessage::parse(b"no priority at all");
        assert_eq!(message.severity, SyslogSeverity::Notice);
        assert_eq!(message.facility, "user");
        assert!(message.text.contains("priority at all"), "{message:?}");
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_message(bytes in proptest::collection::vec(any::<u8>(), 0..200), tail in "[ -~]{0,80}") {
            let _ = ParsedMessage::parse(&bytes);
            let _ = ParsedMessage::parse(&[b"<13>1 ".as_slice(), tail.as_bytes()].concat());
            let _ = ParsedMessage::parse(&[b"<13>1 - - - - - [".as_slice(), tail.as_bytes()].concat());
        }
    }
}
