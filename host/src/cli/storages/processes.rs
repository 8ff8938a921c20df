//! `storages processes`: shows the process of the driver of each storage.

use serde::Deserialize;

use super::StorageProcessesArgs;
use crate::cli::{
    error::Error,
    exporters::process::ProcessColumns,
    options::GlobalOptions,
    output::Output,
    table::{Cell, TextTable, counted},
};

const PATH: &str = "/v1/collection";

#[derive(Deserialize)]
struct CollectionList {
    storages: Vec<CollectionRow>,
}

#[derive(Deserialize)]
struct CollectionRow {
    id: String,
    name: String,
    #[serde(flatten)]
    process: ProcessColumns,
}

pub(super) fn run(
    options: &GlobalOptions,
    args: &StorageProcessesArgs,
    output: &mut Output<'_>,
) -> Result<(), Error> {
    let client = options.host_client(&args.host)?;
    let response = client.get(PATH)?;
    if output.is_json() {
        return output.line(&response);
    }
    let CollectionList { storages } = client.parse(PATH, &response)?;
    let columns = ["storage", "name", "process", "memory", "cpu", "restarts"];
    let mut table = TextTable::new(&columns);
    for storage in &storages {
        let [process, memory, cpu, restarts] = storage.process.cells();
        let (id, name) = (Cell::text(&storage.id), Cell::text(&storage.name));
        table.row([id, name, process, memory, cpu, restarts]);
    }
    output.list(&table, &counted(storages.len() as u64, "storage"))
}
