//! What errors of the broker become.

use delfin_plugin_api::{
    Failure, PerformanceBatchBuilder, RowFailureKind, sample,
    testkit::{Harness, check_outcome},
};
use delfin_tests::{
    Authority,
    receivers::{Mosquitto, free_port},
};
use serde_json::{Value, json};

use crate::{PERFORMANCE, support::Broker};

fn with(mut settings: Value, more: Value) -> Value {
    let more = more.as_object().unwrap().clone();
    settings.as_object_mut().unwrap().extend(more);
    settings
}

#[test]
fn a_wrong_login_and_a_missing_permission_pause_the_exporter() {
    let harness = Harness::of_crate();
    let folder = harness.new_folder();
    let (passwords, access) = (folder.join("passwords"), folder.join("access"));
    let users = [("delfin", "secret"), ("other", "secret")];
    if Mosquitto::write_passwords(&passwords, &users).is_none() {
        return;
    }
    let rules = "user delfin\ntopic write delfin/#\nuser other\ntopic write other/#\n";
    std::fs::write(&access, rules).unwrap();
    let Some(broker) = Broker::start(&format!(
        "allow_anonymous false\npassword_file {}\nacl_file {}",
        passwords.display(),
        access.display(),
    )) else {
        return;
    };
    let start = |login: Value| harness.start(PERFORMANCE, &with(broker.settings(), login));
    let mut exporter = start(json!({ "username": "delfin", "password": "secret" }));
    assert_eq!(exporter.outcome_of("health"), Ok(()));
    assert_eq!(exporter.send(&sample::performance(1, 1)), Ok(()));
    for wrong in [
        json!({ "username": "delfin", "password": "hunter2" }),
        json!({}),
    ] {
        let outcome = start(wrong).send(&sample::performance(1, 1));
        check_outcome(&outcome, "unauthorized", "check `username`");
    }
    let mut exporter = start(json!({ "username": "other", "password": "secret" }));
    let outcome = exporter.send(&sample::performance(1, 1));
    check_outcome(&outcome, "misconfigured", "allow the user to publish");
}

#[test]
fn tls_is_verified() {
    let harness = Harness::of_crate();
    let authority = Authority::new(&harness.new_folder());
    let issued = authority.issue("localhost");
    let tls_port = free_port();
    let Some(broker) = Broker::start(&format!(
        "listener {tls_port} 127.0.0.1\ncertfile {}\nkeyfile {}",
        issued.certificate.display(),
        issued.key.display(),
    )) else {
        return;
    };
    let settings = json!({ "address": format!("localhost:{tls_port}") });
    let health = |settings: &Value| harness.start(PERFORMANCE, settings).outcome_of("health");
    check_outcome(
        &health(&settings),
        "misconfigured",
        "an authority that is not trusted",
    );
    let trusted = with(settings, json!({ "ca_certificate": authority.certificate }));
    assert_eq!(health(&trusted), Ok(()));
    let exact = json!({ "ca_certificate": issued.certificate });
    assert_eq!(health(&with(trusted, exact)), Ok(()));
    // The broker closes a connection of TLS where it expects none.
    let plain = json!({ "address": broker.address() });
    check_outcome(&health(&plain), "retry", "has TLS at this port");
    let plain = json!({ "address": format!("localhost:{tls_port}"), "tls": false });
    check_outcome(&health(&plain), "retry", "that `tls` says");
    let unknown = json!({ "address": "missing.invalid" });
    check_outcome(&health(&unknown), "retry", "check the name");
}

#[test]
fn a_large_row_becomes_a_dead_letter_and_a_broker_that_is_away_is_tried_again() {
    let harness = Harness::of_crate();
    let Some(mut broker) = Broker::start("max_packet_size 300000") else {
        return;
    };
    let mut batch = PerformanceBatchBuilder::new();
    for (id, points) in [("a", 1), ("large", 60_000), ("b", 1)] {
        let points = (0..points).map(|ms| (sample::START_MS + ms, 0.5));
        batch.series("iops", [("resource_id", id)], points).unwrap();
    }
    let mut exporter = harness.start(PERFORMANCE, &broker.settings());
    let subscriber = broker.subscribe("subscriber");
    let outcome = exporter.send(&batch.build());
    let Err(Failure::Partial { rows, .. }) = outcome else {
        panic!("{outcome:?}")
    };
    assert_eq!(
        (rows.len(), rows[0].rows.clone(), rows[0].kind),
        (1, 1..2, RowFailureKind::Rejected)
    );
    subscriber.wait(2);

    broker.mosquitto.stop();
    let outcome = exporter.send(&sample::performance(1, 1));
    check_outcome(&outcome, "retry", "refused (start the receiver");
    broker.mosquitto.restart();
    assert_eq!(exporter.send(&sample::performance(1, 1)), Ok(()));
    // A session that is open, and whose broker ends between two calls.
    broker.mosquitto.stop();
    broker.mosquitto.restart();
    assert_eq!(exporter.send(&sample::performance(1, 1)), Ok(()));
}
