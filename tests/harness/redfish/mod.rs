//! A Redfish service that is strict: it answers what the specification says, and nothing else.
//!
//! A request without the header `OData-Version`, with a query that the service does not support, or
//! with a wrong body is answered 400; one without credentials 401.

#![expect(
    clippy::unwrap_used,
    reason = "a test fails where its environment does not work"
)]

pub mod array;
pub mod messages;
pub mod telemetry;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, mpsc::Receiver},
};

use delfin_plugin_api::testkit::{TestReceiver, TestRequest, TestResponse};
use serde_json::{Value, json};

use self::array::Documents;

pub const USER: &str = "monitor";
pub const PASSWORD: &str = "correct-horse-battery-staple";

pub const EVENTS: &str = "/redfish/v1/EventService/SSE";

const SESSIONS: &str = "/redfish/v1/SessionService/Sessions";

/// A running service.
pub struct MockService {
    receiver: TestReceiver,
    state: Arc<Mutex<MockState>>,
}

/// What a test changes.
pub struct MockState {
    pub documents: Documents,
    pub sessions: BTreeSet<String>,
    /// How many sessions were opened.
    pub logins: usize,
    pub refuses_login: bool,
    pub has_sessions: bool,
    /// Members of a page.
    pub page: usize,
    pub expands: bool,
    /// Answers to the next requests of a path.
    pub next: BTreeMap<String, Vec<TestResponse>>,
    /// The events of the next connections.
    pub streams: Vec<Receiver<Vec<u8>>>,
    /// Paths that answer 500.
    pub failing: BTreeSet<String>,
    /// Whether every request hangs.
    pub hangs: bool,
    /// Whether each connection is closed without an answer.
    pub is_gone: bool,
}

impl MockService {
    pub fn start(documents: Documents) -> Self {
        let state = Arc::new(Mutex::new(MockState {
            documents,
            sessions: BTreeSet::new(),
            logins: 0,
            refuses_login: false,
            has_sessions: true,
            page: 2,
            expands: false,
            next: BTreeMap::new(),
            failing: BTreeSet::new(),
            streams: Vec::new(),
            hangs: false,
            is_gone: false,
        }));
        let shared = Arc::clone(&state);
        let receiver = TestReceiver::start(move |request| lock(&shared).answer(request));
        Self { receiver, state }
    }

    pub fn state(&self) -> MutexGuard<'_, MockState> {
        lock(&self.state)
    }

    /// The options of a storage.
    pub fn options(&self, extra: Value) -> Value {
        let mut attributes = json!({ "scheme": "http" });
        for (key, value) in extra.as_object().cloned().unwrap_or_default() {
            attributes[key] = value;
        }
        json!({
            "rest": {"host": "localhost", "port": self.port(), "username": USER, "password": PASSWORD},
            "extra_attributes": attributes,
        })
    }

    pub fn port(&self) -> u16 {
        let url = self.receiver.url("");
        url.rsplit(':').next().unwrap().parse().unwrap()
    }

    /// The paths that were asked for, with their queries.
    pub fn paths(&self) -> Vec<String> {
        let requests = self.receiver.requests().into_iter();
        requests.map(|request| request.path).collect()
    }

    pub fn requests(&self) -> Vec<TestRequest> {
        self.receiver.requests()
    }
}

impl MockState {
    fn answer(&mut self, request: &TestRequest) -> TestResponse {
        if self.hangs {
            return TestResponse::stalled();
        }
        if self.is_gone {
            return TestResponse::closed();
        }
        let (path, query) = request.path.split_once('?').unwrap_or((&request.path, ""));
        if let Some(answers) = self.next.get_mut(path)
            && !answers.is_empty()
        {
            return answers.remove(0);
        }
        if self.failing.contains(path) {
            return error(500, "InternalError");
        }
        if request.header("odata-version") != "4.0" {
            return error(400, "OData-Version is missing");
        }
        match (request.method.as_str(), path) {
            ("GET", "/redfish/v1/") => self.get(path, query, request),
            ("POST", SESSIONS) if self.has_sessions => self.log_in(request),
            ("POST", SESSIONS) => error(404, "no sessions"),
            _ if !self.is_authorized(request) => error(401, "NoValidSession"),
            ("GET", EVENTS) => self.stream(request),
            ("GET", _) => self.get(path, query, request),
            ("DELETE", _) if path.starts_with(SESSIONS) => {
                let token = path.rsplit('/').next().unwrap();
                let was_open = self.sessions.remove(token);
                TestResponse::new(if was_open { 204 } else { 404 })
            }
            ("PATCH", _) => self.patch(path, request),
            _ => error(405, "OperationNotAllowed"),
        }
    }

    fn log_in(&mut self, request: &TestRequest) -> TestResponse {
        let body: Value = serde_json::from_slice(&request.body).unwrap_or_default();
        if request.header("content-type") != "application/json"
            || !request.header("authorization").is_empty()
        {
            return error(400, "not JSON, or with credentials in the header");
        }
        if self.refuses_login || body != json!({"UserName": USER, "Password": PASSWORD}) {
            return error(401, "ResourceAtUriUnauthorized");
        }
        self.logins += 1;
        let token = format!("token-{}", self.logins);
        self.sessions.insert(token.clone());
        TestResponse::new(201)
            .header("x-auth-token", &token)
            .header("location", &format!("{SESSIONS}/{token}"))
            .header("content-type", "application/json")
            .body(json!({"@odata.id": format!("{SESSIONS}/{token}"), "Id": token}).to_string())
    }

    fn is_authorized(&self, request: &TestRequest) -> bool {
        let basic = "Basic bW9uaXRvcjpjb3JyZWN0LWhvcnNlLWJhdHRlcnktc3RhcGxl";
        self.sessions.contains(request.header("x-auth-token"))
            || request.header("authorization") == basic
    }

    fn stream(&mut self, request: &TestRequest) -> TestResponse {
        if request.header("accept") != "text/event-stream" {
            return error(406, "NotAcceptable");
        }
        match self.streams.pop() {
            Some(pieces) => {
                TestResponse::stream(pieces).header("content-type", "text/event-stream")
            }
            None => TestResponse::new(503),
        }
    }

    fn get(&self, path: &str, query: &str, request: &TestRequest) -> TestResponse {
        if !request.header("accept").contains("application/json") {
            return error(406, "NotAcceptable");
        }
        // A slash at the end is the same resource.
        let document = self.documents.get(path);
        let Some(document) = document.or_else(|| self.documents.get(path.trim_end_matches('/')))
        else {
            return error(404, "ResourceMissingAtURI");
        };
        let mut document = document.clone();
        if path == "/redfish/v1/" {
            let expand = &mut document["ProtocolFeaturesSupported"]["ExpandQuery"];
            *expand = json!({"NoLinks": self.expands, "Levels": self.expands});
        }
        let mut skip = 0;
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            match pair.split_once('=') {
                Some(("$expand", ".($levels=1)")) if self.expands => self.expand(&mut document),
                Some(("$skip", number)) => skip = number.parse().unwrap_or(0),
                _ => return error(400, "QueryNotSupported"),
            }
        }
        let is_list = document["Members"].is_array();
        if is_list {
            self.cut(&mut document, path, query, skip);
        }
        let body = document.to_string();
        let etag = format!("W/\"{:x}\"", checksum(&body));
        if request.header("if-none-match") == etag {
            return TestResponse::new(304).header("etag", &etag);
        }
        TestResponse::new(200)
            .header("content-type", "application/json;odata.metadata=minimal")
            .header("etag", &etag)
            .body(body)
    }

    fn expand(&self, collection: &mut Value) {
        let Some(members) = collection["Members"].as_array_mut() else {
            return;
        };
        for member in members {
            let path = member["@odata.id"].as_str().unwrap_or_default();
            if let Some(document) = self.documents.get(path) {
                *member = document.clone();
            }
        }
    }

    /// Leaves a page of the members, and the link to the next one.
    fn cut(&self, collection: &mut Value, path: &str, query: &str, skip: usize) {
        let members = collection["Members"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        let page: Vec<Value> = members.iter().skip(skip).take(self.page).cloned().collect();
        let end = skip + page.len();
        collection["Members"] = page.into();
        if end < members.len() {
            let others: String = query
                .split('&')
                .filter(|pair| !pair.is_empty() && !pair.starts_with("$skip"))
                .map(|pair| format!("{pair}&"))
                .collect();
            collection["Members@odata.nextLink"] = json!(format!("{path}?{others}$skip={end}"));
        }
    }

    fn patch(&mut self, path: &str, request: &TestRequest) -> TestResponse {
        let change: Value = serde_json::from_slice(&request.body).unwrap_or_default();
        let Some(document) = self.documents.get_mut(path) else {
            return error(404, "ResourceMissingAtURI");
        };
        for (key, value) in change.as_object().cloned().unwrap_or_default() {
            if document.get(&key).is_none() {
                return error(400, "PropertyUnknown");
            }
            document[key] = value;
        }
        TestResponse::new(204)
    }
}

/// An error in the form of the specification.
pub fn error(status: u16, code: &str) -> TestResponse {
    let body = json!({"error": {"code": format!("Base.1.18.{code}"), "message": code}});
    TestResponse::new(status)
        .header("content-type", "application/json")
        .body(body.to_string())
}

fn checksum(text: &str) -> u64 {
    text.bytes().fold(14_695_981_039_346_656_037, |sum, byte| {
        (sum ^ u64::from(byte)).wrapping_mul(1_099_511_628_211)
    })
}

fn lock(state: &Mutex<MockState>) -> MutexGuard<'_, MockState> {
    state.lock().unwrap()
}
