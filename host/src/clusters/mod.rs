//! All clusters of a database: their members, and what those that have their state in it deliver.
//!
//! Promises: only reads, in a read-only transaction whose statements the server ends after a time. One statement for each table, for
//! any number of clusters, and one connection for all callers.
//!
//! Knows nothing of the API. What a table means is in the module that writes it.

#[cfg(test)]
mod tests;

use std::{collections::BTreeMap, time::Duration};

use delfin_plugin_api::postgres::tokio_postgres::{Client, IsolationLevel, Transaction};
use tokio::{sync::Mutex, time::timeout};

use crate::{
    cluster::{ClusterMember, ClusterMembers, MemberView, active_member, list_clusters},
    inventory::{StorageOfCluster, cluster_of_storage, count_storages, list_storages_of_clusters},
    journal::{CursorSummary, summarize_cursors},
    postgres::{CALL_TIMEOUT, ClusterDatabase, StoreError},
};

/// Clusters that are listed.
const MAX_CLUSTERS: i64 = 1000;

/// The longest time that the server may take for a statement.
const LIMIT: &str = "SET LOCAL statement_timeout = '5s'";

/// All clusters of a database.
#[derive(Debug)]
pub struct Clusters {
    database: ClusterDatabase,
    /// Of a cluster whose lease the database does not have.
    lease: Duration,
    /// `None` before the first call, and after a failure.
    client: Mutex<Option<Client>>,
}

/// The clusters of a database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClusterList {
    /// How many there are.
    pub total: u64,
    /// The first ones by name.
    pub clusters: Vec<ClusterSummary>,
}

/// A cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClusterSummary {
    pub cluster: ClusterMembers,
    /// `None`: its state is in a shared folder, which the database does not know.
    pub state: Option<StateSummary>,
}

/// What the database has of the state of a cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StateSummary {
    /// Registered storages.
    pub storages: u64,
    /// Performance exporters first, by name.
    pub cursors: Vec<CursorSummary>,
}

/// The cluster in which a storage is registered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StorageOwner {
    /// The name of the cluster.
    pub cluster: String,
    /// Its active member, if it has one.
    pub active: Option<MemberView>,
}

impl Clusters {
    /// All clusters of the database of a member.
    #[must_use]
    pub fn around(member: &ClusterMember) -> Self {
        Self {
            database: member.database().clone(),
            lease: member.lease(),
            client: Mutex::default(),
        }
    }

    /// The clusters, as the database has them now.
    ///
    /// # Errors
    ///
    /// The reason, with the remedy.
    pub async fn list(&self) -> Result<ClusterList, String> {
        let lease = self.lease;
        self.read(async move |tx| list(tx, lease).await).await
    }

    /// A page of the registered storages of all clusters that have their state in the database, by cluster, and how many there are.
    ///
    /// # Errors
    ///
    /// The reason, with the remedy.
    pub async fn storages(
        &self,
        limit: u32,
        offset: u64,
    ) -> Result<(u64, Vec<StorageOfCluster>), String> {
        let (limit, offset) = (i64::from(limit), i64::try_from(offset).unwrap_or(i64::MAX));
        let page = async move |tx: &Transaction<'_>| {
            list_storages_of_clusters(tx.client(), limit, offset).await
        };
        self.read(page).await
    }

    /// The cluster in which a storage is registered; `None` if it is in none.
    ///
    /// # Errors
    ///
    /// The reason, with the remedy.
    pub async fn owner_of(&self, storage_id: &str) -> Result<Option<StorageOwner>, String> {
        let lease = self.lease;
        let find = async move |tx: &Transaction<'_>| {
            let client = tx.client();
            let Some(cluster) = cluster_of_storage(client, storage_id).await? else {
                return Ok(None);
            };
            let active = active_member(client, &cluster, lease).await?;
            Ok(Some(StorageOwner { cluster, active }))
        };
        self.read(find).await
    }

    /// Reads something. Callers wait for each other.
    async fn read<T>(
        &self,
        query: impl AsyncFnOnce(&Transaction<'_>) -> Result<T, StoreError>,
    ) -> Result<T, String> {
        let read = async {
            let mut shared = self.client.lock().await;
            let mut client = match shared.take() {
                Some(client) if !client.is_closed() => client,
                Some(_) | None => self.database.connect().await?,
            };
            let begin = client.build_transaction().read_only(true);
            let begin = begin.isolation_level(IsolationLevel::RepeatableRead);
            let tx = begin.start().await?;
            tx.batch_execute(LIMIT).await?;
            let found = query(&tx).await?;
            tx.commit().await?;
            *shared = Some(client);
            Ok::<_, StoreError>(found)
        };
        self.database.result(timeout(CALL_TIMEOUT, read).await)
    }
}

async fn list(tx: &Transaction<'_>, lease: Duration) -> Result<ClusterList, StoreError> {
    let client = tx.client();
    let (total, clusters) = list_clusters(client, MAX_CLUSTERS, lease).await?;
    let of_database = clusters
        .iter()
        .filter(|cluster| cluster.has_state_in_database);
    let names: Vec<String> = of_database.map(|cluster| cluster.name.clone()).collect();
    let mut states: BTreeMap<String, StateSummary> = BTreeMap::new();
    for (name, storages) in count_storages(client, &names).await? {
        states.entry(name).or_default().storages = storages;
    }
    for cursor in summarize_cursors(client, &names).await? {
        let state = states.entry(cursor.cluster.clone()).or_default();
        state.cursors.push(cursor);
    }
    let clusters = clusters.into_iter().map(|cluster| ClusterSummary {
        state: cluster
            .has_state_in_database
            .then(|| states.remove(&cluster.name).unwrap_or_default()),
        cluster,
    });
    Ok(ClusterList {
        total,
        clusters: clusters.collect(),
    })
}
