//! What errors of the receiver become.

use delfin_plugin_api::{
    Failure, RowFailureKind,
    testkit::{Harness, check_outcome, outcome_name},
};
use delfin_tests::receivers::free_port;
use serde_json::{Value, json};

use crate::{
    ALERTS,
    support::{Receiver, numbered},
};

#[test]
fn a_login_that_the_receiver_refuses_pauses_the_exporter() {
    let harness = Harness::of_crate();
    let Some(receiver) = Receiver::start() else {
        return;
    };
    let send = |key: &str, value: Value| {
        let mut settings = receiver.user();
        settings[key] = value;
        harness.start(ALERTS, &settings).send(&numbered(0..2))
    };
    for (key, value) in [
        ("username", "stranger"),
        ("auth_password", "hunter2hunter2"),
        ("auth_protocol", "SHA-512"),
    ] {
        check_outcome(&send(key, json!(value)), "unauthorized", "check `username`");
    }
    assert!(receiver.snmptrapd.notifications().is_empty());
}

#[test]
fn a_receiver_that_does_not_answer_is_tried_again() {
    let harness = Harness::of_crate();
    let closed = json!({
        "address": format!("127.0.0.1:{}", free_port()),
        "version": "2c",
        "community": "c",
    });
    let outcome = harness.start(ALERTS, &closed).send(&numbered(0..2));
    // The second alert is not sent if the first one has no answer.
    let is_tried_again = match &outcome {
        Err(Failure::Partial { rows, .. }) => {
            let kinds = rows.iter().map(|failed| (failed.rows.clone(), failed.kind));
            kinds.eq([
                (0..1, RowFailureKind::Uncertain),
                (1..2, RowFailureKind::Retry),
            ])
        }
        _ => ["retry", "uncertain"].contains(&outcome_name(&outcome)),
    };
    assert!(is_tried_again, "{outcome:?}");
    let unknown = json!({ "address": "no-such-host.invalid", "version": "2c", "community": "c" });
    let mut exporter = harness.start(ALERTS, &unknown);
    check_outcome(
        &exporter.outcome_of("health"),
        "retry",
        "no-such-host.invalid",
    );
}
