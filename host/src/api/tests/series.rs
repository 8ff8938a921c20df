use serde_json::{Value, json};

use super::host::{Host, declared};

/// A batch with a point of each of these resources of a storage.
fn ingest(host: &Host, storage: &str, resources: &[&str], time_ms: i64) {
    let series = resources.iter().map(|resource| {
        json!({
            "name": "iops",
            "labels": {"storage_id": storage, "resource_type": "volume", "resource_id": resource, "name": format!("Name of {resource}"), "unit": "IOPS"},
            "values": {(time_ms.to_string()): 1.5},
        })
    });
    let body = Value::from_iter(series).to_string();
    let accepted = host.post("/v1/ingest/performance", &body);
    assert_eq!(accepted.status, 202, "{}", accepted.body);
}

#[test]
fn series_have_the_points_of_all_batches_of_their_storage() {
    let host = Host::start();
    ingest(&host, "s1", &["a", "b"], 1_700_000_000_000);
    ingest(&host, "s2", &["a"], 1_700_000_030_000);
    ingest(&host, "s1", &["b", "a"], 1_700_000_060_000);
    let metrics = host.get("/v1/storages/s1/metrics").json();
    assert_eq!(
        metrics["metrics"],
        json!([{"resource_type": "volume", "name": "iops", "unit": "IOPS", "series": 2}])
    );
    let found = host
        .get("/v1/storages/s1/series?metric=iops&resource_type=volume")
        .json();
    let points = json!([[1_700_000_000_000_i64, 1.5], [1_700_000_060_000_i64, 1.5]]);
    let series = |id: &str| {
        json!({
            "name": "iops", "resource_type": "volume", "resource_id": id,
            "resource_name": format!("Name of {id}"), "unit": "IOPS", "points": points,
        })
    };
    assert_eq!(found["series"], json!([series("a"), series("b")]));
    assert_eq!(
        (&found["matched"], &found["complete"]),
        (&json!(2), &json!(true))
    );
    assert!(found["from_ms"].is_i64(), "{found}");
}

#[test]
fn series_are_selected_and_their_number_is_limited() {
    let host = Host::start();
    ingest(&host, "s1", &["disk-1", "disk-2", "lun"], 1_700_000_000_000);
    let ids = |query: &str| {
        let found = host.get(&format!("/v1/storages/s1/series?{query}")).json();
        let ids = found["series"].as_array().unwrap().iter();
        let ids: Vec<_> = ids
            .map(|series| series["resource_id"].as_str().unwrap().to_owned())
            .collect();
        (ids.join(","), found["matched"].as_u64().unwrap())
    };
    assert_eq!(ids("resource=DISK"), ("disk-1,disk-2".to_owned(), 2));
    assert_eq!(ids("resource=name%20of%20lun"), ("lun".to_owned(), 1));
    assert_eq!(ids("limit=1"), ("disk-1".to_owned(), 3));
    assert_eq!(ids("metric=other"), (String::new(), 0));
    assert_eq!(ids("resource_type=disk"), (String::new(), 0));
    assert_eq!(
        ids("since=2001-01-01T00:00:00Z"),
        ("disk-1,disk-2,lun".to_owned(), 3)
    );
    let refused = host.get("/v1/storages/s1/series?since=soon");
    assert_eq!(refused.status, 400, "{}", refused.body);
    let refused = host.get("/v1/storages/s1/series?other=1");
    assert_eq!(refused.status, 400, "{}", refused.body);
}

#[test]
fn an_answer_with_too_many_points_has_the_newest_and_says_so() {
    let host = Host::start();
    for batch in 0..3_i64 {
        let values = (0..30_000).map(|point| {
            (
                (1_700_000_000_000 + batch * 30_000 + point).to_string(),
                json!(1),
            )
        });
        let values = Value::Object(values.collect());
        let body = json!([{"name": "iops", "labels": {"storage_id": "s1"}, "values": values}]);
        assert_eq!(
            host.post("/v1/ingest/performance", &body.to_string())
                .status,
            202
        );
    }
    let found = host.get("/v1/storages/s1/series").json();
    let points = found["series"][0]["points"].as_array().unwrap();
    assert_eq!((points.len(), &found["complete"]), (60_000, &json!(false)));
    assert_eq!(points[0][0], 1_700_000_030_000_i64);
}

#[test]
fn the_collection_is_shown_with_its_storages() {
    let host = Host::with_storages(vec![declared()]);
    let found = host.get("/v1/collection").json();
    let storage = &found["storages"][0];
    assert_eq!(
        (&storage["name"], &storage["declared"]),
        (&json!("declared"), &json!(true))
    );
    assert!(storage["window_age_seconds"].is_null(), "{storage}");
}
