//! The registered storages of all clusters of a database, without their secrets.

use std::collections::BTreeMap;

use delfin_plugin_api::postgres::{PostgresError, tokio_postgres::Client};
use uuid::Uuid;

use super::{id, json};
use crate::{collect::StorageInfo, postgres::StoreError};

/// A registered storage of any cluster.
#[derive(Clone, Debug, PartialEq)]
pub struct StorageOfCluster {
    pub cluster: String,
    pub id: Uuid,
    /// What the storage reported at its registration, or at the last sync.
    pub info: StorageInfo,
}

/// A page of the registered storages of all clusters, by cluster and the earliest first, and how many there are.
pub(crate) async fn list_storages_of_clusters(
    client: &Client,
    limit: i64,
    offset: i64,
) -> Result<(u64, Vec<StorageOfCluster>), StoreError> {
    const COUNT: &str = "SELECT count(*) FROM delfin_storages";
    const LIST: &str = "SELECT lease, id, info FROM delfin_storages
         ORDER BY lease COLLATE \"C\", created_us, id LIMIT $1 OFFSET $2";
    let total: i64 = client.query_one(COUNT, &[]).await?.get(0);
    let rows = client.query(LIST, &[&limit, &offset]).await?;
    let storages = rows.iter().map(|row| {
        Ok(StorageOfCluster {
            cluster: row.get(0),
            id: id(row, 1)?,
            info: json(row, 2)?,
        })
    });
    let storages = storages.collect::<Result<_, StoreError>>()?;
    Ok((total.cast_unsigned(), storages))
}

/// How many storages are registered in each of these clusters. One without any is left out.
pub(crate) async fn count_storages(
    client: &Client,
    clusters: &[String],
) -> Result<BTreeMap<String, u64>, PostgresError> {
    const COUNT: &str =
        "SELECT lease, count(*) FROM delfin_storages WHERE lease = ANY($1) GROUP BY lease";
    let rows = client.query(COUNT, &[&clusters]).await?;
    let counts = rows
        .iter()
        .map(|row| (row.get(0), row.get::<_, i64>(1).cast_unsigned()));
    Ok(counts.collect())
}

/// The cluster in which a storage is registered; the first one by name if there are several.
pub(crate) async fn cluster_of_storage(
    client: &Client,
    id: &str,
) -> Result<Option<String>, PostgresError> {
    const FIND: &str = "SELECT lease FROM delfin_storages WHERE id = $1 ORDER BY lease LIMIT 1";
    let row = client.query_opt(FIND, &[&id]).await?;
    Ok(row.map(|row| row.get(0)))
}
