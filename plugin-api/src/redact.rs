//! Replaces secrets in texts that come from elsewhere: errors of a library,
//! responses of a receiver. The host and the plugins use it.
//!
//! Promises: no text that [`Redactor::redact`] returns contains a secret of four
//! characters or more that was added.
//!
//! Knows nothing of where secrets come from.

use std::borrow::Cow;

use crate::text::percent_encoded;

/// Stands in a text where a secret was.
const MASK: &str = "***";

/// A shorter secret occurs in ordinary text by chance: to replace it would spoil
/// messages and hide next to nothing.
const MIN_CHARS: usize = 4;

/// What encoders for URLs leave in addition to `A` to `Z`, `a` to `z`, `0` to `9` and `-._~`: in the value of a query,
/// in a path as Python encodes it, in a component as browsers do, in a segment of a path, and in a whole URL.
const KEPT_IN_URLS: [&str; 5] = ["", "/", "!*'()", "!$&'()*+,;=:@", "!$&'()*+,;=:@/?#"];

/// Whether an encoder for JSON writes a character as `\u` and its number, in addition to those that it must: none; `<`, `>` and
/// `&`; these, quotes, `+`, `` ` `` and all that is not ASCII; or only what is not ASCII.
const NUMBERED_IN_JSON: [fn(char) -> bool; 4] = [
    |_| false,
    |c| matches!(c, '<' | '>' | '&'),
    |c| matches!(c, '<' | '>' | '&' | '\'' | '"' | '+' | '`') || !c.is_ascii(),
    |c| !c.is_ascii(),
];

/// A shorter line of a secret says nothing of it.
const MIN_LINE_BYTES: usize = 16;

/// Replaces secrets in texts.
///
/// A secret of fewer than four characters is not replaced. Of a secret with
/// several lines, such as a private key, each line of at least 16 bytes is
/// replaced as well, and of any secret also the forms in which messages quote it,
/// with `\n` for a line end, in which encoders for JSON, URLs and forms write it, and HTML its
/// `&`, each also in upper and lower case of ASCII.
///
/// ```
/// use delfin_plugin_api::redact::Redactor;
///
/// let mut redactor = Redactor::default();
/// redactor.hide("hunter2");
/// redactor.add("s3cret", "${env:TOKEN}");
/// assert_eq!(redactor.redact("hunter2, s3cret"), "***, ${env:TOKEN}");
/// ```
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Redactor {
    /// The longest first, so that a secret inside another one never wins.
    secrets: Vec<Replacement>,
}

#[derive(Clone, PartialEq, Eq)]
struct Replacement {
    /// In lower case.
    secret: String,
    shown: String,
}

impl Redactor {
    /// Replaces a secret by `***` from now on.
    pub fn hide(&mut self, secret: &str) {
        self.add(secret, MASK);
    }

    /// Replaces a secret by `shown` from now on. A secret that is already known
    /// keeps what was shown in its place.
    pub fn add(&mut self, secret: &str, shown: &str) {
        if secret.chars().count() < MIN_CHARS {
            return;
        }
        let quoted = secret.escape_debug().to_string();
        let lines = secret.lines().filter(|line| line.len() >= MIN_LINE_BYTES);
        for text in [secret, &quoted].into_iter().chain(lines) {
            self.insert(text, shown);
        }
        for is_numbered in NUMBERED_IN_JSON {
            let escaped = escaped_in_json(secret, is_numbered);
            self.insert(&escaped.replace('/', "\\/"), shown);
            self.insert(&escaped, shown);
        }
        self.insert(&secret.replace('&', "&amp;"), shown);
        for kept in KEPT_IN_URLS {
            let encoded = percent_encoded(secret, kept);
            self.insert(&encoded.replace("%20", "+"), shown);
            self.insert(&encoded, shown);
        }
    }

    /// The text with every secret replaced. The replacements are not searched for
    /// secrets.
    #[must_use]
    pub fn redact<'t>(&self, text: &'t str) -> Cow<'t, str> {
        if self.secrets.is_empty() {
            return Cow::Borrowed(text);
        }
        // Lower case of ASCII has the same length.
        let lower = text.to_ascii_lowercase();
        let mut redacted = String::new();
        let mut rest = text;
        while let Some((at, found)) = self.first_in(&lower[text.len() - rest.len()..]) {
            redacted.push_str(&rest[..at]);
            redacted.push_str(&found.shown);
            rest = &rest[at + found.secret.len()..];
        }
        if rest.len() == text.len() {
            return Cow::Borrowed(text);
        }
        redacted.push_str(rest);
        Cow::Owned(redacted)
    }

    /// The same for bytes that may be text, such as the body of a response.
    #[must_use]
    pub fn redact_bytes(&self, bytes: Vec<u8>) -> Vec<u8> {
        if self.secrets.is_empty() {
            return bytes;
        }
        let mut redacted = Vec::with_capacity(bytes.len());
        for chunk in bytes.utf8_chunks() {
            redacted.extend_from_slice(self.redact(chunk.valid()).as_bytes());
            redacted.extend_from_slice(chunk.invalid());
        }
        redacted
    }

    /// The secret that comes first in a text, and of several at one place the
    /// longest: `min_by_key` returns the first minimum, and the secrets are
    /// sorted by length.
    fn first_in(&self, text: &str) -> Option<(usize, &Replacement)> {
        self.secrets
            .iter()
            .filter_map(|known| text.find(&known.secret).map(|at| (at, known)))
            .min_by_key(|(at, _)| *at)
    }

    fn insert(&mut self, secret: &str, shown: &str) {
        let secret = secret.to_ascii_lowercase();
        let known = self.secrets.iter().any(|known| known.secret == secret);
        if known {
            return;
        }
        let index = self
            .secrets
            .partition_point(|known| known.secret.len() >= secret.len());
        let replacement = Replacement {
            secret,
            shown: shown.to_owned(),
        };
        self.secrets.insert(index, replacement);
    }
}

/// A text as a JSON string has it, without its quotes.
fn escaped_in_json(text: &str, is_numbered: fn(char) -> bool) -> String {
    let mut escaped = String::with_capacity(text.len());
    let mut utf16 = [0; 2];
    for c in text.chars() {
        match c {
            c if is_numbered(c) => {
                let numbers = c.encode_utf16(&mut utf16).iter();
                escaped.extend(numbers.map(|number| format!("\\u{number:04x}")));
            }
            '"' | '\\' => escaped.extend(['\\', c]),
            '\n' => escaped.push_str("\\n"),
            '\r' => escaped.push_str("\\r"),
            '\t' => escaped.push_str("\\t"),
            c => escaped.push(c),
        }
    }
    escaped
}

impl std::fmt::Debug for Redactor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(MASK)
    }
}

/// Libraries that log what they send and receive, with credentials and whole URLs, at debug or
/// trace: the first part of a record's target. A name that ends with `_` is a prefix.
const TRAFFIC: [&str; 42] = [
    "async_nats",
    "attohttpc",
    "aws_",
    "cookie_store",
    "curl",
    "elasticsearch",
    "h2",
    "h3",
    "hyper",
    "hyper_",
    "influxdb",
    "isahc",
    "lapin",
    "lettre",
    "minreq",
    "mongodb",
    "native_tls",
    "object_store",
    "openssl",
    "opentelemetry",
    "opentelemetry_",
    "paho_mqtt",
    "postgres",
    "quinn",
    "quinn_",
    "rdkafka",
    "redis",
    "reqsign",
    "reqwest",
    "reqwest_",
    "rumqttc",
    "rustls",
    "rustls_",
    "sqlx",
    "surf",
    "tiberius",
    "tokio_",
    "tonic",
    "tower_http",
    "tungstenite",
    "ureq",
    "ureq_",
];

/// Whether a record with this target comes from a library that logs its traffic. The host's
/// log shows such records from the level INFO on only, because at lower levels they hold
/// credentials that no redactor knows, such as an encoded password.
#[must_use]
pub fn logs_traffic(target: &str) -> bool {
    let library = target.split("::").next().unwrap_or_default();
    TRAFFIC
        .iter()
        .any(|name| library == *name || (name.ends_with('_') && library.starts_with(name)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn redactor(secrets: &[(&str, &str)]) -> Redactor {
        let mut redactor = Redactor::default();
        for (secret, shown) in secrets {
            redactor.add(secret, shown);
        }
        redactor
    }

    #[test]
    fn every_occurrence_of_a_secret_is_replaced_and_the_longest_secret_wins() {
        let redactor = redactor(&[
            ("hunter2", "${env:A}"),
            ("hunter2-long", "${env:B}"),
            ("äöüß", "${env:C}"),
        ]);
        let check = |text: &str, redacted: &str| assert_eq!(redactor.redact(text), redacted);
        check("nothing here", "nothing here");
        check("hunter2", "${env:A}");
        check("a hunter2, hunter2!", "a ${env:A}, ${env:A}!");
        check("hunter2-long", "${env:B}");
        check("xäöüßy", "x${env:C}y");
    }

    #[test]
    fn a_secret_is_replaced_as_json_and_html_escape_it() {
        let redactor = redactor(&[("ab/cd&'\"ä+", "***")]);
        for escaped in [
            r#"ab\/cd&'\"ä+"#,
            r#"ab/cd&'\"ä+"#,
            r#"ab/cd\u0026'\"ä+"#,
            r#"ab/cd&'\"\u00e4+"#,
            r#"ab\/cd&'\"\u00E4+"#,
            r#"ab/cd\u0026\u0027\u0022\u00E4\u002B"#,
            r#"ab/cd&amp;'"ä+"#,
        ] {
            assert_eq!(redactor.redact(escaped), "***");
        }
    }

    #[test]
    fn a_secret_is_replaced_as_urls_and_forms_encode_it_and_in_upper_and_lower_case() {
        let redactor = redactor(&[("Hunter 2/ä=", "***")]);
        for encoded in [
            "hunter%202%2f%c3%a4%3d",
            "Hunter%202%2F%C3%A4%3D",
            "Hunter+2%2F%C3%A4%3D",
            "Hunter%202%2F%C3%A4=",
            "Hunter%202/%C3%A4=",
            "Hunter%202/%C3%A4%3D",
            "HUNTER 2/ä=",
        ] {
            assert_eq!(redactor.redact(&format!("Ä {encoded}!")), "Ä ***!");
        }
    }

    #[test]
    fn a_secret_without_a_replacement_of_its_own_becomes_stars() {
        let mut redactor = Redactor::default();
        redactor.hide("hunter2");
        redactor.hide("hunter2-and-more");
        let text = "login hunter2-and-more failed, hunter2!";
        assert_eq!(redactor.redact(text), "login *** failed, ***!");
        assert_eq!(format!("{redactor:?}"), "***");
    }

    #[test]
    fn a_quoted_secret_is_replaced() {
        let redactor = redactor(&[("line 1\nline \"2\"", "${file:key}")]);
        let quoted = r#"bad key "line 1\nline \"2\"""#;
        assert_eq!(redactor.redact(quoted), r#"bad key "${file:key}""#);
    }

    #[test]
    fn each_long_line_of_a_key_is_a_secret() {
        let mut redactor = Redactor::default();
        redactor.hide("-----BEGIN-----\nMIIEvQIBADANBgkqhkiG9w0BAQ\nAA==\n");
        let text = "bad base64: MIIEvQIBADANBgkqhkiG9w0BAQ";
        assert_eq!(redactor.redact(text), "bad base64: ***");
    }

    #[test]
    fn a_replacement_is_not_redacted() {
        let redactor = redactor(&[("long secret", "${env:NAME}"), ("NAME", "${env:OTHER}")]);
        assert_eq!(redactor.redact("long secret"), "${env:NAME}");
    }

    #[test]
    fn a_secret_of_three_characters_is_left_alone() {
        let redactor = redactor(&[("abc", "${env:A}"), ("", "${env:B}")]);
        assert_eq!(redactor.redact("abcabc"), "abcabc");
    }

    #[test]
    fn libraries_that_log_their_traffic_are_known_by_their_targets() {
        for target in [
            "ureq::run",
            "ureq_proto::client",
            "hyper_util::client",
            "rustls",
            "h2",
        ] {
            assert!(logs_traffic(target), "{target}");
        }
        for target in [
            "delfin_exporter_webhook::client",
            "acme::ureq",
            "hyperdrive",
            "",
            "panic",
        ] {
            assert!(!logs_traffic(target), "{target}");
        }
    }
}
