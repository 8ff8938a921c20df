//! `log`: shows and changes the levels of the log of the running host.

use std::collections::BTreeMap;

use log::LevelFilter;
use serde::Deserialize;
use serde_json::json;

use super::{
    connect::HostArgs,
    error::Error,
    options::GlobalOptions,
    output::Output,
    table::{Cell, TextTable},
};

const PATH: &str = "/v1/log/level";

#[derive(Debug, clap::Subcommand)]
pub enum LogCommand {
    /// Show the levels of the log, or change one until the host ends
    Level(LogLevelArgs),
}

#[derive(Debug, clap::Args)]
pub struct LogLevelArgs {
    /// An exporter, a level (off, error, warn, info, debug, trace), or both; without an exporter, the
    /// level is that of the host and of all exporters that have none of their own
    #[arg(value_name = "EXPORTER|LEVEL", num_args = 0..=2)]
    pub words: Vec<String>,

    #[command(flatten)]
    pub host: HostArgs,
}

#[derive(Deserialize)]
struct LogLevelTable {
    level: String,
    exporters: BTreeMap<String, String>,
}

pub(super) fn run(
    options: &GlobalOptions,
    command: &LogCommand,
    output: &mut Output<'_>,
) -> Result<(), Error> {
    let LogCommand::Level(args) = command;
    let (exporter, level) = match &*args.words {
        [exporter, level] => (Some(exporter), Some(parse(level)?)),
        [word] => match parse(word) {
            Ok(level) => (None, Some(level)),
            Err(_) => (Some(word), None),
        },
        _ => (None, None),
    };
    let client = options.host_client(&args.host)?;
    let response = match &level {
        Some(level) => {
            let mut body = json!({ "level": level });
            if let Some(exporter) = exporter {
                body["exporter"] = exporter.as_str().into();
            }
            client.put_json(PATH, &body.to_string())?
        }
        None => client.get(PATH)?,
    };
    let LogLevelTable {
        level: host,
        mut exporters,
    } = client.parse(PATH, &response)?;
    if let Some(name) = exporter {
        let known = exporters.remove_entry(name).ok_or_else(|| {
            Error::failed(format!(
                "exporter `{name}` does not exist (`delfin-host exporters` shows the names)"
            ))
        })?;
        exporters = BTreeMap::from([known]);
    }
    if level.is_some() {
        output.note(
            "the change lasts until the host ends, and audit lines are logged with any level; `[log]` in the configuration keeps a level",
        );
    }
    if output.is_json() {
        return match exporter {
            Some(_) => output.json(&json!({ "exporters": exporters })),
            None => output.line(&response),
        };
    }
    let mut table = TextTable::new(&["of", "level"]);
    if exporter.is_none() {
        table.row([Cell::text("(the host)"), Cell::text(host)]);
    }
    for (name, level) in exporters {
        table.row([Cell::text(name), Cell::text(level)]);
    }
    output.table(&table)
}

fn parse(word: &str) -> Result<String, Error> {
    let level: LevelFilter = word.parse().map_err(|_| {
        Error::usage(format!(
            "`{word}` is not a level (use off, error, warn, info, debug or trace)"
        ))
    })?;
    Ok(level.as_str().to_lowercase())
}
