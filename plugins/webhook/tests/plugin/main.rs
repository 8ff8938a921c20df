//! The built library: the conformance suite, what it posts, and what it makes of
//! a receiver's answers, over connections with and without TLS.
#![expect(
    clippy::unwrap_used,
    reason = "a test whose surroundings are not as they should be has failed"
)]

mod answers;
mod requests;
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
