//! `replay`: delivers stored batches to one exporter of the running host again.

use serde::Deserialize;
use serde_json::json;

use super::{
    connect::HostArgs, error::Error, options::GlobalOptions, output::Output, table::counted,
};

#[derive(Debug, clap::Args)]
pub struct ReplayArgs {
    /// Exporter to deliver the batches to
    #[arg(long, value_name = "NAME")]
    pub exporter: String,

    /// Deliver what the host has accepted since: an age such as `2h`, or a time in RFC 3339
    #[arg(long, value_name = "TIME")]
    pub since: String,

    #[command(flatten)]
    pub host: HostArgs,
}

#[derive(Deserialize)]
struct ReplayResult {
    items: u64,
}

pub(super) fn run(
    options: &GlobalOptions,
    args: &ReplayArgs,
    output: &mut Output<'_>,
) -> Result<(), Error> {
    let client = options.host_client(&args.host)?;
    let path = format!("/v1/exporters/{}/replay", args.exporter);
    let body = json!({ "since": args.since }).to_string();
    let response = client.post_json(&path, &body)?;
    if output.is_json() {
        return output.line(&response);
    }
    let ReplayResult { items } = client.parse(&path, &response)?;
    output.line(&format!("replaying {}", counted(items, "item")))
}
