//! Match keys for alerts of vendors whose sequence numbers are unique within a storage.
//!
//! A client such as Delfin sends the same alert from a list and from a trap, and the two may
//! describe its location differently. Where the sequence number identifies the alert by itself,
//! it becomes the match key, as with a driver that declares it. An alert with a match key, without
//! a sequence number or of another vendor is not changed: two of its alerts may have one number.

use delfin_plugin_api::{Alert, AlertBatch, AlertBatchBuilder, NewAlert};

/// The batch with match keys; `None` if no alert gets one.
pub(super) fn from_sequence_numbers(alerts: &AlertBatch, vendors: &[String]) -> Option<AlertBatch> {
    let key = |alert: &Alert<'_>| match_key(alert, vendors).map(str::to_owned);
    if alerts.alerts().all(|alert| key(&alert).is_none()) {
        return None;
    }
    let mut batch = AlertBatchBuilder::new();
    for alert in alerts.alerts() {
        let key = key(&alert);
        let mut texts: Vec<(&str, &str)> = alert.texts().collect();
        texts.extend(alert.extra());
        texts.extend(key.iter().map(|key| ("match_key", key.as_str())));
        batch.alert(NewAlert {
            occur_time: alert.occur_time(),
            texts: &texts,
        });
    }
    Some(batch.build())
}

fn match_key<'a>(alert: &Alert<'a>, vendors: &[String]) -> Option<&'a str> {
    let vendor = alert.vendor()?;
    let is_unique = vendors
        .iter()
        .any(|known| known.eq_ignore_ascii_case(vendor));
    let is_empty = |text: Option<&str>| text.is_none_or(str::is_empty);
    if !is_unique || is_empty(alert.storage_id()) || !is_empty(alert.match_key()) {
        return None;
    }
    alert.sequence_number().filter(|number| !number.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(rows: &[&[(&str, &str)]]) -> Option<Vec<Option<String>>> {
        let mut batch = AlertBatchBuilder::new();
        for texts in rows {
            let texts = [&[("alert_id", "a"), ("more", "m")], *texts].concat();
            batch.alert(NewAlert {
                occur_time: 3,
                texts: &texts,
            });
        }
        let keyed = from_sequence_numbers(&batch.build(), &["Huawei".to_owned()])?;
        let keys = keyed.alerts().map(|alert| {
            assert_eq!(
                (alert.occur_time(), alert.extra().get("more")),
                (3, Some("m"))
            );
            alert.match_key().map(str::to_owned)
        });
        Some(keys.collect())
    }

    #[test]
    fn a_sequence_number_of_a_listed_vendor_becomes_the_match_key() {
        let list = [
            ("storage_id", "s"),
            ("vendor", "huawei"),
            ("sequence_number", "7"),
            ("location", "x"),
        ];
        let trap = list.map(|(key, text)| match key {
            "location" => (key, "Node code=Array,x"),
            "vendor" => (key, "Huawei"),
            _ => (key, text),
        });
        let keyed = [&list[..], &[("match_key", "k")]].concat();
        let other = list.map(|(key, text)| (key, if key == "vendor" { "acme" } else { text }));
        let found = keys(&[&list, &trap, &keyed, &other]).unwrap();
        let found: Vec<_> = found.iter().map(Option::as_deref).collect();
        assert_eq!(found, [Some("7"), Some("7"), Some("k"), None]);
    }

    #[test]
    fn a_batch_without_such_an_alert_is_not_changed() {
        for column in ["storage_id", "vendor", "sequence_number"] {
            let texts = [
                ("storage_id", "s"),
                ("vendor", "Huawei"),
                ("sequence_number", "7"),
            ];
            let without: Vec<_> = texts
                .into_iter()
                .filter(|(key, _)| *key != column)
                .collect();
            assert_eq!(keys(&[&without]), None, "{column}");
        }
    }
}
