//! The built library with a real NATS server: the conformance suite, and what is in the stream.
//!
//! `make setup` brings NATS. Where it is missing, the tests fail in CI and print that they are
//! skipped elsewhere.
#![expect(
    clippy::unwrap_used,
    reason = "a test fails where its environment does not work"
)]

mod outcomes;
mod streams;
mod support;

use delfin_plugin_api::testkit::conformance;
use serde_json::json;

use crate::support::Server;

const PERFORMANCE: &str = "PerformanceExporterNats";
const ALERTS: &str = "AlertExporterNats";

#[test]
fn conforms() {
    let Some(server) = Server::start("") else {
        return;
    };
    conformance(|exporter, _| {
        json!({
            "servers": [server.address()],
            "subject": "delfin.{storage_id}",
            "message_format": if exporter == PERFORMANCE { "arrow" } else { "json" },
            "message_rows": 100,
            "message_bytes": 200_000,
            "tls": false,
        })
    });
}
