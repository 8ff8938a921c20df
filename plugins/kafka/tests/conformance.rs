//! The conformance suite, on the built library, with librdkafka's mock cluster.

use rdkafka::mocking::MockCluster;

#[test]
fn conforms() {
    let cluster = MockCluster::new(1).unwrap();
    delfin_plugin_api::testkit::conformance(|_, _| {
        serde_json::json!({
            "bootstrap_servers": cluster.bootstrap_servers(),
            "topic": "conformance",
            "message_rows": 0,
            "compression": "zstd",
            "linger": "1ms",
        })
    });
}
