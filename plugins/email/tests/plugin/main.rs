//! The built library with a real mail server: the conformance suite, and what arrives.
//!
//! `make setup` brings the server, aiosmtpd. Where it is missing, the tests fail in CI and print
//! that they are skipped elsewhere.
#![expect(
    clippy::unwrap_used,
    reason = "a test fails where its environment does not work"
)]

mod mails;
mod outcomes;
mod support;

use delfin_plugin_api::testkit::conformance;

use crate::support::{MailServer, with};

const ALERTS: &str = "AlertExporterEmail";

#[test]
fn conforms() {
    let Some(server) = MailServer::start(&[]) else {
        return;
    };
    // One by one, the 50,000 alerts of the suite would take longer than a call may.
    let digest = serde_json::json!({ "digest": true });
    conformance(|_, _| with(server.settings(), digest.clone()));
}
