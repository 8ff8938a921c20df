use serde_json::json;

use super::host::{EXPORTER, Host, TWO_POINTS, last};

#[test]
fn an_exporter_is_shown_with_its_counts() {
    let host = Host::start();
    host.post("/v1/ingest/performance", TWO_POINTS);
    host.deliver(last(&host).seq, 2);
    let answer = host.get("/v1/exporters");
    assert_eq!(answer.status, 200);
    let mut answer_json = answer.json();
    let error_ms = answer_json["exporters"][0]["last_error_ms"].take();
    assert!(error_ms.is_i64(), "{error_ms}");
    assert_eq!(
        answer_json,
        json!({"exporters": [{
            "name": EXPORTER,
            "plugin": "PerformanceExporterPrometheus",
            "kind": "performance",
            "state": "failed",
            "pending": 0,
            "delivered": 2,
            "dead_lettered": 0,
            "dropped": 0,
            "filtered": 0,
            "lag_seconds": 0.0,
            "last_error": "no plugin offers it",
            "last_error_ms": null,
            "next_attempt_ms": null,
            "last_success": null,
            "isolation": "process",
            "pid": null,
            "resident_bytes": null,
            "cpu_seconds": null,
            "restarts": {
                "exit": 0, "signal": 0, "deadline": 0, "protocol": 0, "panic": 0, "unusable": 0,
                "thread": 0
            }
        }]})
    );
    answer.has_request_id();
}

#[test]
fn items_that_are_not_delivered_are_pending() {
    let host = Host::start();
    for _ in 0..3 {
        host.post("/v1/ingest/performance", TWO_POINTS);
    }
    host.deliver(crate::batch::Seq(1), 2);
    let exporter = &host.get("/v1/exporters").json()["exporters"][0];
    assert_eq!(
        (&exporter["pending"], &exporter["delivered"]),
        (&json!(4), &json!(2))
    );
}

#[test]
fn plugins_are_shown() {
    let host = Host::start();
    assert_eq!(
        host.get("/v1/plugins").json(),
        json!({"plugins": [{
            "file": "plugins/libexample.so",
            "sha256": null,
            "name": "example",
            "version": "1.2.3",
            "vendor": null,
            "license": null,
            "abi": null,
            "exporters": [{
                "name": "AlertExporterExample",
                "kind": "alert",
                "description": "Logs each alert"
            }],
            "refused": null
        }]})
    );
}
