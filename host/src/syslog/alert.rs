//! The alert of a message: by a mapping, or of the message as it is.

use delfin_plugin_api::text::excerpt;

use super::{mapping::SyslogMappings, message::ParsedMessage};
use crate::{alert::RECEIVED_BY, config::SyslogSeverity, notification::NotificationAlert};

/// The longest name of an alert that is made of a text, in bytes.
const MAX_NAME: usize = 200;

/// The alert of a message; `None` if no mapping knows it and it is less severe than
/// `min_severity`. Without a severity, only mapped messages become alerts.
#[must_use]
pub fn syslog_alert(
    message: &ParsedMessage,
    mappings: &SyslogMappings,
    min_severity: Option<SyslogSeverity>,
    now_ms: i64,
) -> Option<NotificationAlert> {
    let time_ms = message.time_ms.unwrap_or(now_ms);
    let mut alert = match mappings.find(message) {
        Some((rule, input)) => NotificationAlert::mapped(rule, &input, time_ms),
        None if min_severity.is_some_and(|least| message.severity <= least) => {
            raw(message, time_ms)
        }
        None => return None,
    };
    alert.add_default("severity", || severity_of(message).to_owned());
    alert.add_default("alert_name", || name_of(message));
    alert.add_default("alert_id", || kind_of(message).to_owned());
    alert.add_default("description", || message.text.clone());
    alert.add_defaults();
    alert.add(RECEIVED_BY, "syslog".to_owned());
    Some(alert)
}

/// The same text again is the same alert.
fn raw(message: &ParsedMessage, time_ms: i64) -> NotificationAlert {
    let mut alert = NotificationAlert::raw(time_ms);
    let text = excerpt(&message.text, MAX_NAME);
    alert.add("match_key", format!("syslog/{}/{text}", kind_of(message)));
    for (name, text) in message.fields() {
        alert.add(&format!("syslog_{name}"), text.to_owned());
    }
    alert
}

fn name_of(message: &ParsedMessage) -> String {
    match excerpt(&message.text, MAX_NAME) {
        text if text.is_empty() => "syslog message".to_owned(),
        text => text,
    }
}

/// What says most about the kind of the message.
fn kind_of(message: &ParsedMessage) -> &str {
    let candidates = [&*message.msg_id, &*message.app_name, message.facility];
    let mut candidates = candidates.into_iter();
    candidates.find(|text| !text.is_empty()).unwrap_or_default()
}

/// As RFC 5674 relates them to the severities of X.733.
fn severity_of(message: &ParsedMessage) -> &'static str {
    match message.severity {
        SyslogSeverity::Emergency => "Fatal",
        SyslogSeverity::Alert => "Critical",
        SyslogSeverity::Critical => "Major",
        SyslogSeverity::Error => "Minor",
        SyslogSeverity::Warning => "Warning",
        SyslogSeverity::Notice | SyslogSeverity::Info | SyslogSeverity::Debug => "Informational",
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use super::*;

    fn text<'a>(alert: &'a NotificationAlert, column: &str) -> Option<&'a str> {
        let mut texts = alert.texts.iter();
        texts.find_map(|(key, text)| (key == column).then_some(&**text))
    }

    fn mappings(text: &str) -> Result<SyslogMappings, String> {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("acme.toml"), text).unwrap();
        SyslogMappings::load(folder.path()).map_err(|error| error.reason)
    }

    fn alert(mappings: &SyslogMappings, message: &str) -> Option<NotificationAlert> {
        let message = ParsedMessage::parse(message.as_bytes());
        syslog_alert(&message, mappings, Some(SyslogSeverity::Warning), 7)
    }

    #[test]
    fn a_message_that_no_rule_knows_is_raw_from_a_severity_on() {
        let mappings = SyslogMappings::load(Path::new("/nonexistent")).unwrap();
        let found = alert(&mappings, "<163>1 - array-7 mgmtd - DISK - disk 3 failed").unwrap();
        assert_eq!(text(&found, "severity"), Some("Minor"));
        assert_eq!(text(&found, "category"), Some("NotSpecified"));
        assert_eq!(text(&found, "alert_name"), Some("disk 3 failed"));
        assert_eq!(text(&found, "alert_id"), Some("DISK"));
        assert_eq!(text(&found, "syslog_hostname"), Some("array-7"));
        assert_eq!((found.rule, found.occur_time_ms), (None, 7));
        let again = alert(&mappings, "<163>1 - array-7 mgmtd 9 DISK - disk 3 failed").unwrap();
        assert_eq!(text(&again, "match_key"), Some("syslog/DISK/disk 3 failed"));
        assert!(alert(&mappings, "<164>1 - - - - - - warm").is_some());
        assert_eq!(alert(&mappings, "<165>1 - - - - - - logged in"), None);
        let message = ParsedMessage::parse(b"<160>1 - - - - - - down");
        assert_eq!(syslog_alert(&message, &mappings, None, 0), None);
    }

    #[test]
    fn an_alarm_of_rfc_5674_is_an_alert_and_its_recovery() {
        let mappings = SyslogMappings::load(Path::new("/nonexistent")).unwrap();
        let alarm = |severity: &str| {
            format!(
                "<165>1 2023-11-14T22:13:20Z array-7 alarmd - - [alarm resource=\"pool1\" probableCause=\"545\" perceivedSeverity=\"{severity}\" eventType=\"2\"] pool is full"
            )
        };
        let fault = alert(&mappings, &alarm("major")).unwrap();
        assert_eq!(text(&fault, "severity"), Some("Major"));
        assert_eq!(text(&fault, "category"), Some("Fault"));
        assert_eq!(text(&fault, "location"), Some("pool1"));
        assert_eq!(fault.occur_time_ms, 1_700_000_000_000);
        let end = alert(&mappings, &alarm("cleared")).unwrap();
        assert_eq!(text(&end, "category"), Some("Recovery"));
        assert_eq!(text(&end, "match_key"), text(&fault, "match_key"));
    }

    #[test]
    fn a_rule_has_groups_of_its_pattern_fields_and_parameters() {
        let rules = r#"
            [tables.state]
            failed = "Critical"
            "*" = "Informational"
            [[syslog]]
            pattern = '^disk (?<disk>\d+) (?<state>failed|ok)'
            when = { app_name = "mgmtd" }
            alert_name = "Disk ${disk} of ${acme@99999.shelf}"
            severity = { of = "state", table = "state" }
            match_key = "disk/${disk}"
            recovery = { state = "ok" }
        "#;
        let mappings = mappings(rules).unwrap();
        let found = |app: &str, state: &str| {
            alert(
                &mappings,
                &format!("<134>1 - - {app} - - [acme@99999 shelf=\"s1\"] disk 3 {state}"),
            )
        };
        let failed = found("mgmtd", "failed").unwrap();
        assert_eq!(text(&failed, "alert_name"), Some("Disk 3 of s1"));
        assert_eq!(text(&failed, "severity"), Some("Critical"));
        assert_eq!(text(&failed, "description"), Some("disk 3 failed"));
        let ok = found("mgmtd", "ok").unwrap();
        assert_eq!(text(&ok, "category"), Some("Recovery"));
        assert_eq!(found("other", "failed"), None);
        assert_eq!(found("mgmtd", "idle"), None);
    }

    #[test]
    fn a_mistake_names_the_key_and_the_remedy() {
        let check = |text: &str, wanted: &str| {
            let reason = mappings(text).unwrap_err();
            assert!(reason.contains(wanted), "{reason}");
        };
        check(
            "[[syslog]]\nalert_name = 'a'\npattern = '('",
            "`syslog[1].pattern`: is not a regular expression: unclosed group",
        );
        check(
            "[[syslog]]\nalert_name = '${disk}'",
            "`syslog[1].alert_name`: `disk` is not a field of a message (write `message`",
        );
        check("[names]\na = '1.3'", "`names`: is for traps (remove it)");
        check(
            "[[syslog]]\nalert_name = 'a'\noid = '1.3'",
            "`syslog[1].oid`: is a key of the kind `trap` only (remove it)",
        );
        check(
            "[[trap]]\nalert_name = 'a'\noid = '1.3'",
            "`trap`: files of this folder have entries of the kind `syslog`",
        );
    }
}
