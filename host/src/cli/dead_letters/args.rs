//! The options of `dead-letters`, and the requests that they become.

use std::{fmt::Write as _, path::PathBuf};

use serde_json::{Map, Value};

use super::{
    super::{client::encode, connect::HostArgs},
    PATH,
};

#[derive(Debug, clap::Subcommand)]
pub enum DeadLettersCommand {
    /// List dead letters, oldest first
    List(ListDeadLettersArgs),

    /// Show one dead letter with its content
    Show(ShowDeadLetterArgs),

    /// Write the content of dead letters as JSON lines, one series or alert per line
    Export(ExportDeadLettersArgs),

    /// Deliver dead letters again
    Replay(SelectDeadLettersArgs),

    /// Delete dead letters permanently
    Purge(SelectDeadLettersArgs),
}

/// Selects the dead letters that match every given option.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Filters")]
pub struct DeadLetterFilterArgs {
    /// Dead letters of this exporter
    #[arg(long, value_name = "NAME")]
    pub exporter: Option<String>,

    /// Dead letters since this time: an age such as `2h`, or a time in RFC 3339
    #[arg(long, value_name = "TIME")]
    pub since: Option<String>,

    /// Dead letters whose reason contains this text
    #[arg(long, value_name = "TEXT")]
    pub reason: Option<String>,

    /// At most this many, the oldest ones
    #[arg(long, value_name = "N")]
    pub limit: Option<u64>,
}

#[derive(Debug, clap::Args)]
pub struct ListDeadLettersArgs {
    #[command(flatten)]
    pub host: HostArgs,

    #[command(flatten)]
    pub filter: DeadLetterFilterArgs,
}

#[derive(Debug, clap::Args)]
pub struct ShowDeadLetterArgs {
    /// Id of the dead letter, as `dead-letters list` shows it
    #[arg(value_parser = parse_id)]
    pub id: String,

    #[command(flatten)]
    pub host: HostArgs,
}

#[derive(Debug, clap::Args)]
pub struct ExportDeadLettersArgs {
    /// New file to write [default: standard output]
    #[arg(long, value_name = "FILE")]
    pub output: Option<PathBuf>,

    #[command(flatten)]
    pub host: HostArgs,

    #[command(flatten)]
    pub filter: DeadLetterFilterArgs,
}

#[derive(Clone, Debug, clap::Args)]
pub struct SelectDeadLettersArgs {
    /// Ids of the dead letters, as `dead-letters list` shows them
    #[arg(value_name = "ID", value_parser = parse_id)]
    pub ids: Vec<String>,

    /// All dead letters
    #[arg(long, conflicts_with_all = ["ids", "exporter", "since", "reason"])]
    pub all: bool,

    /// Show what the command would do, and change nothing
    #[arg(long)]
    pub dry_run: bool,

    #[command(flatten)]
    pub host: HostArgs,

    #[command(flatten)]
    pub filter: DeadLetterFilterArgs,
}

impl DeadLetterFilterArgs {
    fn fields(&self) -> [(&'static str, Option<&str>); 3] {
        [
            ("exporter", self.exporter.as_deref()),
            ("since", self.since.as_deref()),
            ("reason", self.reason.as_deref()),
        ]
    }

    /// The path of the list, to which more parameters can be added.
    pub(super) fn path(&self) -> String {
        let mut path = format!("{PATH}?");
        for (key, value) in self.fields() {
            if let Some(value) = value {
                let _ = write!(path, "{key}={}&", encode(value));
            }
        }
        if let Some(limit) = self.limit {
            let _ = write!(path, "limit={limit}&");
        }
        path
    }
}

impl SelectDeadLettersArgs {
    pub(super) fn body(&self) -> Value {
        let fields = self.filter.fields().into_iter();
        let given = fields.filter_map(|(key, value)| Some((key.to_owned(), value?.into())));
        let mut body: Map<String, Value> = given.collect();
        if let Some(limit) = self.filter.limit {
            body.insert("limit".to_owned(), limit.into());
        }
        if !self.ids.is_empty() {
            body.insert("ids".to_owned(), self.ids.as_slice().into());
        }
        body.insert("all".to_owned(), self.all.into());
        body.insert("dry_run".to_owned(), self.dry_run.into());
        body.into()
    }
}

fn parse_id(text: &str) -> Result<String, String> {
    let is_valid = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    if text.is_empty() || !text.bytes().all(is_valid) {
        return Err("not the id of a dead letter (see `dead-letters list`)".to_owned());
    }
    Ok(text.to_owned())
}
