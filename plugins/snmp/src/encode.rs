//! Alerts as notifications, as `etc/mibs/DELFIN-HOST-MIB.txt` says.
//!
//! Knows nothing of connections.

use std::{
    collections::BTreeMap,
    time::{Duration, SystemTime},
};

use async_snmp::{Oid, Value, VarBind};
use delfin_plugin_api::{
    Alert, AlertBatch, AlertSeverity, AlertState, BatchPart, Origin, TEXT_COLUMNS,
};

/// IANA's number for examples.
pub const DOCUMENTATION_NUMBER: u32 = 32_473;

/// The bytes of each text, in the attempts to make a notification short enough. With the last of
/// them, it fits into a packet of an Ethernet, and ids stay whole.
pub(crate) const TEXT_LIMITS: [usize; 5] = [1024, 256, 128, 64, 36];

/// An alert to send.
#[derive(Debug, Clone, PartialEq)]
pub struct AlertNotification {
    /// The number of its row in the call.
    pub row: usize,
    /// Alerts of the same storage are sent in order.
    pub storage_id: String,
    /// The kind of notification.
    pub oid: Oid,
    /// Its objects.
    pub objects: Vec<VarBind>,
}

/// Writes alerts as notifications.
#[derive(Debug)]
pub struct NotificationEncoder {
    /// The node of the MIB.
    root: [u32; 8],
}

impl NotificationEncoder {
    /// An encoder for the MIB below a private enterprise number.
    #[must_use]
    pub fn new(enterprise_number: u32) -> Self {
        Self {
            root: [1, 3, 6, 1, 4, 1, enterprise_number, 1],
        }
    }

    pub(crate) fn encode_batch(
        &self,
        batch: &AlertBatch,
        parts: &[BatchPart<'_>],
        origin: Origin,
    ) -> Vec<AlertNotification> {
        let alerts = batch.alerts().enumerate();
        let encode = |(row, alert): (usize, Alert<'_>)| {
            let part = parts.partition_point(|part| part.first_row <= row);
            let part = part.checked_sub(1).map(|part| &parts[part]);
            let batch_id = part.map(|part| part.batch_id.to_string());
            let encoded = self.encode(&alert, origin.as_str(), &batch_id.unwrap_or_default());
            AlertNotification { row, ..encoded }
        };
        alerts.map(encode).collect()
    }

    /// The notification of an alert.
    #[must_use]
    pub fn encode(&self, alert: &Alert<'_>, origin: &str, batch_id: &str) -> AlertNotification {
        let mut objects = Vec::with_capacity(TEXT_COLUMNS.len() + 6);
        let mut push = |value: Value| {
            let number = objects.len() as u32 + 1;
            objects.push(VarBind::new(self.oid(&[1, number, 0]), value));
        };
        push(text(&alert.key().uuid().to_string()));
        push(Value::Integer(perceived_severity(alert)));
        push(Value::OctetString(date_and_time(alert.occur_time()).into()));
        for column in TEXT_COLUMNS {
            let mut texts = alert.texts();
            let value = texts.find(|(name, _)| *name == column);
            push(text(value.map_or("", |(_, value)| value)));
        }
        push(text(&extra(alert)));
        push(text(origin));
        push(text(batch_id));
        AlertNotification {
            row: 0,
            storage_id: alert.storage_id().unwrap_or_default().to_owned(),
            oid: self.oid(&[0, notification(alert.state())]),
            objects,
        }
    }

    fn oid(&self, below: &[u32]) -> Oid {
        let arcs: Vec<u32> = self.root.iter().chain(below).copied().collect();
        Oid::from(&*arcs)
    }
}

/// The number of the notification.
fn notification(state: AlertState) -> u32 {
    match state {
        AlertState::Raised => 1,
        AlertState::Cleared => 2,
        AlertState::Event => 3,
    }
}

/// `DelfinSeverity` of the MIB: the first six are those of X.733, as in RFC 3877.
fn perceived_severity(alert: &Alert<'_>) -> i32 {
    if alert.state() == AlertState::Cleared {
        return 1;
    }
    match alert.known_severity() {
        None => 2,
        Some(AlertSeverity::Fatal | AlertSeverity::Critical) => 3,
        Some(AlertSeverity::Major) => 4,
        Some(AlertSeverity::Minor) => 5,
        Some(AlertSeverity::Warning) => 6,
        Some(AlertSeverity::Informational) => 7,
    }
}

fn text(value: &str) -> Value {
    Value::OctetString(value.as_bytes().to_vec().into())
}

/// Ends texts of a notification that is too large early, with `…`, and returns whether one was
/// longer than `max` bytes.
pub(crate) fn shorten(objects: &mut [VarBind], max: usize) -> bool {
    const CUT: &str = "…";
    let mut is_shortened = false;
    for object in objects {
        if let Value::OctetString(bytes) = &object.value
            && bytes.len() > max
            // The only object that is no text, the time, is shorter than each limit.
            && let Ok(long) = str::from_utf8(bytes)
        {
            let end = long.floor_char_boundary(max - CUT.len());
            object.value = text(&format!("{}{CUT}", &long[..end]));
            is_shortened = true;
        }
    }
    is_shortened
}

/// The extra fields as a JSON object.
fn extra(alert: &Alert<'_>) -> String {
    let fields: BTreeMap<&str, &str> = alert.extra().iter().collect();
    serde_json::to_string(&fields).unwrap_or_default()
}

/// `DateAndTime` of RFC 2579, in UTC. Empty without a time, and behind the year 9999.
fn date_and_time(ms: i64) -> Vec<u8> {
    const YEAR_10000_MS: i64 = 253_402_300_800_000;
    if !(1..YEAR_10000_MS).contains(&ms) {
        return Vec::new();
    }
    let time = SystemTime::UNIX_EPOCH + Duration::from_millis(ms.unsigned_abs());
    let text = humantime::format_rfc3339_millis(time).to_string();
    let mut numbers = text
        .split(|c: char| !c.is_ascii_digit())
        .map(|digits| digits.parse().unwrap_or(0));
    let mut next = || -> u16 { numbers.next().unwrap_or_default() };
    let mut bytes = next().to_be_bytes().to_vec();
    bytes.extend([next(), next(), next(), next(), next(), next() / 100].map(|number| number as u8));
    bytes.extend([b'+', 0, 0]);
    bytes
}

#[cfg(test)]
mod tests {
    use delfin_plugin_api::{AlertBatchBuilder, NewAlert};

    use super::*;

    fn encoded(occur_time: i64, texts: &[(&str, &str)]) -> AlertNotification {
        let mut batch = AlertBatchBuilder::new();
        batch.alert(NewAlert { occur_time, texts });
        let encoder = NotificationEncoder::new(7);
        let mut all = encoder.encode_batch(&batch.build(), &[], Origin::Sync);
        all.remove(0)
    }

    #[test]
    fn the_category_decides_the_notification_and_the_severity() {
        let check = |category: &str, severity: &str, notification: u32, number: i32| {
            let found = encoded(0, &[("category", category), ("severity", severity)]);
            assert_eq!(
                found.oid.to_string(),
                format!("1.3.6.1.4.1.7.1.0.{notification}")
            );
            assert_eq!(found.objects[1].value, Value::Integer(number));
        };
        check("Fault", "Fatal", 1, 3);
        check("", "critical", 1, 3);
        check("Fault", "Major", 1, 4);
        check("Fault", "Minor", 1, 5);
        check("Event", "Warning", 3, 6);
        check("Event", "Informational", 3, 7);
        check("Fault", "NotSpecified", 1, 2);
        check("recovery", "Major", 2, 1);
    }

    #[test]
    fn every_object_of_the_mib_is_there_in_its_order() {
        let found = encoded(0, &[("description", "d"), ("rack", "7\"\n")]);
        let oids: Vec<_> = found
            .objects
            .iter()
            .map(|object| object.oid.to_string())
            .collect();
        let expected: Vec<_> = (1..=22)
            .map(|number| format!("1.3.6.1.4.1.7.1.1.{number}.0"))
            .collect();
        assert_eq!(oids, expected);
        let mib = include_str!("../../../etc/mibs/DELFIN-HOST-MIB.txt");
        let numbers = |name: &str| {
            let object = format!("{name} OBJECT-TYPE");
            let from = mib.find(&object).unwrap_or_else(|| panic!("no `{name}`"));
            let end = mib[from..].split("::= { delfinObjects ").nth(1).unwrap();
            end.split(' ').next().unwrap().parse::<usize>().unwrap()
        };
        for (index, column) in TEXT_COLUMNS.iter().enumerate() {
            let words = column.split('_').map(|word| {
                let (first, rest) = word.split_at(1);
                first.to_uppercase() + rest
            });
            let name = format!("delfinAlert{}", words.collect::<String>());
            assert_eq!(numbers(&name), index + 4, "{name}");
        }
        let bytes = |index: usize| match &found.objects[index].value {
            Value::OctetString(bytes) => String::from_utf8(bytes.to_vec()).unwrap(),
            other => panic!("{other:?}"),
        };
        assert_eq!(bytes(19), r#"{"rack":"7\"\n"}"#);
        assert_eq!((bytes(20), bytes(2)), ("sync".to_owned(), String::new()));
    }

    #[test]
    fn a_time_is_a_date_in_utc() {
        let date = |ms| date_and_time(ms);
        let bytes = |year: u16, rest: [u8; 6]| {
            let mut bytes = year.to_be_bytes().to_vec();
            bytes.extend(rest);
            bytes.extend([b'+', 0, 0]);
            bytes
        };
        assert_eq!(
            date(1_700_000_000_250),
            bytes(2023, [11, 14, 22, 13, 20, 2])
        );
        assert_eq!(date(951_782_400_000), bytes(2000, [2, 29, 0, 0, 0, 0]));
        assert_eq!(date(1), bytes(1970, [1, 1, 0, 0, 0, 0]));
        for none in [0, -1, i64::MAX, i64::MIN, 253_402_300_800_000] {
            assert!(date(none).is_empty(), "{none}");
        }
    }

    #[test]
    fn a_long_text_ends_early_and_an_id_stays_whole() {
        let mut found = encoded(1, &[("description", &"é".repeat(5000))]);
        let [shortest] = TEXT_LIMITS[TEXT_LIMITS.len() - 1..] else {
            panic!("no limit")
        };
        let before = found.objects.clone();
        assert!(shorten(&mut found.objects, shortest));
        assert!(!shorten(&mut found.objects, shortest));
        let Value::OctetString(bytes) = &found.objects[16].value else {
            panic!("not a text")
        };
        let cut = str::from_utf8(bytes).unwrap();
        assert!(cut.len() <= shortest && cut.ends_with("é…"), "{cut}");
        found.objects[16] = before[16].clone();
        assert_eq!(found.objects, before);
    }
}
