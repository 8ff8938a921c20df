//! Debian's servers, which `scripts/receivers` unpacks, and others, which it builds.
//!
//! Where one is missing, CI fails. On other machines a line names what is not tested, and the
//! functions return `None`.
//!
//! Knows nothing of the host.

/// A receiver with a `server` and a `wait`, which tests stop and start again.
macro_rules! restartable {
    ($receiver:ty) => {
        impl $receiver {
            /// Stops the receiver without a warning.
            pub fn kill(&mut self) {
                self.server.kill();
            }

            /// Starts the receiver again, after it was stopped.
            pub fn restart(&mut self) {
                self.server.restart();
                self.wait();
            }
        }
    };
}

mod clickhouse;
mod configured_client;
mod icinga;
mod influxdb;
mod kafka;
mod mosquitto;
mod nats;
mod node_exporter;
mod opensearch;
mod otlp;
mod postgres;
mod prometheus;
mod pyarrow;
mod python_client;
mod questdb;
mod redis;
mod relay;
mod rsyslog;
mod smtp;
mod snmptrapd;
mod versitygw;
mod victoria_metrics;
mod zabbix;

use std::{
    fs::{self, File},
    io::{self, Write},
    net::{Ipv4Addr, TcpListener, TcpStream, UdpSocket},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        LazyLock,
        atomic::{AtomicU32, Ordering},
    },
    thread,
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

pub use self::{
    clickhouse::ClickHouse,
    configured_client::ConfiguredClient,
    icinga::Icinga,
    influxdb::InfluxDb,
    kafka::KafkaBroker,
    mosquitto::Mosquitto,
    nats::Nats,
    node_exporter::NodeExporter,
    opensearch::OpenSearch,
    otlp::{OtlpCollector, OtlpTls},
    postgres::{Postgres, PostgresTls},
    prometheus::{Alertmanager, Labels, Prometheus, promtool_messages, read_series},
    pyarrow::read_parquet,
    python_client::PythonClient,
    questdb::QuestDb,
    redis::Redis,
    relay::Relay,
    rsyslog::{Rsyslog, RsyslogPorts, RsyslogTls},
    smtp::SmtpServer,
    snmptrapd::{SnmpNotification, Snmptrapd},
    versitygw::S3Server,
    victoria_metrics::VictoriaMetrics,
    zabbix::{Zabbix, ZabbixTls},
};
use crate::PATIENCE;

/// The folder with what `scripts/receivers` unpacks.
fn unpacked() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/receivers")
}

/// A binary of the receivers, if it is installed or unpacked: `prometheus`, `rsyslogd`, ….
#[must_use]
pub fn binary(name: &str) -> Option<PathBuf> {
    let unpacked = ["usr/bin", "usr/sbin"].map(|folder| unpacked().join(folder));
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain(unpacked);
    let found = folders
        .map(|folder| folder.join(name))
        .find(|file| file.is_file());
    if found.is_none() {
        return missing(name);
    }
    found
}

/// A command that runs a binary with the libraries that are unpacked, and not installed.
#[must_use]
pub fn command(binary: &Path) -> Command {
    let libraries = format!("usr/lib/{}-linux-gnu", std::env::consts::ARCH);
    let mut command = Command::new(binary);
    command.env("LD_LIBRARY_PATH", unpacked().join(libraries));
    command
}

/// Says that a server is missing, which is an error in CI.
fn missing<T>(name: &str) -> Option<T> {
    crate::missing(&format!("`{name}`"), "run `make setup`");
    None
}

/// A port that is in use neither over TCP nor over UDP. The system does not give it to a program that asks for any, also
/// not for the client's end of a connection: until the server of the test has it, others would often get one of those.
#[must_use]
pub fn free_port() -> u16 {
    const FIRST: u32 = 12_000;
    const COUNT: u32 = 20_000;
    static NEXT: LazyLock<AtomicU32> =
        LazyLock::new(|| AtomicU32::new(std::process::id().wrapping_mul(7919)));
    loop {
        let port = (FIRST + NEXT.fetch_add(1, Ordering::Relaxed) % COUNT) as u16;
        let address = (Ipv4Addr::LOCALHOST, port);
        if TcpListener::bind(address).is_ok() && UdpSocket::bind(address).is_ok() {
            return port;
        }
    }
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

/// A process whose log is shown if the test fails.
struct Server {
    child: Child,
    binary: PathBuf,
    arguments: Vec<String>,
    log: PathBuf,
}

impl Server {
    fn start(binary: &Path, arguments: &[String], log: &Path) -> Self {
        Self {
            child: spawn(binary, arguments, log),
            binary: binary.to_owned(),
            arguments: arguments.to_owned(),
            log: log.to_owned(),
        }
    }

    /// Starts the process again, after it was stopped.
    fn restart(&mut self) {
        self.child = spawn(&self.binary, &self.arguments, &self.log);
    }

    /// Asks the process to stop, and waits until it has.
    fn stop(&mut self) {
        let pid = Pid::from_child(&self.child);
        must(
            kill_process(pid, Signal::TERM).map_err(io::Error::from),
            "stop a receiver",
        );
        must(self.child.wait().map(drop), "wait for a receiver");
    }

    /// Ends the process together with this one, and removes a folder then, for a server that is not dropped.
    fn end_with_this_process(&self, folder: &Path) {
        let script = "cat >/dev/null; kill -9 \"$1\"; rm -rf \"$2\"";
        let mut command = Command::new("sh");
        command.args(["-c", script, "sh", &self.child.id().to_string()]);
        let watch = command.arg(folder).stdin(Stdio::piped()).spawn();
        // Its standard input ends when this process does.
        std::mem::forget(must(watch, "watch a receiver"));
    }

    /// Ends the process at once.
    fn kill(&mut self) {
        // The process may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
        if thread::panicking() {
            let log = fs::read_to_string(&self.log).unwrap_or_default();
            let _ = writeln!(io::stderr(), "{}:\n{log}", self.log.display());
        }
    }
}

fn spawn(binary: &Path, arguments: &[String], log: &Path) -> Child {
    let file = File::options().create(true).append(true).open(log);
    let file = must(file, "open a log");
    let child = command(binary)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(must(file.try_clone(), "open a log"))
        .stderr(file)
        .spawn();
    must(child, "run a receiver")
}

fn must<T>(result: io::Result<T>, what: &str) -> T {
    result.unwrap_or_else(|error| panic!("cannot {what}: {error}"))
}
