//! What a log entry or an event says.

use delfin_plugin_api::{text::excerpt, time::now_ms};
use serde_json::Value;

use crate::decode::{flag, link, list, native_id, normal_path, plain_number, text, time_ms};

/// The sequence number of an event without a log entry begins so.
const EVENT: &str = "event/";

/// The longest name that is made of a message.
const MAX_NAME: usize = 80;

/// The longest text of an alert.
const MAX_TEXT: usize = 4_000;

/// The words before a number that is a reading. After any other word it is the number of something,
/// as in `Drive 1`.
const BEFORE_READING: [&str; 18] = [
    "is", "was", "has", "had", "of", "to", "at", "by", "than", "after", "for", "with", "reached",
    "exceeds", "exceeded", "above", "below", "count",
];

/// How bad a message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FaultSeverity {
    /// It is no fault.
    Ok,
    Warning,
    Critical,
}

/// An entry of a log, or an event.
#[derive(Debug, Clone)]
pub(super) struct FaultRecord {
    /// The id of the log entry, or of the event.
    pub(super) number: String,
    pub(super) at_ms: i64,
    /// As `ResourceEvent.1.3.ResourceStatusChangedWarning`.
    pub(super) message_id: Option<String>,
    pub(super) declared: Option<FaultSeverity>,
    pub(super) message: Option<String>,
    pub(super) arguments: Vec<String>,
    pub(super) resolution: Option<String>,
    /// The path of the resource that the record is about.
    pub(super) origin: Option<String>,
    /// Records with the same number are about one fault.
    pub(super) group: Option<String>,
    pub(super) event_id: Option<String>,
    pub(super) is_resolved: bool,
}

impl FaultSeverity {
    fn named(text: &str) -> Option<Self> {
        match text {
            "OK" => Some(Self::Ok),
            "Warning" => Some(Self::Warning),
            "Critical" => Some(Self::Critical),
            _ => None,
        }
    }

    /// The severity at one of these pointers.
    pub(super) fn read(document: &Value, pointers: &[&str]) -> Option<Self> {
        let mut found = pointers.iter();
        found.find_map(|pointer| Self::named(text(document, pointer)?))
    }
}

impl FaultRecord {
    /// An entry of a log, at its path.
    pub(super) fn of_entry(path: &str, entry: &Value) -> Self {
        let time = ["/Created", "/EventTimestamp", "/Modified"];
        Self {
            number: native_id(path).to_owned(),
            declared: FaultSeverity::read(entry, &["/Severity"]),
            origin: link(entry, "/Links/OriginOfCondition"),
            is_resolved: flag(entry, "/Resolved") == Some(true),
            ..Self::of(entry, &time)
        }
    }

    /// A record of an event.
    pub(super) fn of_event(event: &Value) -> Self {
        let record = Self::of(event, &["/EventTimestamp"]);
        let declared = FaultSeverity::read(event, &["/MessageSeverity", "/Severity"]);
        let origin = link(event, "/OriginOfCondition");
        let own = record.event_id.clone().unwrap_or_else(|| {
            let origin = origin.as_deref().map_or("", native_id);
            let message = record.message_id.as_deref().unwrap_or_default();
            format!("{}/{origin}/{message}", record.at_ms)
        });
        let entry = link(event, "/LogEntry");
        Self {
            number: entry.as_deref().map_or_else(
                || format!("{EVENT}{own}"),
                |path| native_id(path).to_owned(),
            ),
            declared,
            origin,
            ..record
        }
    }

    /// What entries and events have in common.
    fn of(document: &Value, times: &[&str]) -> Self {
        let owned = |pointer: &str| text(document, pointer).map(|text| excerpt(text, MAX_TEXT));
        let mut times = times.iter();
        let time = times.find_map(|pointer| time_ms(text(document, pointer)?));
        let group = document.get("EventGroupId").and_then(plain_number);
        let arguments = list(document, "/MessageArgs").iter();
        Self {
            number: String::new(),
            at_ms: time.unwrap_or_else(now_ms),
            message_id: owned("/MessageId"),
            declared: None,
            message: owned("/Message"),
            arguments: arguments
                .map(|argument| match argument {
                    Value::String(text) => excerpt(text, MAX_TEXT),
                    other => other.to_string(),
                })
                .collect(),
            resolution: owned("/Resolution").filter(|text| !text.starts_with("None")),
            origin: None,
            // 0 is no group.
            group: group
                .filter(|group| *group > 0.0)
                .map(|group| group.to_string()),
            event_id: owned("/EventId"),
            is_resolved: false,
        }
    }

    /// The registry and the name of the message, without the version: `ResourceEvent` and
    /// `ResourceStatusChangedWarning`.
    pub(super) fn message_key(&self) -> Option<(&str, &str)> {
        let id = self.message_id.as_deref()?;
        let (_, name) = id.rsplit_once('.')?;
        let (registry, _) = id.split_once('.')?;
        Some((registry, name))
    }

    /// What identifies the fault from its begin to its end: the host takes each key as an alert of
    /// its own. The names that tell two faults apart are in it: of two faults with one key the
    /// second would never be reported. Readings, which change while a fault lasts, are not: each
    /// value would end one alert and begin another.
    pub(super) fn key(&self) -> String {
        if let Some(group) = &self.group {
            return format!("group/{group}");
        }
        let Some((registry, name)) = self.message_key() else {
            return self.number.clone();
        };
        let origin = self.location().unwrap_or_default();
        let is_bare = self.origin.is_none() && self.arguments.is_empty();
        let names = if is_bare {
            without_readings(self.message.as_deref().unwrap_or_default())
        } else {
            self.names().join("/")
        };
        format!("{registry}.{name}/{origin}/{names}")
    }

    /// The arguments that say what the fault is about. A number with a fraction is a reading, such
    /// as a temperature. A whole number can be a reading or the number of a drive: it is a reading
    /// only where the origin and a name already say which resource the fault is about.
    fn names(&self) -> Vec<&str> {
        let is_name = |text: &&str| text.parse::<f64>().is_err();
        let arguments = self.arguments.iter().map(String::as_str);
        let has_name = self.origin.is_some() && arguments.clone().any(|text| is_name(&text));
        arguments
            .filter(|text| is_name(text) || (!has_name && is_whole(text)))
            .collect()
    }

    /// Whether both are about the same resource, so that a message of one can end the other. The
    /// standard asks for the same origin; where several parts share it, or none is given, the first
    /// name tells them apart, or the first number in the text.
    pub(super) fn has_subject_of(&self, other: &Self) -> bool {
        if self.origin != other.origin {
            return false;
        }
        let (Some(own), Some(its)) = (self.subject(), other.subject()) else {
            return true;
        };
        // Names at one origin can be states, which differ: the origin says more than they do.
        let is_said_by_origin = self.origin.is_some() && !(is_whole(own) && is_whole(its));
        is_said_by_origin || own == its
    }

    fn subject(&self) -> Option<&str> {
        let of_text = || {
            let text = self.message.as_deref().filter(|_| self.origin.is_none())?;
            words(text).find(|(word, is_reading)| is_whole(word) && !is_reading)
        };
        if self.arguments.is_empty() {
            return of_text().map(|(word, _)| word);
        }
        self.names().first().copied()
    }

    /// The name for people.
    pub(super) fn name(&self) -> String {
        if let Some((_, name)) = self.message_key() {
            return name.to_owned();
        }
        let message = self.message.as_deref().or(self.message_id.as_deref());
        excerpt(message.unwrap_or("Log entry"), MAX_NAME)
    }

    pub(super) fn location(&self) -> Option<&str> {
        self.origin.as_deref().map(native_id)
    }

    /// Delfin's word. A record that says nothing can be a fault.
    pub(super) fn severity(&self) -> &'static str {
        match self.declared {
            Some(FaultSeverity::Critical) => "Critical",
            Some(FaultSeverity::Warning) | None => "Warning",
            Some(FaultSeverity::Ok) => "Informational",
        }
    }
}

fn is_whole(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// The words of a text, without the punctuation around them, and whether each is a reading: a number
/// with a fraction or a unit, or one that follows a word such as `is`.
fn words(text: &str) -> impl Iterator<Item = (&str, bool)> {
    let mut follows = false;
    text.split_whitespace().map(move |word| {
        let word = word.trim_matches(|c: char| c.is_ascii_punctuation() && c != '%');
        let number = word.trim_end_matches(|c: char| c.is_alphabetic() || matches!(c, '%' | '°'));
        let is_number = number.parse::<f64>().is_ok();
        let is_reading = is_number && (follows || !is_whole(word));
        follows = BEFORE_READING.contains(&word.to_ascii_lowercase().as_str());
        (word, is_reading)
    })
}

/// A text without its readings: counters and measured values.
fn without_readings(text: &str) -> String {
    let names = words(text).filter(|(_, is_reading)| !is_reading);
    let names: Vec<&str> = names.map(|(word, _)| word).collect();
    names.join(" ")
}

/// The path of the log entry with this sequence number; `None` for an event.
pub(super) fn entry_path(number: &str) -> Option<String> {
    if number.starts_with(EVENT) {
        return None;
    }
    normal_path(&format!("/redfish/v1/{number}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_same_fault_has_the_same_key_in_a_log_and_in_an_event() {
        let entry = json!({
            "MessageId": "Acme.1.0.TooHot", "MessageArgs": ["Drive 7", "88"], "Severity": "Warning",
            "Created": "2026-04-12T08:15:00Z",
            "Links": {"OriginOfCondition": {"@odata.id": "/redfish/v1/Chassis/1"}}
        });
        let entry = FaultRecord::of_entry("/redfish/v1/Managers/1/Entries/3", &entry);
        let event = json!({
            "MessageId": "Acme.1.1.TooHot", "MessageArgs": ["Drive 7", "91"], "EventId": "12",
            "MessageSeverity": "Critical", "OriginOfCondition": {"@odata.id": "/redfish/v1/Chassis/1"}
        });
        let event = FaultRecord::of_event(&event);
        assert_eq!(entry.key(), "Acme.TooHot/Chassis/1/Drive 7");
        assert_eq!(event.key(), entry.key());
        assert_eq!(
            (entry.severity(), event.severity()),
            ("Warning", "Critical")
        );
        assert_eq!(
            (&*entry.number, &*event.number),
            ("Managers/1/Entries/3", "event/12")
        );
        assert_eq!(entry.at_ms, 1_775_981_700_000);
        assert_eq!(entry_path(&event.number), None);
    }

    fn record(message: &str, arguments: &[&str], origin: Option<&str>) -> FaultRecord {
        FaultRecord::of_event(&json!({
            "MessageId": "Acme.1.0.Failed", "Message": message, "MessageArgs": arguments,
            "OriginOfCondition": origin.map(|path| json!({ "@odata.id": path })),
        }))
    }

    #[test]
    fn what_tells_faults_apart_is_in_the_key_and_readings_are_not() {
        let shelf = Some("/redfish/v1/Chassis/1");
        for (text, arguments, origin, expected) in [
            // The arguments, with an origin and without.
            ("Disk 5 failed", &["5"][..], None, "Acme.Failed//5"),
            ("Disk 6 failed", &["6"], None, "Acme.Failed//6"),
            ("Disk 6 failed", &["6"], shelf, "Acme.Failed/Chassis/1/6"),
            ("Disk A 5", &["A", "5"], None, "Acme.Failed//A/5"),
            (
                "Fan A: 880",
                &["A", "880"],
                shelf,
                "Acme.Failed/Chassis/1/A",
            ),
            ("Fan 2: 41.5", &["2", "41.5"], None, "Acme.Failed//2"),
            // The text.
            ("Drive 1 failed", &[], None, "Acme.Failed//Drive 1 failed"),
            ("Drive 2 failed.", &[], None, "Acme.Failed//Drive 2 failed"),
            (
                "Drive 1 has 17 errors, 45% life left at 41.5 C",
                &[],
                None,
                "Acme.Failed//Drive 1 has errors life left at C",
            ),
            ("Drive 1 failed", &[], shelf, "Acme.Failed/Chassis/1/"),
        ] {
            assert_eq!(record(text, arguments, origin).key(), expected, "{text}");
        }
    }

    #[test]
    fn a_message_is_about_what_its_origin_or_its_first_name_says() {
        let shelf = Some("/redfish/v1/Chassis/1");
        for (fault, end, origin, expected) in [
            (("Disk 5", &["5"][..]), ("Disk 5", &["5"][..]), None, true),
            (("Disk 5", &["5"]), ("Disk 6", &["6"]), None, false),
            (("Disk 5", &["5"]), ("Disk 6", &["6"]), shelf, false),
            (("V", &["V", "Warning"]), ("V", &["V", "OK"]), None, true),
            (("V", &["Warning"]), ("V", &["OK"]), shelf, true),
            (("Drive 1 failed", &[]), ("Drive 1 is OK", &[]), None, true),
            (("Drive 1 failed", &[]), ("Drive 2 is OK", &[]), None, false),
            (
                ("Drive 1 failed", &[]),
                ("All drives work", &[]),
                None,
                true,
            ),
        ] {
            let (fault, end) = (
                record(fault.0, fault.1, origin),
                record(end.0, end.1, origin),
            );
            assert_eq!(end.has_subject_of(&fault), expected, "{end:?} {fault:?}");
        }
        assert!(!record("", &[], shelf).has_subject_of(&record("", &[], None)));
    }

    #[test]
    fn a_record_of_wrong_types_is_a_record_without_these_values() {
        let entry = json!({
            "MessageId": 7, "MessageArgs": {}, "Severity": [], "Created": "soon", "EventGroupId": 0,
            "Message": "Fan 2 stopped", "Links": "none", "Resolved": "yes"
        });
        let entry = FaultRecord::of_entry("/redfish/v1/E/1", &entry);
        assert_eq!((&*entry.key(), &*entry.name()), ("E/1", "Fan 2 stopped"));
        assert_eq!(entry.severity(), "Warning");
        assert!(!entry.is_resolved);
    }
}
