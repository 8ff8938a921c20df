//! An Apache Kafka broker for a test, and the messages that it has.
//!
//! Promises: the broker ends with the test process, also if that is killed. If no
//! broker can be started, the test fails in CI and prints `SKIPPED` elsewhere.

use std::{
    io::{PipeWriter, Write, pipe},
    net::TcpListener,
    path::Path,
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicU32, Ordering},
    time::{Duration, Instant},
};

use rdkafka::{
    ClientConfig, Message, TopicPartitionList,
    admin::{AdminClient, AdminOptions, NewTopic, TopicReplication},
    client::DefaultClientContext,
    consumer::{BaseConsumer, Consumer},
    message::{BorrowedMessage, Headers},
};
use tempfile::TempDir;

/// How long a test waits for something that must happen.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../scripts/kafka");

/// A broker of one node.
pub(crate) struct Broker {
    folder: TempDir,
    ports: [u16; 5],
    running: Option<Running>,
}

#[derive(Debug, Clone)]
pub(crate) struct Arrived {
    pub(crate) partition: i32,
    pub(crate) key: Option<String>,
    pub(crate) payload: Vec<u8>,
    pub(crate) timestamp: Option<i64>,
    pub(crate) headers: Vec<(String, String)>,
}

struct Running {
    process: Child,
    /// Closing the pipe ends the process.
    life: Option<PipeWriter>,
}

impl Broker {
    /// A running broker; `None` if none can be started and the test is skipped.
    pub(crate) fn start() -> Option<Self> {
        let fetched = Command::new(SCRIPT).arg("fetch").output();
        let fetched = fetched.is_ok_and(|output| output.status.success());
        let java = Command::new("java").arg("-version").output().is_ok();
        if !(fetched && java) {
            let what = "no Apache Kafka to test against (run `make setup`)";
            assert!(std::env::var_os("CI").is_none(), "{what}");
            // Not through a macro: the output of a passing test is captured.
            writeln!(std::io::stderr().lock(), "\nSKIPPED: {what}\n").ok();
            return None;
        }
        let mut broker = Self {
            folder: tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap(),
            ports: free_ports(),
            running: None,
        };
        broker.run();
        Some(broker)
    }

    /// Starts the broker again, with the same ports and data.
    pub(crate) fn run(&mut self) {
        let (theirs, ours) = pipe().unwrap();
        let mut command = Command::new(SCRIPT);
        command.arg("run").arg(self.folder());
        command.args(self.ports.map(|port| port.to_string()));
        command.stdin(theirs).stdout(Stdio::null());
        let log = std::fs::File::create(self.folder().join("broker.log")).unwrap();
        let process = command.stderr(log).spawn().unwrap();
        drop(command);
        let running = self.running.insert(Running {
            process,
            life: Some(ours),
        });
        let config = config(&self.ports, 0);
        let consumer: BaseConsumer = config.create().unwrap();
        let start = Instant::now();
        while consumer
            .fetch_metadata(None, Duration::from_secs(1))
            .is_err()
        {
            let ended = running.process.try_wait().unwrap();
            assert!(
                ended.is_none() && start.elapsed() < PATIENCE,
                "{}",
                self.log()
            );
        }
    }

    /// Removes the data when the test process ends.
    pub(crate) fn throw_away(self) -> Self {
        std::fs::write(self.folder().join("throwaway"), "").unwrap();
        self
    }

    /// Kills the broker, as if its machine had failed.
    pub(crate) fn kill(&mut self) {
        self.running = None;
    }

    /// The listener without authentication.
    pub(crate) fn servers(&self) -> String {
        format!("127.0.0.1:{}", self.ports[0])
    }

    /// The listener with SASL: user `delfin`, password `delfin-secret`.
    pub(crate) fn sasl_servers(&self) -> String {
        format!("127.0.0.1:{}", self.ports[1])
    }

    /// The listener with TLS; [`Broker::ca`] signs its certificate.
    pub(crate) fn tls_servers(&self) -> String {
        format!("127.0.0.1:{}", self.ports[2])
    }

    /// The listener with TLS that asks for a client certificate.
    pub(crate) fn client_tls_servers(&self) -> String {
        format!("127.0.0.1:{}", self.ports[3])
    }

    /// The PEM file of the authority.
    pub(crate) fn ca(&self) -> String {
        self.folder().join("ca.pem").display().to_string()
    }

    pub(crate) fn create_topic(&self, name: &str, partitions: i32, settings: &[(&str, &str)]) {
        let admin: AdminClient<DefaultClientContext> = config(&self.ports, 0).create().unwrap();
        let mut topic = NewTopic::new(name, partitions, TopicReplication::Fixed(1));
        for (key, value) in settings {
            topic = topic.set(key, value);
        }
        let options = AdminOptions::new().operation_timeout(Some(PATIENCE));
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        let created = runtime
            .block_on(admin.create_topics([&topic], &options))
            .unwrap();
        assert_eq!(created, [Ok(name.to_owned())]);
    }

    /// The number of messages in a topic.
    pub(crate) fn count(&self, topic: &str, partitions: i32) -> i64 {
        let consumer: BaseConsumer = config(&self.ports, 0).create().unwrap();
        let ends = (0..partitions).map(|partition| {
            let marks = consumer.fetch_watermarks(topic, partition, PATIENCE);
            marks.map_or(0, |(_, end)| end)
        });
        ends.sum()
    }

    /// All messages of a topic, each partition in order.
    pub(crate) fn arrived(&self, topic: &str, partitions: i32) -> Vec<Arrived> {
        let mut arrived = Vec::new();
        for partition in 0..partitions {
            let consumer: BaseConsumer = config(&self.ports, 0).create().unwrap();
            let (_, end) = consumer
                .fetch_watermarks(topic, partition, PATIENCE)
                .unwrap();
            let mut all = TopicPartitionList::new();
            all.add_partition_offset(topic, partition, rdkafka::Offset::Beginning)
                .unwrap();
            consumer.assign(&all).unwrap();
            // Offsets have gaps, so the end is not known by counting.
            let mut next = 0;
            while next < end {
                let Ok(message) = consumer.poll(PATIENCE).unwrap() else {
                    // The broker has just restarted; librdkafka reconnects.
                    continue;
                };
                next = message.offset() + 1;
                arrived.push(Arrived::new(&message));
            }
        }
        arrived
    }

    fn folder(&self) -> &Path {
        self.folder.path()
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.folder().join("broker.log")).unwrap_or_default()
    }
}

impl Arrived {
    fn new(message: &BorrowedMessage<'_>) -> Self {
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        let headers = message.headers().into_iter().flat_map(Headers::iter);
        Self {
            partition: message.partition(),
            key: message.key().map(text),
            payload: message.payload().unwrap().to_vec(),
            timestamp: message.timestamp().to_millis(),
            headers: headers
                .map(|header| (header.key.to_owned(), text(header.value.unwrap())))
                .collect(),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.life = None;
        self.process.wait().ok();
    }
}

fn config(ports: &[u16; 5], port: usize) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", format!("127.0.0.1:{}", ports[port]));
    config
        .set("group.id", "test")
        .set("fetch.wait.max.ms", "10")
        // Otherwise the broker spends its time on commits of the group.
        .set("enable.auto.commit", "false");
    config
}

/// Five different free ports, outside the range of ephemeral ports: while the broker
/// is down, a client that reconnects to an ephemeral port could connect to itself.
fn free_ports() -> [u16; 5] {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let free = |()| {
        loop {
            let place = std::process::id() * 16 + NEXT.fetch_add(1, Ordering::Relaxed);
            let port = 20_000 + (place % 12_000) as u16;
            if TcpListener::bind(("127.0.0.1", port)).is_ok() {
                return port;
            }
        }
    };
    [(); 5].map(free)
}
