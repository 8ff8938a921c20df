//! Alerts in a real Alertmanager.

use delfin_plugin_api::{
    AlertBatch, AlertBatchBuilder, NewAlert,
    testkit::{TestInstance, check_outcome},
};
use delfin_tests::receivers::{Alertmanager, free_port};
use serde_json::{Value, json};

use crate::support::Lab;

const NAMES: [&str; 4] = [
    "Communication failure",
    "Link state down",
    "Power failure",
    "SNMP connect failed",
];

/// The alerts of one sync. Columns that may change from sync to sync do.
fn report(sync: usize, names: &[&str], category: &str) -> AlertBatch {
    let mut batch = AlertBatchBuilder::new();
    for name in names {
        let id = sync.to_string();
        let description = format!("seen in sync {sync} \"quoted\" \\ \n");
        let texts = [
            ("storage_id", "0d0a1f6e"),
            ("storage_name", "array grüße"),
            ("vendor", ""),
            ("alert_name", *name),
            ("alert_id", &id),
            ("sequence_number", "102"),
            ("category", category),
            ("severity", "Critical"),
            ("location", "NetworkEntity=entity1"),
            ("description", &description),
            ("rack-no", "7"),
        ];
        let occur_time = 1_700_000_000_000 + sync as i64;
        batch.alert(NewAlert {
            occur_time,
            texts: &texts,
        });
    }
    batch.build()
}

fn send(exporter: &mut TestInstance, batch: &AlertBatch) {
    assert_eq!(exporter.send(batch), Ok(()));
}

#[test]
fn alerts_are_in_alertmanager_once_until_they_recover_also_after_restarts() {
    let (lab, port) = (Lab::new(), free_port());
    let Some(alertmanager) = Alertmanager::start(lab.folder.path(), port) else {
        return;
    };
    let settings = json!({ "alert_manager_host": "127.0.0.1", "alert_manager_port": port });
    let mut exporter = lab.alerts(&settings);
    assert_eq!(exporter.outcome_of("health"), Ok(()));
    assert_eq!(alertmanager.names(), [""; 0]);
    for sync in 0..3 {
        send(&mut exporter, &report(sync, &NAMES, "Fault"));
    }
    assert_eq!(alertmanager.names(), NAMES);
    check_first(&alertmanager.active()[0]);

    send(&mut exporter, &report(4, &NAMES[1..2], "Recovery"));
    assert_eq!(alertmanager.names(), [NAMES[0], NAMES[2], NAMES[3]]);

    // Alertmanager has no alerts after a restart.
    drop(alertmanager);
    let outcome = exporter.send(&report(5, &NAMES, "Fault"));
    check_outcome(&outcome, "retry", "");
    let alertmanager = Alertmanager::start(lab.folder.path(), port).unwrap();
    send(&mut exporter, &report(5, &NAMES, "Fault"));
    assert_eq!(alertmanager.names(), NAMES);

    // The alerts are still the same after a restart of the exporter.
    drop(exporter);
    let mut exporter = lab.alerts(&settings);
    send(&mut exporter, &report(6, &NAMES, "Fault"));
    assert_eq!(alertmanager.names(), NAMES);
    send(&mut exporter, &report(7, &NAMES, "Recovery"));
    assert_eq!(alertmanager.names(), [""; 0]);
}

/// An alert: name, location, sequence number, match key and severity. Its id
/// changes with the time.
fn reported([name, location, sequence, key, severity]: [&str; 5], time: i64) -> AlertBatch {
    let mut batch = AlertBatchBuilder::new();
    let id = time.to_string();
    let texts = [
        ("storage_id", "0d0a1f6e"),
        ("alert_id", &*id),
        ("alert_name", name),
        ("location", location),
        ("sequence_number", sequence),
        ("match_key", key),
        ("severity", severity),
        ("category", "Fault"),
    ];
    batch.alert(NewAlert {
        occur_time: 1_700_000_000_000 + time,
        texts: &texts,
    });
    batch.build()
}

#[test]
fn an_alert_reported_twice_is_one_in_alertmanager_and_two_alerts_are_two() {
    let (lab, port) = (Lab::new(), free_port());
    let Some(alertmanager) = Alertmanager::start(lab.folder.path(), port) else {
        return;
    };
    let settings = json!({ "alert_manager_host": "127.0.0.1", "alert_manager_port": port });
    let mut exporter = lab.alerts(&settings);
    let first = ["Link down", "port 1", "7", "", "Major"];
    let mut check = |alert: [&str; 5], fires: usize| {
        let fingerprints = [0, 1].map(|time| {
            send(&mut exporter, &reported(alert, time));
            let active = alertmanager.active();
            assert_eq!(active.len(), fires, "{alert:?}: {active:?}");
            let active = active.iter().map(|alert| alert["fingerprint"].to_string());
            active.collect::<Vec<_>>()
        });
        // The same fingerprint: Alertmanager sends no second notification.
        assert_eq!(fingerprints[0], fingerprints[1], "{alert:?}");
    };
    check(first, 1);
    // The severity changes, the alert is the same.
    check(["Link down", "port 1", "7", "", "Fatal"], 1);
    check(["Link up", "port 1", "7", "", "Fatal"], 2);
    check(["Link down", "port 2", "7", "", "Fatal"], 3);
    check(["Link down", "port 1", "8", "", "Fatal"], 4);
    check(["Link down", "port 1", "7", "key", "Fatal"], 5);
    // With a match key the name does not matter.
    check(["Link lost", "port 3", "9", "key", "Fatal"], 5);
    check(["Link lost", "port 3", "9", "another", "Fatal"], 6);
}

fn check_first(alert: &Value) {
    let labels = &alert["labels"];
    assert_eq!(labels["storage_name"], "array grüße");
    assert_eq!(labels["severity"], "Critical");
    for changing in [
        "vendor",
        "alert_id",
        "category",
        "description",
        "occur_time",
    ] {
        assert_eq!(labels.get(changing), None, "{changing}");
    }
    let annotations = &alert["annotations"];
    assert_eq!(annotations["alert_id"], "2");
    assert_eq!(
        annotations["description"],
        "seen in sync 2 \"quoted\" \\ \n"
    );
    assert_eq!(annotations["rack_no"], "7");
    // The first report sets the start. The alert outlives `resolve_timeout`, one second here.
    assert_eq!(alert["startsAt"], "2023-11-14T22:13:20.000Z");
    let time = |key: &str| humantime::parse_rfc3339(alert[key].as_str().unwrap()).unwrap();
    let fires_for = time("endsAt").duration_since(time("updatedAt")).unwrap();
    assert!((290..=300).contains(&fires_for.as_secs()), "{fires_for:?}");
}
