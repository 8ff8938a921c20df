//! Alerts and their state in the table.

use delfin_plugin_api::{AlertBatch, AlertBatchBuilder, NewAlert, sample, testkit::Harness};
use delfin_tests::LONG_TEXT;
use serde_json::Value;

use crate::{ALERTS, support::Database};

fn alerts(rows: &[&[(&str, &str)]]) -> AlertBatch {
    let mut batch = AlertBatchBuilder::new();
    for &texts in rows {
        batch.alert(NewAlert {
            occur_time: sample::START_MS,
            texts,
        });
    }
    batch.build()
}

#[test]
fn an_alert_is_one_row_whose_state_follows_the_alert() {
    let harness = Harness::of_crate();
    let Some(database) = Database::start() else {
        return;
    };
    let mut exporter = harness.start(ALERTS, &database.settings());
    let fault = [
        ("match_key", "k"),
        ("category", "Fault"),
        ("severity", "Major"),
    ];
    let worse = [
        ("match_key", "k"),
        ("category", "Fault"),
        ("severity", "Fatal"),
    ];
    let end = [("match_key", "k"), ("category", "recovery")];
    let event = [("match_key", "e"), ("category", "Event")];
    let state = || {
        let rows = database.query(
            "SELECT match_key || ' ' || active || ' ' || coalesce(severity, '-')
             FROM delfin_alerts ORDER BY 1",
        );
        rows.iter().map(|row| row.get(0)).collect::<Vec<String>>()
    };
    assert_eq!(exporter.send(&alerts(&[&fault, &event])), Ok(()));
    assert_eq!(state(), ["e false -", "k true Major"]);
    assert_eq!(exporter.send(&alerts(&[&end, &fault, &worse])), Ok(()));
    assert_eq!(state(), ["e false -", "k true Fatal"]);
    assert_eq!(exporter.send(&alerts(&[&worse, &end])), Ok(()));
    assert_eq!(state(), ["e false -", "k false -"]);
    // A batch that was accepted before this state does not replace it.
    database.query("UPDATE delfin_alerts SET accepted_time = '2999-01-01' WHERE match_key = 'k'");
    assert_eq!(exporter.send(&alerts(&[&fault])), Ok(()));
    assert_eq!(state(), ["e false -", "k false -"]);
}

#[test]
fn every_text_of_an_alert_is_in_its_column_or_in_extra() {
    let harness = Harness::of_crate();
    let Some(database) = Database::start() else {
        return;
    };
    let mut texts = delfin_plugin_api::TEXT_COLUMNS
        .map(|name| (name, name))
        .to_vec();
    texts.extend([("rack \"7\"\n", "🦀\0"), ("long", LONG_TEXT), ("", "")]);
    let mut exporter = harness.start(ALERTS, &database.settings());
    assert_eq!(exporter.send(&alerts(&[&texts, &[]])), Ok(()));
    let rows = database.query(
        "SELECT (to_jsonb(a) - 'id' - 'accepted_time')::text FROM delfin_alerts a ORDER BY storage_id",
    );
    let mut expected: Value = delfin_plugin_api::TEXT_COLUMNS
        .map(|name| (name.to_owned(), Value::from(name)))
        .into_iter()
        .collect();
    expected["active"] = true.into();
    expected["occur_time"] = "2023-11-14T22:13:20+00:00".into();
    expected["extra"] =
        serde_json::json!({ "rack \"7\"\n": "🦀\u{fffd}", "long": LONG_TEXT, "": "" });
    let found = |row: usize| serde_json::from_str::<Value>(&rows[row].get::<_, String>(0)).unwrap();
    assert_eq!(found(0), expected);
    let empty = found(1);
    assert_eq!(
        (&empty["description"], &empty["extra"]),
        (&Value::Null, &serde_json::json!({}))
    );
}

#[test]
fn thousands_of_alerts_are_rows_also_if_they_are_sent_twice() {
    let harness = Harness::of_crate();
    let Some(database) = Database::start() else {
        return;
    };
    let mut exporter = harness.start(ALERTS, &database.settings());
    for _ in 0..2 {
        assert_eq!(exporter.send(&sample::alerts(3000)), Ok(()));
    }
    let active = "SELECT count(*) FROM delfin_alerts WHERE active";
    assert_eq!(database.count(active), 3000);
}
