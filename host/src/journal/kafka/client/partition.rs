//! One partition: writes to it, reads from it, and deletes from its start.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use kafka_protocol::{
    error::ResponseError,
    messages::{
        BrokerId, DeleteRecordsRequest, FetchRequest, ListOffsetsRequest, MetadataRequest,
        MetadataResponse, ProduceRequest,
        delete_records_request::{DeleteRecordsPartition, DeleteRecordsTopic},
        fetch_request::{FetchPartition, FetchTopic},
        list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic},
        metadata_request::MetadataRequestTopic,
        produce_request::{PartitionProduceData, TopicProduceData},
    },
};
use rustls::ClientConfig;
use tokio::{
    sync::watch,
    time::{Instant, sleep},
};

use super::{
    connection::{BROKER_TIMEOUT, BrokerAccess, BrokerConnection, broker_timeout_ms},
    failure::BrokerFailure,
    record_batch::{FetchedRecords, decode},
    sasl::SaslLogin,
    topic::{self, WantedTopic, topic_name},
};

/// The answer comes when every replica in sync has the records.
const ALL_REPLICAS: i16 = -1;

/// A client that is no replica.
const CONSUMER: BrokerId = BrokerId(-1);

/// The offset of the oldest record, in a request for offsets.
const EARLIEST: i64 = -2;

/// How often a new topic is looked for.
const LEADER_INTERVAL: Duration = Duration::from_millis(20);

/// Which partition, and where the brokers are.
#[derive(Clone, Debug)]
pub(in crate::journal::kafka) struct PartitionName {
    /// `host:port` of some of the brokers.
    pub(in crate::journal::kafka) brokers: Vec<String>,
    /// `None`: connections without TLS.
    pub(in crate::journal::kafka) tls: Option<Arc<ClientConfig>>,
    /// `None`: without a login.
    pub(in crate::journal::kafka) sasl: Option<SaslLogin>,
    pub(in crate::journal::kafka) topic: String,
    pub(in crate::journal::kafka) partition: i32,
}

/// A client of one partition. It connects when it has to.
pub(in crate::journal::kafka) struct PartitionClient {
    name: PartitionName,
    access: BrokerAccess,
    leader: Option<BrokerConnection>,
}

impl PartitionClient {
    pub(in crate::journal::kafka) fn new(name: PartitionName) -> Self {
        Self {
            access: BrokerAccess {
                tls: name.tls.clone(),
                silent: watch::Sender::default(),
            },
            name,
            leader: None,
        }
    }

    /// The broker that has a request for longer than usual and has not answered yet.
    pub(in crate::journal::kafka) fn silent(&self) -> watch::Receiver<Option<BrokerFailure>> {
        self.access.silent.subscribe()
    }

    pub(in crate::journal::kafka) fn topic(&self) -> &str {
        &self.name.topic
    }

    pub(super) const fn number(&self) -> i32 {
        self.name.partition
    }

    /// Checks the topic. With a number of replicas, creates it if it is missing.
    pub(in crate::journal::kafka) async fn prepare_topic(
        &mut self,
        replicas: Option<i16>,
    ) -> Result<(), BrokerFailure> {
        let (mut broker, metadata) = self.bootstrap().await?;
        if let Some(replicas) = replicas
            && is_missing(&metadata)
        {
            let wanted = WantedTopic {
                name: &self.name.topic,
                partitions: self.name.partition + 1,
                replicas,
            };
            let address = broker_address(&metadata, metadata.controller_id);
            let mut controller = self.connect_unless(&broker, address).await?;
            topic::create(controller.as_mut().unwrap_or(&mut broker), &wanted).await?;
            self.wait_until_led().await?;
        }
        topic::check(&mut broker, &self.name.topic).await
    }

    /// Checks that a broker answers, and that a journal can be written to the topic. A missing one needs so many brokers as it
    /// will have replicas. Changes nothing.
    pub(in crate::journal::kafka) async fn check_topic(
        &mut self,
        replicas: i16,
    ) -> Result<(), BrokerFailure> {
        let (mut broker, metadata) = self.bootstrap().await?;
        if is_missing(&metadata) {
            return topic::check_replicas(&self.name.topic, metadata.brokers.len(), replicas);
        }
        topic::check(&mut broker, &self.name.topic).await?;
        self.start_offset().await.map(drop)
    }

    /// Waits until the brokers know who leads a new topic.
    async fn wait_until_led(&mut self) -> Result<(), BrokerFailure> {
        let end = Instant::now() + BROKER_TIMEOUT;
        loop {
            match self.connect_to_leader().await {
                Ok(leader) => {
                    self.leader = Some(leader);
                    return Ok(());
                }
                Err(failure) if Instant::now() >= end => return Err(failure),
                Err(_) => sleep(LEADER_INTERVAL).await,
            }
        }
    }

    /// Appends a batch of records. Returns the offset of the first one.
    ///
    /// # Errors
    ///
    /// After an error, the records may be in the log, and may also come into it later.
    pub(in crate::journal::kafka) async fn produce(
        &mut self,
        records: Bytes,
    ) -> Result<i64, BrokerFailure> {
        let partition = PartitionProduceData::default()
            .with_index(self.name.partition)
            .with_records(Some(records));
        let topic = TopicProduceData::default()
            .with_name(topic_name(&self.name.topic))
            .with_partition_data(vec![partition]);
        let request = ProduceRequest::default()
            .with_acks(ALL_REPLICAS)
            .with_timeout_ms(broker_timeout_ms())
            .with_topic_data(vec![topic]);
        self.call(async |leader, name| {
            let answer = leader.call(&request).await?;
            let partitions = answer
                .responses
                .iter()
                .flat_map(|topic| &topic.partition_responses);
            let partition = only(partitions, leader)?;
            name.check(partition.error_code)?;
            Ok(partition.base_offset)
        })
        .await
    }

    /// The records of whole batches from an offset on, up to a size, but at least one batch. Records before
    /// the offset can be among them. Empty: there are none yet.
    pub(in crate::journal::kafka) async fn fetch(
        &mut self,
        offset: i64,
        max_bytes: usize,
    ) -> Result<FetchedRecords, BrokerFailure> {
        let max_bytes = i32::try_from(max_bytes).unwrap_or(i32::MAX);
        let partition = FetchPartition::default()
            .with_partition(self.name.partition)
            .with_fetch_offset(offset)
            .with_current_leader_epoch(-1)
            .with_log_start_offset(-1)
            .with_partition_max_bytes(max_bytes);
        let topic = FetchTopic::default()
            .with_topic(topic_name(&self.name.topic))
            .with_partitions(vec![partition]);
        let request = FetchRequest::default()
            .with_replica_id(CONSUMER)
            .with_max_wait_ms(0)
            .with_min_bytes(0)
            .with_max_bytes(max_bytes)
            .with_session_epoch(-1)
            .with_topics(vec![topic]);
        self.call(async |leader, name| {
            let answer = leader.call(&request).await?;
            name.check(answer.error_code)?;
            let partitions = answer
                .responses
                .into_iter()
                .flat_map(|topic| topic.partitions);
            let partition = only(partitions, leader)?;
            name.check(partition.error_code)?;
            decode(partition.records.unwrap_or_default())
                .map_err(|reason| BrokerFailure::garbled(leader.address(), reason))
        })
        .await
    }

    /// The offset of the oldest record, or of the next one to come.
    pub(in crate::journal::kafka) async fn start_offset(&mut self) -> Result<i64, BrokerFailure> {
        let partition = ListOffsetsPartition::default()
            .with_partition_index(self.name.partition)
            .with_current_leader_epoch(-1)
            .with_timestamp(EARLIEST);
        let topic = ListOffsetsTopic::default()
            .with_name(topic_name(&self.name.topic))
            .with_partitions(vec![partition]);
        let request = ListOffsetsRequest::default()
            .with_replica_id(CONSUMER)
            .with_topics(vec![topic]);
        self.call(async |leader, name| {
            let answer = leader.call(&request).await?;
            let partitions = answer.topics.iter().flat_map(|topic| &topic.partitions);
            let partition = only(partitions, leader)?;
            name.check(partition.error_code)?;
            Ok(partition.offset)
        })
        .await
    }

    /// Deletes the records before an offset.
    pub(in crate::journal::kafka) async fn delete_before(
        &mut self,
        offset: i64,
    ) -> Result<(), BrokerFailure> {
        let partition = DeleteRecordsPartition::default()
            .with_partition_index(self.name.partition)
            .with_offset(offset);
        let topic = DeleteRecordsTopic::default()
            .with_name(topic_name(&self.name.topic))
            .with_partitions(vec![partition]);
        let request = DeleteRecordsRequest::default()
            .with_topics(vec![topic])
            .with_timeout_ms(broker_timeout_ms());
        self.call(async |leader, name| {
            let answer = leader.call(&request).await?;
            let partitions = answer.topics.iter().flat_map(|topic| &topic.partitions);
            name.check(only(partitions, leader)?.error_code)
        })
        .await
    }

    /// The failure of a fetch that has found nothing where records must be.
    pub(in crate::journal::kafka) fn lacks_records(&self) -> BrokerFailure {
        BrokerFailure::of_code(&self.name.topic, ResponseError::OffsetOutOfRange.code())
    }

    /// Forgets the connection, so that the next request finds the leader again.
    pub(in crate::journal::kafka) fn disconnect(&mut self) {
        self.leader = None;
    }

    /// Calls the leader. A connection on which a call failed or was cancelled is not used again.
    async fn call<T>(
        &mut self,
        work: impl AsyncFnOnce(&mut BrokerConnection, &PartitionName) -> Result<T, BrokerFailure>,
    ) -> Result<T, BrokerFailure> {
        let open = self.leader.take();
        let mut leader = match open.filter(BrokerConnection::is_logged_in) {
            Some(leader) => leader,
            None => self.connect_to_leader().await?,
        };
        let result = work(&mut leader, &self.name).await?;
        self.leader = Some(leader);
        Ok(result)
    }

    async fn connect_to_leader(&self) -> Result<BrokerConnection, BrokerFailure> {
        let (broker, metadata) = self.bootstrap().await?;
        let topic = &self.name.topic;
        let found = metadata.topics.first();
        self.name.check(found.map_or(0, |topic| topic.error_code))?;
        let mut partitions = found.into_iter().flat_map(|topic| &topic.partitions);
        let partition = partitions.find(|found| found.partition_index == self.name.partition);
        let Some(partition) = partition else {
            let number = self.name.partition;
            return Err(BrokerFailure::of_topic(
                topic,
                format_args!("it has no partition {number} (add partitions to it)"),
            ));
        };
        let Some(address) = broker_address(&metadata, partition.leader_id) else {
            let code = ResponseError::LeaderNotAvailable.code();
            return Err(BrokerFailure::of_code(topic, code));
        };
        let leader = self.connect_unless(&broker, Some(address)).await?;
        Ok(leader.unwrap_or(broker))
    }

    /// A connection to the first broker that answers, and what it knows of the topic.
    pub(super) async fn bootstrap(
        &self,
    ) -> Result<(BrokerConnection, MetadataResponse), BrokerFailure> {
        let mut failure = None;
        for address in &self.name.brokers {
            match self.ask(address).await {
                Ok(answer) => return Ok(answer),
                Err(other) => failure = Some(other.after(failure)),
            }
        }
        Err(failure.unwrap_or_else(|| BrokerFailure::of_topic(&self.name.topic, "no brokers")))
    }

    async fn ask(
        &self,
        address: &str,
    ) -> Result<(BrokerConnection, MetadataResponse), BrokerFailure> {
        let mut broker = self.connect(address).await?;
        let topic = MetadataRequestTopic::default().with_name(Some(topic_name(&self.name.topic)));
        let request = MetadataRequest::default()
            .with_topics(Some(vec![topic]))
            .with_allow_auto_topic_creation(false);
        let metadata = broker.call(&request).await?;
        Ok((broker, metadata))
    }

    /// A connection on which the host has logged in.
    pub(super) async fn connect(&self, address: &str) -> Result<BrokerConnection, BrokerFailure> {
        let mut broker = BrokerConnection::open(address, &self.access).await?;
        if let Some(sasl) = &self.name.sasl {
            let lifetime = sasl.log_in(&mut broker).await?;
            broker.end_login_after(lifetime);
        }
        Ok(broker)
    }

    /// A connection to this address, unless `open` is that already.
    async fn connect_unless(
        &self,
        open: &BrokerConnection,
        address: Option<String>,
    ) -> Result<Option<BrokerConnection>, BrokerFailure> {
        let address = address.filter(|address| address != open.address());
        match address {
            Some(address) => self.connect(&address).await.map(Some),
            None => Ok(None),
        }
    }
}

impl PartitionName {
    fn check(&self, code: i16) -> Result<(), BrokerFailure> {
        match code {
            0 => Ok(()),
            code => Err(BrokerFailure::of_code(&self.topic, code)),
        }
    }
}

fn is_missing(metadata: &MetadataResponse) -> bool {
    let mut topics = metadata.topics.iter();
    topics.any(|topic| {
        ResponseError::try_from_code(topic.error_code)
            == Some(ResponseError::UnknownTopicOrPartition)
    })
}

fn broker_address(metadata: &MetadataResponse, id: BrokerId) -> Option<String> {
    let mut brokers = metadata.brokers.iter();
    let broker = brokers.find(|broker| broker.node_id == id)?;
    Some(format!("{}:{}", &*broker.host, broker.port))
}

/// The only element of an answer.
pub(super) fn only<T>(
    mut answers: impl Iterator<Item = T>,
    broker: &BrokerConnection,
) -> Result<T, BrokerFailure> {
    let missing = || BrokerFailure::garbled(broker.address(), "it lacks the partition");
    answers.next().ok_or_else(missing)
}
