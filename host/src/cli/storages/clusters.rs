//! `storages list --all-clusters`: the registered storages of all clusters.

use serde::{Deserialize, Serialize};

use crate::cli::{
    client::HostClient,
    error::Error,
    output::Output,
    table::{Cell, TextTable, counted},
};

const PATH: &str = "/v1/clusters/storages";

#[derive(Default, Deserialize, Serialize)]
struct ClusterStorages {
    total: u64,
    storages: Vec<ListedStorageOfCluster>,
}

#[derive(Deserialize, Serialize)]
struct ListedStorageOfCluster {
    cluster: String,
    id: String,
    name: String,
    vendor: String,
    model: String,
    serial_number: String,
}

pub(super) fn list(client: &HostClient, output: &mut Output<'_>) -> Result<(), Error> {
    let all = read(client)?;
    if output.is_json() {
        return output.json(&all);
    }
    let mut table = TextTable::new(&["storage", "name", "vendor", "model", "cluster"]);
    for storage in &all.storages {
        table.row([
            Cell::text(&*storage.id),
            Cell::text(&*storage.name),
            Cell::text(&*storage.vendor),
            Cell::text(&*storage.model),
            Cell::text(&*storage.cluster),
        ]);
    }
    let summary = match all.total {
        0 => "no storages are registered in clusters whose state is in the database".to_owned(),
        many => counted(many, "storage"),
    };
    output.list(&table, &summary)
}

/// Reads page after page.
fn read(client: &HostClient) -> Result<ClusterStorages, Error> {
    let mut all = ClusterStorages::default();
    loop {
        let path = format!("{PATH}?offset={}", all.storages.len());
        let response = client.get(&path)?;
        let page: ClusterStorages = client.parse(&path, &response)?;
        let is_last = page.storages.is_empty();
        all.total = page.total;
        all.storages.extend(page.storages);
        if is_last || all.storages.len() as u64 >= all.total {
            return Ok(all);
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::cli::client::tests::printed;

    #[test]
    fn the_storages_of_all_clusters_are_a_table_with_their_cluster() {
        let body = r#"{"total":1,"storages":[{"cluster":"east","id":"7b1f","name":"array","vendor":"acme","model":"x","serial_number":"1"}]}"#;
        let text = printed("200 OK", body, &["storages", "list", "--all-clusters"]);
        assert!(
            text.contains("east") && text.ends_with("\n\n1 storage\n"),
            "{text}"
        );
    }
}
