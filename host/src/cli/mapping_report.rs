//! What mapping files make of a notification, as `traps`, `syslog` and `webhooks` show it.

use std::{fs, io::Read};

use serde::Serialize;
use serde_json::{Map, Value};

use super::{error::Error, output::Output};
use crate::notification::NotificationAlert;

/// The alert of a notification, and why it is this one.
#[derive(Debug, Serialize)]
pub(super) struct MappingReport {
    /// Rules for this kind of notification that are not for its values, and why.
    skipped: Vec<SkippedRule>,
    /// The rule that makes the alert. None: the alert is raw.
    rule: Option<String>,
    alert: Map<String, Value>,
}

#[derive(Debug, Serialize)]
struct SkippedRule {
    rule: String,
    reason: String,
}

impl MappingReport {
    /// `skipped` has the origin of each rule, and the reason.
    pub(super) fn new<'a>(
        alert: &NotificationAlert,
        skipped: impl Iterator<Item = (&'a str, String)>,
    ) -> Self {
        let texts = alert.texts.iter();
        let mut shown: Map<_, _> = texts
            .map(|(key, text)| (key.clone(), text.as_str().into()))
            .collect();
        shown.insert("occur_time".to_owned(), alert.occur_time_ms.into());
        let skipped = skipped.map(|(rule, reason)| SkippedRule {
            rule: rule.to_owned(),
            reason,
        });
        Self {
            skipped: skipped.collect(),
            rule: alert.rule.clone(),
            alert: shown,
        }
    }

    /// Prints the report about one notification of this kind.
    pub(super) fn print(&self, kind: &str, output: &mut Output<'_>) -> Result<(), Error> {
        for skipped in &self.skipped {
            output.line(&format!("not by {}: {}", skipped.rule, skipped.reason))?;
        }
        match &self.rule {
            Some(rule) => output.line(&format!("alert by {rule}"))?,
            None => output.line(&format!("raw alert: no mapping is for this {kind}"))?,
        }
        for (key, value) in &self.alert {
            let text = value
                .as_str()
                .map_or_else(|| value.to_string(), str::to_owned);
            output.line(&format!("  {key}: {text}"))?;
        }
        Ok(())
    }
}

/// The content of a file, or of standard input if it is `-`.
pub(super) fn read_input(file: &str) -> Result<Vec<u8>, Error> {
    if file == "-" {
        let mut content = Vec::new();
        let read = std::io::stdin().lock().read_to_end(&mut content);
        read.map_err(|error| Error::failed(format!("cannot read standard input: {error}")))?;
        return Ok(content);
    }
    fs::read(file).map_err(|error| Error::failed(format!("cannot read `{file}`: {error}")))
}
