use serde_json::{Value, json};

use super::host::Host;

fn references<'a>(value: &'a Value, found: &mut Vec<&'a str>) {
    match value {
        Value::Object(fields) => {
            found.extend(fields.get("$ref").and_then(Value::as_str));
            fields.values().for_each(|value| references(value, found));
        }
        Value::Array(items) => items.iter().for_each(|item| references(item, found)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

const ROUTES: [&str; 95] = [
    "DELETE /v1/storages/{id}",
    "DELETE /v1/storages/{id}/alerts/{sequence_number}",
    "DELETE /v1/storages/{id}/snmp-config",
    "GET /healthz",
    "GET /metrics",
    "GET /openapi.json",
    "GET /ping",
    "GET /readyz",
    "GET /ui",
    "GET /ui/",
    "GET /ui/{file}",
    "GET /v1",
    "GET /v1/access-infos",
    "GET /v1/alerts/active",
    "GET /v1/batches/{batch_id}",
    "GET /v1/clusters",
    "GET /v1/clusters/storages",
    "GET /v1/collection",
    "GET /v1/config",
    "GET /v1/controllers",
    "GET /v1/controllers/{id}",
    "GET /v1/dead-letters",
    "GET /v1/dead-letters/{id}",
    "GET /v1/disks",
    "GET /v1/disks/{id}",
    "GET /v1/exporters",
    "GET /v1/exporters/{name}/history",
    "GET /v1/filesystems",
    "GET /v1/filesystems/{id}",
    "GET /v1/journals",
    "GET /v1/log/level",
    "GET /v1/members",
    "GET /v1/plugins",
    "GET /v1/ports",
    "GET /v1/ports/{id}",
    "GET /v1/qtrees",
    "GET /v1/qtrees/{id}",
    "GET /v1/quotas",
    "GET /v1/quotas/{id}",
    "GET /v1/shares",
    "GET /v1/shares/{id}",
    "GET /v1/snmp-configs",
    "GET /v1/storage-pools",
    "GET /v1/storage-pools/{id}",
    "GET /v1/storages",
    "GET /v1/storages/{id}",
    "GET /v1/storages/{id}/access-info",
    "GET /v1/storages/{id}/alerts",
    "GET /v1/storages/{id}/capabilities",
    "GET /v1/storages/{id}/labels",
    "GET /v1/storages/{id}/masking-views",
    "GET /v1/storages/{id}/metrics",
    "GET /v1/storages/{id}/metrics-config",
    "GET /v1/storages/{id}/port-groups",
    "GET /v1/storages/{id}/resources",
    "GET /v1/storages/{id}/series",
    "GET /v1/storages/{id}/snmp-config",
    "GET /v1/storages/{id}/storage-host-groups",
    "GET /v1/storages/{id}/storage-host-initiators",
    "GET /v1/storages/{id}/storage-hosts",
    "GET /v1/storages/{id}/volume-groups",
    "GET /v1/tap",
    "GET /v1/volumes",
    "GET /v1/volumes/{id}",
    "POST /api/v1/write",
    "POST /api/v2/write",
    "POST /v1/alerts/active/clear",
    "POST /v1/dead-letters/purge",
    "POST /v1/dead-letters/replay",
    "POST /v1/exporters/{name}/forget",
    "POST /v1/exporters/{name}/pause",
    "POST /v1/exporters/{name}/rename",
    "POST /v1/exporters/{name}/replay",
    "POST /v1/exporters/{name}/resume",
    "POST /v1/exporters/{name}/skip",
    "POST /v1/handover",
    "POST /v1/ingest/alertmanager",
    "POST /v1/ingest/alerts",
    "POST /v1/ingest/performance",
    "POST /v1/ingest/webhooks/{id}",
    "POST /v1/inventory/rekey",
    "POST /v1/metrics",
    "POST /v1/reload",
    "POST /v1/storages",
    "POST /v1/storages/import",
    "POST /v1/storages/sync",
    "POST /v1/storages/{id}/alerts/sync",
    "POST /v1/storages/{id}/move",
    "POST /v1/storages/{id}/sync",
    "POST /write",
    "PUT /v1/log/level",
    "PUT /v1/storages/{id}/access-info",
    "PUT /v1/storages/{id}/labels",
    "PUT /v1/storages/{id}/metrics-config",
    "PUT /v1/storages/{id}/snmp-config",
];

#[test]
fn every_route_is_described() {
    let host = Host::start();
    let document = host.get("/openapi.json").json();
    let mut described = Vec::new();
    for (path, operations) in document["paths"].as_object().unwrap() {
        for (method, operation) in operations.as_object().unwrap() {
            described.push(format!("{} {path}", method.to_uppercase()));
            for response in operation["responses"].as_object().unwrap().values() {
                assert!(response["description"].is_string(), "{method} {path}");
            }
        }
    }
    described.sort_unstable();
    assert_eq!(described, ROUTES);
}

/// Without a declaration, GET needs `read` and every other method `admin`: a route that needs
/// another scope is listed here.
#[test]
fn every_route_has_a_scope() {
    let host = Host::start();
    let document = host.get("/openapi.json").json();
    assert_eq!(
        document["components"]["securitySchemes"]["token"]["scheme"],
        "bearer"
    );
    let mut special = Vec::new();
    for (path, operations) in document["paths"].as_object().unwrap() {
        for (method, operation) in operations.as_object().unwrap() {
            let security = &operation["security"];
            let scope = match security.as_array().unwrap().as_slice() {
                [open] if *open == json!({}) => "open",
                [one] => one["token"][0].as_str().unwrap(),
                more => panic!("{method} {path}: {more:?}"),
            };
            assert!(
                ["open", "read", "ingest", "admin"].contains(&scope),
                "{method} {path}"
            );
            let is_refused = operation["responses"].get("401").is_some();
            assert_eq!(is_refused, scope != "open", "{method} {path}");
            if scope != if method == "get" { "read" } else { "admin" } {
                special.push(format!("{scope} {} {path}", method.to_uppercase()));
            }
        }
    }
    special.sort_unstable();
    assert_eq!(
        special,
        [
            "ingest POST /api/v1/write",
            "ingest POST /api/v2/write",
            "ingest POST /v1/ingest/alertmanager",
            "ingest POST /v1/ingest/alerts",
            "ingest POST /v1/ingest/performance",
            "ingest POST /v1/ingest/webhooks/{id}",
            "ingest POST /v1/metrics",
            "ingest POST /write",
            "open GET /healthz",
            "open GET /openapi.json",
            "open GET /ping",
            "open GET /readyz",
            "open GET /ui",
            "open GET /ui/",
            "open GET /ui/{file}",
            "open GET /v1",
        ]
    );
}

#[test]
fn every_reference_leads_to_a_schema() {
    let host = Host::start();
    let document = host.get("/openapi.json").json();
    let mut found = Vec::new();
    references(&document, &mut found);
    assert!(
        found.contains(&"#/components/schemas/ErrorBody"),
        "{found:?}"
    );
    for reference in found {
        let place = reference.strip_prefix('#').unwrap();
        assert!(document.pointer(place).is_some(), "{reference}");
    }
}
