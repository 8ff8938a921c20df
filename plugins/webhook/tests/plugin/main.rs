//! The built library: the conformance suite, its requests, and the outcomes that
//! responses become, over connections with and without TLS.
#![expect(
    clippy::unwrap_used,
    reason = "a test fails where its environment does not work"
)]

mod requests;
mod responses;
mod server;
mod support;
mod tls;

use serde_json::json;

use crate::server::{Reply, Server};

#[test]
fn conforms() {
    let receiver = Server::start(|_| Reply::status(204));
    delfin_plugin_api::testkit::conformance(|exporter, _| match exporter {
        "PerformanceExporterWebhook" => json!({
            "url": receiver.url("/performance"),
            "headers": { "X-Tenant": "7" },
            "username": "u",
            "password": "p",
            "compression": "none",
        }),
        _ => json!({
            "url": receiver.url("/alerts"),
            "bearer_token": "t",
            "hmac_secret": "s",
            "compression": "gzip",
        }),
    });
}
