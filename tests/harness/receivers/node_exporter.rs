//! node_exporter.

use std::path::Path;

use super::{Server, binary, free_port, is_open};
use crate::wait_for;

/// A running node_exporter, until it is dropped.
pub struct NodeExporter {
    _server: Server,
    port: u16,
}

impl NodeExporter {
    /// Starts it on a free port; `None` where it is missing.
    #[must_use]
    pub fn start(folder: &Path) -> Option<Self> {
        let binary = binary("prometheus-node-exporter")?;
        let port = free_port();
        let address = format!("--web.listen-address=127.0.0.1:{port}");
        let started = Self {
            _server: Server::start(&binary, &[address], &folder.join("node_exporter.log")),
            port,
        };
        wait_for("node_exporter", || is_open(port).then_some(()));
        Some(started)
    }

    /// The URL of the page.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}/metrics", self.port)
    }
}
