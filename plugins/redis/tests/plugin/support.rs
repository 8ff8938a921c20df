//! Shared by the tests: a server, and what is in its streams.

use delfin_plugin_api::{Batch, testkit::TestInstance};
use delfin_tests::{
    CommandOutput,
    receivers::{self, Redis},
    wait_for,
};
use serde_json::{Value, json};
use tempfile::TempDir;

/// A server without a password, unless it has its own settings.
pub(crate) struct Server {
    pub(crate) redis: Redis,
    _folder: TempDir,
}

impl Server {
    pub(crate) fn start(settings: &str) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        Some(Self {
            redis: Redis::start(folder.path(), settings)?,
            _folder: folder,
        })
    }

    pub(crate) fn address(&self) -> String {
        format!("127.0.0.1:{}", self.redis.port())
    }

    pub(crate) fn settings(&self) -> Value {
        json!({ "address": self.address(), "tls": false, "message_format": "json" })
    }

    /// The answer to a command, as JSON.
    pub(crate) fn call(&self, words: &[&str]) -> Value {
        let mut command = receivers::command(&receivers::binary("redis-cli").unwrap());
        command.args(["--json", "-p", &self.redis.port().to_string()]);
        let output = CommandOutput::run(command.args(words)).expect_exit(0);
        serde_json::from_str(&output.stdout).unwrap()
    }

    /// The number of messages in a stream.
    pub(crate) fn count(&self, stream: &str) -> u64 {
        self.call(&["XLEN", stream]).as_u64().unwrap()
    }

    /// The fields of each message in a stream, in its order.
    pub(crate) fn messages(&self, stream: &str) -> Vec<Value> {
        let entries = self.call(&["XRANGE", stream, "-", "+"]);
        let fields = |entry: &Value| {
            let words = entry[1].as_array().unwrap();
            let pairs = words.chunks(2);
            let pairs = pairs.map(|pair| (pair[0].as_str().unwrap().to_owned(), pair[1].clone()));
            Value::Object(pairs.collect())
        };
        entries.as_array().unwrap().iter().map(fields).collect()
    }
}

/// The payload of a message.
pub(crate) fn payload(message: &Value) -> Value {
    serde_json::from_str(message["payload"].as_str().unwrap()).unwrap()
}

/// Sends a batch again until it is delivered, as the host does.
pub(crate) fn deliver(exporter: &mut TestInstance, batch: &impl Batch) {
    wait_for("a delivered batch", || exporter.send(batch).ok());
}
