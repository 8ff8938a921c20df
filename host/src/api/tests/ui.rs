use serde_json::{Value, json};

use super::host::{EXPORTER, Host};

#[test]
fn the_page_is_served_with_a_policy_that_allows_nothing_foreign() {
    let host = Host::start();
    let page = host.get("/ui/");
    assert_eq!(page.status, 200);
    assert_eq!(
        page.header("content-type"),
        Some("text/html; charset=utf-8")
    );
    let policy = page.header("content-security-policy").unwrap();
    assert!(
        policy.starts_with("default-src 'none'; script-src 'self';"),
        "{policy}"
    );
    assert!(!policy.contains("unsafe"), "{policy}");
    assert_eq!(page.header("x-content-type-options"), Some("nosniff"));
    let script = host.get("/ui/app.js");
    assert_eq!(
        script.header("content-type"),
        Some("text/javascript; charset=utf-8")
    );
    // `/ui` redirects to a relative address; the client of this test follows it.
    assert_eq!(host.get("/ui").body, page.body);
    host.get("/ui/other.js")
        .is_error(404, "NotFound", "Resource could not be found.");
    host.get("/ui/..%2fCargo.toml")
        .is_error(404, "NotFound", "Resource could not be found.");
}

#[test]
fn the_history_is_of_exporters_that_exist() {
    let host = Host::start();
    let history = host.get(&format!("/v1/exporters/{EXPORTER}/history"));
    let empty = json!({"interval_seconds": 10, "times_ms": [], "accepted": [], "delivered": [], "pending": []});
    assert_eq!(history.json(), empty);
    host.get("/v1/exporters/absent/history").is_error(
        404,
        "ExporterNotFound",
        "Exporter absent could not be found.",
    );
}

#[test]
fn journals_tell_how_full_they_are() {
    let host = Host::start();
    host.post("/v1/ingest/performance", super::host::TWO_POINTS);
    let journals = host.get("/v1/journals").json();
    let performance = &journals["journals"][0];
    assert_eq!(
        (&performance["kind"], &performance["records"]),
        (&json!("performance"), &json!(1))
    );
    assert_eq!(performance["needed_bytes"], performance["bytes"]);
    assert!(performance["bytes"].as_u64() < performance["max_bytes"].as_u64());
    assert_eq!(
        (&performance["full_in_seconds"], &performance["fault"]),
        (&Value::Null, &Value::Null)
    );
    assert_eq!(journals["journals"][1]["kind"], "alert");
}

#[test]
fn the_configuration_in_force_is_shown() {
    let host = Host::start();
    let config = host.get("/v1/config").json();
    assert!(config["applied_ms"].is_i64(), "{config}");
    assert_eq!(
        config["settings"],
        json!({"performance_exporters": EXPORTER})
    );
}
