//! What errors of the server become.

use delfin_plugin_api::{
    Failure, PerformanceBatchBuilder, RowFailureKind, sample,
    testkit::{Harness, check_outcome},
};
use delfin_tests::{Authority, receivers::free_port};
use serde_json::{Value, json};

use crate::{PERFORMANCE, support::Server};

/// A user who may do everything, one who may publish to another subject only, and the seed of
/// the third is in the test.
const USERS: &str = r#"
authorization {
  users = [
    {user: admin, password: admin}
    {user: other, password: other, permissions: {publish: "other.>", subscribe: "_INBOX.>"}}
    {nkey: UDXU4RCSJNZOIQHZNWXHXORDPRTGNJAHAHFRGZNEEJCPQTT2M7NLCNF4}
  ]
}
"#;
const SEED: &str = "SUACSSL3UAHUDXKFSNVUZRF5UHPMWZ6BFDTJ7M6USDXIEDNPPQYYYCU3VY";

fn with(mut settings: Value, more: Value) -> Value {
    let more = more.as_object().unwrap().clone();
    settings.as_object_mut().unwrap().extend(more);
    settings
}

#[test]
fn each_way_to_log_in_works_and_a_wrong_one_pauses_the_exporter() {
    let harness = Harness::of_crate();
    let Some(server) = Server::start(USERS) else {
        return;
    };
    let send = |login: Value| {
        let settings = with(server.settings(), login);
        let mut exporter = harness.start(PERFORMANCE, &settings);
        exporter.send(&sample::performance(1, 1))
    };
    assert_eq!(
        send(json!({ "username": "admin", "password": "admin" })),
        Ok(())
    );
    assert_eq!(send(json!({ "nkey": SEED })), Ok(()));
    let wrong = send(json!({ "username": "admin", "password": "hunter2" }));
    let refused = "`: authorization violation (check `username` and `password`)";
    check_outcome(&wrong, "unauthorized", refused);
    check_outcome(
        &send(json!({})),
        "unauthorized",
        "violation (set `username`,",
    );
    let other = send(json!({ "username": "other", "password": "other" }));
    check_outcome(&other, "misconfigured", "allow the user to publish");
}

#[test]
fn tls_is_verified() {
    let harness = Harness::of_crate();
    let authority = Authority::new(&harness.new_folder());
    let issued = authority.issue("localhost");
    let tls = format!(
        "tls {{cert_file: \"{}\", key_file: \"{}\"}}",
        issued.certificate.display(),
        issued.key.display(),
    );
    let folder = harness.new_folder();
    let Some(nats) = delfin_tests::receivers::Nats::start(&folder, &tls) else {
        return;
    };
    let settings = json!({ "servers": format!("localhost:{}", nats.port()) });
    let outcome = harness.start(PERFORMANCE, &settings).outcome_of("health");
    check_outcome(
        &outcome,
        "misconfigured",
        "an authority that is not trusted",
    );
    for (elsewhere, reason) in [
        (
            format!("localhost:{}", free_port()),
            "refused (start the receiver",
        ),
        ("missing.invalid".to_owned(), "check the name"),
    ] {
        let elsewhere = with(settings.clone(), json!({ "servers": elsewhere }));
        let outcome = harness.start(PERFORMANCE, &elsewhere).outcome_of("health");
        check_outcome(&outcome, "retry", reason);
    }
    // One of two is away.
    let servers = json!([settings["servers"], format!("localhost:{}", free_port())]);
    let settings = with(settings, json!({ "servers": servers }));
    let trusted = with(settings, json!({ "ca_certificate": authority.certificate }));
    let mut exporter = harness.start(PERFORMANCE, &trusted);
    assert_eq!(exporter.outcome_of("health"), Ok(()));
}

#[test]
fn a_missing_stream_and_a_large_row_are_named() {
    let harness = Harness::of_crate();
    let Some(mut server) = Server::start("") else {
        return;
    };
    let encrypted = with(server.settings(), json!({ "tls": true }));
    let outcome = harness.start(PERFORMANCE, &encrypted).outcome_of("health");
    check_outcome(&outcome, "misconfigured", "does not speak TLS");
    let elsewhere = with(server.settings(), json!({ "subject": "elsewhere.{name}" }));
    let outcome = harness
        .start(PERFORMANCE, &elsewhere)
        .send(&sample::performance(1, 1));
    check_outcome(
        &outcome,
        "misconfigured",
        "no stream has the subject `elsewhere.throughput`",
    );

    let mut batch = PerformanceBatchBuilder::new();
    for (id, points) in [("a", 1), ("large", 60_000), ("b", 1)] {
        let points = (0..points).map(|ms| (sample::START_MS + ms, 0.5));
        batch.series("iops", [("resource_id", id)], points).unwrap();
    }
    let mut exporter = harness.start(PERFORMANCE, &server.settings());
    let outcome = exporter.send(&batch.build());
    let Err(Failure::Partial { rows, .. }) = outcome else {
        panic!("{outcome:?}")
    };
    assert_eq!(
        (rows.len(), rows[0].rows.clone(), rows[0].kind),
        (1, 1..2, RowFailureKind::Rejected)
    );
    assert_eq!(server.count(), 2);

    server.nats.kill();
    let outcome = exporter.send(&sample::performance(1, 1));
    assert!(
        matches!(
            outcome,
            Err(Failure::Retry { .. } | Failure::Uncertain { .. })
        ),
        "{outcome:?}"
    );
}
