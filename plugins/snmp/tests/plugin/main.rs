//! The built library with a real snmptrapd: the conformance suite, and what is received.
//!
//! `make setup` brings snmptrapd. Where it is missing, the tests fail in CI and print that they
//! are skipped elsewhere.
#![expect(
    clippy::unwrap_used,
    reason = "a test fails where its environment does not work"
)]

mod notifications;
mod outcomes;
mod support;

use delfin_plugin_api::testkit::conformance;
use serde_json::json;

use crate::support::Receiver;

const ALERTS: &str = "AlertExporterSnmp";

#[test]
fn conforms() {
    let Some(receiver) = Receiver::start() else {
        return;
    };
    conformance(|_, _| {
        // As informs, the 50,000 alerts of the suite would take longer than a call may.
        json!({
            "address": receiver.address(),
            "notification": "trap",
            "version": "2c",
            "community": "secret",
            "enterprise_number": 32473,
        })
    });
}
