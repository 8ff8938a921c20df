//! `exporters pause`, `resume`, `skip`, `rename` and `forget`.

use serde::Deserialize;
use serde_json::json;

use super::{ExporterList, PATH};
use crate::cli::{
    client::{HostClient, encode},
    connect::HostArgs,
    error::Error,
    options::GlobalOptions,
    output::Output,
    table::counted,
};

#[derive(Debug, clap::Subcommand)]
pub enum ExportersCommand {
    /// Make no further call of an exporter, also after a restart; what is pending is kept
    Pause(ExporterArgs),

    /// End a pause, and try again now
    Resume(ExporterArgs),

    /// Drop everything pending for an exporter
    Skip(ConfirmedExporterArgs),

    /// Give the cursor of a removed exporter, with counts and dead letters, to another name
    Rename(RenameExporterArgs),

    /// Remove the cursor of a removed exporter, with counts and dead letters
    Forget(ConfirmedExporterArgs),
}

#[derive(Debug, clap::Args)]
pub struct ExporterArgs {
    /// Name of the exporter in the configuration
    pub name: String,

    #[command(flatten)]
    pub host: HostArgs,
}

#[derive(Debug, clap::Args)]
pub struct ConfirmedExporterArgs {
    /// Name of the exporter, as `exporters` shows it
    pub name: String,

    /// Confirm that what is pending is lost
    #[arg(long)]
    pub yes: bool,

    #[command(flatten)]
    pub host: HostArgs,
}

#[derive(Debug, clap::Args)]
pub struct RenameExporterArgs {
    /// Name of the removed exporter, as `exporters` shows it
    pub name: String,

    /// New name; a configured exporter continues with the cursor in place of its own
    #[arg(value_name = "NEW_NAME")]
    pub to: String,

    #[command(flatten)]
    pub host: HostArgs,
}

#[derive(Deserialize)]
struct SkipResult {
    dropped: u64,
}

#[derive(Deserialize)]
struct RenameResult {
    pending: u64,
}

#[derive(Deserialize)]
struct ForgetResult {
    items: u64,
    dead_letters: u64,
}

impl ExportersCommand {
    pub(super) fn run(
        &self,
        options: &GlobalOptions,
        output: &mut Output<'_>,
    ) -> Result<(), Error> {
        match self {
            Self::Pause(ExporterArgs { name, host }) => {
                let call = ExporterCall::new(options, host, name, "pause")?;
                call.run("{}", output, |_| Ok(format!("{name}: is paused")))
            }
            Self::Resume(ExporterArgs { name, host }) => {
                let call = ExporterCall::new(options, host, name, "resume")?;
                call.run("{}", output, |_| Ok(format!("{name}: tries again now")))
            }
            Self::Skip(ConfirmedExporterArgs { name, yes, host }) => {
                let call = ExporterCall::new(options, host, name, "skip")?;
                call.confirm(*yes)?;
                call.run("{}", output, |response| {
                    let SkipResult { dropped } = call.parse(response)?;
                    Ok(format!(
                        "{name}: dropped {}",
                        counted(dropped, "pending item")
                    ))
                })
            }
            Self::Rename(RenameExporterArgs { name, to, host }) => {
                let call = ExporterCall::new(options, host, name, "rename")?;
                call.run(&json!({ "to": to }).to_string(), output, |response| {
                    let RenameResult { pending } = call.parse(response)?;
                    let pending = counted(pending, "pending item");
                    Ok(format!("{name}: is renamed to {to}, with {pending}"))
                })
            }
            Self::Forget(ConfirmedExporterArgs { name, yes, host }) => {
                let call = ExporterCall::new(options, host, name, "forget")?;
                call.confirm(*yes)?;
                call.run("{}", output, |response| {
                    let ForgetResult {
                        items,
                        dead_letters,
                    } = call.parse(response)?;
                    let items = counted(items, "pending item");
                    let dead_letters = counted(dead_letters, "dead letter");
                    Ok(format!(
                        "{name}: is forgotten, with {items} and {dead_letters}"
                    ))
                })
            }
        }
    }
}

/// A call about one exporter.
struct ExporterCall<'a> {
    client: HostClient,
    name: &'a str,
    action: &'static str,
    path: String,
}

impl<'a> ExporterCall<'a> {
    fn new(
        options: &GlobalOptions,
        host: &HostArgs,
        name: &'a str,
        action: &'static str,
    ) -> Result<Self, Error> {
        Ok(Self {
            client: options.host_client(host)?,
            path: format!("{PATH}/{}/{action}", encode(name)),
            name,
            action,
        })
    }

    /// Without `--yes`, says what would be lost.
    fn confirm(&self, yes: bool) -> Result<(), Error> {
        if yes {
            return Ok(());
        }
        let list: ExporterList = self.client.parse(PATH, &self.client.get(PATH)?)?;
        let configured = list.exporters.iter().map(|one| (&one.name, one.pending));
        let removed = list
            .removed
            .iter()
            .map(|one| (&one.name, Some(one.pending)));
        let mut all = configured.chain(removed);
        let Some((_, pending)) = all.find(|(name, _)| *name == self.name) else {
            let error = format!("exporter `{}` does not exist (see `exporters`)", self.name);
            return Err(Error::failed(error));
        };
        let pending = counted(pending.unwrap_or_default(), "pending item");
        let Self { name, action, .. } = self;
        Err(Error::usage(format!(
            "`{action}` loses {pending} of exporter `{name}` for good (repeat it with `--yes`)"
        )))
    }

    fn run(
        &self,
        body: &str,
        output: &mut Output<'_>,
        text: impl FnOnce(&str) -> Result<String, Error>,
    ) -> Result<(), Error> {
        let response = self.client.post_json(&self.path, body)?;
        if output.is_json() {
            return output.line(&response);
        }
        output.line(&text(&response)?)
    }

    fn parse<T: serde::de::DeserializeOwned>(&self, response: &str) -> Result<T, Error> {
        Ok(self.client.parse(&self.path, response)?)
    }
}
