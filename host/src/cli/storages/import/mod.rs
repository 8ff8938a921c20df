//! `storages import`: takes storages over from Delfin or from a table, with their ids.
//!
//! Each storage is sent to the running host by itself, and has its own result. A storage that
//! exists stays as it is, so that an import can be repeated.

mod csv_table;
mod delfin;
mod mysql;
mod sqlite;

use std::{
    fs,
    path::{Path, PathBuf},
};

use serde::Deserialize;
use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::super::{
    client::{ClientError, HostClient},
    connect::HostArgs,
    error::Error,
    options::GlobalOptions,
    output::Output,
    progress::{ProgressReport, ProgressUnit},
    table::{Cell, TextTable, counted},
};
use crate::state::ProgressListener;

const PATH: &str = "/v1/storages/import";

/// The begin of a database file of SQLite.
const SQLITE_MAGIC: &[u8] = b"SQLite format 3\0";

#[derive(Debug, clap::Args)]
pub struct ImportStoragesArgs {
    /// Database of Delfin (the file of SQLite, or a dump of MySQL as `.sql`), or a table as CSV
    pub file: PathBuf,

    /// Show what would be imported, and change nothing
    #[arg(long)]
    pub dry_run: bool,

    #[command(flatten)]
    pub host: HostArgs,
}

/// A storage of the file.
struct ImportRow {
    id: String,
    name: String,
    /// The body of the call, or why the row cannot be used.
    body: Result<Value, String>,
    /// The body of the call that sets the SNMP configuration, if the file has one.
    alert_source: Option<Result<Value, String>>,
}

/// Why a file cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("cannot import `{}`: {reason}", path.display())]
struct ImportFileError {
    path: PathBuf,
    reason: String,
}

struct ImportResult {
    id: String,
    name: String,
    result: &'static str,
    detail: Option<String>,
}

#[derive(Deserialize)]
struct ImportResponse {
    state: String,
    has_driver: bool,
}

pub(super) fn run(
    options: &GlobalOptions,
    args: &ImportStoragesArgs,
    output: &mut Output<'_>,
) -> Result<(), Error> {
    let rows = read(&args.file).map_err(|reason| {
        let path = args.file.clone();
        Error::failed(ImportFileError { path, reason })
    })?;
    let client = options.host_client(&args.host)?;
    let progress = ProgressReport::new(output, ProgressUnit::Items);
    progress.begin("importing storages", rows.len() as u64);
    let mut results = Vec::new();
    for row in rows {
        results.push(import(&client, row, args.dry_run)?);
        progress.set(results.len() as u64);
    }
    drop(progress);
    show(&results, output)?;
    let refused = count(&results, REFUSED);
    if refused > 0 {
        let storages = counted(refused, "storage");
        return Err(Error::failed(format!("{storages} cannot be imported")));
    }
    Ok(())
}

const IMPORTED: &str = "imported";
const VALID: &str = "would be imported";
const EXISTS: &str = "exists";
const REFUSED: &str = "refused";

fn read(path: &Path) -> Result<Vec<ImportRow>, String> {
    let content = fs::read(path).map_err(|error| error.to_string())?;
    let content = Zeroizing::new(content);
    if content.starts_with(SQLITE_MAGIC) {
        return Ok(delfin::rows(&sqlite::read(path)?));
    }
    let has = |word: &[u8]| content.windows(word.len()).any(|part| part == word);
    if has(b"INSERT INTO") || has(b"CREATE TABLE") {
        return Ok(delfin::rows(&mysql::read(&content)?));
    }
    csv_table::rows(&content)
}

fn import(client: &HostClient, row: ImportRow, dry_run: bool) -> Result<ImportResult, ClientError> {
    let (result, detail) = match row.body {
        Err(reason) => (REFUSED, Some(reason)),
        Ok(body) => {
            let body = Zeroizing::new(body.to_string());
            let path = format!("{PATH}?dry_run={dry_run}");
            match client.post_json(&path, &body) {
                Ok(response) => {
                    let response: ImportResponse = client.parse(&path, &response)?;
                    let missing = (!response.has_driver).then(|| "no driver yet".to_owned());
                    match response.state.as_str() {
                        "exists" => (EXISTS, missing),
                        _ if dry_run => (VALID, missing),
                        _ => {
                            let source = row.alert_source;
                            let failed =
                                source.map(|source| set_alert_source(client, &row.id, source));
                            (IMPORTED, failed.transpose()?.flatten().or(missing))
                        }
                    }
                }
                Err(ClientError::Refused { message, .. }) => (REFUSED, Some(message)),
                Err(
                    error @ (ClientError::Unreachable { .. }
                    | ClientError::Disconnected { .. }
                    | ClientError::Unexpected { .. }),
                ) => return Err(error),
            }
        }
    };
    Ok(ImportResult {
        id: row.id,
        name: row.name,
        result,
        detail,
    })
}

/// Sets the SNMP configuration of an imported storage. Returns why it is not set.
fn set_alert_source(
    client: &HostClient,
    id: &str,
    source: Result<Value, String>,
) -> Result<Option<String>, ClientError> {
    let reason = match source {
        Err(reason) => reason,
        Ok(source) => {
            let body = Zeroizing::new(source.to_string());
            match client.put_json(&format!("/v1/storages/{id}/snmp-config"), &body) {
                Ok(_) => return Ok(None),
                Err(ClientError::Refused { message, .. }) => message,
                Err(
                    error @ (ClientError::Unreachable { .. }
                    | ClientError::Disconnected { .. }
                    | ClientError::Unexpected { .. }),
                ) => return Err(error),
            }
        }
    };
    Ok(Some(format!("without its SNMP configuration: {reason}")))
}

fn show(results: &[ImportResult], output: &mut Output<'_>) -> Result<(), Error> {
    if output.is_json() {
        let results = results.iter().map(|one| {
            json!({ "id": one.id, "name": one.name, "result": one.result, "detail": one.detail })
        });
        return output.json(&json!({ "storages": results.collect::<Vec<_>>() }));
    }
    let mut table = TextTable::new(&["storage", "name", "result", "detail"]);
    for one in results {
        table.row([
            Cell::text(&one.id),
            Cell::text(&one.name),
            Cell::text(one.result),
            Cell::optional(one.detail.as_deref()),
        ]);
    }
    let parts = [IMPORTED, VALID, EXISTS, REFUSED].into_iter();
    let parts = parts.map(|result| (count(results, result), result));
    let parts = parts.filter(|(many, _)| *many > 0);
    let parts: Vec<String> = parts.map(|(many, what)| format!("{many} {what}")).collect();
    let all = counted(results.len() as u64, "storage");
    let summary = match parts.as_slice() {
        [] => "the file has no storages".to_owned(),
        parts => format!("{all}: {}", parts.join(", ")),
    };
    output.list(&table, &summary)
}

fn count(results: &[ImportResult], result: &str) -> u64 {
    results.iter().filter(|one| one.result == result).count() as u64
}
