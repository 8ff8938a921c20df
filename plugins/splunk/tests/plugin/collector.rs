//! An HTTP event collector, with the rules of Splunk's documentation: a token in the scheme
//! `Splunk`, a channel, events as JSON objects one after the other, acknowledgements of a channel
//! that are told once, and indexing that takes a while. A restart forgets what is not indexed.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::Read,
    sync::{Arc, Mutex, MutexGuard},
};

use delfin_plugin_api::testkit::{TestReceiver, TestRequest, TestResponse};
use flate2::read::GzDecoder;
use serde_json::{Value, json};

pub(crate) struct Collector {
    receiver: TestReceiver,
    state: Arc<Mutex<CollectorState>>,
}

#[derive(Default)]
struct CollectorState {
    indexed: Vec<Value>,
    /// Accepted, and not indexed yet.
    accepted: BTreeMap<(String, u64), Vec<Value>>,
    /// Indexed, and not told yet.
    acknowledged: BTreeSet<(String, u64)>,
    next: u64,
    requests: usize,
    /// Nothing is indexed.
    is_stuck: bool,
    is_down: bool,
}

fn lock(state: &Mutex<CollectorState>) -> MutexGuard<'_, CollectorState> {
    state.lock().unwrap()
}

impl Collector {
    pub(crate) fn start() -> Self {
        let state = Arc::<Mutex<CollectorState>>::default();
        let shared = Arc::clone(&state);
        Self {
            receiver: TestReceiver::start(move |request| respond(request, &mut lock(&shared))),
            state,
        }
    }

    pub(crate) fn settings(&self) -> Value {
        json!({ "url": self.receiver.url(""), "token": "secret" })
    }

    pub(crate) fn indexed(&self) -> Vec<Value> {
        lock(&self.state).indexed.clone()
    }

    /// The number of requests with events that were accepted.
    pub(crate) fn accepted_requests(&self) -> usize {
        lock(&self.state).requests
    }

    /// Indexes nothing, or what was accepted.
    pub(crate) fn set_stuck(&self, is_stuck: bool) {
        lock(&self.state).is_stuck = is_stuck;
    }

    /// Answers nothing while it is down. What is not indexed is lost.
    pub(crate) fn set_down(&self, is_down: bool) {
        let mut state = lock(&self.state);
        state.is_down = is_down;
        state.accepted.clear();
        state.acknowledged.clear();
        state.next = 0;
    }
}

fn respond(request: &TestRequest, state: &mut CollectorState) -> TestResponse {
    if state.is_down {
        return TestResponse::closed();
    }
    let path = request.path.split('?').next().unwrap_or_default();
    match (request.method.as_str(), path) {
        ("GET", "/services/collector/health") => {
            answer(200, json!({ "text": "HEC is healthy", "code": 17 }))
        }
        ("POST", "/services/collector/event" | "/services/collector/ack") => {
            if request.header("authorization") != "Splunk secret" {
                return answer(403, json!({ "text": "Invalid token", "code": 4 }));
            }
            let channel = request.header("x-splunk-request-channel").to_owned();
            if channel.is_empty() {
                return answer(
                    400,
                    json!({ "text": "Data channel is missing", "code": 10 }),
                );
            }
            if path.ends_with("event") {
                accept(request, channel, state)
            } else {
                tell(request, channel, state)
            }
        }
        _ => answer(
            404,
            json!({ "text": "The requested URL was not found on this server.", "code": 404 }),
        ),
    }
}

fn accept(request: &TestRequest, channel: String, state: &mut CollectorState) -> TestResponse {
    let mut body = Vec::new();
    if request.header("content-encoding") == "gzip" {
        GzDecoder::new(&*request.body)
            .read_to_end(&mut body)
            .unwrap();
    } else {
        body.clone_from(&request.body);
    }
    let events = serde_json::Deserializer::from_slice(&body).into_iter::<Value>();
    let events: Vec<Value> = events.map(Result::unwrap).collect();
    for (number, event) in events.iter().enumerate() {
        if let Some((code, text)) = mistake(event) {
            state.indexed.extend(events[..number].iter().cloned());
            let refused = json!({ "text": text, "code": code, "invalid-event-number": number });
            return answer(400, refused);
        }
    }
    let id = state.next;
    state.next += 1;
    state.requests += 1;
    state.accepted.insert((channel, id), events);
    answer(200, json!({ "text": "Success", "code": 0, "ackId": id }))
}

fn tell(request: &TestRequest, channel: String, state: &mut CollectorState) -> TestResponse {
    assert!(request.path.ends_with(&format!("?channel={channel}")));
    let asked: Value = serde_json::from_slice(&request.body).unwrap();
    let asked = asked["acks"]
        .as_array()
        .unwrap()
        .iter()
        .map(|id| id.as_u64().unwrap());
    let told = asked.map(|id| {
        let key = (channel.clone(), id);
        (id.to_string(), Value::Bool(state.acknowledged.remove(&key)))
    });
    let told: serde_json::Map<_, _> = told.collect();
    // Indexing takes a while: not before the second question.
    if !state.is_stuck {
        while let Some((key, events)) = state.accepted.pop_first() {
            state.indexed.extend(events);
            state.acknowledged.insert(key);
        }
    }
    answer(200, json!({ "acks": told }))
}

/// What Splunk would refuse in an event.
fn mistake(event: &Value) -> Option<(u32, &'static str)> {
    if event["index"] == "forbidden" {
        return Some((7, "Incorrect index"));
    }
    if event["host"] == "refused" {
        return Some((6, "Invalid data format"));
    }
    match &event["event"] {
        Value::Null => return Some((12, "Event field is required")),
        Value::String(text) if text.is_empty() => return Some((13, "Event field cannot be blank")),
        _ => {}
    }
    let fields = event["fields"].as_object()?;
    let is_flat = |value: &Value| !value.is_object() && !value.is_null() && value != "";
    (!fields.values().all(is_flat)).then_some((15, "Error in handling indexed fields"))
}

fn answer(status: u16, body: Value) -> TestResponse {
    let response = TestResponse::new(status).header("content-type", "application/json");
    response.body(body.to_string())
}
