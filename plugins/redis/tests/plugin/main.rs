//! The built library with a real Redis: the conformance suite, and what is in the streams.
//!
//! `make setup` brings Redis. Where it is missing, the tests fail in CI and print that they are
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

const PERFORMANCE: &str = "PerformanceExporterRedis";
const ALERTS: &str = "AlertExporterRedis";

#[test]
fn conforms() {
    let Some(server) = Server::start("") else {
        return;
    };
    conformance(|exporter, _| {
        json!({
            "address": server.address(),
            "stream": "delfin:{storage_id}",
            "max_length": 1000,
            "message_format": if exporter == PERFORMANCE { "arrow" } else { "json" },
            "message_rows": 100,
            "message_bytes": 200_000,
            "database": 1,
            "tls": false,
        })
    });
}
