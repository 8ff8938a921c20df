//! Recorded calls of Delfin against the real binary. Statuses and error codes are those of Delfin, except for the rows of
//! `docs/src/operator/delfin-differences.md`, and bodies have the same members of the same types.

#![expect(clippy::expect_used, reason = "a test says by a panic that it failed")]

use std::{
    collections::{BTreeMap, BTreeSet},
    io::{Read, Write},
    net::TcpStream,
};

use delfin_tests::{Host, Setup};
use serde_json::{Map, Value};

const STORAGES: &str = include_str!("../host/tests/fixtures/delfin/storages.jsonl");
const RESOURCES: &str = include_str!("../host/tests/fixtures/delfin/resources.jsonl");
const DIFFERENCES: &str = include_str!("../docs/src/operator/delfin-differences.md");

const CONFIG: &str = r#"
plugin_dirs = []
state_dir = "@/state"
[api]
listen = "127.0.0.1:0"
[journal]
min_free_bytes = 0
"#;

/// Members whose type differs.
const DIFFERENT_MEMBERS: [&str; 7] = [
    "updated_at",             // nothing but a change of the storage changes it
    "sequence_number",        // a text for every driver
    "occur_time",             // milliseconds
    "storage_name",           // what was given, if something was
    "extra_attributes",       // any of them may be secret
    "subscribed_capacity",    // the fake storage has it for its series
    "native_storage_pool_id", // the same, of volumes
];

const SECRETS: [&str; 4] = ["hunter2", "\"pass\"", "newpass", "\"password\""];

/// The recorded id of each object, and ours.
type KnownIds = BTreeMap<String, String>;

/// Status and error code of the host where they differ, by the name of the call.
fn differences() -> BTreeMap<&'static str, (u64, &'static str)> {
    let rows = DIFFERENCES.lines().filter(|line| line.starts_with("| `"));
    let rows = rows.map(|row| {
        let mut cells = row.split('|').skip(1).map(str::trim);
        let name = cells.next().expect("a name").trim_matches('`');
        let ours = cells.nth(1).expect("our status");
        let (status, code) = ours.split_once(' ').unwrap_or((ours, ""));
        let status = status.parse().expect("a status");
        (name, (status, code.trim_matches('`')))
    });
    rows.collect()
}

/// Makes a recorded request: the status, and the body, which may be empty.
fn send(host: &Host, request: &Value, ids: &KnownIds) -> (u64, Value) {
    let mut path = request["path"].as_str().expect("a path").to_owned();
    for (recorded, ours) in ids {
        path = path.replace(recorded, ours);
    }
    let headers = request["headers"].as_object().expect("headers");
    let body = match (&request["body"], &request["body"]["__raw__"]) {
        (_, Value::String(raw)) => raw.clone(),
        (Value::Null, _) if headers.is_empty() => String::new(),
        (body, _) => body.to_string(),
    };
    let address = host.url().trim_start_matches("http://");
    let method = request["method"].as_str().expect("a method");
    let mut head = format!("{method} {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n");
    for (name, value) in headers {
        head += &format!("{name}: {}\r\n", value.as_str().expect("a text"));
    }
    let request = format!("{head}Content-Length: {}\r\n\r\n{body}", body.len());
    let mut stream = TcpStream::connect(address).expect("a connection");
    stream.write_all(request.as_bytes()).expect("a request");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head and a body");
    let status = head.split(' ').nth(1).expect("a status");
    let body = serde_json::from_str(body).unwrap_or_default();
    (status.parse().expect("a status"), body)
}

fn learn_ids(recorded: &Value, ours: &Value, ids: &mut KnownIds) {
    if let (Some(recorded), Some(ours)) = (recorded["id"].as_str(), ours["id"].as_str()) {
        ids.entry(recorded.to_owned())
            .or_insert_with(|| ours.to_owned());
    }
    match (recorded, ours) {
        (Value::Object(recorded), Value::Object(ours)) => {
            let both = recorded
                .iter()
                .filter_map(|(name, value)| Some((value, ours.get(name)?)));
            both.for_each(|(recorded, ours)| learn_ids(recorded, ours, ids));
        }
        (Value::Array(recorded), Value::Array(ours)) => {
            let both = recorded.iter().zip(ours);
            both.for_each(|(recorded, ours)| learn_ids(recorded, ours, ids));
        }
        _ => {}
    }
}

/// Where two bodies do not have the same members of the same types.
fn different_shape(recorded: &Value, ours: &Value, place: &str) -> Option<String> {
    match (recorded, ours) {
        // A way of access that is not used is empty, and which are used depends on earlier differences.
        (Value::Object(recorded), Value::Object(ours))
            if recorded.is_empty() || ours.is_empty() =>
        {
            None
        }
        (Value::Object(recorded), Value::Object(ours)) => {
            let names =
                |object: &Map<String, Value>| object.keys().cloned().collect::<BTreeSet<_>>();
            if names(recorded) != names(ours) {
                return Some(format!(
                    "{place}: {:?} and not {:?}",
                    names(ours),
                    names(recorded)
                ));
            }
            let same = recorded
                .iter()
                .filter(|(name, _)| !DIFFERENT_MEMBERS.contains(&name.as_str()));
            let mut found = same.map(|(name, value)| {
                different_shape(value, &ours[name], &format!("{place}.{name}"))
            });
            found.find_map(|found| found)
        }
        (Value::Array(recorded), Value::Array(ours)) => {
            let mut both = recorded.iter().zip(ours);
            both.find_map(|(recorded, ours)| different_shape(recorded, ours, place))
        }
        _ => {
            let is_same = std::mem::discriminant(recorded) == std::mem::discriminant(ours);
            (!is_same).then(|| format!("{place}: {ours} and not {recorded}"))
        }
    }
}

/// Replays calls on a host without storages; says which answers differ.
fn replay(calls: &[Value]) -> Vec<String> {
    let setup = Setup::new(&[], "").with_whole_config(CONFIG);
    let (host, mut ids, differences) = (setup.start(), KnownIds::new(), differences());
    let mut found = Vec::new();
    for call in calls {
        let name = call["name"].as_str().expect("a name");
        let recorded = &call["response"];
        let mut expected = (recorded["status"].as_u64().expect("a status"), "");
        if expected.0 >= 400 {
            expected.1 = recorded["body"]["error_code"]
                .as_str()
                .unwrap_or("NotFound");
        }
        let listed = differences.get(name).copied();
        if listed == Some(expected) {
            found.push(format!("{name} is listed, and does not differ"));
        }
        let expected = listed.unwrap_or(expected);
        let (status, body) = send(&host, &call["request"], &ids);
        let code = body["error_code"].as_str().unwrap_or_default();
        if status != expected.0 || (!expected.1.is_empty() && code != expected.1) {
            found.push(format!("{name}: {status} {code} and not {expected:?}"));
        } else if !differences.contains_key(name) && status < 400 {
            found.extend(different_shape(&recorded["body"], &body, name));
        }
        let text = body.to_string();
        if SECRETS.iter().any(|secret| text.contains(secret)) {
            found.push(format!("{name} shows a secret: {text}"));
        }
        learn_ids(&recorded["body"], &body, &mut ids);
        if status == 201 {
            let path = format!("/v1/storages/{}", body["id"].as_str().expect("an id"));
            host.wait_for("the first sync", || {
                (host.get(&path).1["sync_status"] == "SYNCED").then_some(())
            });
        }
    }
    found
}

#[test]
fn recorded_calls_of_delfin_are_answered_as_by_delfin() {
    let calls = |text: &str| -> Vec<Value> {
        let lines = text.lines();
        let calls = lines.map(|line| serde_json::from_str(line).expect("a recorded call"));
        calls.collect()
    };
    // The storages were recorded in two runs, each without storages at its beginning.
    let is_late = |call: &Value| call["name"].as_str().expect("a name").starts_with("x_");
    let (late, early): (Vec<Value>, Vec<Value>) = calls(STORAGES).into_iter().partition(is_late);
    let runs = [early, late, calls(RESOURCES)];
    let mut listed = differences();
    listed.retain(|name, _| runs.iter().flatten().all(|call| call["name"] != *name));
    assert!(listed.is_empty(), "not recorded: {listed:?}");
    for run in runs {
        assert_eq!(replay(&run), [""; 0]);
    }
}
