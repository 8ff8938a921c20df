//! `replay`: delivers stored batches to one exporter of the running host again.

use std::{thread, time::Duration};

use serde::Deserialize;
use serde_json::json;

use super::{
    client::HostClient,
    connect::HostArgs,
    error::Error,
    options::GlobalOptions,
    output::Output,
    progress::{ProgressReport, ProgressUnit},
    table::counted,
};
use crate::state::ProgressListener;

const LIST: &str = "/v1/exporters";

#[derive(Debug, clap::Args)]
pub struct ReplayArgs {
    /// Exporter to deliver the batches to
    #[arg(long, value_name = "NAME")]
    pub exporter: String,

    /// Deliver what the host has accepted since: an age such as `2h`, or a time in RFC 3339
    #[arg(long, value_name = "TIME")]
    pub since: String,

    /// Return when the exporter has finished what is pending now, and show the progress; the replay
    /// goes on if the command is ended
    #[arg(long)]
    pub wait: bool,

    #[command(flatten)]
    pub host: HostArgs,
}

#[derive(Deserialize)]
struct ReplayResult {
    items: u64,
}

#[derive(Deserialize)]
struct ReplayedExporters {
    exporters: Vec<ExporterCounts>,
}

#[derive(Deserialize)]
struct ExporterCounts {
    name: String,
    pending: u64,
    delivered: u64,
    dead_lettered: u64,
    dropped: u64,
    filtered: u64,
}

/// How often the exporter is asked how far it is.
const POLL_INTERVAL: Duration = Duration::from_millis(250);

pub(super) fn run(
    options: &GlobalOptions,
    args: &ReplayArgs,
    output: &mut Output<'_>,
) -> Result<(), Error> {
    let client = options.host_client(&args.host)?;
    let path = format!("/v1/exporters/{}/replay", args.exporter);
    let body = json!({ "since": args.since }).to_string();
    let response = client.post_json(&path, &body)?;
    if args.wait {
        let progress = ProgressReport::new(output, ProgressUnit::Items);
        wait(&client, &args.exporter, &progress)?;
    }
    if output.is_json() {
        return output.line(&response);
    }
    let ReplayResult { items } = client.parse(&path, &response)?;
    let done = if args.wait { "replayed" } else { "replaying" };
    output.line(&format!("{done} {}", counted(items, "item")))
}

/// Waits until as many items have a disposition as are pending now. New ones come after them.
fn wait(client: &HostClient, exporter: &str, progress: &dyn ProgressListener) -> Result<(), Error> {
    let counts = || {
        let list: ReplayedExporters = client.parse(LIST, &client.get(LIST)?)?;
        let counts = list.exporters.into_iter().find(|one| one.name == exporter);
        counts
            .ok_or_else(|| Error::failed(format!("exporter `{exporter}` does not exist any more")))
    };
    let first = counts()?;
    progress.begin("replaying", first.pending);
    loop {
        let now = counts()?;
        let done = now.finished().saturating_sub(first.finished());
        progress.set(done.min(first.pending));
        if done >= first.pending || now.pending == 0 {
            return Ok(());
        }
        thread::sleep(POLL_INTERVAL);
    }
}

impl ExporterCounts {
    const fn finished(&self) -> u64 {
        self.delivered + self.dead_lettered + self.dropped + self.filtered
    }
}
