//! Alerts as mails.
//!
//! Promises: a header has no line end of an alert; a mail of the same rows has the same id.
//!
//! Knows nothing of connections.

use std::{
    collections::BTreeSet,
    fmt::Write,
    time::{Duration, SystemTime},
};

use delfin_plugin_api::{Alert, AlertBatch, BatchPart, Failure, Origin};
use lettre::{
    Message,
    message::MessageBuilder,
    message::header::{ContentType, HeaderName, HeaderValue},
};

pub use crate::config::MailConfig;

/// Keeps a digest below the size that servers accept.
const DIGEST_ALERTS: usize = 500;

/// Writes mails.
pub struct MailEncoder {
    config: MailConfig,
    /// Of the ids of mails: that of the sender.
    domain: String,
}

/// A mail to send.
pub struct AlertMail {
    /// With its headers.
    pub bytes: Vec<u8>,
    /// The numbers of the rows in the call.
    pub rows: Vec<usize>,
}

/// Where a row was accepted.
struct MailSource {
    /// Unique, and the same if the row is sent again.
    id: String,
    accepted: SystemTime,
}

impl MailEncoder {
    /// An encoder for mails of this sender.
    #[must_use]
    pub fn new(config: MailConfig) -> Self {
        let domain = config.from.email.domain().to_owned();
        Self { config, domain }
    }

    /// The mails of a call: one for each alert, or a digest.
    ///
    /// # Errors
    ///
    /// [`Failure::Rejected`] if an alert cannot be written as a mail.
    pub fn encode(
        &self,
        batch: &AlertBatch,
        parts: &[BatchPart<'_>],
        origin: Origin,
    ) -> Result<Vec<AlertMail>, Failure> {
        let alerts: Vec<_> = batch.alerts().enumerate().collect();
        if self.config.digest {
            let digests = alerts.chunks(DIGEST_ALERTS);
            return digests
                .map(|alerts| self.digest(alerts, parts, origin))
                .collect();
        }
        let mails = alerts.into_iter().map(|(row, alert)| {
            let source = MailSource::of(row, parts, origin);
            let mut subject = String::new();
            self.config.subject.write(alert, &mut subject);
            let mut body = String::new();
            self.push_body(alert, &mut body);
            // All mails of an alert refer to one id, which no mail has: clients show them as a
            // thread.
            let thread = format!("<alert.{}@{}>", alert.key().uuid(), self.domain);
            let mail = self.header(&source).subject(subject);
            let mail = mail.in_reply_to(thread.clone()).references(thread);
            Ok(AlertMail {
                bytes: bytes(mail, &body)?,
                rows: vec![row],
            })
        });
        mails.collect()
    }

    fn digest(
        &self,
        alerts: &[(usize, Alert<'_>)],
        parts: &[BatchPart<'_>],
        origin: Origin,
    ) -> Result<AlertMail, Failure> {
        let mut body = String::new();
        for &(_, alert) in alerts {
            self.config.subject.write(alert, &mut body);
            body.push_str("\n\n");
            self.push_body(alert, &mut body);
            body.push_str("\n----\n");
        }
        let rows: Vec<usize> = alerts.iter().map(|(row, _)| *row).collect();
        let storages = alerts.iter().map(|(_, alert)| alert.storage_id());
        let storages: BTreeSet<_> = storages.collect();
        let subject = format!("{} alerts of {} storages", rows.len(), storages.len());
        let first = rows.first().copied().unwrap_or_default();
        let source = MailSource::of(first, parts, origin);
        let mail = self.header(&source).subject(subject);
        Ok(AlertMail {
            bytes: bytes(mail, &body)?,
            rows,
        })
    }

    /// The headers that every mail has.
    fn header(&self, source: &MailSource) -> MessageBuilder {
        let id = format!("<{}@{}>", source.id, self.domain);
        let automatic = HeaderName::new_from_ascii_str("Auto-Submitted");
        let mut mail = Message::builder()
            .from(self.config.from.clone())
            .message_id(Some(id))
            .date(source.accepted)
            // Out-of-office programs answer no mail with this header (RFC 3834).
            .raw_header(HeaderValue::new(automatic, "auto-generated".to_owned()))
            .header(ContentType::TEXT_PLAIN);
        for to in &self.config.to {
            mail = mail.to(to.clone());
        }
        mail
    }

    fn push_body(&self, alert: Alert<'_>, out: &mut String) {
        if let Some(body) = &self.config.body {
            return body.write(alert, out);
        }
        let description = alert.description().unwrap_or_default();
        // Writing to a `String` cannot fail.
        let _ = writeln!(out, "{description}\n");
        if let Ok(ms @ 1..) = u64::try_from(alert.occur_time()) {
            let occurred = SystemTime::UNIX_EPOCH + Duration::from_millis(ms.min(YEAR_9999_MS));
            let occurred = humantime::format_rfc3339_millis(occurred);
            let _ = writeln!(out, "occur_time: {occurred}");
        }
        let mut push = |name: &str, text: &str| {
            if !text.is_empty() {
                let _ = writeln!(out, "{name}: {text}");
            }
        };
        let columns = alert.texts().filter(|(name, _)| *name != "description");
        columns.for_each(|(name, text)| push(name, text));
        alert
            .extra()
            .iter()
            .for_each(|(name, text)| push(name, text));
    }
}

/// Behind it, a time cannot be written.
const YEAR_9999_MS: u64 = 253_370_764_800_000;

impl MailSource {
    fn of(row: usize, parts: &[BatchPart<'_>], origin: Origin) -> Self {
        let index = parts.partition_point(|part| part.first_row <= row);
        let part = index.checked_sub(1).map(|index| &parts[index]);
        let in_batch = part.map_or(row, |part| part.batch_row + row - part.first_row);
        let batch = part.map(|part| part.batch_id).unwrap_or_default();
        let accepted = part.map_or(0, |part| part.accepted_ms);
        let accepted = Duration::from_millis(u64::try_from(accepted).unwrap_or_default());
        Self {
            id: format!("{in_batch}.{}.{batch}", origin.as_str()),
            accepted: SystemTime::UNIX_EPOCH + accepted,
        }
    }
}

fn bytes(mail: MessageBuilder, body: &str) -> Result<Vec<u8>, Failure> {
    let mail = mail.body(clean(body)).map_err(Failure::rejected)?;
    Ok(mail.formatted())
}

/// A text that every mail can have: line ends and tabs stay, other control characters become
/// the replacement character.
fn clean(text: &str) -> String {
    let text = text.replace("\r\n", "\n");
    let character = |c: char| match c {
        '\n' | '\t' => c,
        c if c.is_control() => char::REPLACEMENT_CHARACTER,
        c => c,
    };
    text.chars().map(character).collect()
}

#[cfg(test)]
mod tests {
    use delfin_plugin_api::{AlertBatchBuilder, NewAlert, Uuid};
    use serde_json::{Value, json};

    use super::*;
    use crate::config::Config;

    fn encode(more: Value, alerts: &[&[(&str, &str)]]) -> Vec<String> {
        let mut config = json!({ "address": "a", "from": "d@example.com", "to": "s@example.com" });
        let more = more.as_object().unwrap().clone();
        config.as_object_mut().unwrap().extend(more);
        let config: Config = serde_json::from_value(config).unwrap();
        let mut batch = AlertBatchBuilder::new();
        for texts in alerts {
            batch.alert(NewAlert {
                occur_time: 1_700_000_000_250,
                texts,
            });
        }
        let part = BatchPart {
            batch_id: Uuid::nil(),
            first_row: 0,
            batch_row: 7,
            rows: alerts.len(),
            accepted_ms: 1_700_000_000_000,
            storage_id: None,
            complete: false,
        };
        let encoder = MailEncoder::new(config.mail);
        let mails = encoder.encode(&batch.build(), &[part], Origin::Sync);
        let mails = mails.unwrap();
        let text = |mail: AlertMail| String::from_utf8(mail.bytes).unwrap();
        mails.into_iter().map(text).collect()
    }

    #[test]
    fn mails_of_an_alert_have_a_thread_and_ids_of_their_own() {
        let alert = [
            ("storage_id", "s"),
            ("alert_name", "Fan"),
            ("severity", "Major"),
        ];
        let mails = encode(json!({}), &[&alert, &alert]);
        let header = |mail: &str, name: &str| {
            let line = mail.lines().find_map(|line| line.strip_prefix(name));
            line.unwrap_or_else(|| panic!("no {name} in {mail}"))
                .to_owned()
        };
        for name in ["In-Reply-To: ", "References: "] {
            assert_eq!(header(&mails[0], name), header(&mails[1], name));
        }
        let nil = Uuid::nil();
        assert_eq!(
            header(&mails[0], "Message-ID: "),
            format!("<7.sync.{nil}@example.com>")
        );
        assert_eq!(
            header(&mails[1], "Message-ID: "),
            format!("<8.sync.{nil}@example.com>")
        );
        assert_eq!(header(&mails[0], "Subject: "), "[Major] -: Fan");
        assert_eq!(
            header(&mails[0], "Date: "),
            "Tue, 14 Nov 2023 22:13:20 +0000"
        );
        assert!(mails[0].contains("\r\noccur_time: 2023-11-14T22:13:20.250Z\r\n"));
        assert_eq!(header(&mails[0], "Auto-Submitted: "), "auto-generated");
    }

    #[test]
    fn a_line_end_of_an_alert_adds_no_header() {
        let name = "a\r\nBcc: evil@example.com\r\n\r\nbody";
        let mails = encode(json!({}), &[&[("alert_name", name)]]);
        let (head, _) = mails[0].split_once("\r\n\r\n").unwrap();
        assert!(!head.contains("\r\nBcc:"), "{head}");
    }

    #[test]
    fn a_digest_has_every_alert_in_one_mail() {
        let more = json!({ "digest": true, "body": "{description} at {extra.rack}" });
        let mails = encode(
            more,
            &[
                &[("storage_id", "s"), ("description", "first"), ("rack", "7")],
                &[("storage_id", "t"), ("description", "second")],
            ],
        );
        let [mail] = &mails[..] else {
            panic!("{mails:?}")
        };
        assert!(
            mail.contains("Subject: 2 alerts of 2 storages\r\n"),
            "{mail}"
        );
        assert!(
            mail.contains("first at 7") && mail.contains("second at -"),
            "{mail}"
        );
        assert!(!mail.contains("References"), "{mail}");
    }
}
