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
use uuid::Uuid;
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
use crate::{state::ProgressListener, storages::StorageIdentity};

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
    /// The SNMP configuration, if the file has one.
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

/// Sends the storages of a file to the host. With a dry run, the host checks them only.
struct Importer<'c> {
    client: &'c HostClient,
    dry_run: bool,
    known: KnownStorages,
}

/// Id and body of each storage of the file that is not refused.
#[derive(Default)]
struct KnownStorages(Vec<(String, Value)>);

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
    let mut importer = Importer {
        client: &client,
        dry_run: args.dry_run,
        known: KnownStorages::default(),
    };
    for row in rows {
        results.push(importer.import(row)?);
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

impl Importer<'_> {
    fn import(&mut self, mut row: ImportRow) -> Result<ImportResult, ClientError> {
        let (id, name) = (row.id.clone(), std::mem::take(&mut row.name));
        let (result, detail) = match self.known.duplicate(&row) {
            Some(reason) => (REFUSED, Some(reason)),
            None => match row.body {
                Err(reason) => (REFUSED, Some(reason)),
                Ok(body) => self.send(&id, body, row.alert_source)?,
            },
        };
        Ok(ImportResult {
            id,
            name,
            result,
            detail,
        })
    }

    /// Sends a storage with its SNMP configuration, or without if that is refused. Returns the result and its detail.
    fn send(
        &mut self,
        id: &str,
        body: Value,
        source: Option<Result<Value, String>>,
    ) -> Result<(&'static str, Option<String>), ClientError> {
        let (answer, lost) = match source {
            None => (self.post(&body)?, None),
            Some(Err(reason)) => (self.post(&body)?, Some(reason)),
            Some(Ok(source)) => {
                let mut with_source = body.clone();
                with_source["snmp_config"] = source;
                match self.post(&with_source)? {
                    Ok(response) => (Ok(response), None),
                    Err(message) => (self.post(&body)?, Some(message)),
                }
            }
        };
        let response = match answer {
            Ok(response) => response,
            Err(message) => return Ok((REFUSED, Some(message))),
        };
        self.known.0.push((normalized(id), body));
        let missing = (!response.has_driver).then(|| "no driver yet".to_owned());
        if response.state == "exists" {
            return Ok((EXISTS, missing));
        }
        let result = if self.dry_run { VALID } else { IMPORTED };
        let lost = lost.map(|reason| {
            format!(
                "without its SNMP configuration: {reason} (set it with `delfin-host storages snmp {id}`)"
            )
        });
        Ok((result, lost.or(missing)))
    }

    /// The answer, or why the storage is refused.
    fn post(&self, body: &Value) -> Result<Result<ImportResponse, String>, ClientError> {
        let body = Zeroizing::new(body.to_string());
        let path = format!("{PATH}?dry_run={}", self.dry_run);
        match self.client.post_json(&path, &body) {
            Ok(response) => Ok(Ok(self.client.parse(&path, &response)?)),
            Err(ClientError::Refused { message, .. }) => Ok(Err(message)),
            Err(
                error @ (ClientError::Unreachable { .. }
                | ClientError::Disconnected { .. }
                | ClientError::Unexpected { .. }),
            ) => Err(error),
        }
    }
}

impl KnownStorages {
    /// Why a row is one that the file has before.
    fn duplicate(&self, row: &ImportRow) -> Option<String> {
        let id = normalized(&row.id);
        if self.0.iter().any(|(earlier, _)| *earlier == id) {
            return Some("its id is that of a storage before it in the file".to_owned());
        }
        let identity = identity(row.body.as_ref().ok()?)?;
        let is_twin = |body: &Value| self::identity(body).is_some_and(|one| one.is(&identity));
        let (earlier, _) = self.0.iter().find(|(_, body)| is_twin(body))?;
        Some(format!(
            "is the same storage as `{earlier}` before it in the file"
        ))
    }
}

/// One id in one form.
fn normalized(id: &str) -> String {
    let parsed = id.parse::<Uuid>();
    parsed.map_or_else(|_| id.to_owned(), |id| id.to_string())
}

/// What tells the storage of a body from others.
fn identity(body: &Value) -> Option<StorageIdentity<'_>> {
    let registration = body["registration"].as_object()?;
    let text = |key: &str| registration.get(key).and_then(Value::as_str);
    Some(StorageIdentity {
        vendor: text("vendor").unwrap_or_default(),
        model: text("model").unwrap_or_default(),
        storage_name: text("storage_name"),
        access: registration,
        serial_number: body["known"]["serial_number"].as_str().unwrap_or_default(),
    })
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

#[cfg(test)]
mod tests {
    use super::*;

    fn row(id: &str, name: &str, host: &str, serial_number: &str) -> ImportRow {
        let body = json!({
            "id": id, "known": {"serial_number": serial_number},
            "registration": {"vendor": "v", "model": "m", "storage_name": name,
                "rest": {"host": host, "port": 1, "username": id}},
        });
        ImportRow {
            id: id.to_owned(),
            name: name.to_owned(),
            body: Ok(body),
            alert_source: None,
        }
    }

    #[test]
    fn a_storage_that_the_file_has_before_is_named() {
        let mut known = KnownStorages::default();
        let first = row("5C1D3A52-7b0e-4d8a-9a35-2f6f1d2b8c10", "a", "h", "s");
        known
            .0
            .push((normalized(&first.id), first.body.clone().unwrap()));
        let id = "5c1d3a52-7b0e-4d8a-9a35-2f6f1d2b8c10";
        let duplicate = |row: ImportRow| known.duplicate(&row);
        assert_eq!(
            duplicate(row(id, "b", "i", "")).as_deref(),
            Some("its id is that of a storage before it in the file")
        );
        let same = format!("is the same storage as `{id}` before it in the file");
        for twin in [row("7", "a", "h", ""), row("7", "b", "i", "s")] {
            assert_eq!(duplicate(twin), Some(same.clone()));
        }
        for other in [row("7", "b", "h", ""), row("7", "a", "i", "t")] {
            assert_eq!(duplicate(other), None);
        }
    }
}
