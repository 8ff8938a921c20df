//! The topic of a journal: creates it, or checks that an existing one keeps what it gets.

use kafka_protocol::{
    error::ResponseError,
    messages::{
        CreateTopicsRequest, DescribeConfigsRequest, TopicName,
        create_topics_request::{CreatableTopic, CreatableTopicConfig},
        describe_configs_request::DescribeConfigsResource,
    },
    protocol::StrBytes,
};

use super::{
    connection::{BrokerConnection, broker_timeout_ms},
    failure::BrokerFailure,
};

/// The largest batch of records.
pub(in crate::journal::kafka) const MAX_BATCH_BYTES: usize = 64 << 20;

/// The type of a resource that is a topic.
const TOPIC: i8 = 2;

/// What a topic must be like.
pub(super) struct WantedTopic<'a> {
    pub(super) name: &'a str,
    pub(super) partitions: i32,
    pub(super) replicas: i16,
}

/// Creates the topic if it is missing. `controller` is a connection to the controller.
pub(super) async fn create(
    controller: &mut BrokerConnection,
    wanted: &WantedTopic<'_>,
) -> Result<(), BrokerFailure> {
    let settings = [
        ("cleanup.policy", "delete".to_owned()),
        // The host deletes the records that no exporter needs.
        ("retention.ms", "-1".to_owned()),
        ("retention.bytes", "-1".to_owned()),
        ("max.message.bytes", MAX_BATCH_BYTES.to_string()),
        (
            "min.insync.replicas",
            min_insync(wanted.replicas).to_string(),
        ),
        ("unclean.leader.election.enable", "false".to_owned()),
        // A clock that is wrong is no reason to refuse a batch.
        ("message.timestamp.type", "LogAppendTime".to_owned()),
    ];
    let configs = settings.map(|(name, value)| {
        CreatableTopicConfig::default()
            .with_name(StrBytes::from_static_str(name))
            .with_value(Some(StrBytes::from_string(value)))
    });
    let topic = CreatableTopic::default()
        .with_name(topic_name(wanted.name))
        .with_num_partitions(wanted.partitions)
        .with_replication_factor(wanted.replicas)
        .with_configs(configs.into());
    let request = CreateTopicsRequest::default()
        .with_topics(vec![topic])
        .with_timeout_ms(broker_timeout_ms());
    let answer = controller.call(&request).await?;
    let code = answer.topics.first().map_or(0, |topic| topic.error_code);
    match ResponseError::try_from_code(code) {
        None | Some(ResponseError::TopicAlreadyExists) => Ok(()),
        Some(_) => Err(BrokerFailure::of_code(wanted.name, code)),
    }
}

/// Refuses a topic whose settings lose records.
pub(super) async fn check(broker: &mut BrokerConnection, topic: &str) -> Result<(), BrokerFailure> {
    let keys = [
        "cleanup.policy",
        "retention.ms",
        "retention.bytes",
        "max.message.bytes",
        "unclean.leader.election.enable",
    ];
    let resource = DescribeConfigsResource::default()
        .with_resource_type(TOPIC)
        .with_resource_name(StrBytes::from_string(topic.to_owned()))
        .with_configuration_keys(Some(keys.map(StrBytes::from_static_str).into()));
    let request = DescribeConfigsRequest::default().with_resources(vec![resource]);
    let answer = broker.call(&request).await?;
    let Some(described) = answer.results.into_iter().next() else {
        return Err(BrokerFailure::of_topic(
            topic,
            "the broker does not describe it",
        ));
    };
    if described.error_code != 0 {
        return Err(BrokerFailure::of_code(topic, described.error_code));
    }
    let mistakes: Vec<String> = described
        .configs
        .iter()
        .filter_map(|config| mistake(&config.name, config.value.as_deref()?))
        .collect();
    if mistakes.is_empty() {
        return Ok(());
    }
    Err(BrokerFailure::of_topic(topic, mistakes.join("; ")))
}

/// Refuses a topic that would have more replicas than there are brokers.
pub(super) fn check_replicas(
    topic: &str,
    brokers: usize,
    replicas: i16,
) -> Result<(), BrokerFailure> {
    if usize::try_from(replicas).is_ok_and(|replicas| replicas <= brokers) {
        return Ok(());
    }
    let running = if brokers == 1 {
        "broker runs"
    } else {
        "brokers run"
    };
    Err(BrokerFailure::of_topic(
        topic,
        format_args!(
            "it does not exist, and cannot have {replicas} replicas, because {brokers} {running} (start more, or lower \
             `cluster.kafka.replicas`)"
        ),
    ))
}

/// What is wrong with a setting of a topic, with the remedy.
fn mistake(name: &str, value: &str) -> Option<String> {
    let number: Option<i64> = value.parse().ok();
    let remedy = match name {
        "cleanup.policy" if value != "delete" => {
            "Kafka deletes records that exporters need; set `delete`"
        }
        "retention.ms" | "retention.bytes" if number != Some(-1) => {
            "Kafka deletes records that exporters need; set `-1`, the host deletes the others"
        }
        "max.message.bytes" if number.is_none_or(|bytes| bytes < MAX_BATCH_BYTES as i64) => {
            "large batches do not fit; set at least `67108864`"
        }
        "unclean.leader.election.enable" if value != "false" => {
            "acknowledged records can be lost; set `false`"
        }
        _ => return None,
    };
    Some(format!("`{name}` is `{value}` ({remedy})"))
}

pub(super) fn topic_name(name: &str) -> TopicName {
    TopicName(StrBytes::from_string(name.to_owned()))
}

/// A record must survive the loss of a broker, and one broker may be away.
const fn min_insync(replicas: i16) -> i16 {
    if replicas > 2 { 2 } else { replicas }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_setting_that_loses_records_is_named_with_the_remedy() {
        let bytes = MAX_BATCH_BYTES.to_string();
        for (name, right, wrong) in [
            ("cleanup.policy", "delete", "compact"),
            ("cleanup.policy", "delete", "compact,delete"),
            ("retention.ms", "-1", "604800000"),
            ("retention.bytes", "-1", "0"),
            ("max.message.bytes", &bytes, "1048588"),
            ("unclean.leader.election.enable", "false", "true"),
        ] {
            assert_eq!(mistake(name, right), None);
            let text = mistake(name, wrong).unwrap();
            assert!(
                text.starts_with(&format!("`{name}` is `{wrong}` (")) && text.contains("; set "),
                "{text}"
            );
        }
        let text = mistake("max.message.bytes", "0").unwrap();
        assert!(text.contains(&bytes), "{text}");
    }
}
