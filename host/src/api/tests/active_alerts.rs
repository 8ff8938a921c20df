use serde_json::{Value, json};

use super::host::Host;

const THREE: &str = r#"[
    {"storage_id":"s1","alert_id":"1","alert_name":"Fan","severity":"Major","category":"Fault","occur_time":5,"rack":"r1"},
    {"storage_id":"s1","alert_id":"2","alert_name":"Disk","severity":"Fatal","category":"Fault","occur_time":6},
    {"storage_id":"s2","alert_id":"1","alert_name":"Fan","severity":"odd","category":"Fault","occur_time":7}
]"#;

/// Asks until there are this many alerts: the table follows the journal.
fn wait_for(host: &Host, path: &str, alerts: usize) -> Vec<Value> {
    loop {
        let answer = host.get(path);
        assert_eq!(answer.status, 200, "{}", answer.body);
        let found = answer.json()["alerts"].as_array().unwrap().clone();
        if found.len() == alerts {
            return found;
        }
        std::thread::yield_now();
    }
}

#[test]
fn an_active_alert_has_the_names_of_delfin_and_the_times_at_which_it_was_seen() {
    let host = Host::start();
    host.post("/v1/ingest/alerts", THREE);
    let alerts = wait_for(&host, "/v1/alerts/active", 3);
    let fan = &alerts[1];
    let mut expected = json!({
        "storage_id": "s1", "storage_name": null, "vendor": null, "model": null,
        "serial_number": null, "alert_id": "1", "alert_name": "Fan", "sequence_number": null,
        "category": "Fault", "severity": "Major", "type": null, "resource_type": null,
        "location": null, "description": null, "recovery_advice": null, "match_key": null,
        "occur_time": 5, "extra": {"rack": "r1"},
    });
    for seen in ["first_seen", "last_seen"] {
        assert!(fan[seen].as_i64().unwrap() > 1_700_000_000_000, "{fan}");
        expected[seen] = fan[seen].clone();
    }
    assert_eq!(*fan, expected);
}

#[test]
fn the_list_is_filtered_and_paged() {
    let host = Host::start();
    host.post("/v1/ingest/alerts", THREE);
    wait_for(&host, "/v1/alerts/active", 3);
    let names = |query: &str, alerts: usize| -> Vec<String> {
        let found = wait_for(&host, &format!("/v1/alerts/active?{query}"), alerts);
        let name = |alert: &Value| format!("{} {}", alert["storage_id"], alert["alert_name"]);
        found
            .iter()
            .map(|alert| name(alert).replace('"', ""))
            .collect()
    };
    assert_eq!(names("storage_id=s1", 2), ["s1 Disk", "s1 Fan"]);
    assert_eq!(names("severity=Fatal", 1), ["s1 Disk"]);
    assert_eq!(names("limit=1&offset=1", 1), ["s1 Fan"]);
    assert!(names("limit=0", 0).is_empty());
    assert!(names("storage_id=none", 0).is_empty());
}

#[test]
fn an_invalid_query_is_refused() {
    let host = Host::start();
    for (query, message) in [
        ("limit=-1", "`limit` must be a whole number, 0 or more"),
        ("limit=1&limit=2", "parameter `limit` is repeated"),
        ("offset=2147483648", "offset must be <= 2147483647"),
        (
            "severity=Fatal&colour=red",
            "the query has an unknown parameter (known: `storage_id`, `severity`, `limit`, `offset`)",
        ),
    ] {
        host.get(&format!("/v1/alerts/active?{query}")).is_error(
            400,
            "InvalidInput",
            &format!("Invalid input received. {message}"),
        );
    }
}

#[test]
fn a_recovery_ends_an_alert_and_metrics_count_the_others() {
    let host = Host::start();
    host.post("/v1/ingest/alerts", THREE);
    host.post(
        "/v1/ingest/alerts",
        &THREE.replace("Fault", "Recovery").replace("s2", "s3"),
    );
    let left = wait_for(&host, "/v1/alerts/active", 1);
    assert_eq!(left[0]["storage_id"], "s2");
    let page = host.get("/metrics").body;
    for series in [
        "active_alerts{severity=\"other\"} 1",
        "active_alerts{severity=\"Fatal\"} 0",
        "active_alerts_dropped_total 0",
    ] {
        let line = format!("delfin_host_{series}");
        assert!(
            page.lines().any(|found| found == line),
            "no `{line}` in\n{page}"
        );
    }
}

#[test]
fn a_complete_batch_ends_the_other_alerts_of_its_storage() {
    let host = Host::start();
    host.post("/v1/ingest/alerts", THREE);
    wait_for(&host, "/v1/alerts/active", 3);
    let fan = r#"[{"alert_id":"1","alert_name":"Fan","occur_time":1700000000000}]"#;
    let answer = host.post("/v1/ingest/alerts?complete_for=s1", fan);
    assert_eq!(answer.json()["complete_for"], "s1", "{}", answer.body);
    let left = wait_for(&host, "/v1/alerts/active", 2);
    assert_eq!(
        (&left[0]["storage_id"], &left[0]["alert_name"]),
        (&json!("s1"), &json!("Fan"))
    );

    let faulty = r#"{"complete_for": "s1", "alerts": [{"severity": "Major"}, {"alert_id": "9"}]}"#;
    let answer = host.post("/v1/ingest/alerts", faulty);
    assert_eq!(answer.status, 202, "{}", answer.body);
    assert_eq!(answer.json()["complete_for"], Value::Null);
    wait_for(&host, "/v1/alerts/active", 3);
    let none = r#"{"complete_for": "s1", "alerts": []}"#;
    assert_eq!(host.post("/v1/ingest/alerts", none).status, 202);
    assert_eq!(
        wait_for(&host, "/v1/alerts/active", 1)[0]["storage_id"],
        "s2"
    );
}

#[test]
fn a_batch_that_cannot_be_complete_is_refused() {
    let host = Host::start();
    for (path, body, wanted) in [
        (
            "/v1/ingest/alerts?complete_for=s1",
            THREE,
            "an alert is of storage `s2`",
        ),
        (
            "/v1/ingest/alerts?complete_for=",
            THREE,
            "`complete_for` is empty",
        ),
        (
            "/v1/ingest/alerts?complete_for=s2",
            r#"{"complete_for": "s1", "alerts": []}"#,
            "differ",
        ),
        (
            "/v1/ingest/performance?complete_for=s1",
            "[]",
            "is for alerts only",
        ),
    ] {
        let answer = host.post(path, body);
        assert_eq!(answer.status, 400, "{path}: {}", answer.body);
        assert!(answer.body.contains(wanted), "{}", answer.body);
    }
}

#[test]
fn cleared_alerts_end_with_a_recovery() {
    let host = Host::start();
    host.post("/v1/ingest/alerts", THREE);
    wait_for(&host, "/v1/alerts/active", 3);
    let clear = |body: &str| host.post("/v1/alerts/active/clear", body);
    for wrong in [
        "{}",
        r#"{"all": true, "storage_id": "s1"}"#,
        r#"{"name": "Fan"}"#,
    ] {
        assert_eq!(clear(wrong).status, 400, "{wrong}");
    }
    let answer = clear(r#"{"storage_id": "s1", "alert_name": "Fan"}"#);
    assert_eq!(answer.json(), json!({"cleared": 1}), "{}", answer.body);
    wait_for(&host, "/v1/alerts/active", 2);
    assert_eq!(clear(r#"{"all": true}"#).json(), json!({"cleared": 2}));
    wait_for(&host, "/v1/alerts/active", 0);
    assert_eq!(clear(r#"{"all": true}"#).json(), json!({"cleared": 0}));
}

#[test]
fn a_pushed_alert_is_one_from_a_list_and_from_a_trap_if_its_sequence_number_is_unique() {
    let host = Host::start();
    let push = |vendor: &str, location: &str, category: &str| {
        let alert = json!([{
            "storage_id": "s1", "vendor": vendor, "alert_id": "0xF00D", "alert_name": "Disk failed",
            "sequence_number": 4711, "location": location, "category": category,
        }]);
        let answer = host.post("/v1/ingest/alerts", &alert.to_string());
        assert_eq!(answer.status, 202, "{}", answer.body);
    };
    push("Huawei", "x", "Fault");
    push("Huawei", "Node code=Array,x", "Fault");
    // Of another vendor, these are two.
    push("acme", "x", "Fault");
    push("acme", "Node code=Array,x", "Fault");
    let active = wait_for(&host, "/v1/alerts/active", 3);
    let of = |vendor: &str| {
        active
            .iter()
            .filter(|alert| alert["vendor"] == vendor)
            .count()
    };
    assert_eq!((of("Huawei"), of("acme")), (1, 2));
    push("Huawei", "Node code=Array,x", "Recovery");
    let active = wait_for(&host, "/v1/alerts/active", 2);
    assert!(
        active.iter().all(|alert| alert["vendor"] == "acme"),
        "{active:?}"
    );
}
