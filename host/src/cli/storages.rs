//! `storages`: the storages of the running host.

use std::{fs, io::Read, path::PathBuf};

use serde::Deserialize;
use serde_json::{Map, Value, json};
use zeroize::Zeroizing;

use super::{Api, Cell, Error, Global, HostArgs, Output, Table, settings};

const PATH: &str = "/v1/storages";

/// What `storages` can do.
#[derive(Debug, clap::Subcommand)]
pub enum StoragesCommand {
    /// Show the storages, declared and registered ones
    List(ListArgs),

    /// Register a storage: it is collected from at once
    Add(AddArgs),

    /// Forget a registered storage
    Remove(RemoveArgs),
}

/// What `storages list` understands.
#[derive(Debug, clap::Args)]
pub struct ListArgs {
    /// Which host.
    #[command(flatten)]
    pub host: HostArgs,
}

/// What `storages add` understands.
#[derive(Debug, clap::Args)]
pub struct AddArgs {
    /// The vendor, which with the model chooses the driver
    pub vendor: String,

    /// The model
    pub model: String,

    /// The storage's name or address
    #[arg(long, value_name = "HOST")]
    pub address: String,

    /// The port of its REST interface
    #[arg(long)]
    pub port: u16,

    /// Who logs in there
    #[arg(long, value_name = "NAME")]
    pub username: String,

    /// Where the password is read from, `-` for the standard input; one line end is cut off
    #[arg(long, value_name = "FILE")]
    pub password_file: PathBuf,

    /// A name of your own for it
    #[arg(long)]
    pub name: Option<String>,

    /// Something that its driver wants to know; may be repeated
    #[arg(long = "attribute", value_name = "NAME=VALUE", value_parser = parse_attribute)]
    pub attributes: Vec<(String, String)>,

    /// Which host.
    #[command(flatten)]
    pub host: HostArgs,
}

/// What `storages remove` understands.
#[derive(Debug, clap::Args)]
pub struct RemoveArgs {
    /// The storage's id
    pub id: String,

    /// Which host.
    #[command(flatten)]
    pub host: HostArgs,
}

#[derive(Deserialize)]
struct Storages {
    storages: Vec<Storage>,
}

#[derive(Deserialize)]
struct Storage {
    id: String,
    name: Option<String>,
    vendor: Option<String>,
    model: Option<String>,
    status: Option<String>,
}

pub(super) fn run(
    global: &Global,
    command: &StoragesCommand,
    output: &mut Output<'_>,
) -> Result<(), Error> {
    match command {
        StoragesCommand::List(args) => list(global, args, output),
        StoragesCommand::Add(args) => add(global, args, output),
        StoragesCommand::Remove(args) => remove(global, args, output),
    }
}

fn list(global: &Global, args: &ListArgs, output: &mut Output<'_>) -> Result<(), Error> {
    let api = Api::new(&settings::api_url(global, &args.host)?);
    let answer = api.get(PATH)?;
    if output.json() {
        return output.line(&answer);
    }
    let Storages { storages } = api.parse(PATH, &answer)?;
    if !storages.is_empty() {
        output.table(&table(&storages))?;
        output.line("")?;
    }
    output.line(&match storages.len() {
        0 => "no storages (declare some with `[[storage]]`, or register one with `storages add`)"
            .to_owned(),
        1 => "1 storage".to_owned(),
        many => format!("{many} storages"),
    })
}

fn add(global: &Global, args: &AddArgs, output: &mut Output<'_>) -> Result<(), Error> {
    let api = Api::new(&settings::api_url(global, &args.host)?);
    let password = password(args)?;
    let body = Zeroizing::new(registration(args, &password).to_string());
    let answer = api.post_json(PATH, &body)?;
    if output.json() {
        return output.line(&answer);
    }
    let storage: Storage = api.parse(PATH, &answer)?;
    let name = storage.name.unwrap_or_default();
    output.line(&format!("{}: {name} is registered", storage.id))
}

fn remove(global: &Global, args: &RemoveArgs, output: &mut Output<'_>) -> Result<(), Error> {
    let api = Api::new(&settings::api_url(global, &args.host)?);
    let id: String = args.id.chars().filter(is_of_id).collect();
    if id != args.id || id.is_empty() {
        return Err(Error::Failed(
            "that is not an id (see `storages list`)".into(),
        ));
    }
    api.delete(&format!("{PATH}/{id}"))?;
    if output.json() {
        return output.value(&json!({ "id": id }));
    }
    output.line(&format!("{id}: is forgotten"))
}

fn is_of_id(letter: &char) -> bool {
    letter.is_ascii_alphanumeric() || *letter == '-'
}

fn table(storages: &[Storage]) -> Table {
    let word = |text: &Option<String>| text.as_deref().map_or_else(Cell::none, Cell::text);
    let mut table = Table::new(&["storage", "name", "vendor", "model", "status"]);
    for storage in storages {
        table.row([
            Cell::text(&storage.id),
            word(&storage.name),
            word(&storage.vendor),
            word(&storage.model),
            word(&storage.status),
        ]);
    }
    table
}

fn registration(args: &AddArgs, password: &str) -> Value {
    let mut body = json!({
        "vendor": args.vendor,
        "model": args.model,
        "rest": {
            "host": args.address,
            "port": args.port,
            "username": args.username,
            "password": password,
        },
    });
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

fn password(args: &AddArgs) -> Result<Zeroizing<String>, Error> {
    let mut text = Zeroizing::new(String::new());
    let path = &args.password_file;
    let read = if path.as_os_str() == "-" {
        std::io::stdin().lock().read_to_string(&mut text)
    } else {
        fs::File::open(path).and_then(|mut file| file.read_to_string(&mut text))
    };
    read.map_err(|error| {
        Error::Failed(
            format!(
                "cannot read the password from `{}`: {error}",
                path.display()
            )
            .into(),
        )
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
    use crate::cli::{Cli, Command, api};

    const ONE: &str = r#"{"storages":[{"id":"7b1f","name":"array","vendor":"acme","model":"x","status":"normal"}]}"#;

    fn printed(status: &'static str, body: &'static str, typed: &[&str]) -> String {
        let url = api::tests::serve(status, body);
        let cli = [&["delfin-host", "storages"], typed, &["--host", &url]].concat();
        let cli = Cli::try_parse_from(cli).unwrap();
        let mut data = Vec::new();
        cli.run(&mut Output::new(&mut data, &cli.global)).unwrap();
        String::from_utf8(data).unwrap()
    }

    #[test]
    fn the_list_is_a_table_with_the_sum_below_and_json_for_machines() {
        let text = printed("200 OK", ONE, &["list"]);
        assert!(text.contains("7b1f"), "{text}");
        assert!(text.ends_with("\n\n1 storage\n"), "{text}");
        assert_eq!(printed("200 OK", ONE, &["list", "--json"]).trim(), ONE);
    }

    #[test]
    fn a_storage_is_removed_by_its_id() {
        let text = printed("202 Accepted", "", &["remove", "7b1f"]);
        assert_eq!(text, "7b1f: is forgotten\n");
    }

    #[test]
    fn what_is_typed_becomes_a_registration_and_the_password_stays_in_its_file() {
        let typed = [
            "delfin-host",
            "storages",
            "add",
            "acme",
            "x",
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
        ];
        let cli = Cli::try_parse_from(typed).unwrap();
        let Command::Storages(StoragesCommand::Add(args)) = cli.command else {
            panic!("not add")
        };
        assert_eq!(
            registration(&args, "secret"),
            json!({
                "vendor": "acme", "model": "x",
                "rest": {"host": "10.0.0.1", "port": 8080, "username": "u", "password": "secret"},
                "extra_attributes": {"volumes": "3"}
            })
        );
    }
}
