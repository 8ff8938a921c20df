//! What a real rsyslog gets.

use std::collections::BTreeSet;

use delfin_plugin_api::{
    AlertBatch, AlertBatchBuilder, NewAlert, sample,
    testkit::{Harness, TestInstance, check_outcome, outcome_name},
};
use delfin_tests::{
    Authority, LONG_TEXT,
    receivers::{Rsyslog, RsyslogTls},
    wait_for,
};
use serde_json::{Value, json};

use crate::ALERTS;

/// `count` alerts whose ids begin with `start`.
fn alerts(start: usize, count: usize) -> AlertBatch {
    let mut batch = AlertBatchBuilder::new();
    for number in start..start + count {
        let id = number.to_string();
        batch.alert(NewAlert {
            occur_time: sample::START_MS,
            texts: &[("alert_id", id.as_str()), ("description", "down")],
        });
    }
    batch.build()
}

fn messages(rsyslog: &Rsyslog) -> Vec<Value> {
    rsyslog.messages("delfin-host")
}

/// The messages of rsyslog once there are at least `count`.
fn wait_for_messages(rsyslog: &Rsyslog, count: usize) -> Vec<Value> {
    wait_for("messages in rsyslog", || {
        let found = messages(rsyslog);
        (found.len() >= count).then_some(found)
    })
}

fn ids(messages: &[Value]) -> BTreeSet<usize> {
    let id = |message: &Value| message["msgid"].as_str().unwrap().parse().unwrap();
    messages.iter().map(id).collect()
}

/// Sends a batch again until it is delivered, as the host does.
fn deliver(exporter: &mut TestInstance, batch: &AlertBatch) {
    wait_for("a delivered batch", || exporter.send(batch).ok());
}

#[test]
fn nothing_is_missing_after_rsyslog_was_stopped_and_started() {
    let harness = Harness::of_crate();
    let Some(mut rsyslog) = Rsyslog::start(&harness.new_folder(), None) else {
        return;
    };
    let address = format!("localhost:{}", rsyslog.ports().tcp);
    let settings = json!({ "address": address, "transport": "tcp" });
    let sender = std::thread::spawn({
        let mut exporter = harness.start(ALERTS, &settings);
        move || (0..60).for_each(|batch| deliver(&mut exporter, &alerts(batch * 100, 100)))
    });
    // Stops while batches are being sent, wherever the sender is then.
    for reached in [500, 2500] {
        wait_for_messages(&rsyslog, reached);
        rsyslog.stop();
        rsyslog.restart();
    }
    sender.join().unwrap();
    // What rsyslog has read it writes before it ends.
    rsyslog.stop();
    let found = messages(&rsyslog);
    assert_eq!(ids(&found), (0..6000).collect());
    // In order, but for batches that were sent again.
    let order: Vec<_> = found
        .iter()
        .map(|message| ids(std::slice::from_ref(message)))
        .collect();
    let back = order.windows(2).filter(|pair| pair[1] < pair[0]).count();
    assert!(back <= 4, "{back} messages are out of order");
}

#[test]
fn awkward_texts_arrive_over_tls_as_the_readme_says() {
    let harness = Harness::of_crate();
    let authority = Authority::new(&harness.new_folder());
    let (server, client) = (authority.issue("localhost"), authority.issue("delfin"));
    let tls = RsyslogTls {
        authority: &authority.certificate,
        certificate: &server.certificate,
        key: &server.key,
    };
    let Some(rsyslog) = Rsyslog::start(&harness.new_folder(), Some(&tls)) else {
        return;
    };
    let mut exporter = harness.start(
        ALERTS,
        &json!({
            "address": format!("localhost:{}", rsyslog.ports().tls),
            "ca_certificate": authority.certificate,
            "client_certificate": client.certificate,
            "client_key": client.key,
            "facility": "daemon",
            "max_message_bytes": 65_507,
        }),
    );
    let mut batch = AlertBatchBuilder::new();
    batch.alert(NewAlert {
        occur_time: 1_775_988_000_250,
        texts: &[
            ("storage_name", "array 7"),
            ("alert_id", "0x1E"),
            ("alert_name", "\"quoted\" \\back\\slash]"),
            ("severity", "Fatal"),
            ("description", "line\nbreak\r\ttab 数据 🦀"),
            ("vendor", ""),
            ("fan 1", "grüße\u{1b}[31m"),
            ("long", LONG_TEXT),
        ],
    });
    deliver(&mut exporter, &batch.build());
    let data = format!(
        "[alarm resource=\"array 7\" probableCause=\"other\" perceivedSeverity=\"critical\"]\
         [delfin@32473 storage_name=\"array 7\" alert_id=\"0x1E\" \
         alert_name=\"\\\"quoted\\\" \\\\back\\\\slash\\]\" severity=\"Fatal\"]\
         [extra@32473 fan_1=\"grüße#033[31m\" long=\"{LONG_TEXT}\"]"
    );
    let expected = json!({
        "pri": "25",
        "timereported": "2026-04-12T10:00:00.250Z",
        "hostname": "array_7",
        "app-name": "delfin-host",
        "msgid": "0x1E",
        "structured-data": data,
        "msg": "\u{feff}\"quoted\" \\back\\slash]: line#012break#015#011tab 数据 🦀",
    });
    assert_eq!(wait_for_messages(&rsyslog, 1), [expected]);

    // Another authority than that of the server.
    let other = tempfile::tempdir().unwrap();
    let other = Authority::new(other.path());
    let mut exporter = harness.start(
        ALERTS,
        &json!({
            "address": format!("localhost:{}", rsyslog.ports().tls),
            "ca_certificate": other.certificate,
        }),
    );
    let outcome = exporter.send(&alerts(0, 1));
    check_outcome(
        &outcome,
        "misconfigured",
        "(name the certificate of its authority",
    );

    // Without a client certificate, which rsyslog asks for.
    let mut exporter = harness.start(
        ALERTS,
        &json!({
            "address": format!("localhost:{}", rsyslog.ports().tls),
            "ca_certificate": authority.certificate,
        }),
    );
    let outcome = exporter.send(&alerts(0, 1));
    let name = outcome_name(&outcome);
    assert!(
        ["misconfigured", "uncertain"].contains(&name),
        "{outcome:?}"
    );
    assert_eq!(messages(&rsyslog).len(), 1);
}

#[test]
fn other_ways_to_send_arrive_too() {
    let harness = Harness::of_crate();
    let Some(mut rsyslog) = Rsyslog::start(&harness.new_folder(), None) else {
        return;
    };
    let ports = rsyslog.ports();
    let udp = json!({ "address": format!("127.0.0.1:{}", ports.udp), "transport": "udp" });
    deliver(&mut harness.start(ALERTS, &udp), &alerts(0, 100));
    assert_eq!(ids(&wait_for_messages(&rsyslog, 100)), (0..100).collect());

    let mut kept = harness.start(
        ALERTS,
        &json!({
            "address": format!("localhost:{}", ports.tcp),
            "transport": "tcp",
            "confirm_by_close": false,
            "framing": "newline",
        }),
    );
    deliver(&mut kept, &alerts(100, 100));
    deliver(&mut kept, &alerts(200, 100));
    assert_eq!(ids(&wait_for_messages(&rsyslog, 300)), (0..300).collect());
    rsyslog.stop();
    rsyslog.restart();
    deliver(&mut kept, &alerts(300, 100));
    assert_eq!(kept.outcome_of("close"), Ok(()));
    assert_eq!(ids(&wait_for_messages(&rsyslog, 400)), (0..400).collect());
}
