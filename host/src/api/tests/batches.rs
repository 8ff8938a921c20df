use serde_json::json;

use super::host::{EXPORTER, Host, TWO_POINTS, last};

#[test]
fn a_batch_is_durable_until_every_exporter_is_done_with_it() {
    let host = Host::start();
    let batch_id = host.post("/v1/ingest/performance", TWO_POINTS).batch_id();
    let shown = || {
        let mut json = host.get(&format!("/v1/batches/{batch_id}")).json();
        let accepted = json["accepted_at"].take();
        humantime::parse_rfc3339(accepted.as_str().unwrap()).unwrap();
        json
    };
    let view = |state: &str, exporter: &str| {
        json!({
            "batch_id": batch_id,
            "items": 2,
            "accepted_at": null,
            "state": state,
            "exporters": [{"name": EXPORTER, "state": exporter, "dead_lettered": 0}]
        })
    };
    assert_eq!(shown(), view("durable", "pending"));
    host.deliver(last(&host).seq, 2);
    assert_eq!(shown(), view("settled", "settled"));
}

#[test]
fn an_alert_batch_is_found_too() {
    let host = Host::start();
    let batch_id = host.post("/v1/ingest/alerts", "[]").batch_id();
    let json = host.get(&format!("/v1/batches/{batch_id}")).json();
    assert_eq!(
        (&json["state"], &json["exporters"]),
        (&json!("settled"), &json!([]))
    );
}

#[test]
fn an_unknown_batch_is_404() {
    let host = Host::start();
    let batch_id = uuid::Uuid::now_v7();
    host.get(&format!("/v1/batches/{batch_id}")).is_error(
        404,
        "BatchNotFound",
        &format!("Batch {batch_id} could not be found."),
    );
}

#[test]
fn an_invalid_batch_id_is_400() {
    let host = Host::start();
    for path in ["/v1/batches/7", "/v1/batches/%ff"] {
        let message = "Invalid input received. `batch_id` is not a UUID";
        host.get(path).is_error(400, "InvalidInput", message);
    }
}
