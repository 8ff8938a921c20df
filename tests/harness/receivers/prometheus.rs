//! Prometheus and Alertmanager.

use std::{collections::BTreeMap, fs, path::Path, process::Command};

use serde_json::Value;

use super::{Server, binary, free_port, get_json, must};
use crate::{CommandOutput, wait_for};

/// The messages of promtool about a metrics page with Delfin's names, except that these are
/// `camelCase`; `None` without promtool.
#[must_use]
pub fn promtool_messages(page: &[u8]) -> Option<Vec<String>> {
    let mut check = Command::new(binary("promtool")?);
    let output = CommandOutput::run_with_input(check.args(["check", "metrics"]), page);
    let camel = "metric names should be written in 'snake_case' not 'camelCase'";
    let messages = output.stdout + &output.stderr;
    assert!(messages.contains("volume_readIops"), "{messages}");
    let other = messages.lines().filter(|line| !line.ends_with(camel));
    Some(other.map(str::to_owned).collect())
}

/// A series: its name as `__name__`, and its labels.
pub type Labels = BTreeMap<String, String>;

/// A running Prometheus, until it is dropped.
pub struct Prometheus {
    port: u16,
    server: Server,
}

restartable!(Prometheus);

/// A running Alertmanager without notifications, until it is dropped.
pub struct Alertmanager {
    port: u16,
    _server: Server,
}

impl Prometheus {
    /// Starts Prometheus with its data in a folder and this configuration; `None` where it is missing.
    #[must_use]
    pub fn start(folder: &Path, port: u16, config: &str) -> Option<Self> {
        Self::start_binary("prometheus", folder, port, config)
    }

    /// Starts Prometheus, without a page to scrape, as a receiver of remote write; `None` where it
    /// is missing. `binary` is `prometheus`, Debian's, or `prometheus-3`, a recent one.
    #[must_use]
    pub fn start_receiver(binary: &str, folder: &Path) -> Option<Self> {
        Self::start_binary(binary, folder, free_port(), "")
    }

    /// As [`start`](Self::start), with the version that `name` is: see
    /// [`start_receiver`](Self::start_receiver).
    #[must_use]
    pub fn start_binary(name: &str, folder: &Path, port: u16, config: &str) -> Option<Self> {
        let binary = binary(name)?;
        let file = folder.join("prometheus.yml");
        must(fs::write(&file, config), "write a configuration");
        let arguments = [
            format!("--config.file={}", file.display()),
            format!("--storage.tsdb.path={}", folder.join("tsdb").display()),
            format!("--web.listen-address=127.0.0.1:{port}"),
            "--web.enable-remote-write-receiver".to_owned(),
        ];
        let started = Self {
            port,
            server: Server::start(&binary, &arguments, &folder.join("prometheus.log")),
        };
        started.wait();
        Some(started)
    }

    /// The base URL.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    fn wait(&self) {
        wait_for("Prometheus", || self.query("1"));
    }

    /// The result of an instant query.
    #[must_use]
    pub fn query(&self, query: &str) -> Option<Vec<Value>> {
        let query = delfin_plugin_api::http::query_value(query);
        let url = format!("{}/api/v1/query?query={query}", self.url());
        let mut answer = get_json(&url)?;
        match answer["data"]["result"].take() {
            Value::Array(found) => Some(found),
            _ => None,
        }
    }

    /// The value of each series of the job `delfin`, by the labels on the page.
    #[must_use]
    pub fn series(&self) -> BTreeMap<Labels, f64> {
        let found = self.query("{job=\"delfin\",value_type!=\"\"}");
        found.iter().flatten().map(read_series).collect()
    }
}

/// A series of a query result: its labels, without those that Prometheus added, and its value.
#[must_use]
pub fn read_series(found: &Value) -> (Labels, f64) {
    let labels = found["metric"].as_object().into_iter().flatten();
    let labels = labels
        .filter(|(name, _)| !["job", "instance"].contains(&name.as_str()))
        .map(|(name, value)| (name.clone(), value.as_str().unwrap_or_default().to_owned()));
    let value = found["value"][1]
        .as_str()
        .and_then(|text| text.parse().ok());
    (
        labels.collect(),
        value.unwrap_or_else(|| panic!("{found} has no value")),
    )
}

impl Alertmanager {
    /// Starts Alertmanager, which resolves an alert without an end after one second and has no earlier
    /// state; `None` where it is missing.
    #[must_use]
    pub fn start(folder: &Path, port: u16) -> Option<Self> {
        let text =
            "global: {resolve_timeout: 1s}\nroute: {receiver: none}\nreceivers: [{name: none}]\n";
        Self::start_with(folder, port, text)
    }

    /// As `start`, with a configuration.
    #[must_use]
    pub fn start_with(folder: &Path, port: u16, text: &str) -> Option<Self> {
        let binary = binary("prometheus-alertmanager")?;
        let config = folder.join("alertmanager.yml");
        must(fs::write(&config, text), "write a configuration");
        let arguments = [
            format!("--config.file={}", config.display()),
            format!("--storage.path={}", folder.join("alertmanager").display()),
            format!("--web.listen-address=127.0.0.1:{port}"),
            "--cluster.listen-address=".to_owned(),
        ];
        let server = Server::start(&binary, &arguments, &folder.join("alertmanager.log"));
        let started = Self {
            port,
            _server: server,
        };
        wait_for("Alertmanager", || started.alerts());
        Some(started)
    }

    /// Sends alerts, as Prometheus does.
    pub fn post(&self, alerts: &Value) {
        let url = format!("http://127.0.0.1:{}/api/v2/alerts", self.port);
        let sent = ureq::post(&url).send_json(alerts).map(drop);
        sent.unwrap_or_else(|error| panic!("Alertmanager refuses alerts: {error}"));
    }

    /// The firing alerts, ordered by their labels.
    #[must_use]
    pub fn active(&self) -> Vec<Value> {
        let mut active = self
            .alerts()
            .unwrap_or_else(|| panic!("Alertmanager does not answer"));
        active.sort_by_key(|alert| alert["labels"].to_string());
        active
    }

    /// The names of the firing alerts, in the same order.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        let active = self.active();
        let name = |alert: &Value| alert["labels"]["alertname"].as_str().map(str::to_owned);
        active.iter().filter_map(name).collect()
    }

    fn alerts(&self) -> Option<Vec<Value>> {
        let url = format!("http://127.0.0.1:{}/api/v2/alerts?active=true", self.port);
        match get_json(&url)? {
            Value::Array(alerts) => Some(alerts),
            _ => None,
        }
    }
}
