//! An Apache Kafka broker for a test, and what has arrived there.
//!
//! Promises: the broker ends with the test's process, whatever becomes of it.
//! Where there is none to be had, CI fails; elsewhere the test says so and ends.

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

/// How long a test waits for what will certainly come.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../scripts/kafka");

/// A broker of one node.
pub(crate) struct Broker {
    folder: TempDir,
    ports: [u16; 4],
    running: Option<Running>,
}

/// A message as it arrived.
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
    /// Closed, it ends the process.
    life: Option<PipeWriter>,
}

impl Broker {
    /// A running broker; none where it cannot be had and need not.
    pub(crate) fn start() -> Option<Self> {
        let fetched = Command::new(SCRIPT).arg("fetch").output();
        let fetched = fetched.is_ok_and(|output| output.status.success());
        let java = Command::new("java").arg("-version").output().is_ok();
        if !(fetched && java) {
            let what = "no Apache Kafka to test against (run `make setup`)";
            assert!(std::env::var_os("CI").is_none(), "{what}");
            // Past the test's captured output, or nobody would see it.
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

    /// Runs it, on the same ports and with the same data as before.
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

    /// Has its data removed when the test's process ends.
    pub(crate) fn throw_away(self) -> Self {
        std::fs::write(self.folder().join("throwaway"), "").unwrap();
        self
    }

    /// Kills it, as a machine fails.
    pub(crate) fn kill(&mut self) {
        self.running = None;
    }

    /// Where it listens without asking who is there.
    pub(crate) fn servers(&self) -> String {
        format!("127.0.0.1:{}", self.ports[0])
    }

    /// Where `delfin` logs in with `delfin-secret`.
    pub(crate) fn sasl_servers(&self) -> String {
        format!("127.0.0.1:{}", self.ports[1])
    }

    /// Where it speaks TLS, with a certificate that [`Broker::ca`] knows.
    pub(crate) fn tls_servers(&self) -> String {
        format!("127.0.0.1:{}", self.ports[2])
    }

    /// The certificate to trust.
    pub(crate) fn ca(&self) -> String {
        self.folder().join("ca.pem").display().to_string()
    }

    /// Creates a topic.
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

    /// How many messages have arrived in a topic.
    pub(crate) fn count(&self, topic: &str, partitions: i32) -> i64 {
        let consumer: BaseConsumer = config(&self.ports, 0).create().unwrap();
        let ends = (0..partitions).map(|partition| {
            let marks = consumer.fetch_watermarks(topic, partition, PATIENCE);
            marks.map_or(0, |(_, end)| end)
        });
        ends.sum()
    }

    /// All that has arrived in a topic, each partition in order.
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
            // Messages that were never visible leave gaps in the offsets.
            let mut next = 0;
            while next < end {
                let Ok(message) = consumer.poll(PATIENCE).unwrap() else {
                    // A broker that has just come back; librdkafka goes on by itself.
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

fn config(ports: &[u16; 4], port: usize) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", format!("127.0.0.1:{}", ports[port]));
    config
        .set("group.id", "test")
        .set("fetch.wait.max.ms", "10")
        // Otherwise the broker is busy with what a group has read.
        .set("enable.auto.commit", "false");
    config
}

/// Ports that nobody listens on, all different, and none of those that the
/// system gives to who connects: while the broker is down, a client that tries
/// such a port again and again may in the end be connected to itself.
fn free_ports() -> [u16; 4] {
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
    [(); 4].map(free)
}
