//! Batches sent to librdkafka's mock cluster, which fails on demand.

use std::{
    collections::BTreeMap,
    ops::Range,
    time::{Duration, Instant},
};

use delfin_plugin_api::{
    Failure, PerformanceBatch, PerformanceBatchBuilder, RowFailure, RowFailureKind, sample,
};
use rdkafka::{
    ClientConfig, Message as _, TopicPartitionList,
    consumer::{BaseConsumer, Consumer},
    mocking::MockCluster,
    producer::DefaultProducerContext,
    types::{RDKafkaApiKey as Request, RDKafkaRespErr as Error},
};
use serde_json::{Value, json};

use super::*;

const TOPIC: &str = "delfin-kafka";
const PATIENCE: Duration = Duration::from_secs(60);

type Cluster = MockCluster<'static, DefaultProducerContext>;

fn cluster() -> Cluster {
    let cluster = MockCluster::new(1).unwrap();
    cluster.create_topic(TOPIC, 1, 1).unwrap();
    cluster
}

fn client(cluster: &Cluster, more: &Value) -> KafkaClient<PerformanceBatch> {
    let mut settings = json!({ "message_format": "json", "message_rows": 1, "linger": 0 });
    settings["bootstrap_servers"] = cluster.bootstrap_servers().into();
    for (key, value) in more.as_object().unwrap() {
        settings[key] = value.clone();
    }
    let config = serde_json::from_value(settings).unwrap();
    KafkaClient::new(config).unwrap()
}

fn send(
    client: &mut KafkaClient<PerformanceBatch>,
    batch: &PerformanceBatch,
    patience: Duration,
) -> Outcome {
    let start = Instant::now();
    let remaining = || patience.saturating_sub(start.elapsed());
    let call = SendCall {
        time: CallTime::new(&remaining),
        parts: Vec::new(),
        origin: "ingest",
    };
    client.send(batch, &call).1
}

/// Series of these storages, one after the other, with that many points each.
fn batch(series: &[(&str, usize)]) -> PerformanceBatch {
    let mut batch = PerformanceBatchBuilder::new();
    for (index, (storage, points)) in series.iter().enumerate() {
        let id = index.to_string();
        let labels = [("storage_id", *storage), ("resource_id", &id)];
        let points = (0..*points as i64).map(|ms| (ms, 0.5));
        batch.series("iops", labels, points).unwrap();
    }
    batch.build()
}

/// The `resource_id` of each series that arrived, by storage, in its order.
fn arrived(cluster: &Cluster) -> BTreeMap<String, Vec<String>> {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", cluster.bootstrap_servers());
    config
        .set("group.id", "test")
        .set("fetch.wait.max.ms", "10");
    let consumer: BaseConsumer = config.create().unwrap();
    let (_, end) = consumer.fetch_watermarks(TOPIC, 0, PATIENCE).unwrap();
    let mut from_start = TopicPartitionList::new();
    let offset = rdkafka::Offset::Beginning;
    from_start.add_partition_offset(TOPIC, 0, offset).unwrap();
    consumer.assign(&from_start).unwrap();
    let mut arrived = BTreeMap::<String, Vec<String>>::new();
    for _ in 0..end {
        let message = consumer.poll(PATIENCE).unwrap().unwrap();
        let series: Value = serde_json::from_slice(message.payload().unwrap()).unwrap();
        let text = |label: &str| series["labels"][label].as_str().unwrap().to_owned();
        assert_eq!(
            message.key().unwrap_or_default(),
            text("storage_id").as_bytes()
        );
        arrived
            .entry(text("storage_id"))
            .or_default()
            .push(text("resource_id"));
    }
    arrived
}

fn numbers(range: Range<usize>) -> Vec<String> {
    range.map(|number| number.to_string()).collect()
}

#[test]
fn broker_errors_that_pass_are_retried_until_every_row_has_arrived_once_and_in_order() {
    let cluster = cluster();
    let transient = [
        Error::RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS,
        Error::RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION,
        Error::RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT,
    ];
    cluster.request_errors(Request::Produce, &transient);
    let series: Vec<_> = (0..100).map(|_| ("s", 1)).collect();
    let mut client = client(&cluster, &json!({}));
    assert_eq!(send(&mut client, &batch(&series), PATIENCE), Ok(()));
    assert_eq!(arrived(&cluster)["s"], numbers(0..100));
}

#[test]
fn a_full_queue_makes_sending_wait_and_loses_nothing() {
    let cluster = cluster();
    let small = json!({ "librdkafka": { "queue.buffering.max.messages": 2 } });
    let mut client = client(&cluster, &small);
    let series: Vec<_> = (0..50).map(|_| ("s", 1)).collect();
    assert_eq!(send(&mut client, &batch(&series), PATIENCE), Ok(()));
    assert_eq!(arrived(&cluster)["s"], numbers(0..50));
}

#[test]
fn rows_are_retried_when_the_broker_does_not_answer() {
    let cluster = cluster();
    cluster.broker_down(1).unwrap();
    let mut client = client(&cluster, &json!({}));
    let batch = batch(&[("s", 1), ("s", 1)]);
    let outcome = send(&mut client, &batch, Duration::from_secs(1));
    assert!(matches!(outcome, Err(Failure::Retry { .. })), "{outcome:?}");
    cluster.broker_up(1).unwrap();
    assert_eq!(send(&mut client, &batch, PATIENCE), Ok(()));
    // Purged messages were not sent later: every row is there once.
    assert_eq!(arrived(&cluster)["s"], numbers(0..2));
}

#[test]
fn a_call_without_time_left_sends_nothing() {
    let cluster = cluster();
    let mut client = client(&cluster, &json!({}));
    let outcome = send(&mut client, &batch(&[("s", 1)]), Duration::ZERO);
    assert!(matches!(outcome, Err(Failure::Retry { .. })), "{outcome:?}");
    assert!(arrived(&cluster).is_empty());
}

#[test]
fn a_message_without_an_acknowledgement_in_time_is_uncertain() {
    let cluster = cluster();
    let mut client = client(&cluster, &json!({}));
    let first = send(&mut client, &batch(&[("a", 1)]), PATIENCE);
    assert_eq!(first, Ok(()));
    cluster.broker_round_trip_time(1, PATIENCE).unwrap();
    let batch = batch(&[("s", 1)]);
    let outcome = send(&mut client, &batch, Duration::from_secs(1));
    assert!(
        matches!(outcome, Err(Failure::Uncertain { .. })),
        "{outcome:?}"
    );
    cluster.broker_round_trip_time(1, Duration::ZERO).unwrap();
}

#[test]
fn a_missing_permission_pauses_the_exporter() {
    let cluster = cluster();
    let refused = [Error::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED];
    cluster.request_errors(Request::Produce, &refused);
    let mut client = client(&cluster, &json!({}));
    let message =
        "no permission to write to topic `delfin-kafka` (grant it, or use other credentials)"
            .to_owned();
    let outcome = send(&mut client, &batch(&[("s", 1)]), PATIENCE);
    assert_eq!(outcome, Err(Failure::Unauthorized { message }));
}

#[test]
fn a_missing_topic_pauses_the_exporter() {
    let cluster = cluster();
    let unknown = Error::RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART;
    cluster.topic_error(TOPIC, unknown).unwrap();
    let short = json!({ "librdkafka": { "topic.metadata.propagation.max.ms": 10 } });
    let mut client = client(&cluster, &short);
    let message = "topic `delfin-kafka` does not exist (create it, or name another one)".to_owned();
    let outcome = send(&mut client, &batch(&[("s", 1)]), PATIENCE);
    assert_eq!(outcome, Err(Failure::Misconfigured { message }));
}

#[test]
fn a_record_that_the_broker_rejects_is_rejected_alone() {
    let cluster = cluster();
    let refused = [Error::RD_KAFKA_RESP_ERR_INVALID_RECORD];
    let mut client = client(&cluster, &json!({}));
    cluster.request_errors(Request::Produce, &refused);
    let first = send(&mut client, &batch(&[("s", 1)]), PATIENCE);
    let Err(Failure::Partial { rows, .. }) = first else {
        panic!("{first:?}");
    };
    assert_eq!(
        (rows.len(), &rows[0].rows, rows[0].kind),
        (1, &(0..1), RowFailureKind::Rejected)
    );
    let second = send(&mut client, &batch(&[("s", 1)]), PATIENCE);
    assert_eq!(second, Ok(()));
}

#[test]
fn a_series_larger_than_any_message_is_rejected_alone() {
    let cluster = cluster();
    let small = json!({ "librdkafka": { "message.max.bytes": 20_000 }, "message_rows": 0 });
    for format in ["json", "delfin", "arrow"] {
        let mut small = small.clone();
        small["message_format"] = format.into();
        let mut client = client(&cluster, &small);
        let batch = batch(&[("s", 1), ("s", 5000), ("t", 1), ("s", 1)]);
        let outcome = send(&mut client, &batch, PATIENCE);
        let Err(Failure::Partial { rows, .. }) = outcome else {
            panic!("{outcome:?}");
        };
        let [RowFailure { rows, kind, reason }] = &rows[..] else {
            panic!("{rows:?}");
        };
        assert_eq!((rows, kind), (&(1..2), &RowFailureKind::Rejected));
        assert!(reason.contains("for one row is too large"), "{reason}");
    }
}

#[test]
fn messages_are_made_smaller_until_the_broker_takes_them() {
    let cluster = cluster();
    let too_large = [Error::RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE; 2];
    cluster.request_errors(Request::Produce, &too_large);
    let mut client = client(&cluster, &json!({}));
    let series: Vec<_> = (0..20).map(|_| ("s", 1)).collect();
    assert_eq!(send(&mut client, &batch(&series), PATIENCE), Ok(()));
    assert!(client.limits.bytes < client.config.limits.bytes);
    // Rows behind a message that was too large are sent again behind it.
    let arrived = &arrived(&cluster)["s"];
    assert_eq!(arrived[arrived.len() - 20..], numbers(0..20));
}

#[test]
fn a_row_that_is_too_large_at_any_size_limit_is_rejected() {
    let cluster = cluster();
    let too_large = [Error::RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE; 20];
    cluster.request_errors(Request::Produce, &too_large);
    let mut client = client(&cluster, &json!({}));
    let outcome = send(&mut client, &batch(&[("s", 1)]), PATIENCE);
    let Err(Failure::Partial { rows, .. }) = outcome else {
        panic!("{outcome:?}");
    };
    assert_eq!(
        (&rows[0].rows, rows[0].kind),
        (&(0..1), RowFailureKind::Rejected)
    );
}

#[test]
fn a_producer_with_a_fatal_error_is_replaced() {
    let cluster = cluster();
    let mut client = client(&cluster, &json!({}));
    let fatal = [Error::RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED];
    cluster.request_errors(Request::InitProducerId, &fatal);
    let batch = batch(&[("s", 1)]);
    let outcome = send(&mut client, &batch, PATIENCE);
    assert!(
        matches!(outcome, Err(Failure::Unauthorized { .. })),
        "{outcome:?}"
    );
    assert!(client.producer.is_none());
    assert_eq!(send(&mut client, &batch, PATIENCE), Ok(()));
    assert_eq!(arrived(&cluster)["s"], numbers(0..1));
}

#[test]
fn rows_of_each_storage_arrive_in_order_when_storages_are_mixed() {
    let cluster = cluster();
    let mut client = client(&cluster, &json!({}));
    let series: Vec<_> = (0..60)
        .map(|index| (["a", "b", ""][index % 3], 1))
        .collect();
    assert_eq!(send(&mut client, &batch(&series), PATIENCE), Ok(()));
    let arrived = arrived(&cluster);
    for (index, storage) in ["a", "b", ""].into_iter().enumerate() {
        let expected: Vec<_> = (index..60).step_by(3).map(|row| row.to_string()).collect();
        assert_eq!(arrived[storage], expected);
    }
}

#[test]
fn rows_behind_a_failed_row_of_their_storage_are_sent_again_behind_it() {
    let cluster = cluster();
    let singly = json!({ "librdkafka": { "batch.num.messages": 1 } });
    let mut client = client(&cluster, &singly);
    cluster.request_errors(Request::Produce, &[Error::RD_KAFKA_RESP_ERR_UNKNOWN]);
    let batch = batch(&[("s", 1), ("t", 1), ("s", 1)]);
    let outcome = send(&mut client, &batch, PATIENCE);
    let Err(Failure::Partial { rows, .. }) = outcome else {
        panic!("{outcome:?}");
    };
    let again: Vec<_> = rows
        .iter()
        .map(|failure| (failure.rows.clone(), failure.kind))
        .collect();
    assert_eq!(
        again,
        [0..1, 2..3].map(|rows| (rows, RowFailureKind::Retry))
    );
    assert_eq!(arrived(&cluster)["t"], numbers(1..2));
}

#[test]
fn health_fails_while_the_broker_is_down() {
    let cluster = cluster();
    let mut client = client(&cluster, &json!({}));
    let health =
        |client: &mut KafkaClient<_>, patience| client.health(&CallTime::new(&|| patience));
    assert_eq!(health(&mut client, PATIENCE), Ok(()));
    cluster.broker_down(1).unwrap();
    let down = health(&mut client, Duration::from_millis(300));
    assert!(matches!(down, Err(Failure::Retry { .. })), "{down:?}");
}

#[test]
fn a_property_that_librdkafka_does_not_know_is_named() {
    let cluster = cluster();
    for (key, value) in [("no.such.property", "1"), ("socket.timeout.ms", "soon")] {
        let settings = json!({
            "bootstrap_servers": cluster.bootstrap_servers(),
            "librdkafka": { key: value },
        });
        let config: Config<PerformanceBatch> = serde_json::from_value(settings).unwrap();
        assert!(check(&config).is_err());
        let refused = KafkaClient::new(config).err().unwrap();
        assert_eq!(refused.kind, SendErrorKind::Misconfigured);
        assert!(refused.reason.contains(key), "{refused:?}");
    }
}

#[test]
fn a_file_that_is_missing_is_named_without_a_connection() {
    let settings = json!({ "tls": { "ca": "/no/such/ca.pem" } });
    let config: Config<PerformanceBatch> = serde_json::from_value(settings).unwrap();
    let refused = check(&config).unwrap_err();
    assert_eq!(refused.kind, SendErrorKind::Misconfigured);
    let start = "cannot use `tls.ca` `/no/such/ca.pem`: No such file";
    assert!(refused.reason.starts_with(start), "{refused:?}");
    assert!(refused.reason.contains("(name a file"), "{refused:?}");
}

#[test]
fn a_large_batch_arrives_whole() {
    let cluster = cluster();
    let mut client = client(&cluster, &json!({ "message_rows": 0 }));
    let batch = sample::performance(2000, 15);
    assert_eq!(send(&mut client, &batch, PATIENCE), Ok(()));
}
