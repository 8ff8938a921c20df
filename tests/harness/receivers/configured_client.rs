//! Programs that send to the host, as their configuration says.

use std::{fs, path::Path};

use super::{Server, binary, free_port, is_open, must};
use crate::wait_for;

/// A running program, until it is dropped. Its variable `DELFIN_TOKEN` is a token of the host.
pub struct ConfiguredClient {
    _server: Server,
}

impl ConfiguredClient {
    /// Starts Telegraf; `None` where it is missing.
    #[must_use]
    pub fn telegraf(folder: &Path, config: &str, token: &str) -> Option<Self> {
        let file = folder.join("telegraf.conf");
        Self::start("telegraf", &["--config"], &file, config, token)
    }

    /// Starts the exporter of the OpenTelemetry Collector that a configuration has, and its receiver, over HTTP, whose URL is
    /// the second part; `None` where they are missing.
    #[must_use]
    pub fn collector(folder: &Path, exporters: &str, token: &str) -> Option<(Self, String)> {
        let port = free_port();
        let endpoint = format!("127.0.0.1:{port}");
        let receiver =
            format!("receivers: {{otlp: {{protocols: {{http: {{endpoint: '{endpoint}'}}}}}}}}\n");
        let file = folder.join("collector.yaml");
        let config = receiver + exporters;
        let started = Self::start("otlp-collector", &[], &file, &config, token)?;
        wait_for("the Collector", || is_open(port).then_some(()));
        Some((started, format!("http://{endpoint}")))
    }

    fn start(
        name: &str,
        arguments: &[&str],
        file: &Path,
        config: &str,
        token: &str,
    ) -> Option<Self> {
        must(fs::write(file, config), "write a configuration");
        let program = binary(name)?.display().to_string();
        let arguments = arguments.iter().map(|argument| (*argument).to_owned());
        let mut all = vec![format!("DELFIN_TOKEN={token}"), program];
        all.extend(arguments);
        all.push(file.display().to_string());
        let log = file.with_extension("log");
        Some(Self {
            _server: Server::start(&binary("env")?, &all, &log),
        })
    }
}
