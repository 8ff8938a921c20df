use std::time::{Duration, SystemTime};

use delfin_plugin_api::{AlertBatch, AlertBatchBuilder, NewAlert};
use serde_json::{Value, json};

use super::{
    encode::PostedAlert,
    state::{SentAlerts, SentUpdate},
};

/// The extra fields that are labels.
const LABELS: [&str; 2] = ["site", "tenant"];
const NOW: &str = "2026-04-12T10:15:00Z";

fn now() -> SystemTime {
    humantime::parse_rfc3339(NOW).unwrap()
}

fn millis(text: &str) -> i64 {
    let since = humantime::parse_rfc3339(text)
        .unwrap()
        .duration_since(SystemTime::UNIX_EPOCH);
    i64::try_from(since.unwrap().as_millis()).unwrap()
}

fn posted(occur_time: i64, texts: &[(&str, &str)]) -> Value {
    let mut batch = AlertBatchBuilder::new();
    batch.alert(NewAlert { occur_time, texts });
    let batch: AlertBatch = batch.build();
    let alert = batch.alerts().next().unwrap();
    let posted = PostedAlert::new(
        (0, &alert),
        &LABELS.map(str::to_owned),
        now(),
        Duration::from_mins(5),
    );
    serde_json::to_value(posted).unwrap()
}

const FAULT: [(&str, &str); 13] = [
    ("storage_id", "s"),
    ("storage_name", "array"),
    ("vendor", "v"),
    ("model", "m"),
    ("serial_number", "sn"),
    ("alert_id", "102"),
    ("alert_name", "Power failure"),
    ("sequence_number", "17"),
    ("category", "Fault"),
    ("severity", "Fatal"),
    ("type", "OperationalViolation"),
    ("location", "NetworkEntity=entity3"),
    ("description", "Power failed. "),
];

#[test]
fn a_column_that_changes_from_report_to_report_is_an_annotation() {
    assert_eq!(
        posted(millis("2026-04-12T10:00:00.250Z"), &FAULT),
        json!({
            "labels": {
                "alertname": "Power failure",
                "alert_name": "Power failure",
                "sequence_number": "17",
                "severity": "Fatal",
                "type": "OperationalViolation",
                "location": "NetworkEntity=entity3",
                "storage_id": "s",
                "storage_name": "array",
                "vendor": "v",
                "model": "m",
                "serial_number": "sn",
            },
            "annotations": {
                "summary": "Power failed. ",
                "description": "Power failed. ",
                "category": "Fault",
                "alert_id": "102",
                "occur_time": "2026-04-12T10:00:00.250Z",
            },
            "startsAt": "2026-04-12T10:00:00.250Z",
            "endsAt": "2026-04-12T10:20:00.000Z",
        })
    );
}

#[test]
fn a_recovery_has_the_labels_of_the_alert_that_it_ends() {
    let fault = posted(millis("2026-04-12T10:00:00Z"), &FAULT);
    let mut recovery = FAULT.to_vec();
    recovery.retain(|(column, _)| *column != "description");
    recovery.push(("category", "Recovery"));
    recovery.push(("alert_id", "103"));
    let recovery = posted(millis("2026-04-12T10:10:00Z"), &recovery);
    assert_eq!(recovery["labels"], fault["labels"]);
    assert_eq!(recovery["endsAt"], "2026-04-12T10:10:00.000Z");
    assert_eq!(recovery.get("startsAt"), None);
}

#[test]
fn a_wrong_or_missing_time_becomes_one_that_alertmanager_accepts() {
    let ahead = millis("2031-01-01T00:00:00Z");
    let check = |occur_time, category, starts: Option<&str>, ends: &str| {
        let posted = posted(occur_time, &[("category", category)]);
        assert_eq!(posted.get("startsAt").and_then(Value::as_str), starts);
        assert_eq!(posted["endsAt"], ends);
    };
    let now = "2026-04-12T10:15:00.000Z";
    let later = "2026-04-12T10:20:00.000Z";
    check(ahead, "Fault", Some(now), later);
    check(ahead, "Recovery", None, now);
    for unset in [0, -5, i64::MIN, i64::MAX] {
        check(unset, "Fault", None, later);
        check(unset, "recovery", None, now);
    }
}

#[test]
fn empty_texts_are_left_out_and_there_is_always_a_name() {
    let check = |texts: &[(&str, &str)], labels: Value| {
        assert_eq!(posted(0, texts)["labels"], labels);
    };
    check(&[], json!({ "alertname": "unnamed" }));
    check(
        &[("alert_name", ""), ("vendor", "")],
        json!({ "alertname": "unnamed" }),
    );
    check(&[("alert_id", "7")], json!({ "alertname": "7" }));
}

#[test]
fn extras_are_annotations_with_valid_names() {
    let posted = posted(
        0,
        &[
            ("rack", "7"),
            ("fan-1", "a"),
            ("fan.1", "b"),
            ("1st", "c"),
            ("summary", "mine"),
            ("description", "d"),
            ("", "e"),
            ("none", ""),
        ],
    );
    assert_eq!(
        posted["annotations"],
        json!({
            "description": "d",
            "summary": "d",
            "summary_": "mine",
            "rack": "7",
            "fan_1": "a",
            "fan_1_": "b",
            "_1st": "c",
            "_": "e",
        })
    );
}

#[test]
fn chosen_extras_are_labels_and_no_annotations() {
    let posted = posted(
        0,
        &[
            ("alert_name", "n"),
            ("site", "hk-1"),
            ("tenant", ""),
            ("rack", "7"),
        ],
    );
    assert_eq!(
        posted["labels"],
        json!({ "alertname": "n", "alert_name": "n", "site": "hk-1" })
    );
    assert_eq!(posted["annotations"], json!({ "rack": "7" }));
}

#[test]
fn another_site_ends_the_alert_of_the_site_before() {
    let mut sent = SentAlerts::default();
    let mut ended = Vec::new();
    for site in ["hk-1", "hk-2", "hk-2", ""] {
        let mut built = AlertBatchBuilder::new();
        let texts = [("alert_name", "a"), ("site", site)];
        built.alert(NewAlert {
            occur_time: 0,
            texts: &texts,
        });
        let mut update = SentUpdate::default();
        for alert in built.build().alerts() {
            let labels = LABELS.map(str::to_owned);
            let new = PostedAlert::new((0, &alert), &labels, now(), Duration::from_mins(5));
            let replaced = sent.replaced_labels(&alert, &new, &mut update);
            ended.extend(replaced.map(|old| old["site"].clone()));
        }
        sent.apply(update, Duration::from_mins(5));
    }
    assert_eq!(ended, ["hk-1", "hk-2"]);
}

#[test]
fn a_match_key_is_a_label_in_place_of_the_sequence_number() {
    let posted = posted(
        0,
        &[
            ("alert_name", "n"),
            ("match_key", "k"),
            ("sequence_number", "1"),
        ],
    );
    assert_eq!(
        posted["labels"],
        json!({ "alertname": "n", "alert_name": "n", "match_key": "k" })
    );
    assert_eq!(posted["annotations"], json!({ "sequence_number": "1" }));
}

/// Sends batches of alerts `[name, severity, category, match_key]`, and returns the
/// labels `severity` and `alertname` of each alert that is ended.
fn ended(batches: &[&[[&str; 4]]]) -> Vec<String> {
    let mut sent = SentAlerts::default();
    let mut ended = Vec::new();
    for batch in batches {
        let mut built = AlertBatchBuilder::new();
        for [name, severity, category, match_key] in *batch {
            let texts = [
                ("alert_name", *name),
                ("severity", *severity),
                ("category", *category),
                ("match_key", *match_key),
            ];
            built.alert(NewAlert {
                occur_time: 0,
                texts: &texts,
            });
        }
        let mut update = SentUpdate::default();
        for alert in built.build().alerts() {
            let posted = PostedAlert::new(
                (0, &alert),
                &LABELS.map(str::to_owned),
                now(),
                Duration::from_mins(5),
            );
            let replaced = sent.replaced_labels(&alert, &posted, &mut update);
            ended.extend(replaced.map(|old| format!("{} {}", old["severity"], old["alertname"])));
        }
        sent.apply(update, Duration::from_mins(5));
    }
    ended
}

#[test]
fn changed_labels_end_the_alert_with_the_old_ones() {
    let check = |batches: &[&[[&str; 4]]], expected: &[&str]| {
        assert_eq!(ended(batches), expected, "{batches:?}");
    };
    let major = ["a", "Major", "Fault", ""];
    let fatal = ["a", "Fatal", "Fault", ""];
    check(&[&[major], &[major]], &[]);
    check(&[&[major], &[fatal], &[major]], &["Major a", "Fatal a"]);
    check(&[&[major, fatal, fatal]], &["Major a"]);
    // A recovery may have another severity than its alert.
    let over = ["a", "Informational", "Recovery", ""];
    check(&[&[major], &[over], &[fatal]], &["Major a"]);
    check(&[&[over], &[fatal]], &[]);
    let (down, up) = (
        ["down", "Major", "Fault", "k"],
        ["up", "Major", "Recovery", "k"],
    );
    check(&[&[down], &[up]], &["Major down"]);
    check(&[&[down], &[["down", "Fatal", "Fault", "k2"]]], &[]);
}

#[test]
fn an_alert_that_has_ended_by_itself_is_not_ended_again() {
    let mut batch = AlertBatchBuilder::new();
    for severity in ["Major", "Fatal"] {
        let texts = [("alert_name", "a"), ("severity", severity)];
        batch.alert(NewAlert {
            occur_time: 0,
            texts: &texts,
        });
    }
    let batch = batch.build();
    let mut sent = SentAlerts::default();
    let mut replaced = Vec::new();
    for alert in batch.alerts() {
        let mut update = SentUpdate::default();
        let posted = PostedAlert::new(
            (0, &alert),
            &LABELS.map(str::to_owned),
            now(),
            Duration::ZERO,
        );
        replaced.push(sent.replaced_labels(&alert, &posted, &mut update));
        sent.apply(update, Duration::ZERO);
        sent.apply(SentUpdate::default(), Duration::ZERO);
    }
    assert_eq!(replaced, [None, None]);
}
