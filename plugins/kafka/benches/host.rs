//! How fast a host with its journal on Kafka accepts and delivers items, next to a producer and a consumer of librdkafka alone,
//! which write and read the payloads of the same records on the same broker in the same run. Budget: at least 0.7 of their rate.
//!
//! The host also reads JSON and hands each batch to an exporter. The two take turns.

#[path = "../tests/broker/mod.rs"]
#[expect(dead_code, reason = "the tests need more of it")]
#[expect(
    clippy::unwrap_used,
    reason = "without a broker there is nothing to measure"
)]
mod broker;

use std::{
    io::{Write, stdout},
    thread,
    time::{Duration, Instant},
};

use delfin_tests::{Host, Setup, receivers::Postgres};
use rdkafka::{
    Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer},
    producer::{BaseProducer, BaseRecord, Producer},
};
use serde_json::{Value, json};

use crate::broker::{Arrived, Broker};

const ROUNDS: usize = 5;
const CLIENTS: usize = 8;
/// Of each client in a round.
const REQUESTS: usize = 25;
const SERIES: usize = 1_000;
const POINTS: usize = 10;
const ITEMS: usize = CLIENTS * REQUESTS * SERIES * POINTS;

const CONFIG: &str = r#"
performance_exporters = "sum"
plugin_dirs = ["@/plugins"]
state_dir = "@/state"
inventory.key_file = "@/inventory.key"
[exporter.sum]
plugin = "PerformanceExporterSum"
[cluster]
postgres = "postgres://127.0.0.1:PORT/postgres?user=postgres"
tls = false
[cluster.kafka]
bootstrap_servers = "SERVERS"
replicas = 1
tls = false
[journal]
retention = "1h"
[api]
listen = "127.0.0.1:0"
"#;

fn main() {
    let setup = Setup::new(&["scripted"], "");
    let (Some(broker), Some(database)) = (Broker::start(), Postgres::start(&setup.path(""), None))
    else {
        return;
    };
    let config = CONFIG
        .replace("PORT", &database.port().to_string())
        .replace("SERVERS", &broker.servers());
    let setup = setup.with_whole_config(&config);
    setup.write_key("inventory.key");
    let host = setup.start();
    host.wait_until_ready();
    let body = body();
    let mut ratios = Vec::new();
    for round in 0..ROUNDS {
        let through_host = deliver(&host, &body);
        let records = broker.arrived("delfin.performance", 1);
        let start = records.len() - CLIENTS * REQUESTS;
        let topic = format!("bare-{round}");
        broker.create_topic(&topic, 1, &[("max.message.bytes", "67108864")]);
        let alone = write_and_read(&broker, &topic, &records[start..]);
        let ratio = alone.as_secs_f64() / through_host.as_secs_f64();
        ratios.push(ratio);
        report(&format!(
            "host {:.2} M items/s, librdkafka alone {:.2} M items/s: {ratio:.2}",
            rate(through_host),
            rate(alone)
        ));
    }
    ratios.sort_by(f64::total_cmp);
    report(&format!(
        "median {:.2} of the rate (at least 0.7)",
        ratios[ROUNDS / 2]
    ));
}

fn report(line: &str) {
    writeln!(stdout(), "journal on Kafka: {line}").ok();
}

/// Millions of items a second.
fn rate(time: Duration) -> f64 {
    ITEMS as f64 / time.as_secs_f64() / 1e6
}

fn body() -> Value {
    let series = (0..SERIES).map(|series| {
        let times = (0..POINTS).map(|minute| (1_700_000_000_000 + minute * 60_000).to_string());
        let values: serde_json::Map<_, _> =
            times.map(|time| (time, json!(series as f64 + 0.5))).collect();
        json!({
            "name": "iops", "values": values,
            "labels": { "storage_id": "c5c9", "resource_type": "volume", "resource_id": format!("volume-{series}") },
        })
    });
    Value::from_iter(series)
}

/// Until everything is accepted and delivered.
fn deliver(host: &Host, body: &Value) -> Duration {
    let start = Instant::now();
    thread::scope(|scope| {
        for _ in 0..CLIENTS {
            scope.spawn(|| {
                for _ in 0..REQUESTS {
                    let (status, answer) = host.ingest("performance", body);
                    assert_eq!(status, 202, "{answer}");
                }
            });
        }
    });
    host.wait_for_exporter("sum", "nothing pending", |exporter| {
        exporter["pending"] == 0
    });
    start.elapsed()
}

/// Until the consumer has all records, which are written meanwhile.
fn write_and_read(broker: &Broker, topic: &str, records: &[Arrived]) -> Duration {
    let mut client = broker.config();
    client
        .set("acks", "all")
        .set("message.max.bytes", "67108864");
    let producer: BaseProducer = client.create().unwrap_or_else(|error| panic!("{error}"));
    let consumer: BaseConsumer = client.create().unwrap_or_else(|error| panic!("{error}"));
    let mut whole = TopicPartitionList::new();
    let added = whole.add_partition_offset(topic, 0, Offset::Beginning);
    let assigned = added.and_then(|()| consumer.assign(&whole));
    assert!(assigned.is_ok(), "{assigned:?}");
    let start = Instant::now();
    thread::scope(|scope| {
        scope.spawn(|| {
            for record in records {
                let mut message = BaseRecord::<(), _>::to(topic).payload(&record.payload);
                while let Err((_, unsent)) = producer.send(message) {
                    message = unsent;
                    producer.poll(Duration::from_millis(1));
                }
            }
            assert!(producer.flush(broker::PATIENCE).is_ok());
        });
        let mut read = 0;
        while read < records.len() {
            read += usize::from(matches!(consumer.poll(broker::PATIENCE), Some(Ok(_))));
        }
    });
    start.elapsed()
}
