//! `clusters`: lists the clusters of the database.

use serde::Deserialize;

use super::{
    connect::HostArgs,
    error::Error,
    options::GlobalOptions,
    output::Output,
    table::{Cell, TextTable, counted},
};

const PATH: &str = "/v1/clusters";

#[derive(Debug, clap::Args)]
pub struct ClustersArgs {
    #[command(flatten)]
    pub host: HostArgs,
}

#[derive(Deserialize)]
struct ClusterListing {
    total: u64,
    clusters: Vec<ListedCluster>,
}

#[derive(Deserialize)]
struct ListedCluster {
    name: String,
    active: Option<String>,
    members: Vec<ClusterMemberCells>,
    storages: Option<u64>,
    exporters: Option<Vec<ClusterExporterCounts>>,
}

#[derive(Deserialize)]
struct ClusterMemberCells {
    name: String,
    role: String,
    address: String,
    obstacle: Option<String>,
}

#[derive(Deserialize)]
struct ClusterExporterCounts {
    pending: Option<u64>,
    dead_lettered: u64,
    last_success: Option<String>,
}

pub(super) fn run(
    options: &GlobalOptions,
    args: &ClustersArgs,
    output: &mut Output<'_>,
) -> Result<(), Error> {
    let client = options.host_client(&args.host)?;
    let response = client.get(PATH)?;
    if output.is_json() {
        return output.line(&response);
    }
    show(&client.parse(PATH, &response)?, output)
}

fn show(list: &ClusterListing, output: &mut Output<'_>) -> Result<(), Error> {
    let ClusterListing { total, clusters } = list;
    let shown = clusters.len() as u64;
    let summary = match shown {
        0 => "this host belongs to no cluster".to_owned(),
        _ if shown < *total => format!("{shown} of {}", counted(*total, "cluster")),
        _ => counted(shown, "cluster"),
    };
    output.list(&table(clusters), &summary)?;
    for cluster in clusters {
        for member in &cluster.members {
            if let Some(obstacle) = &member.obstacle {
                output.line(&format!(
                    "`{}` of cluster `{}` could not take over: {obstacle}",
                    member.name, cluster.name
                ))?;
            }
        }
    }
    Ok(())
}

fn table(clusters: &[ListedCluster]) -> TextTable {
    let mut table = TextTable::new(&[
        "CLUSTER",
        "ACTIVE",
        "STANDBY",
        "GONE",
        "STORAGES",
        "PENDING",
        "DEAD LETTERS",
        "LAST SUCCESS",
        "ADDRESS",
    ]);
    for cluster in clusters {
        let number = |number: Option<u64>| number.map_or_else(Cell::none, Cell::number);
        let exporters = cluster.exporters.as_deref();
        table.row([
            Cell::text(&*cluster.name),
            Cell::optional(cluster.active.as_deref()),
            cluster.members_with("standby"),
            cluster.members_with("gone"),
            number(cluster.storages),
            // Unknown as a whole if that of one exporter is unknown.
            number(exporters.and_then(|all| all.iter().map(|one| one.pending).sum())),
            number(exporters.map(|all| all.iter().map(|one| one.dead_lettered).sum())),
            Cell::optional(exporters.and_then(last_success)),
            Cell::optional(cluster.address()),
        ]);
    }
    table
}

/// Times of one form sort as texts.
fn last_success(exporters: &[ClusterExporterCounts]) -> Option<&str> {
    let times = exporters.iter();
    times.filter_map(|one| one.last_success.as_deref()).max()
}

impl ListedCluster {
    fn members_with(&self, role: &str) -> Cell {
        let members = self.members.iter().filter(|member| member.role == role);
        let names: Vec<&str> = members.map(|member| &*member.name).collect();
        Cell::optional(
            Some(names.join(", "))
                .as_deref()
                .filter(|names| !names.is_empty()),
        )
    }

    /// Where the active member answers.
    fn address(&self) -> Option<&str> {
        let active = self.active.as_deref()?;
        let mut members = self.members.iter();
        let member = members.find(|member| member.name == active)?;
        Some(&member.address)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_cluster_is_a_row_with_its_members_and_the_sums_of_its_exporters() {
        let exporter = |pending, last_success: Option<&str>| json!({"pending": pending, "dead_lettered": 1, "last_success": last_success});
        let member = |name, role| json!({"name": name, "role": role, "address": format!("http://{name}:8190"), "obstacle": null});
        let clusters = json!([
            {
                "name": "east", "active": "b", "storages": 12,
                "members": [member("a", "gone"), member("b", "active"), member("c", "standby"), member("d", "standby")],
                "exporters": [exporter(1000, Some("2026-01-02T03:04:05.678Z")), exporter(5, None)],
            },
            {"name": "shared", "active": null, "members": [member("a", "gone")]},
        ]);
        let clusters: Vec<ListedCluster> = serde_json::from_value(clusters).unwrap();
        insta::assert_snapshot!(table(&clusters).render(false));
    }
}
