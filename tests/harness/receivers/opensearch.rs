//! OpenSearch, started by a small program.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::{Server, binary, free_port, get_json, is_open, missing, must, unpacked};
use crate::wait_for;

/// A running node with an empty state, until it is dropped.
pub struct OpenSearch {
    server: Server,
    port: u16,
}

restartable!(OpenSearch);

impl OpenSearch {
    /// Starts a node on free ports with its data in a folder; `None` where it is missing.
    #[must_use]
    pub fn start(folder: &Path) -> Option<Self> {
        if !libraries().join("OpenSearchNode.class").is_file() {
            return missing("opensearch");
        }
        binary("java")?;
        must(
            std::fs::create_dir_all(folder.join("config")),
            "make a folder",
        );
        let port = free_port();
        let started = Self {
            server: run(folder, port),
            port,
        };
        started.wait();
        Some(started)
    }

    /// The base URL.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// All documents of an index or a data stream, up to 10,000.
    #[must_use]
    pub fn search(&self, index: &str) -> Option<Vec<Value>> {
        // Documents are found after a refresh.
        self.put("POST", &format!("{index}/_refresh"), &json!({}));
        let mut found = get_json(&format!("{}/{index}/_search?size=10000", self.url()))?;
        match found["hits"]["hits"].take() {
            Value::Array(hits) => Some(hits),
            _ => None,
        }
    }

    /// Whether a data stream has this name.
    #[must_use]
    pub fn is_data_stream(&self, name: &str) -> bool {
        get_json(&format!("{}/_data_stream/{name}", self.url())).is_some()
    }

    /// Creates an index that is no data stream.
    pub fn create_index(&self, name: &str, mappings: &Value) {
        self.put("PUT", name, &json!({ "mappings": mappings }));
    }

    fn put(&self, method: &str, path: &str, body: &Value) {
        let request = ureq::http::Request::builder()
            .method(method)
            .uri(format!("{}/{path}", self.url()))
            .header("content-type", "application/json")
            .body(body.to_string());
        let request = request.unwrap_or_else(|error| panic!("{error}"));
        let agent = ureq::Agent::config_builder()
            .proxy(None)
            .build()
            .new_agent();
        if let Err(error) = agent.run(request) {
            panic!("{path}: {error}");
        }
    }

    /// Waits in two steps, because a Java program takes long to start on a busy machine.
    fn wait(&self) {
        wait_for("OpenSearch to listen", || is_open(self.port).then_some(()));
        let health = format!("{}/_cluster/health?wait_for_status=yellow", self.url());
        wait_for("OpenSearch", || get_json(&health));
    }
}

fn libraries() -> PathBuf {
    unpacked().join("opensearch")
}

fn run(folder: &Path, port: u16) -> Server {
    let java = binary("java").unwrap_or_else(|| panic!("Java has gone"));
    let libraries = libraries().display().to_string();
    let arguments = [
        "-Xmx300m".to_owned(),
        "-cp".to_owned(),
        format!("{libraries}:{libraries}/lib/*"),
        "OpenSearchNode".to_owned(),
        folder.display().to_string(),
        port.to_string(),
        free_port().to_string(),
    ];
    Server::start(&java, &arguments, &folder.join("opensearch.log"))
}
