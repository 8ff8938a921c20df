//! The engine of ClickHouse behind an HTTP interface.

use std::path::Path;

use serde_json::Value;

use super::{Server, binary, free_port, missing, must, unpacked};
use crate::wait_for;

/// A running server with an empty state, until it is dropped.
pub struct ClickHouse {
    server: Server,
    port: u16,
}

restartable!(ClickHouse);

impl ClickHouse {
    /// Starts a server on a free port with its data in a folder; `None` where it is missing.
    #[must_use]
    pub fn start(folder: &Path) -> Option<Self> {
        if !unpacked().join("chdb/chdb").is_dir() {
            return missing("chdb");
        }
        binary("python3")?;
        must(std::fs::create_dir_all(folder), "make a folder");
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

    /// The rows that a query finds, or its exception.
    pub fn query(&self, query: &str) -> Result<Vec<Value>, String> {
        let agent = ureq::Agent::config_builder()
            .proxy(None)
            .http_status_as_error(false)
            .build()
            .new_agent();
        let answer = agent.post(format!("{}/", self.url())).send(query);
        let mut answer = answer.map_err(|error| error.to_string())?;
        let text = answer
            .body_mut()
            .with_config()
            .limit(1 << 26)
            .read_to_string();
        let text = text.map_err(|error| error.to_string())?;
        if answer.status() != 200 {
            return Err(text);
        }
        let rows = text.lines().map(serde_json::from_str);
        rows.collect::<Result<_, _>>()
            .map_err(|error| format!("{error}: {text}"))
    }

    fn wait(&self) {
        wait_for("ClickHouse", || self.query("SELECT 1").ok());
    }
}

fn run(folder: &Path, port: u16) -> Server {
    let python = binary("python3").unwrap_or_else(|| panic!("Python has gone"));
    let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("receivers/clickhouse/server.py");
    let arguments = [
        "-B".to_owned(),
        program.display().to_string(),
        unpacked().join("chdb").display().to_string(),
        folder.display().to_string(),
        port.to_string(),
    ];
    Server::start(&python, &arguments, &folder.join("clickhouse.log"))
}
