//! The committed offsets of consumer groups, in one partition.
//!
//! The groups have no members: their offsets are set from outside, as by `kafka-consumer-groups.sh --reset-offsets`.

use std::collections::HashMap;

use kafka_protocol::{
    error::ResponseError,
    messages::{
        FindCoordinatorRequest, GroupId, OffsetCommitRequest, OffsetDeleteRequest,
        offset_commit_request::{OffsetCommitRequestPartition, OffsetCommitRequestTopic},
        offset_delete_request::{OffsetDeleteRequestPartition, OffsetDeleteRequestTopic},
    },
    protocol::StrBytes,
};

use super::{
    connection::BrokerConnection,
    failure::BrokerFailure,
    partition::{PartitionClient, only},
    topic::topic_name,
};

/// A client of the groups that read one partition. It connects when it has to.
pub(in crate::journal::kafka) struct GroupClient {
    partition: PartitionClient,
    /// The address of the coordinator of each group.
    coordinators: HashMap<String, String>,
    /// By address.
    connections: HashMap<String, BrokerConnection>,
}

impl GroupClient {
    pub(in crate::journal::kafka) fn new(partition: PartitionClient) -> Self {
        Self {
            partition,
            coordinators: HashMap::new(),
            connections: HashMap::new(),
        }
    }

    /// Sets the offset of the next record that a group has to read.
    ///
    /// # Errors
    ///
    /// The offset may be set all the same. The next call connects again.
    pub(in crate::journal::kafka) async fn commit(
        &mut self,
        group: &str,
        offset: i64,
    ) -> Result<(), BrokerFailure> {
        let partition = OffsetCommitRequestPartition::default()
            .with_partition_index(self.partition.number())
            .with_committed_offset(offset);
        let topic = OffsetCommitRequestTopic::default()
            .with_name(topic_name(self.partition.topic()))
            .with_partitions(vec![partition]);
        let request = OffsetCommitRequest::default()
            .with_group_id(group_id(group))
            .with_topics(vec![topic]);
        self.call(group, async |coordinator| {
            let answer = coordinator.call(&request).await?;
            let partitions = answer.topics.iter().flat_map(|topic| &topic.partitions);
            Ok(only(partitions, coordinator)?.error_code)
        })
        .await
    }

    /// Removes the offset of a group. A group without offsets does not exist.
    ///
    /// # Errors
    ///
    /// As [`Self::commit`].
    pub(in crate::journal::kafka) async fn remove(
        &mut self,
        group: &str,
    ) -> Result<(), BrokerFailure> {
        let partition =
            OffsetDeleteRequestPartition::default().with_partition_index(self.partition.number());
        let topic = OffsetDeleteRequestTopic::default()
            .with_name(topic_name(self.partition.topic()))
            .with_partitions(vec![partition]);
        let request = OffsetDeleteRequest::default()
            .with_group_id(group_id(group))
            .with_topics(vec![topic]);
        self.call(group, async |coordinator| {
            let answer = coordinator.call(&request).await?;
            let mut partitions = answer.topics.iter().flat_map(|topic| &topic.partitions);
            let code = match partitions.next() {
                Some(partition) if answer.error_code == 0 => partition.error_code,
                Some(_) | None => answer.error_code,
            };
            let is_absent = code == ResponseError::GroupIdNotFound.code();
            Ok(if is_absent { 0 } else { code })
        })
        .await
    }

    /// Calls the coordinator of a group, and checks the code of its answer. After another one than 0, it is looked for again; after
    /// a failure, those of all groups.
    async fn call(
        &mut self,
        group: &str,
        work: impl AsyncFnOnce(&mut BrokerConnection) -> Result<i16, BrokerFailure>,
    ) -> Result<(), BrokerFailure> {
        let called = async { work(self.coordinator(group).await?).await };
        match called.await {
            Ok(0) => Ok(()),
            Ok(code) => {
                self.coordinators.remove(group);
                Err(BrokerFailure::of_group(group, code))
            }
            Err(failure) => {
                self.coordinators.clear();
                self.connections.clear();
                Err(failure)
            }
        }
    }

    async fn coordinator(&mut self, group: &str) -> Result<&mut BrokerConnection, BrokerFailure> {
        let address = match self.coordinators.get(group) {
            Some(address) => address.clone(),
            None => {
                // Any broker knows it.
                let open = self.connections.keys().next().cloned();
                let open = open.and_then(|address| self.connections.remove(&address));
                let mut broker = match open.filter(BrokerConnection::is_logged_in) {
                    Some(broker) => broker,
                    None => self.partition.bootstrap().await?.0,
                };
                let request = FindCoordinatorRequest::default()
                    .with_key(StrBytes::from_string(group.to_owned()));
                let answer = broker.call(&request).await?;
                self.connections.insert(broker.address().to_owned(), broker);
                if answer.error_code != 0 {
                    return Err(BrokerFailure::of_group(group, answer.error_code));
                }
                let address = format!("{}:{}", &*answer.host, answer.port);
                self.coordinators.insert(group.to_owned(), address.clone());
                address
            }
        };
        let open = self.connections.remove(&address);
        let connection = match open.filter(BrokerConnection::is_logged_in) {
            Some(connection) => connection,
            None => self.partition.connect(&address).await?,
        };
        Ok(self.connections.entry(address).or_insert(connection))
    }
}

fn group_id(group: &str) -> GroupId {
    GroupId(StrBytes::from_string(group.to_owned()))
}
