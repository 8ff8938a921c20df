//! Debian's Prometheus and Alertmanager, which `scripts/prometheus fetch` unpacks.
//!
//! Where one is missing, CI fails. On other machines a line names what is not tested, and the
//! functions return `None`.
//!
//! Knows nothing of the host.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{self, File},
    io::{self, Write},
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{Mutex, PoisonError},
    thread,
};

use serde_json::Value;

use crate::{CommandOutput, PATIENCE, wait_for};

/// Binaries that are reported as missing.
static REPORTED: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());

/// A binary of the receivers, if it is installed: `prometheus`, `promtool`, `prometheus-alertmanager`.
#[must_use]
pub fn binary(name: &str) -> Option<PathBuf> {
    let unpacked = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/receivers/usr/bin");
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain([unpacked]);
    let found = folders
        .map(|folder| folder.join(name))
        .find(|file| file.is_file());
    if found.is_none() {
        let missing = format!(
            "SKIPPED: `{name}` is missing, so nothing is tested with it (run `make setup`)"
        );
        let is_ci = std::env::var_os("CI").is_some_and(|value| !value.is_empty());
        assert!(!is_ci, "{missing}");
        let mut reported = REPORTED.lock().unwrap_or_else(PoisonError::into_inner);
        if reported.insert(name.to_owned()) {
            // Not through a macro: the output of a test that passes is not shown.
            let _ = writeln!(io::stderr(), "{missing}");
        }
    }
    found
}

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

/// A port that is not in use.
#[must_use]
pub fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0");
    let address = listener.and_then(|listener| listener.local_addr());
    address
        .unwrap_or_else(|error| panic!("no free port: {error}"))
        .port()
}

/// Whether a process listens on this port of the loopback.
#[must_use]
pub fn is_open(port: u16) -> bool {
    TcpStream::connect(("127.0.0.1", port)).is_ok()
}

/// The body of a response with status 200 as JSON; `None` for another response.
#[must_use]
pub fn get_json(url: &str) -> Option<Value> {
    serde_json::from_str(&get_text(url)?).ok()
}

/// The body of a response with status 200; `None` for another response.
#[must_use]
pub fn get_text(url: &str) -> Option<String> {
    let config = ureq::Agent::config_builder()
        .proxy(None)
        .timeout_global(Some(PATIENCE));
    let agent = config.build().new_agent();
    let mut answer = agent.get(url).call().ok()?;
    let body = answer.body_mut().with_config().limit(1 << 30);
    body.read_to_string().ok()
}

/// A series: its name as `__name__`, and its labels.
pub type Labels = BTreeMap<String, String>;

/// A running Prometheus, until it is dropped.
pub struct Prometheus {
    port: u16,
    _server: Server,
}

/// A running Alertmanager without notifications, until it is dropped.
pub struct Alertmanager {
    port: u16,
    _server: Server,
}

/// A process whose log is shown if the test fails.
struct Server {
    child: Child,
    log: PathBuf,
}

impl Prometheus {
    /// Starts Prometheus with its data in a folder and this configuration; `None` where it is missing.
    #[must_use]
    pub fn start(folder: &Path, port: u16, config: &str) -> Option<Self> {
        let binary = binary("prometheus")?;
        let file = folder.join("prometheus.yml");
        must(fs::write(&file, config), "write a configuration");
        let arguments = [
            format!("--config.file={}", file.display()),
            format!("--storage.tsdb.path={}", folder.join("tsdb").display()),
            format!("--web.listen-address=127.0.0.1:{port}"),
        ];
        let server = Server::start(&binary, &arguments, &folder.join("prometheus.log"));
        let started = Self {
            port,
            _server: server,
        };
        wait_for("Prometheus", || started.query("1"));
        Some(started)
    }

    /// The result of an instant query.
    #[must_use]
    pub fn query(&self, query: &str) -> Option<Vec<Value>> {
        let query = query
            .replace('{', "%7B")
            .replace('}', "%7D")
            .replace('"', "%22");
        let url = format!("http://127.0.0.1:{}/api/v1/query?query={query}", self.port);
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
        let binary = binary("prometheus-alertmanager")?;
        let config = folder.join("alertmanager.yml");
        let text =
            "global: {resolve_timeout: 1s}\nroute: {receiver: none}\nreceivers: [{name: none}]\n";
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

impl Server {
    fn start(binary: &Path, arguments: &[String], log: &Path) -> Self {
        let file = File::options().create(true).append(true).open(log);
        let file = must(file, "open a log");
        let child = Command::new(binary)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(must(file.try_clone(), "open a log"))
            .stderr(file)
            .spawn();
        Self {
            child: must(child, "run a receiver"),
            log: log.to_owned(),
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // The process may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if thread::panicking() {
            let log = fs::read_to_string(&self.log).unwrap_or_default();
            let _ = writeln!(io::stderr(), "{}:\n{log}", self.log.display());
        }
    }
}

fn must<T>(result: io::Result<T>, what: &str) -> T {
    result.unwrap_or_else(|error| panic!("cannot {what}: {error}"))
}
