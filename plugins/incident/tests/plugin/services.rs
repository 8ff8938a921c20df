//! Services with the rules of their documentation. They answer with an error to what the real one
//! refuses, and keep what it would show.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use delfin_plugin_api::testkit::{TestReceiver, TestRequest, TestResponse};
use serde_json::{Value, json};

pub(crate) const PAGERDUTY: &str = "AlertExporterPagerDuty";
pub(crate) const SERVICENOW: &str = "AlertExporterServiceNow";
pub(crate) const JIRA: &str = "AlertExporterJira";
pub(crate) const SLACK: &str = "AlertExporterSlack";
pub(crate) const TEAMS: &str = "AlertExporterTeams";
pub(crate) const SERVICES: [&str; 5] = [PAGERDUTY, SERVICENOW, JIRA, SLACK, TEAMS];

pub(crate) struct Service {
    pub(crate) exporter: &'static str,
    receiver: TestReceiver,
    state: Arc<Mutex<ServiceState>>,
}

#[derive(Default)]
struct ServiceState {
    is_down: bool,
    /// What was accepted, in order.
    accepted: Vec<Value>,
}

impl Service {
    pub(crate) fn start(exporter: &'static str) -> Self {
        let state = Arc::<Mutex<ServiceState>>::default();
        let shared = Arc::clone(&state);
        let receiver = TestReceiver::start(move |request| {
            let mut state = shared.lock().unwrap();
            if state.is_down {
                return TestResponse::new(503);
            }
            if request.method == "OPTIONS" {
                return TestResponse::new(404);
            }
            if exporter == JIRA {
                return jira(request, &mut state.accepted);
            }
            assert_eq!(request.header("content-type"), "application/json");
            let body: Value = serde_json::from_slice(&request.body).unwrap();
            match exporter {
                PAGERDUTY => pagerduty(request, &body, &mut state.accepted),
                SERVICENOW => servicenow(request, &body, &mut state.accepted),
                SLACK => slack(request, &body, &mut state.accepted),
                _ => teams(request, &body, &mut state.accepted),
            }
        });
        Self {
            exporter,
            receiver,
            state,
        }
    }

    pub(crate) fn settings(&self) -> Value {
        let url = |path: &str| self.receiver.url(path);
        match self.exporter {
            PAGERDUTY => {
                json!({ "url": url("/v2/enqueue"), "routing_key": "key", "max_per_minute": 6000 })
            }
            SERVICENOW => {
                json!({ "url": url("/"), "username": "u", "password": "p", "max_per_minute": 6000 })
            }
            JIRA => json!({
                "url": url("/"), "username": "u", "password": "p", "max_per_minute": 6000,
                "project": "STOR", "resolve_transition": "Done",
            }),
            _ => json!({ "url": url("/hook/s3cret"), "max_per_minute": 6000 }),
        }
    }

    pub(crate) fn accepted(&self) -> Vec<Value> {
        self.state.lock().unwrap().accepted.clone()
    }

    pub(crate) fn set_down(&self, is_down: bool) {
        self.state.lock().unwrap().is_down = is_down;
    }

    /// What PagerDuty, ServiceNow or Jira would show: for each key whether it is open.
    pub(crate) fn open(&self) -> BTreeMap<String, bool> {
        let state = |event: &Value| match self.exporter {
            JIRA => (event["label"].to_string(), event["is_open"] == true),
            PAGERDUTY => (
                event["dedup_key"].as_str().unwrap().to_owned(),
                event["event_action"] == "trigger",
            ),
            _ => (
                event["message_key"].as_str().unwrap().to_owned(),
                event["severity"] != "0",
            ),
        };
        self.accepted().iter().map(state).collect()
    }
}

fn answer(status: u16, body: Value) -> TestResponse {
    let response = TestResponse::new(status).header("content-type", "application/json");
    response.body(body.to_string())
}

fn pagerduty(request: &TestRequest, event: &Value, accepted: &mut Vec<Value>) -> TestResponse {
    let refuse = |reason: &str| {
        answer(
            400,
            json!({ "status": "invalid event", "message": "Event object is invalid", "errors": [reason] }),
        )
    };
    if request.path != "/v2/enqueue" {
        return TestResponse::new(404);
    }
    if event["routing_key"] != "key" {
        return refuse("'routing_key' is invalid");
    }
    let action = event["event_action"].as_str().unwrap_or_default();
    let key = event["dedup_key"].as_str().unwrap_or_default();
    if key.is_empty() || key.len() > 255 {
        return refuse("'dedup_key' must be 1 to 255 characters");
    }
    let payload = &event["payload"];
    let summary = payload["summary"].as_str().unwrap_or_default();
    match action {
        "resolve" if payload.is_null() => {}
        "trigger" => {
            if summary.is_empty() || summary.chars().count() > 1024 {
                return refuse("'payload.summary' is missing or blank");
            }
            if payload["source"].as_str().is_none_or(str::is_empty) {
                return refuse("'payload.source' is missing or blank");
            }
            let severities = ["critical", "error", "warning", "info"];
            if !severities.contains(&payload["severity"].as_str().unwrap_or_default()) {
                return refuse(
                    "'payload.severity' is invalid (must be one of the following: 'critical', 'warning', 'error' or 'info')",
                );
            }
        }
        _ => return refuse("'event_action' is missing or blank"),
    }
    if request.body.len() > 512 * 1024 {
        return TestResponse::new(413);
    }
    accepted.push(event.clone());
    answer(
        202,
        json!({ "status": "success", "message": "Event processed", "dedup_key": key }),
    )
}

fn servicenow(request: &TestRequest, body: &Value, accepted: &mut Vec<Value>) -> TestResponse {
    if request.path != "/api/global/em/jsonv2" {
        return answer(
            400,
            json!({ "error": { "message": "Requested URI does not represent any resource" } }),
        );
    }
    if request.header("authorization") != "Basic dTpw" {
        return answer(
            401,
            json!({ "error": { "message": "User Not Authenticated" } }),
        );
    }
    let records = body["records"].as_array().unwrap();
    for record in records {
        let text = |key: &str| record[key].as_str().unwrap();
        assert!(["0", "1", "2", "3", "4", "5"].contains(&text("severity")));
        assert!(["New", "Closing"].contains(&text("resolution_state")));
        assert!(
            !text("source").is_empty()
                && !text("node").is_empty()
                && !text("message_key").is_empty()
        );
        let time = text("time_of_event");
        assert!(
            time.is_empty() || (time.len() == 19 && time.as_bytes()[10] == b' '),
            "{time}"
        );
        let info: Value = serde_json::from_str(text("additional_info")).unwrap();
        assert!(info.is_object());
    }
    accepted.extend(records.iter().cloned());
    let text = format!("{} events were inserted", records.len());
    answer(200, json!({ "result": { "Default Bulk Endpoint": text } }))
}

fn slack(request: &TestRequest, body: &Value, accepted: &mut Vec<Value>) -> TestResponse {
    if request.path != "/hook/s3cret" {
        return TestResponse::new(404).body("no_service");
    }
    let text = body["text"].as_str().unwrap_or_default();
    if text.is_empty() {
        return TestResponse::new(400).body("no_text");
    }
    if text.chars().count() > 40_000 {
        return TestResponse::new(400).body("msg_too_long");
    }
    accepted.push(body.clone());
    TestResponse::new(200).body("ok")
}

fn teams(request: &TestRequest, body: &Value, accepted: &mut Vec<Value>) -> TestResponse {
    if request.path != "/hook/s3cret" {
        return TestResponse::new(404);
    }
    if request.body.len() > 28 * 1024 {
        return TestResponse::new(413);
    }
    let card = &body["attachments"][0];
    let is_card = body["type"] == "message"
        && card["contentType"] == "application/vnd.microsoft.card.adaptive"
        && card["content"]["type"] == "AdaptiveCard";
    if !is_card {
        return TestResponse::new(400);
    }
    accepted.push(card["content"]["body"].clone());
    TestResponse::new(202)
}

/// Jira Cloud: issues with their comments. `issues` has them in the order of their creation.
fn jira(request: &TestRequest, issues: &mut Vec<Value>) -> TestResponse {
    if request.header("authorization") != "Basic dTpw" {
        return TestResponse::new(401);
    }
    let body: Value = serde_json::from_slice(&request.body).unwrap_or_default();
    let words: Vec<_> = request.path.split('/').skip(4).collect();
    match (request.method.as_str(), words.as_slice()) {
        ("POST", ["search", "jql"]) => {
            let query = body["jql"].as_str().unwrap();
            assert!(query.starts_with("project = \"STOR\" AND labels = \"delfin-"));
            let label = query.split('"').nth(3).unwrap();
            let is_found = |issue: &&Value| issue["is_open"] == true && issue["label"] == label;
            let found = issues.iter().find(is_found);
            let found: Vec<_> = found
                .map(|issue| json!({ "key": issue["key"] }))
                .into_iter()
                .collect();
            answer(200, json!({ "issues": found, "isLast": true }))
        }
        ("POST", ["issue"]) => create_issue(&body["fields"], issues),
        ("POST", ["issue", key, "comment"]) => {
            let Some(issue) = issues.iter_mut().find(|issue| issue["key"] == **key) else {
                return answer(404, json!({ "errorMessages": ["Issue does not exist"] }));
            };
            let text = body["body"].as_str().unwrap();
            assert!(!text.is_empty() && text.chars().count() <= 32_767);
            issue["comments"].as_array_mut().unwrap().push(text.into());
            answer(201, json!({ "id": "1" }))
        }
        ("GET", ["project", "STOR"]) => answer(200, json!({ "id": "10000", "key": "STOR" })),
        ("GET", ["issue", _, "transitions"]) => {
            let transitions =
                json!([{ "id": "11", "name": "To Do" }, { "id": "31", "name": "Done" }]);
            answer(200, json!({ "transitions": transitions }))
        }
        ("POST", ["issue", key, "transitions"]) => {
            assert_eq!(body, json!({ "transition": { "id": "31" } }));
            let issue = issues.iter_mut().find(|issue| issue["key"] == **key);
            issue.unwrap()["is_open"] = false.into();
            TestResponse::new(204)
        }
        _ => answer(404, json!({ "errorMessages": ["null for uri"] })),
    }
}

fn create_issue(fields: &Value, issues: &mut Vec<Value>) -> TestResponse {
    let refuse = |field: &str, reason: &str| {
        answer(
            400,
            json!({ "errorMessages": [], "errors": { field: reason } }),
        )
    };
    if fields["project"]["key"] != "STOR" {
        return refuse("project", "valid project is required");
    }
    if fields["issuetype"]["name"] != "Task" {
        return refuse("issuetype", "Specify a valid issue type");
    }
    let summary = fields["summary"].as_str().unwrap_or_default();
    if summary.is_empty() || summary.contains('\n') || summary.chars().count() > 255 {
        return refuse(
            "summary",
            "Summary must be one line of at most 255 characters.",
        );
    }
    if fields["description"].as_str().unwrap().chars().count() > 32_767 {
        return refuse("description", "The entered text is too long.");
    }
    let labels = fields["labels"].as_array().unwrap();
    let has_space = |label: &Value| label.as_str().unwrap().contains(' ');
    if labels.iter().any(has_space) {
        return refuse("labels", "The label contains spaces which is invalid.");
    }
    let key = format!("STOR-{}", issues.len() + 1);
    let issue = json!({
        "key": key,
        "label": labels[1],
        "summary": summary,
        "description": fields["description"],
        "comments": [],
        "is_open": true,
    });
    issues.push(issue);
    answer(201, json!({ "id": "1", "key": key, "self": "…" }))
}
