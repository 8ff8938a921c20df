//! The OTLP receiver of the OpenTelemetry Collector, which writes what it accepts into a file.

use std::{
    fs,
    path::{Path, PathBuf},
};

use serde_json::Value;

use super::{Server, binary, free_port, is_open};
use crate::wait_for;

/// A running receiver, until it is dropped.
pub struct OtlpCollector {
    server: Server,
    run: Box<dyn Fn() -> Server>,
    http: u16,
    accepted: PathBuf,
}

impl OtlpCollector {
    /// Starts the receiver on free ports with its file in a folder; `None` where it is missing.
    #[must_use]
    pub fn start(folder: &Path) -> Option<Self> {
        let binary = binary("otlp-collector")?;
        let accepted = folder.join("accepted.jsonl");
        let [http, grpc] = [free_port(), free_port()];
        let arguments = [
            format!("127.0.0.1:{http}"),
            format!("127.0.0.1:{grpc}"),
            accepted.display().to_string(),
        ];
        let log = folder.join("otlp-collector.log");
        let run = move || Server::start(&binary, &arguments, &log);
        let started = Self {
            server: run(),
            run: Box::new(run),
            http,
            accepted,
        };
        started.wait();
        Some(started)
    }

    /// The base URL for HTTP.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.http)
    }

    /// The requests that were accepted, in the JSON of OTLP. The end of one whose response was not
    /// sent is left out.
    #[must_use]
    pub fn accepted(&self) -> Vec<Value> {
        let text = fs::read_to_string(&self.accepted).unwrap_or_default();
        text.lines().flat_map(serde_json::from_str).collect()
    }

    /// Stops the receiver without a warning.
    pub fn kill(&mut self) {
        self.server.kill();
    }

    /// Starts the receiver again, after it was stopped.
    pub fn restart(&mut self) {
        self.server = (self.run)();
        self.wait();
    }

    fn wait(&self) {
        wait_for("the OTLP receiver", || is_open(self.http).then_some(()));
    }
}
