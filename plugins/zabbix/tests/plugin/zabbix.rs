//! What a real Zabbix stores, discovers, and makes problems of.

use std::{
    collections::BTreeSet,
    fs,
    path::Path,
    time::{SystemTime, UNIX_EPOCH},
};

use delfin_plugin_api::{
    AlertBatch, AlertBatchBuilder, Failure, NewAlert, PerformanceBatchBuilder, RowFailureKind,
    testkit::{Harness, TestInstance, build_library},
};
use delfin_tests::{
    Authority, LONG_TEXT, deliver_in_spite_of_outages,
    receivers::{Zabbix, ZabbixTls},
    wait_for,
};
use serde_json::{Value, json};

use crate::{ALERTS, PERFORMANCE};

const TEMPLATE: &str = "Delfin storage";

/// A time some minutes ago: Zabbix discards values that are older than it would keep them.
fn recent_ms() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    now.as_secs() as i64 * 1000 - 300_000
}

#[test]
fn a_server_keeps_what_the_readme_says() {
    let harness = Harness::of_crate();
    let authority = Authority::new(&harness.new_folder());
    let (server, client) = (authority.issue("localhost"), authority.issue("delfin"));
    let tls = ZabbixTls {
        authority: &authority.certificate,
        certificate: &server.certificate,
        key: &server.key,
    };
    let Some(mut zabbix) = Zabbix::start(&harness.new_folder(), &tls) else {
        return;
    };
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../etc/zabbix/delfin-storage.yaml");
    zabbix.import(&fs::read_to_string(file).unwrap());
    let plain = json!({ "address": format!("localhost:{}", zabbix.port()), "tls": false });
    let mut encrypted = plain.clone();
    encrypted["tls"] = json!(true);
    encrypted["ca_certificate"] = json!(authority.certificate);
    encrypted["client_certificate"] = json!(client.certificate);
    encrypted["client_key"] = json!(client.key);
    nothing_is_missing_after_a_stop(&harness, &mut zabbix, &plain);
    awkward_texts_and_values_arrive_over_tls(&harness, &zabbix, &encrypted);
    an_alert_is_a_problem_until_its_recovery(&harness, &zabbix, &plain);
    unknown_hosts_and_keys_are_refused_by_row(&harness, &zabbix, &plain, &encrypted);
}

/// The values of a host in a table: key, time and value.
fn values_of(zabbix: &Zabbix, table: &str, host: &str) -> Vec<(String, i64, Value)> {
    let values = zabbix.values(table).into_iter();
    let values = values.filter(|(of, ..)| of == host);
    values
        .map(|(_, key, time, value)| (key, time, value))
        .collect()
}

/// With a host that sends, and that is killed meanwhile. No item exists at the beginning.
fn nothing_is_missing_after_a_stop(harness: &Harness, zabbix: &mut Zabbix, settings: &Value) {
    create_host(harness, zabbix, "array 1", settings);
    let mut expected = BTreeSet::new();
    let start = recent_ms();
    let batches: Vec<_> = (0..30_i64)
        .map(|time| {
            let time = start + time * 100;
            let disks = (0..5).map(|disk| {
                expected.insert((format!("delfin.value[iops,disk,d{disk}]"), time));
                json!({
                    "name": "iops",
                    "labels": {
                        "storage_id": "s1",
                        "storage_name": "array 1",
                        "resource_type": "disk",
                        "resource_id": format!("d{disk}"),
                    },
                    "values": { time.to_string(): 0.5 },
                })
            });
            Value::from_iter(disks)
        })
        .collect();
    let library = build_library();
    deliver_in_spite_of_outages(&library, PERFORMANCE, settings, &batches, |is_down| {
        if is_down {
            zabbix.stop();
        } else {
            zabbix.restart();
        }
    });
    let stored = wait_for("all values", || {
        let values = values_of(zabbix, "history", "array 1");
        (values.len() >= expected.len()).then_some(values)
    });
    // Nothing is there twice either.
    assert_eq!(stored.len(), expected.len());
    let stored: BTreeSet<_> = stored
        .into_iter()
        .map(|(key, time, _)| (key, time))
        .collect();
    assert_eq!(stored, expected);
}

/// Sends a batch until Zabbix has created the items and takes all of it.
fn deliver(exporter: &mut TestInstance, batch: &delfin_plugin_api::PerformanceBatch) {
    wait_for("a delivered batch", || match exporter.send(batch) {
        Ok(()) => Some(()),
        Err(Failure::Partial { rows, .. })
            if rows.iter().all(|row| row.kind == RowFailureKind::Retry) =>
        {
            None
        }
        other => panic!("{other:?}"),
    });
}

fn awkward_texts_and_values_arrive_over_tls(harness: &Harness, zabbix: &Zabbix, settings: &Value) {
    create_host(harness, zabbix, "gr__e", settings);
    let texts = [
        ("say \"no\" \\", "say \"no\" _".to_owned()),
        ("line\nbreak\r\ttab\u{1b}", "line_break__tab_".to_owned()),
        ("grüße 🦀", "grüße 🦀".to_owned()),
        (" ", "\" \"".to_owned()),
        ("", String::new()),
        ("a,b]", "\"a,b]\"".to_owned()),
        ("[\"", "\"[\\\"\"".to_owned()),
        ("\"quoted\"", "\"\\\"quoted\\\"\"".to_owned()),
        (LONG_TEXT, "x".repeat(255)),
    ];
    let values = [
        0.1 + 0.2,
        1e-9,
        1e300,
        1e-300,
        -0.0,
        f64::NAN,
        f64::INFINITY,
    ];
    let start = recent_ms();
    let mut batch = PerformanceBatchBuilder::new();
    for (text, _) in &texts {
        let labels = [
            ("storage_name", "grüße"),
            ("resource_type", "volume"),
            ("resource_id", *text),
            ("resource_name", *text),
            ("unit", *text),
        ];
        batch.series("iops", labels, (start..).zip(values)).unwrap();
    }
    let mut settings = settings.clone();
    settings["key"] = json!("delfin.value[{name},{resource_type},{resource_id}]");
    deliver(&mut harness.start(PERFORMANCE, &settings), &batch.build());
    let stored = wait_for("awkward values", || {
        let values = values_of(zabbix, "history", "gr__e");
        (values.len() >= texts.len() * 5).then_some(values)
    });
    let finite = values
        .iter()
        .enumerate()
        .filter(|(_, value)| value.is_finite());
    let mut expected = Vec::new();
    for (number, value) in finite {
        for (_, parameter) in &texts {
            let key = format!("delfin.value[iops,volume,{parameter}]");
            expected.push((key, start + number as i64, *value));
        }
    }
    let mut stored: Vec<_> = stored
        .into_iter()
        .map(|(key, time, value)| (key, time, value.as_f64().unwrap()))
        .collect();
    let by_key = |a: &(String, i64, f64), b: &(String, i64, f64)| (a.1, &a.0).cmp(&(b.1, &b.0));
    stored.sort_by(by_key);
    expected.sort_by(by_key);
    assert_eq!(stored, expected);
}

/// Creates a host, and waits until the server knows it and its items.
fn create_host(harness: &Harness, zabbix: &Zabbix, name: &str, settings: &Value) -> String {
    let only_tls = settings["tls"] == true;
    let id = zabbix.create_host(name, TEMPLATE, only_tls);
    let mut settings = settings.clone();
    settings["host"] = json!(name);
    let mut exporter = harness.start(ALERTS, &settings);
    wait_for("a host that the server knows", || {
        exporter.send(&alert("Event", "login", "Major", "")).ok()
    });
    id
}

fn alert(category: &str, name: &str, severity: &str, description: &str) -> AlertBatch {
    let mut batch = AlertBatchBuilder::new();
    batch.alert(NewAlert {
        occur_time: recent_ms(),
        texts: &[
            ("storage_name", "array 2"),
            ("alert_name", name),
            ("severity", severity),
            ("category", category),
            ("description", description),
        ],
    });
    batch.build()
}

fn an_alert_is_a_problem_until_its_recovery(harness: &Harness, zabbix: &Zabbix, settings: &Value) {
    let host = create_host(harness, zabbix, "array 2", settings);
    let mut exporter = harness.start(ALERTS, settings);
    let problems = || {
        let problems = json!({ "hostids": [host], "output": ["name", "severity"] });
        let problems = zabbix.call("problem.get", &problems);
        let of = |problem: &Value| {
            let text = |key: &str| problem[key].as_str().unwrap().to_owned();
            (text("name"), text("severity"))
        };
        problems
            .as_array()
            .unwrap()
            .iter()
            .map(of)
            .collect::<BTreeSet<_>>()
    };
    let wait_for_problems = |expected: &[(&str, &str)]| {
        let expected = expected
            .iter()
            .map(|(name, severity)| ((*name).to_owned(), (*severity).to_owned()));
        let expected: BTreeSet<_> = expected.collect();
        wait_for("problems", || (problems() == expected).then_some(()));
    };
    let awkward = "say \"no\" \\ 🦀\nOK not a recovery";
    assert_eq!(
        exporter.send(&alert("Fault", "fan", "Critical", awkward)),
        Ok(())
    );
    wait_for_problems(&[("fan", "4")]);
    let texts = values_of(zabbix, "history_text", "array 2");
    let is_problem = |text: &&str| text.starts_with("PROBLEM Critical ");
    let text = texts
        .iter()
        .filter_map(|(_, _, text)| text.as_str())
        .find(is_problem);
    assert!(text.is_some_and(|text| text.contains(awkward)), "{texts:?}");
    for (name, severity) in [("link \"7\"", "Major"), ("odd", "NotSpecified")] {
        assert_eq!(
            exporter.send(&alert("Fault", name, severity, "down")),
            Ok(())
        );
    }
    wait_for_problems(&[("fan", "4"), ("link \"7\"", "3"), ("odd", "1")]);
    // The recovery of one closes no other, at the same time and with another severity.
    assert_eq!(
        exporter.send(&alert("Recovery", "fan", "Informational", "")),
        Ok(())
    );
    wait_for_problems(&[("link \"7\"", "3"), ("odd", "1")]);
    assert_eq!(exporter.send(&alert("Event", "login", "Major", "")), Ok(()));
    assert_eq!(
        exporter.send(&alert("Recovery", "link \"7\"", "Major", "")),
        Ok(())
    );
    wait_for_problems(&[("odd", "1")]);
}

fn unknown_hosts_and_keys_are_refused_by_row(
    harness: &Harness,
    zabbix: &Zabbix,
    plain: &Value,
    encrypted: &Value,
) {
    let time = recent_ms() + 60_000;
    let mut batch = PerformanceBatchBuilder::new();
    for (host, id) in [
        ("array 1", "d0"),
        ("array 1", "new"),
        ("nowhere", "d0"),
        ("array 1", "d1"),
    ] {
        let labels = [
            ("storage_name", host),
            ("resource_type", "disk"),
            ("resource_id", id),
        ];
        batch.series("iops", labels, [(time, 7.0)]).unwrap();
    }
    let mut settings = plain.clone();
    settings["discovery"] = json!(false);
    let Err(Failure::Partial { rows, .. }) =
        harness.start(PERFORMANCE, &settings).send(&batch.build())
    else {
        panic!("not partial")
    };
    let refused: Vec<_> = rows
        .iter()
        .map(|row| (row.rows.clone(), row.kind))
        .collect();
    assert_eq!(
        refused,
        [1..2, 2..3].map(|rows| (rows, RowFailureKind::Rejected))
    );
    assert!(
        rows[1]
            .reason
            .contains("`nowhere:delfin.value[iops,disk,d0]`"),
        "{}",
        rows[1].reason
    );
    wait_for("the other values", || {
        let values = values_of(zabbix, "history", "array 1");
        let new = values.iter().filter(|(_, at, _)| *at == time);
        (new.count() == 2).then_some(())
    });
    // A host that wants TLS takes no value without it.
    let mut batch = PerformanceBatchBuilder::new();
    let labels = [
        ("storage_name", "gr__e"),
        ("resource_type", "volume"),
        ("resource_id", "grüße 🦀"),
    ];
    batch.series("iops", labels, [(time, 7.0)]).unwrap();
    let batch = batch.build();
    let outcome = harness.start(PERFORMANCE, &settings).send(&batch);
    assert!(
        matches!(outcome, Err(Failure::Partial { .. })),
        "{outcome:?}"
    );
    let mut settings = encrypted.clone();
    settings["discovery"] = json!(false);
    assert_eq!(harness.start(PERFORMANCE, &settings).send(&batch), Ok(()));
    assert_eq!(
        harness.start(PERFORMANCE, &settings).outcome_of("health"),
        Ok(())
    );
}
