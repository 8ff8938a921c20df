//! Apache Kafka: a broker of one node, or three that are a cluster.

use std::{
    collections::HashMap,
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
use crate::{CommandOutput, wait_for};

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../scripts/kafka");

/// A request for the metadata of all topics, in the first version of its format: its size, number and version, a number for
/// the answer, no name of a client, and no topics.
const METADATA: [u8; 18] = [0, 0, 0, 14, 0, 3, 0, 0, 0, 0, 0, 1, 0xff, 0xff, 0, 0, 0, 0];

/// A broker. It ends with the test process, also if that is killed.
pub struct KafkaBroker {
    folder: TempDir,
    ports: [u16; 6],
    /// The arguments of the script.
    arguments: Vec<String>,
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
        let ports = free_ports();
        let mut broker = Self::new(ports, "run", ports.map(|port| port.to_string()))?;
        broker.run();
        Some(broker)
    }

    /// Three running brokers of one cluster, which have no listeners with SASL or TLS; `None` where Kafka is missing.
    #[must_use]
    pub fn start_three() -> Option<[Self; 3]> {
        let ports = [(); 3].map(|()| free_ports());
        let voters: Vec<_> = (1..)
            .zip(ports)
            .map(|(node, [_, controller, ..])| format!("{node}@127.0.0.1:{controller}"))
            .collect();
        let member = |node: usize| {
            let ports = ports[node - 1];
            let [port, controller] = [ports[0], ports[1]].map(|port| port.to_string());
            Self::new(
                ports,
                "member",
                [port, controller, node.to_string(), voters.join(",")],
            )
        };
        let mut brokers = [member(1)?, member(2)?, member(3)?];
        brokers.iter_mut().for_each(Self::spawn);
        brokers.iter_mut().for_each(|broker| broker.wait(3));
        Some(brokers)
    }

    fn new(
        ports: [u16; 6],
        command: &str,
        arguments: impl IntoIterator<Item = String>,
    ) -> Option<Self> {
        let fetched = Command::new(SCRIPT).arg("fetch").output();
        let fetched = fetched.is_ok_and(|output| output.status.success());
        let java = Command::new("java").arg("-version").output().is_ok();
        if !(fetched && java) {
            crate::missing("Apache Kafka", "run `make setup`");
            return None;
        }
        let folder = must(tempfile::tempdir(), "create a folder");
        let first = [command.to_owned(), folder.path().display().to_string()];
        Some(Self {
            arguments: first.into_iter().chain(arguments).collect(),
            folder,
            ports,
            running: None,
        })
    }

    /// Starts the broker again, with the same ports and data.
    pub fn run(&mut self) {
        self.spawn();
        self.wait(1);
    }

    fn spawn(&mut self) {
        let (theirs, ours) = must(pipe(), "open a pipe");
        let mut command = Command::new(SCRIPT);
        command.args(&self.arguments);
        command.stdin(theirs).stdout(Stdio::null());
        let log = File::create(self.folder.path().join("broker.log"));
        command.stderr(must(log, "open a log"));
        let process = must(command.spawn(), "run a broker");
        drop(command);
        self.running = Some(RunningBroker {
            process,
            life: Some(ours),
        });
    }

    /// Waits until the broker knows that so many are running, itself among them.
    pub fn wait(&mut self, brokers: usize) {
        let (port, log) = (self.ports[0], self.folder.path().join("broker.log"));
        wait_for("Apache Kafka", || {
            let ended = self
                .running
                .as_mut()
                .map(|running| running.process.try_wait());
            if let Some(Ok(Some(status))) = ended {
                let log = std::fs::read_to_string(&log).unwrap_or_default();
                panic!("the broker ended with {status}: {log}");
            }
            let known = metadata(port).is_some_and(|metadata| metadata.brokers >= brokers);
            known.then_some(())
        });
    }

    /// The port of the broker that leads the first partition of a topic, as far as this broker knows.
    #[must_use]
    pub fn leader(&self, topic: &str) -> Option<u16> {
        let metadata = metadata(self.ports[0])?;
        let mut leaders = metadata.leaders.into_iter();
        leaders.find_map(|(name, port)| (name == topic).then_some(port))
    }

    /// What `kafka-consumer-groups.sh --describe --all-groups` prints.
    #[must_use]
    pub fn describe_groups(&self) -> String {
        script(&["groups", &self.servers()])
    }

    /// Adds a topic with one partition.
    pub fn add_topic(&self, name: &str) {
        script(&["create", &self.servers(), name]);
    }

    /// Waits until a topic has so many messages: the lines of their payloads.
    #[must_use]
    pub fn read_topic(&self, name: &str, messages: u32) -> Vec<String> {
        let printed = script(&["read", &self.servers(), name, &messages.to_string()]);
        printed.lines().map(str::to_owned).collect()
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

    /// The process whose children are the broker.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.running.as_ref().map(|running| running.process.id())
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

    /// The listener with SASL over TLS.
    #[must_use]
    pub fn sasl_tls_servers(&self) -> String {
        listener(self.ports[4])
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

fn script(args: &[&str]) -> String {
    let output = CommandOutput::run(Command::new(SCRIPT).args(args));
    output.expect_exit(0).stdout
}

fn listener(port: u16) -> String {
    format!("127.0.0.1:{port}")
}

/// What a broker says of its cluster: nothing before it has joined.
struct ClusterMetadata {
    brokers: usize,
    /// The port of the leader of the first partition of each topic that has one.
    leaders: Vec<(String, u16)>,
}

fn metadata(port: u16) -> Option<ClusterMetadata> {
    let ask = || {
        let mut broker = TcpStream::connect(("127.0.0.1", port))?;
        broker.set_read_timeout(Some(Duration::from_secs(5)))?;
        broker.write_all(&METADATA)?;
        let mut size = [0; 4];
        broker.read_exact(&mut size)?;
        let mut answer = vec![0; u32::from_be_bytes(size) as usize];
        broker.read_exact(&mut answer)?;
        std::io::Result::Ok(answer)
    };
    ClusterMetadata::read(&mut AnswerReader(&ask().ok()?))
}

impl ClusterMetadata {
    fn read(answer: &mut AnswerReader<'_>) -> Option<Self> {
        let _number = answer.int32()?;
        let mut ports = HashMap::new();
        for _ in 0..answer.int32()? {
            let (node, _host) = (answer.int32()?, answer.text()?);
            ports.insert(node, u16::try_from(answer.int32()?).ok()?);
        }
        let mut leaders = Vec::new();
        for _ in 0..answer.int32()? {
            let (_error, name) = (answer.int16()?, answer.text()?);
            for _ in 0..answer.int32()? {
                let (_error, partition, leader) =
                    (answer.int16()?, answer.int32()?, answer.int32()?);
                let leader = ports.get(&leader).filter(|_| partition == 0);
                leaders.extend(leader.map(|port| (name.clone(), *port)));
                // The replicas, and those in sync.
                for _ in 0..2 {
                    for _ in 0..answer.int32()? {
                        answer.int32()?;
                    }
                }
            }
        }
        Some(Self {
            brokers: ports.len(),
            leaders,
        })
    }
}

/// Reads an answer of a broker from its start.
struct AnswerReader<'a>(&'a [u8]);

impl AnswerReader<'_> {
    fn int16(&mut self) -> Option<i16> {
        self.0
            .split_off(..2)?
            .try_into()
            .ok()
            .map(i16::from_be_bytes)
    }

    fn int32(&mut self) -> Option<i32> {
        self.0
            .split_off(..4)?
            .try_into()
            .ok()
            .map(i32::from_be_bytes)
    }

    fn text(&mut self) -> Option<String> {
        let size = usize::try_from(self.int16()?).ok()?;
        Some(String::from_utf8_lossy(self.0.split_off(..size)?).into_owned())
    }
}

/// Six different free ports, outside the range of ephemeral ports: while the broker
/// is down, a client that reconnects to an ephemeral port could connect to itself.
fn free_ports() -> [u16; 6] {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    [(); 6].map(|()| {
        loop {
            let place = std::process::id() * 32 + NEXT.fetch_add(1, Ordering::Relaxed);
            let port = u16::try_from(20_000 + place % 12_000).unwrap_or(20_000);
            if TcpListener::bind(("127.0.0.1", port)).is_ok() {
                return port;
            }
        }
    })
}
