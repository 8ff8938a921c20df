//! `storages`: lists, registers, changes, syncs and removes storages of the running host.

mod clusters;
mod import;
mod labels;
mod processes;
mod snmp;

use std::{
    fs,
    io::Read,
    path::{Path, PathBuf},
};

use serde::Deserialize;
use serde_json::{Map, Value, json};
use zeroize::Zeroizing;

use import::ImportStoragesArgs;

use super::{
    connect::HostArgs,
    error::Error,
    options::GlobalOptions,
    output::Output,
    resources::{self, ListResourcesArgs},
    table::{Cell, TextTable, counted},
};

const PATH: &str = "/v1/storages";

#[derive(Debug, clap::Subcommand)]
pub enum StoragesCommand {
    /// List the storages, both declared and registered
    List(ListStoragesArgs),

    /// Show the process of the driver of each storage, if the driver is a plugin
    Processes(StorageProcessesArgs),

    /// Register a storage and start to collect from it
    Add(AddStorageArgs),

    /// Change the address or the credentials of a registered storage
    Access(ChangeAccessArgs),

    /// Show or set the labels of a storage, which its series and alerts have
    Labels(labels::StorageLabelsArgs),

    /// Show, set or remove from where storages send SNMP traps
    Snmp(snmp::SnmpArgs),

    /// Ask storages for what they report about themselves, and for their resources
    Sync(SyncStoragesArgs),

    /// List the resources of a storage: pools, volumes, disks and others
    Resources(ListResourcesArgs),

    /// Move a registered storage to another cluster of the same database
    Move(MoveStorageArgs),

    /// Remove a registered storage
    Remove(RemoveStorageArgs),

    /// Register the storages of Delfin's database, or of a table, under their ids
    Import(ImportStoragesArgs),
}

#[derive(Debug, clap::Args)]
pub struct ListStoragesArgs {
    /// List the registered storages of all clusters of the database
    #[arg(long)]
    pub all_clusters: bool,

    #[command(flatten)]
    pub host: HostArgs,
}

#[derive(Debug, clap::Args)]
pub struct StorageProcessesArgs {
    #[command(flatten)]
    pub host: HostArgs,
}

// A driver whose attributes say how to reach the storage needs no REST interface.
#[derive(Debug, clap::Args)]
#[command(
    mut_arg("address", |arg| arg.required(false).requires("port")),
    mut_arg("port", |arg| arg.required(false).requires("username")),
    mut_arg("username", |arg| arg.required(false).requires("password_file")),
    mut_arg("password_file", |arg| arg.required(false).requires("address"))
)]
pub struct AddStorageArgs {
    /// Vendor of the storage; vendor and model choose the driver
    pub vendor: String,

    /// Model of the storage
    pub model: String,

    #[command(flatten)]
    pub rest: Option<RestAccessArgs>,

    /// Name for the storage in the host
    #[arg(long)]
    pub name: Option<String>,

    /// Extra attribute for the driver (repeatable)
    #[arg(long = "attribute", value_name = "NAME=VALUE", value_parser = parse_attribute)]
    pub attributes: Vec<(String, String)>,

    #[command(flatten)]
    pub host: HostArgs,
}

/// How the REST interface of a storage is reached.
#[derive(Debug, clap::Args)]
pub struct RestAccessArgs {
    /// Host name or IP address of the storage
    #[arg(long, value_name = "HOST")]
    pub address: String,

    /// Port of its REST interface
    #[arg(long)]
    pub port: u16,

    /// User name for its REST interface
    #[arg(long, value_name = "NAME")]
    pub username: String,

    /// File with the password, or `-` for standard input; a line end after it is ignored
    #[arg(long, value_name = "FILE")]
    pub password_file: PathBuf,
}

#[derive(Debug, clap::Args)]
pub struct ChangeAccessArgs {
    /// Id of the storage, as `storages list` shows it
    pub id: String,

    #[command(flatten)]
    pub rest: RestAccessArgs,

    #[command(flatten)]
    pub host: HostArgs,
}

#[derive(Debug, clap::Args)]
pub struct SyncStoragesArgs {
    /// Id of the storage; without one, every storage
    pub id: Option<String>,

    #[command(flatten)]
    pub host: HostArgs,
}

#[derive(Debug, clap::Args)]
pub struct MoveStorageArgs {
    /// Id of the storage, as `storages list` shows it
    pub id: String,

    /// Name of the cluster, as `clusters` shows it
    pub cluster: String,

    #[command(flatten)]
    pub host: HostArgs,
}

#[derive(Debug, clap::Args)]
pub struct RemoveStorageArgs {
    /// Id of the storage, as `storages list` shows it
    pub id: String,

    #[command(flatten)]
    pub host: HostArgs,
}

#[derive(Deserialize)]
struct StorageList {
    storages: Vec<StorageRow>,
}

#[derive(Deserialize)]
struct StorageRow {
    id: String,
    name: Option<String>,
    vendor: Option<String>,
    model: Option<String>,
    status: Option<String>,
}

pub(super) fn run(
    options: &GlobalOptions,
    command: &StoragesCommand,
    output: &mut Output<'_>,
) -> Result<(), Error> {
    match command {
        StoragesCommand::List(args) => list(options, args, output),
        StoragesCommand::Processes(args) => processes::run(options, args, output),
        StoragesCommand::Add(args) => add(options, args, output),
        StoragesCommand::Access(args) => change_access(options, args, output),
        StoragesCommand::Labels(args) => labels::run(options, args, output),
        StoragesCommand::Snmp(args) => snmp::run(options, args, output),
        StoragesCommand::Sync(args) => sync(options, args, output),
        StoragesCommand::Resources(args) => {
            resources::run(options, args, &path_of(&args.id)?, output)
        }
        StoragesCommand::Move(args) => move_storage(options, args, output),
        StoragesCommand::Remove(args) => remove(options, args, output),
        StoragesCommand::Import(args) => import::run(options, args, output),
    }
}

fn list(
    options: &GlobalOptions,
    args: &ListStoragesArgs,
    output: &mut Output<'_>,
) -> Result<(), Error> {
    let client = options.host_client(&args.host)?;
    if args.all_clusters {
        return clusters::list(&client, output);
    }
    let response = client.get(PATH)?;
    if output.is_json() {
        return output.line(&response);
    }
    let StorageList { storages } = client.parse(PATH, &response)?;
    let summary = match storages.len() {
        0 => "no storages (declare one with `[[storage]]`, or register one with `storages add`)"
            .to_owned(),
        many => counted(many as u64, "storage"),
    };
    output.list(&table(&storages), &summary)
}

fn add(
    options: &GlobalOptions,
    args: &AddStorageArgs,
    output: &mut Output<'_>,
) -> Result<(), Error> {
    let client = options.host_client(&args.host)?;
    let password = match &args.rest {
        Some(rest) => secret(&rest.password_file, "password")?,
        None => Zeroizing::default(),
    };
    let body = Zeroizing::new(registration(args, &password).to_string());
    let response = client.post_json(PATH, &body)?;
    if output.is_json() {
        return output.line(&response);
    }
    let storage: StorageRow = client.parse(PATH, &response)?;
    let name = storage.name.unwrap_or_default();
    output.line(&format!("{}: {name} is registered", storage.id))
}

fn move_storage(
    options: &GlobalOptions,
    args: &MoveStorageArgs,
    output: &mut Output<'_>,
) -> Result<(), Error> {
    let client = options.host_client(&args.host)?;
    let (id, cluster) = (&args.id, &args.cluster);
    let body = json!({ "cluster": cluster }).to_string();
    let response = client.post_json(&format!("{}/move", path_of(id)?), &body)?;
    if output.is_json() {
        return output.line(&response);
    }
    output.line(&format!("{id}: is moved to cluster `{cluster}`"))
}

fn remove(
    options: &GlobalOptions,
    args: &RemoveStorageArgs,
    output: &mut Output<'_>,
) -> Result<(), Error> {
    let client = options.host_client(&args.host)?;
    let id = &args.id;
    client.delete(&path_of(id)?)?;
    if output.is_json() {
        return output.json(&json!({ "id": id }));
    }
    output.line(&format!("{id}: is removed"))
}

fn change_access(
    options: &GlobalOptions,
    args: &ChangeAccessArgs,
    output: &mut Output<'_>,
) -> Result<(), Error> {
    let client = options.host_client(&args.host)?;
    let path = format!("{}/access-info", path_of(&args.id)?);
    let password = secret(&args.rest.password_file, "password")?;
    let body = json!({ "rest": rest_access(&args.rest, &password) });
    let response = client.put_json(&path, &Zeroizing::new(body.to_string()))?;
    if output.is_json() {
        return output.line(&response);
    }
    output.line(&format!("{}: access data is changed", args.id))
}

fn sync(
    options: &GlobalOptions,
    args: &SyncStoragesArgs,
    output: &mut Output<'_>,
) -> Result<(), Error> {
    let client = options.host_client(&args.host)?;
    let (path, who) = match &args.id {
        Some(id) => (path_of(id)?, id.as_str()),
        None => (PATH.to_owned(), "all storages"),
    };
    client.post_json(&format!("{path}/sync"), "")?;
    if output.is_json() {
        return output.json(&json!({ "id": args.id }));
    }
    output.line(&format!("{who}: sync is started"))
}

/// The path of a storage. The id becomes part of a URL.
fn path_of(id: &str) -> Result<String, Error> {
    let is_id = |c: char| c.is_ascii_alphanumeric() || c == '-';
    if id.is_empty() || !id.chars().all(is_id) {
        let message = format!("`{id}` is not the id of a storage (see `storages list`)");
        return Err(Error::failed(message));
    }
    Ok(format!("{PATH}/{id}"))
}

fn table(storages: &[StorageRow]) -> TextTable {
    let mut table = TextTable::new(&["storage", "name", "vendor", "model", "status"]);
    for storage in storages {
        table.row([
            Cell::text(&storage.id),
            Cell::optional(storage.name.as_deref()),
            Cell::optional(storage.vendor.as_deref()),
            Cell::optional(storage.model.as_deref()),
            Cell::optional(storage.status.as_deref()),
        ]);
    }
    table
}

fn registration(args: &AddStorageArgs, password: &str) -> Value {
    let mut body = json!({
        "vendor": args.vendor,
        "model": args.model,
    });
    if let Some(rest) = &args.rest {
        body["rest"] = rest_access(rest, password);
    }
    if let Some(name) = &args.name {
        body["storage_name"] = name.as_str().into();
    }
    if !args.attributes.is_empty() {
        let attributes = args.attributes.iter().cloned();
        let attributes = attributes.map(|(name, value)| (name, value.into()));
        body["extra_attributes"] = attributes.collect::<Map<String, Value>>().into();
    }
    body
}

fn rest_access(args: &RestAccessArgs, password: &str) -> Value {
    json!({
        "host": args.address,
        "port": args.port,
        "username": args.username,
        "password": password,
    })
}

/// Reads a secret from a file; `-` is standard input.
fn secret(path: &Path, what: &str) -> Result<Zeroizing<String>, Error> {
    let mut text = Zeroizing::new(String::new());
    let read = if path.as_os_str() == "-" {
        std::io::stdin().lock().read_to_string(&mut text)
    } else {
        fs::File::open(path).and_then(|mut file| file.read_to_string(&mut text))
    };
    read.map_err(|error| {
        let path = path.display();
        Error::failed(format!("cannot read the {what} from `{path}`: {error}"))
    })?;
    let line = text.strip_suffix('\n').unwrap_or(&text);
    Ok(Zeroizing::new(
        line.strip_suffix('\r').unwrap_or(line).to_owned(),
    ))
}

fn parse_attribute(text: &str) -> Result<(String, String), String> {
    let (name, value) = text
        .split_once('=')
        .ok_or_else(|| "write NAME=VALUE".to_owned())?;
    Ok((name.to_owned(), value.to_owned()))
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::cli::{Cli, CliCommand, client};

    const ONE: &str = r#"{"storages":[{"id":"7b1f","name":"array","vendor":"acme","model":"x","status":"normal"}]}"#;

    fn printed(status: &'static str, body: &'static str, typed: &[&str]) -> String {
        client::tests::printed(status, body, &[&["storages"], typed].concat())
    }

    #[test]
    fn the_list_is_a_table_with_a_summary_or_json() {
        let text = printed("200 OK", ONE, &["list"]);
        assert!(text.contains("7b1f"), "{text}");
        assert!(text.ends_with("\n\n1 storage\n"), "{text}");
        assert_eq!(printed("200 OK", ONE, &["list", "--json"]).trim(), ONE);
    }

    #[test]
    fn a_storage_is_removed_by_its_id() {
        let text = printed("202 Accepted", "", &["remove", "7b1f"]);
        assert_eq!(text, "7b1f: is removed\n");
    }

    #[test]
    fn a_sync_is_for_one_storage_or_for_all() {
        let text = printed("202 Accepted", "", &["sync", "7b1f"]);
        assert_eq!(text, "7b1f: sync is started\n");
        let text = printed("202 Accepted", "", &["sync"]);
        assert_eq!(text, "all storages: sync is started\n");
    }

    fn add(typed: &[&str]) -> Result<AddStorageArgs, clap::Error> {
        let typed = [&["delfin-host", "storages", "add", "acme", "x"], typed].concat();
        let CliCommand::Storages(StoragesCommand::Add(args)) = Cli::try_parse_from(typed)?.command
        else {
            panic!("not add")
        };
        Ok(args)
    }

    #[test]
    fn the_options_become_a_registration_with_the_password_of_the_file() {
        let args = add(&[
            "--address",
            "10.0.0.1",
            "--port",
            "8080",
            "--username",
            "u",
            "--password-file",
            "f",
            "--attribute",
            "volumes=3",
        ])
        .unwrap();
        assert_eq!(
            registration(&args, "secret"),
            json!({
                "vendor": "acme", "model": "x",
                "rest": {"host": "10.0.0.1", "port": 8080, "username": "u", "password": "secret"},
                "extra_attributes": {"volumes": "3"}
            })
        );
        let args = add(&["--attribute", "url=http://h"]).unwrap();
        assert_eq!(
            registration(&args, ""),
            json!({"vendor": "acme", "model": "x", "extra_attributes": {"url": "http://h"}})
        );
        let error = add(&["--address", "h"]).unwrap_err().to_string();
        assert!(error.contains("--password-file"), "{error}");
    }
}
