//! Producers and consumers of librdkafka, which write and read the records that hosts wrote.

use std::{
    sync::atomic::{AtomicU64, AtomicUsize, Ordering},
    thread,
    time::{Duration, Instant},
};

use delfin_bench::{load::CONNECTIONS, payload::Shape};
use delfin_tests::{PATIENCE, Site, receivers::KafkaBroker};
use rdkafka::{
    ClientConfig, Message, Offset, TopicPartitionList,
    admin::{AdminClient, AdminOptions, NewTopic, TopicReplication},
    client::DefaultClientContext,
    consumer::{BaseConsumer, Consumer},
    producer::{BaseProducer, BaseRecord, Producer},
};
use tokio::runtime::Runtime;

use crate::{Measured, Processes};

const TIME: Duration = Duration::from_secs(3);

/// How many records of a host are written again and again.
const RECORDS: usize = 256;

/// A host writes at most this many bytes at once.
const BATCH_BYTES: &str = "8388608";

/// How many records are on the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pace {
    /// One for each client of a host: as if each waited for its answer.
    InStep,
    /// As many as the broker and the processors allow.
    Unlimited,
}

/// The records of each host, for a topic with one partition each.
pub(crate) struct RecordTopics<'a> {
    site: &'a Site,
    runtime: &'a Runtime,
    records: Vec<Vec<Vec<u8>>>,
    items: usize,
}

impl<'a> RecordTopics<'a> {
    pub(crate) fn new(
        site: &'a Site,
        runtime: &'a Runtime,
        records: Vec<Vec<Vec<u8>>>,
        shape: Shape,
    ) -> Self {
        Self {
            site,
            runtime,
            records,
            items: shape.series * shape.points,
        }
    }

    pub(crate) fn measure(&self, pace: Pace) -> Measured {
        let topics: Vec<_> = self.records.iter().map(|_| self.create()).collect();
        let processes = Processes::new(self.site, Vec::new());
        let before = processes.seconds();
        let servers = self.site.broker.servers();
        let each = thread::scope(|scope| {
            let pairs = topics.iter().zip(&self.records);
            let pairs = pairs.map(|(topic, records)| {
                let servers = &servers;
                scope.spawn(move || write_and_read(servers, topic, records, pace))
            });
            let pairs: Vec<_> = pairs.collect();
            let join = pairs.into_iter().map(|pair| pair.join().expect("a pair"));
            join.collect::<Vec<_>>()
        });
        let rate = |time: fn(&Transfer) -> Duration| -> f64 {
            let rates = each
                .iter()
                .map(|one| one.records as f64 / time(one).as_secs_f64());
            rates.sum::<f64>() * self.items as f64
        };
        let records: u64 = each.iter().map(|one| one.records).sum();
        let measured = processes.measured(
            before,
            rate(|one| one.written),
            rate(|one| one.read),
            (records * self.items as u64) as f64,
        );
        self.delete(&topics);
        measured
    }

    fn create(&self) -> String {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let name = format!("bare-{}", NEXT.fetch_add(1, Ordering::Relaxed));
        let topic = NewTopic::new(&name, 1, TopicReplication::Fixed(1))
            .set("max.message.bytes", "67108864")
            .set("file.delete.delay.ms", "0");
        let options = AdminOptions::new().operation_timeout(Some(PATIENCE));
        let admin = self.admin();
        let created = self
            .runtime
            .block_on(admin.create_topics([&topic], &options));
        assert_eq!(created.ok(), Some(vec![Ok(name.clone())]));
        name
    }

    fn delete(&self, topics: &[String]) {
        let names: Vec<_> = topics.iter().map(String::as_str).collect();
        let (admin, options) = (self.admin(), AdminOptions::new());
        let deleted = self.runtime.block_on(admin.delete_topics(&names, &options));
        assert!(deleted.is_ok(), "{deleted:?}");
    }

    fn admin(&self) -> AdminClient<DefaultClientContext> {
        let config = config(&self.site.broker.servers());
        config.create().expect("a client")
    }
}

/// How long it took until the broker had all records, and until the consumer had them.
struct Transfer {
    records: u64,
    written: Duration,
    read: Duration,
}

fn write_and_read(servers: &str, topic: &str, records: &[Vec<u8>], pace: Pace) -> Transfer {
    let producer = producer(servers, pace);
    let consumer = consumer(servers, topic);
    let all = AtomicU64::new(u64::MAX);
    let begin = Instant::now();
    thread::scope(|scope| {
        let writer = scope.spawn(|| {
            let count = write(&producer, topic, records, begin + TIME);
            all.store(count, Ordering::SeqCst);
            begin.elapsed()
        });
        let mut read = 0;
        while read < all.load(Ordering::SeqCst) {
            let polled = consumer.poll(Duration::from_millis(100));
            read += u64::from(matches!(polled, Some(Ok(_))));
        }
        Transfer {
            records: read,
            read: begin.elapsed(),
            written: writer.join().expect("a producer"),
        }
    })
}

/// Writes the records in turns, and returns how many are at the broker in the end.
fn write(producer: &BaseProducer, topic: &str, records: &[Vec<u8>], end: Instant) -> u64 {
    let mut count = 0;
    for record in records.iter().cycle() {
        if Instant::now() >= end {
            break;
        }
        let mut message = BaseRecord::<(), _>::to(topic).payload(record);
        while let Err((_, unsent)) = producer.send(message) {
            message = unsent;
            producer.poll(Duration::from_millis(1));
        }
        count += 1;
    }
    assert!(producer.flush(PATIENCE).is_ok());
    count
}

fn producer(servers: &str, pace: Pace) -> BaseProducer {
    let mut config = config(servers);
    // A host that waits for each batch has no more to write than its clients send.
    let clients = CONNECTIONS.to_string();
    config
        .set("acks", "all")
        // Hosts need no idempotent producer, and compress small records of a batch together.
        .set("compression.type", "zstd")
        .set("batch.num.messages", &clients)
        .set("batch.size", BATCH_BYTES)
        .set("message.max.bytes", BATCH_BYTES)
        .set("queue.buffering.max.kbytes", "65536");
    if pace == Pace::InStep {
        config
            .set("linger.ms", "0")
            .set("queue.buffering.max.messages", &clients);
    }
    config.create().expect("a producer")
}

fn consumer(servers: &str, topic: &str) -> BaseConsumer {
    let consumer: BaseConsumer = config(servers)
        .set("group.id", "bench")
        .set("enable.auto.commit", "false")
        .set("fetch.wait.max.ms", "10")
        .set("fetch.message.max.bytes", BATCH_BYTES)
        .create()
        .expect("a consumer");
    let mut whole = TopicPartitionList::new();
    whole
        .add_partition_offset(topic, 0, Offset::Beginning)
        .expect("an offset");
    consumer.assign(&whole).expect("a partition");
    consumer
}

fn config(servers: &str) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", servers);
    config
}

/// The contents of the first records that a host wrote.
pub(crate) fn read_records(broker: &KafkaBroker, topic: &str) -> Vec<Vec<u8>> {
    let consumer = consumer(&broker.servers(), topic);
    let mut records = Vec::new();
    while records.len() < RECORDS {
        let polled = consumer.poll(PATIENCE).expect("a record");
        if let Ok(record) = polled {
            // A record without content marks the term of a host.
            records.extend(record.payload().map(<[u8]>::to_vec));
        }
    }
    records
}
