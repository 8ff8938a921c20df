//! The clusters of the database, each with its members.

use std::{collections::BTreeMap, time::Duration};

use delfin_plugin_api::postgres::{PostgresError, tokio_postgres::Client};

use super::{
    keeper::IN_DATABASE,
    store::members,
    view::{ClusterMembers, MemberRole, MemberView},
};
use crate::clock::millis;

/// The first clusters by name, and how many there are. `lease` is the time of the lease of a cluster that has none yet.
pub(crate) async fn list_clusters(
    client: &Client,
    max: i64,
    lease: Duration,
) -> Result<(u64, Vec<ClusterMembers>), PostgresError> {
    const LIST: &str =
        "SELECT name, coalesce(l.folder = $2, false), count(*) OVER ()
         FROM (SELECT name FROM delfin_leases UNION SELECT lease FROM delfin_members) AS known (name)
           LEFT JOIN delfin_leases l USING (name)
         ORDER BY name COLLATE \"C\" LIMIT $1";
    let rows = client.query(LIST, &[&max, &IN_DATABASE]).await?;
    let total = rows.first().map_or(0, |row| row.get::<_, i64>(2));
    let names: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
    let mut of_clusters: BTreeMap<String, Vec<_>> = BTreeMap::new();
    for (cluster, member) in members(client, &names, millis(lease)).await? {
        of_clusters.entry(cluster).or_default().push(member);
    }
    let clusters = rows.iter().map(|row| {
        let name: String = row.get(0);
        ClusterMembers {
            members: of_clusters.remove(&name).unwrap_or_default(),
            has_state_in_database: row.get(1),
            name,
        }
    });
    Ok((total.cast_unsigned(), clusters.collect()))
}

/// The active member of a cluster, if it was seen lately.
pub(crate) async fn active_member(
    client: &Client,
    cluster: &str,
    lease: Duration,
) -> Result<Option<MemberView>, PostgresError> {
    let members = members(client, &[cluster.to_owned()], millis(lease)).await?;
    let mut members = members.into_iter().map(|(_, member)| member);
    Ok(members.find(|member| member.role == MemberRole::Active))
}
