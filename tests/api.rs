//! What clients of the API can cost the host.

use delfin_tests::{Host, Setup, soak};
use serde_json::json;

const CONFIG: &str = r#"
plugin_dirs = []
state_dir = "@/state"
[api]
listen = "127.0.0.1:0"
[journal]
min_free_bytes = 0
cache_bytes = "1MiB"
"#;

/// Sends requests of one alert each.
fn send_alerts(host: &Host, requests: u32) {
    let body = json!([{"storage_id": "s1", "alert_id": "1", "description": "x".repeat(100)}]);
    std::thread::scope(|scope| {
        for _ in 0..32 {
            scope.spawn(|| {
                for _ in 0..requests / 32 {
                    assert_eq!(host.ingest("alerts", &body).0, 202);
                }
            });
        }
    });
}

fn resident_bytes(host: &Host) -> f64 {
    let metrics = host.metrics();
    let mut samples = metrics.samples().iter();
    let resident =
        samples.find(|sample| sample.name == "delfin_host_process_resident_memory_bytes");
    resident.map_or(0.0, |sample| sample.value)
}

#[test]
fn the_memory_of_a_host_that_gets_small_batches_does_not_grow() {
    let host = Setup::new(&[], "").with_whole_config(CONFIG).start();
    // Twice: about ten minutes in `make soak`.
    let requests = soak(soak(640));
    send_alerts(&host, 160);
    let before = resident_bytes(&host);
    assert!(before > 0.0, "{before}");
    send_alerts(&host, requests);
    let grown = resident_bytes(&host) - before;
    assert!(grown < f64::from(16 << 20), "grew by {grown} bytes");
    drop(host);
}
