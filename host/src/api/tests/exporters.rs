use serde_json::json;

use super::host::{EXPORTER, Host, TWO_POINTS, last};
use crate::journal::StartFrom;

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
            "accepted_per_second": null,
            "delivered_per_second": null,
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

#[test]
fn what_is_skipped_is_counted_as_dropped_and_a_repetition_drops_nothing() {
    let host = Host::start();
    host.post("/v1/ingest/performance", TWO_POINTS);
    let skip = || {
        host.post(&format!("/v1/exporters/{EXPORTER}/skip"), "{}")
            .json()
    };
    assert_eq!(skip(), json!({"dropped": 2}));
    assert_eq!(skip(), json!({"dropped": 0}));
    host.post("/v1/ingest/performance", TWO_POINTS);
    let exporter = &host.get("/v1/exporters").json()["exporters"][0];
    assert_eq!(
        (&exporter["pending"], &exporter["dropped"]),
        (&json!(2), &json!(2))
    );
    let page = host.get("/metrics").body;
    for series in [
        "exporter_dropped_items_total{exporter=\"prometheus\",reason=\"skip\"} 2",
        "exporter_unaccounted_items{exporter=\"prometheus\"} 0",
    ] {
        assert!(page.contains(series), "{page}");
    }
}

/// A cursor without an exporter.
fn removed(host: &Host, name: &str) {
    let journal = &host.journals.performance;
    let configure = async {
        journal.open_cursor(name, StartFrom::Now).await.unwrap();
        journal
            .set_configured(vec![EXPORTER.to_owned()])
            .await
            .unwrap();
    };
    host.runtime.block_on(configure);
}

#[test]
fn the_cursor_of_a_removed_exporter_is_shown_renamed_and_forgotten() {
    let host = Host::start();
    removed(&host, "old");
    host.post("/v1/ingest/performance", TWO_POINTS);
    let list = |host: &Host| host.get("/v1/exporters").json()["removed"].clone();
    let shown = &list(&host)[0];
    assert_eq!(
        (&shown["name"], &shown["pending"]),
        (&json!("old"), &json!(2))
    );
    assert!(shown["pending_bytes"].as_u64() > Some(0), "{shown}");
    let page = host.get("/metrics").body;
    let pending = "removed_exporter_pending_items{exporter=\"old\",kind=\"performance\"} 2";
    assert!(page.contains(pending), "{page}");

    let renamed = host.post("/v1/exporters/old/rename", r#"{"to": "other"}"#);
    assert_eq!(renamed.json(), json!({"pending": 2}));
    assert_eq!(list(&host)[0]["name"], "other");
    let forgotten = host.post("/v1/exporters/other/forget", "{}");
    assert_eq!(forgotten.json(), json!({"items": 2, "dead_letters": 0}));
    assert!(list(&host).is_null());
    let again = host.post("/v1/exporters/other/forget", "{}");
    again.is_error(
        404,
        "ExporterNotFound",
        "Exporter other could not be found.",
    );
}

#[test]
fn a_configured_exporter_continues_with_a_renamed_cursor() {
    let host = Host::start();
    removed(&host, "old");
    host.post("/v1/ingest/performance", TWO_POINTS);
    host.deliver(last(&host).seq, 2);
    let body = format!(r#"{{"to": "{EXPORTER}"}}"#);
    let renamed = host.post("/v1/exporters/old/rename", &body);
    assert_eq!(renamed.json(), json!({"pending": 2}));
    let list = host.get("/v1/exporters").json();
    assert!(list["removed"].is_null());
    let exporter = &list["exporters"][0];
    assert_eq!(
        (&exporter["pending"], &exporter["delivered"]),
        (&json!(2), &json!(0))
    );
}

#[test]
fn calls_that_do_not_fit_the_exporter_are_refused_with_the_remedy() {
    let host = Host::start();
    removed(&host, "old");
    removed(&host, "older");
    let post = |path: &str, body: &str| host.post(&format!("/v1/exporters/{path}"), body);
    let forget = post(&format!("{EXPORTER}/forget"), "{}");
    let text = format!(
        "Exporter {EXPORTER} is configured: remove it from the configuration and reload first."
    );
    forget.is_error(409, "ExporterIsConfigured", &text);
    post(&format!("{EXPORTER}/rename"), r#"{"to": "x"}"#).is_error(
        409,
        "ExporterIsConfigured",
        &text,
    );
    for action in ["pause", "resume", "skip"] {
        post(&format!("old/{action}"), "{}").is_error(
            409,
            "ExporterIsRemoved",
            "Exporter old is no longer configured: only `rename` and `forget` apply to it.",
        );
        let unknown = post(&format!("unknown/{action}"), "{}");
        unknown.is_error(
            404,
            "ExporterNotFound",
            "Exporter unknown could not be found.",
        );
    }
    post("old/rename", r#"{"to": "older"}"#).is_error(
        409,
        "CursorIsOccupied",
        "The cursor cannot be renamed: `older` is a removed exporter with a cursor of its own (forget it first).",
    );
    let dots = post("old/rename", r#"{"to": ".."}"#);
    assert_eq!(dots.status, 400, "{}", dots.body);
}
