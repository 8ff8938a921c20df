//! Apache Kafka: a broker of one node.

use std::{
    fs::File,
    io::{PipeWriter, Read, Write, pipe},
    net::{TcpListener, TcpStream},
    path::Path,
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use tempfile::TempDir;

use super::must;
use crate::wait_for;

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../scripts/kafka");

/// A request for the metadata of all topics, in the first version of its format: its size, number and version, a number for
/// the answer, no name of a client, and no topics.
const METADATA: [u8; 18] = [0, 0, 0, 14, 0, 3, 0, 0, 0, 0, 0, 1, 0xff, 0xff, 0, 0, 0, 0];

/// A broker. It ends with the test process, also if that is killed.
pub struct KafkaBroker {
    folder: TempDir,
    ports: [u16; 5],
    running: Option<RunningBroker>,
}

struct RunningBroker {
    process: Child,
    /// Closing the pipe ends the process.
    life: Option<PipeWriter>,
}

impl KafkaBroker {
    /// A running broker; `None` where Kafka is missing.
    #[must_use]
    pub fn start() -> Option<Self> {
        let fetched = Command::new(SCRIPT).arg("fetch").output();
        let fetched = fetched.is_ok_and(|output| output.status.success());
        let java = Command::new("java").arg("-version").output().is_ok();
        if !(fetched && java) {
            crate::missing("Apache Kafka", "run `make setup`");
            return None;
        }
        let mut broker = Self {
            folder: must(tempfile::tempdir(), "create a folder"),
            ports: free_ports(),
            running: None,
        };
        broker.run();
        Some(broker)
    }

    /// Starts the broker again, with the same ports and data.
    pub fn run(&mut self) {
        let (theirs, ours) = must(pipe(), "open a pipe");
        let mut command = Command::new(SCRIPT);
        command.arg("run").arg(self.folder.path());
        command.args(self.ports.map(|port| port.to_string()));
        command.stdin(theirs).stdout(Stdio::null());
        let log = File::create(self.folder.path().join("broker.log"));
        command.stderr(must(log, "open a log"));
        let process = must(command.spawn(), "run a broker");
        drop(command);
        let running = self.running.insert(RunningBroker {
            process,
            life: Some(ours),
        });
        let (port, log) = (self.ports[0], self.folder.path().join("broker.log"));
        wait_for("Apache Kafka", || {
            if let Ok(Some(status)) = running.process.try_wait() {
                let log = std::fs::read_to_string(&log).unwrap_or_default();
                panic!("the broker ended with {status}: {log}");
            }
            answers(port).then_some(())
        });
    }

    /// Removes the data when the test process ends, for a broker that is not dropped.
    #[must_use]
    pub fn throw_away(self) -> Self {
        let mark = self.folder.path().join("throwaway");
        must(std::fs::write(mark, ""), "write a file");
        self
    }

    /// Kills the broker, as if its machine had failed.
    pub fn kill(&mut self) {
        self.running = None;
    }

    /// The port without authentication.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.ports[0]
    }

    /// The listener without authentication.
    #[must_use]
    pub fn servers(&self) -> String {
        listener(self.ports[0])
    }

    /// The listener with SASL: user `delfin`, password `delfin-secret`.
    #[must_use]
    pub fn sasl_servers(&self) -> String {
        listener(self.ports[1])
    }

    /// The listener with TLS; [`Self::ca`] signs its certificate.
    #[must_use]
    pub fn tls_servers(&self) -> String {
        listener(self.ports[2])
    }

    /// The listener with TLS that asks for a client certificate.
    #[must_use]
    pub fn client_tls_servers(&self) -> String {
        listener(self.ports[3])
    }

    /// The PEM file of the authority.
    #[must_use]
    pub fn ca(&self) -> String {
        self.folder().join("ca.pem").display().to_string()
    }

    /// The folder with its data.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }
}

impl Drop for RunningBroker {
    fn drop(&mut self) {
        self.life = None;
        self.process.wait().ok();
    }
}

fn listener(port: u16) -> String {
    format!("127.0.0.1:{port}")
}

/// Whether the broker says that a broker is there: it answers before it has joined its cluster.
fn answers(port: u16) -> bool {
    let ask = || {
        let mut broker = TcpStream::connect(("127.0.0.1", port))?;
        broker.set_read_timeout(Some(Duration::from_secs(5)))?;
        broker.write_all(&METADATA)?;
        // The size and the number of the answer, and then the number of brokers.
        let mut answer = [0; 12];
        broker.read_exact(&mut answer)?;
        std::io::Result::Ok(answer[8..] != [0; 4])
    };
    ask().unwrap_or(false)
}

/// Five different free ports, outside the range of ephemeral ports: while the broker
/// is down, a client that reconnects to an ephemeral port could connect to itself.
fn free_ports() -> [u16; 5] {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    [(); 5].map(|()| {
        loop {
            let place = std::process::id() * 16 + NEXT.fetch_add(1, Ordering::Relaxed);
            let port = u16::try_from(20_000 + place % 12_000).unwrap_or(20_000);
            if TcpListener::bind(("127.0.0.1", port)).is_ok() {
                return port;
            }
        }
    })
}
