//! VictoriaMetrics.

use std::path::Path;

use serde_json::Value;

use super::{Server, binary, free_port, get_text};
use crate::wait_for;

/// A running VictoriaMetrics, until it is dropped.
pub struct VictoriaMetrics {
    server: Server,
    port: u16,
}

restartable!(VictoriaMetrics);

impl VictoriaMetrics {
    /// Starts VictoriaMetrics on a free port with its data in a folder; `None` where it is missing.
    #[must_use]
    pub fn start(folder: &Path) -> Option<Self> {
        let binary = binary("victoria-metrics")?;
        let port = free_port();
        let arguments = [
            format!("-httpListenAddr=127.0.0.1:{port}"),
            format!("-storageDataPath={}", folder.join("data").display()),
            "-memory.allowedBytes=200MB".to_owned(),
            "-retentionPeriod=100y".to_owned(),
            // A point that it has answered for is on the disk then.
            "-inmemoryDataFlushInterval=1s".to_owned(),
        ];
        let started = Self {
            server: Server::start(&binary, &arguments, &folder.join("victoria-metrics.log")),
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

    /// All series with these labels: objects with `metric`, `values` and `timestamps`.
    #[must_use]
    pub fn export(&self, selector: &str) -> Vec<Value> {
        let selector = delfin_plugin_api::http::query_value(selector);
        let url = format!("{}/api/v1/export?match%5B%5D={selector}", self.url());
        let lines = get_text(&url).unwrap_or_default();
        let parsed = lines.lines().map(serde_json::from_str);
        parsed
            .collect::<Result<_, _>>()
            .unwrap_or_else(|error| panic!("{error}: {lines}"))
    }

    /// Stops VictoriaMetrics as an operator does: it writes what it has in memory.
    pub fn stop(&mut self) {
        self.server.stop();
    }

    fn wait(&self) {
        wait_for("VictoriaMetrics", || {
            get_text(&format!("{}/health", self.url()))
        });
    }
}
