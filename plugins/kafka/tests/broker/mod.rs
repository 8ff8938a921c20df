//! An Apache Kafka broker for a test, and the messages that it has.

use std::{
    ops::{Deref, DerefMut},
    time::Duration,
};

use delfin_tests::receivers::KafkaBroker;
use rdkafka::{
    ClientConfig, Message, TopicPartitionList,
    admin::{AdminClient, AdminOptions, NewTopic, TopicReplication},
    client::DefaultClientContext,
    consumer::{BaseConsumer, Consumer},
    message::{BorrowedMessage, Headers},
};

/// How long a test waits for something that must happen.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

/// A broker of one node, and a client of it.
pub(crate) struct Broker(KafkaBroker);

#[derive(Debug, Clone)]
pub(crate) struct Arrived {
    pub(crate) partition: i32,
    pub(crate) key: Option<String>,
    pub(crate) payload: Vec<u8>,
    pub(crate) timestamp: Option<i64>,
    pub(crate) headers: Vec<(String, String)>,
}

impl Broker {
    /// A running broker; `None` if none can be started and the test is skipped.
    pub(crate) fn start() -> Option<Self> {
        KafkaBroker::start().map(Self)
    }

    /// Removes the data when the test process ends.
    pub(crate) fn throw_away(self) -> Self {
        Self(self.0.throw_away())
    }

    pub(crate) fn create_topic(&self, name: &str, partitions: i32, settings: &[(&str, &str)]) {
        let admin: AdminClient<DefaultClientContext> = self.config().create().unwrap();
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
        let consumer: BaseConsumer = self.config().create().unwrap();
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
            let consumer: BaseConsumer = self.config().create().unwrap();
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

    /// The settings of a client.
    pub(crate) fn config(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config
            .set("bootstrap.servers", self.servers())
            .set("group.id", "test")
            .set("fetch.wait.max.ms", "10")
            // Otherwise the broker spends its time on commits of the group.
            .set("enable.auto.commit", "false");
        config
    }
}

impl Deref for Broker {
    type Target = KafkaBroker;

    fn deref(&self) -> &KafkaBroker {
        &self.0
    }
}

impl DerefMut for Broker {
    fn deref_mut(&mut self) -> &mut KafkaBroker {
        &mut self.0
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
