//! `replay`: batches once more, for one exporter of the running host.

use serde::Deserialize;
use serde_json::json;

use super::{Api, Error, Global, HostArgs, Output, grouped, settings};

/// What `replay` understands.
#[derive(Debug, clap::Args)]
pub struct ReplayArgs {
    /// For whom
    #[arg(long, value_name = "NAME")]
    pub exporter: String,

    /// What was accepted since then: how long ago, as in `2h`, or a time in RFC 3339
    #[arg(long, value_name = "TIME")]
    pub since: String,

    /// Which host.
    #[command(flatten)]
    pub host: HostArgs,
}

#[derive(Deserialize)]
struct Replayed {
    items: u64,
}

pub(super) fn run(
    global: &Global,
    args: &ReplayArgs,
    output: &mut Output<'_>,
) -> Result<(), Error> {
    let api = Api::new(&settings::api_url(global, &args.host)?);
    let path = format!("/v1/exporters/{}/replay", args.exporter);
    let body = json!({ "since": args.since }).to_string();
    let answer = api.post_json(&path, &body)?;
    if output.json() {
        return output.line(&answer);
    }
    let Replayed { items } = api.parse(&path, &answer)?;
    output.line(&format!("replaying {} items", grouped(items)))
}
