//! `storages resources`: the resources of a storage, or how many it has of each kind.

use clap::builder::PossibleValuesParser;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{
    client::HostClient,
    connect::HostArgs,
    error::Error,
    options::GlobalOptions,
    output::Output,
    table::{Cell, TextTable, counted},
};
use crate::collect::{FieldType, ListScope, ResourceField, ResourceKind};

/// The fields that a table shows after the id, where a kind has them.
const COLUMNS: [&str; 10] = [
    "name",
    "status",
    "health_status",
    "connection_status",
    "type",
    "protocol",
    "path",
    "total_capacity",
    "used_capacity",
    "capacity",
];
/// Resources of a request: what the API gives at most.
const PAGE: usize = 1_000;

#[derive(Debug, clap::Args)]
pub struct ListResourcesArgs {
    /// Id of the storage, as `storages list` shows it
    pub id: String,

    /// List the resources of this kind; without it, the number of each kind
    #[arg(long, value_parser = PossibleValuesParser::new(ResourceKind::all().map(ResourceKind::name)))]
    pub kind: Option<String>,

    #[command(flatten)]
    pub host: HostArgs,
}

#[derive(Deserialize)]
struct KindList {
    resources: Vec<KindCount>,
}

#[derive(Deserialize)]
struct KindCount {
    kind: String,
    count: u64,
    listed_at: Option<String>,
    error: Option<String>,
}

pub(super) fn run(
    options: &GlobalOptions,
    args: &ListResourcesArgs,
    storage_path: &str,
    output: &mut Output<'_>,
) -> Result<(), Error> {
    let client = options.host_client(&args.host)?;
    match args.kind.as_deref().and_then(ResourceKind::named) {
        Some(kind) => list(&client, kind, &args.id, storage_path, output),
        None => count(&client, storage_path, output),
    }
}

fn count(client: &HostClient, storage_path: &str, output: &mut Output<'_>) -> Result<(), Error> {
    let path = format!("{storage_path}/resources");
    let response = client.get(&path)?;
    if output.is_json() {
        return output.line(&response);
    }
    let KindList { resources } = client.parse(&path, &response)?;
    let mut table = TextTable::new(&["kind", "resources", "listed at", "last error"]);
    for row in &resources {
        table.row([
            Cell::text(&row.kind),
            Cell::number(row.count),
            Cell::optional(row.listed_at.as_deref()),
            Cell::optional(row.error.as_deref()),
        ]);
    }
    let summary = if resources.is_empty() {
        "no resources (its driver lists none, or its first sync has not ended)".to_owned()
    } else {
        counted(resources.iter().map(|row| row.count).sum(), "resource")
    };
    output.list(&table, &summary)
}

fn list(
    client: &HostClient,
    kind: ResourceKind,
    storage_id: &str,
    storage_path: &str,
    output: &mut Output<'_>,
) -> Result<(), Error> {
    let mut resources: Vec<Map<String, Value>> = Vec::new();
    loop {
        let segment = kind.segment();
        let query = format!(
            "limit={PAGE}&offset={}&sort=created_at:asc",
            resources.len()
        );
        let path = match kind.scope() {
            ListScope::AllStorages => {
                format!("/v1/{segment}?storage_id={storage_id}&{query}")
            }
            ListScope::OneStorage => format!("{storage_path}/{segment}?{query}"),
        };
        let mut page: Map<String, Value> = client.parse(&path, &client.get(&path)?)?;
        let page: Vec<Map<String, Value>> =
            serde_json::from_value(page.remove(kind.name()).unwrap_or_default())
                .map_err(|error| Error::failed(format!("cannot read `{path}`: {error}")))?;
        let is_last = page.len() < PAGE;
        resources.extend(page);
        if is_last {
            break;
        }
    }
    if resources.is_empty() {
        // The lists of the API do not say that a storage is unknown.
        client.get(storage_path)?;
    }
    if output.is_json() {
        return output.json(&json!({ kind.name(): resources }));
    }
    let summary = counted(resources.len() as u64, "resource");
    output.list(&table(kind, &resources), &summary)
}

fn table(kind: ResourceKind, resources: &[Map<String, Value>]) -> TextTable {
    let has = |name: &&str| kind.fields().iter().any(|field| field.name == *name);
    let mut columns = vec![kind.native_id()];
    columns.extend(COLUMNS.iter().copied().filter(|name| has(name)));
    let members = kind.fields().iter().filter(|field| is_members(field));
    columns.extend(members.map(|field| field.name));
    columns.extend(kind.relation().map(|relation| relation.field));
    let mut table = TextTable::new(&columns);
    for resource in resources {
        let cells = columns.iter().map(|name| cell(resource.get(*name)));
        table.row(cells);
    }
    table
}

fn is_members(field: &ResourceField) -> bool {
    field.field_type == FieldType::Texts
}

fn cell(value: Option<&Value>) -> Cell {
    match value {
        Some(Value::String(text)) if !text.is_empty() => Cell::text(text),
        Some(Value::Number(number)) => number
            .as_u64()
            .map_or_else(|| Cell::amount(number.to_string()), Cell::number),
        Some(Value::Bool(flag)) => Cell::text(flag.to_string()),
        // Groups can have thousands of members.
        Some(Value::Array(members)) => Cell::number(members.len() as u64),
        Some(Value::Null | Value::String(_) | Value::Object(_)) | None => Cell::none(),
    }
}

#[cfg(test)]
mod tests {
    use crate::cli::client::tests::printed;

    #[test]
    fn the_kinds_of_a_storage_are_a_table_with_a_sum() {
        let body = r#"{"resources":[{"kind":"volumes","count":1200,"listed_at":"2026-01-02T03:04:05","error":null},{"kind":"disks","count":2,"listed_at":null,"error":"storage does not answer"}]}"#;
        insta::assert_snapshot!(printed("200 OK", body, &["storages", "resources", "7b1f"]));
    }

    #[test]
    fn the_resources_of_a_kind_are_a_table_with_what_the_kind_has() {
        let body = r#"{"port_groups":[{"native_port_group_id":"g1","name":"front","ports":["p1","p2"]},{"native_port_group_id":"g2","name":null,"ports":[]}]}"#;
        let typed = ["storages", "resources", "7b1f", "--kind", "port_groups"];
        insta::assert_snapshot!(printed("200 OK", body, &typed));
    }
}
