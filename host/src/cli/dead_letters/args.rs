//! What `dead-letters` understands, and what the host is asked for by it.

use std::{fmt::Write as _, path::PathBuf};

use serde_json::{Map, Value};

use super::{super::HostArgs, PATH};

/// What `dead-letters` can do.
#[derive(Debug, clap::Subcommand)]
pub enum DeadLettersCommand {
    /// Show dead letters, the oldest first
    List(ListArgs),

    /// Show one dead letter with what is in it
    Show(ShowArgs),

    /// Write what is in dead letters as JSON lines, a series or an alert each
    Export(ExportArgs),

    /// Deliver dead letters once more
    Replay(TakeArgs),

    /// Forget dead letters for good
    Purge(TakeArgs),
}

/// Which dead letters: those that fit everything that is said.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Which")]
pub struct WhichArgs {
    /// Those of this exporter
    #[arg(long, value_name = "NAME")]
    pub exporter: Option<String>,

    /// Those given up since then: how long ago, as in `2h`, or a time in RFC 3339
    #[arg(long, value_name = "TIME")]
    pub since: Option<String>,

    /// Those with this in their reason
    #[arg(long, value_name = "TEXT")]
    pub reason: Option<String>,

    /// So many at most, the oldest of them
    #[arg(long, value_name = "N")]
    pub limit: Option<u64>,
}

/// What `dead-letters list` understands.
#[derive(Debug, clap::Args)]
pub struct ListArgs {
    /// Which host.
    #[command(flatten)]
    pub host: HostArgs,

    /// Which letters.
    #[command(flatten)]
    pub which: WhichArgs,
}

/// What `dead-letters show` understands.
#[derive(Debug, clap::Args)]
pub struct ShowArgs {
    /// The letter's id, as `list` shows it
    #[arg(value_parser = parse_id)]
    pub id: String,

    /// Which host.
    #[command(flatten)]
    pub host: HostArgs,
}

/// What `dead-letters export` understands.
#[derive(Debug, clap::Args)]
pub struct ExportArgs {
    /// Where to write, a new file [default: the standard output]
    #[arg(long, value_name = "FILE")]
    pub output: Option<PathBuf>,

    /// Which host.
    #[command(flatten)]
    pub host: HostArgs,

    /// Which letters.
    #[command(flatten)]
    pub which: WhichArgs,
}

/// What `dead-letters replay` and `dead-letters purge` understand.
#[derive(Debug, clap::Args)]
pub struct TakeArgs {
    /// The ids of letters, as `list` shows them
    #[arg(value_name = "ID", value_parser = parse_id)]
    pub ids: Vec<String>,

    /// Every letter there is
    #[arg(long, conflicts_with_all = ["ids", "exporter", "since", "reason"])]
    pub all: bool,

    /// Only say what would be done
    #[arg(long)]
    pub dry_run: bool,

    /// Which host.
    #[command(flatten)]
    pub host: HostArgs,

    /// Which letters.
    #[command(flatten)]
    pub which: WhichArgs,
}

impl WhichArgs {
    fn fields(&self) -> [(&'static str, Option<&str>); 3] {
        [
            ("exporter", self.exporter.as_deref()),
            ("since", self.since.as_deref()),
            ("reason", self.reason.as_deref()),
        ]
    }

    /// What to ask the host for, to which more can be added.
    pub(super) fn path(&self) -> String {
        let mut path = format!("{PATH}?");
        for (key, value) in self.fields() {
            if let Some(value) = value {
                let _ = write!(path, "{key}={}&", escaped(value));
            }
        }
        if let Some(limit) = self.limit {
            let _ = write!(path, "limit={limit}&");
        }
        path
    }
}

impl TakeArgs {
    pub(super) fn body(&self) -> Value {
        let fields = self.which.fields().into_iter();
        let said = fields.filter_map(|(key, value)| Some((key.to_owned(), value?.into())));
        let mut body: Map<String, Value> = said.collect();
        if let Some(limit) = self.which.limit {
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

/// A value as a query takes it.
fn escaped(value: &str) -> String {
    let mut text = String::new();
    for byte in value.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            text.push(char::from(byte));
        } else {
            let _ = write!(text, "%{byte:02X}");
        }
    }
    text
}

fn parse_id(text: &str) -> Result<String, String> {
    let is_sound = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    if text.is_empty() || !text.bytes().all(is_sound) {
        return Err("that is no dead letter's id (see `dead-letters list`)".to_owned());
    }
    Ok(text.to_owned())
}
