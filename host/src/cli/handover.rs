//! `handover`: makes another host of the cluster active.

use serde::Deserialize;
use serde_json::json;

use super::{connect::HostArgs, error::Error, options::GlobalOptions, output::Output};

const PATH: &str = "/v1/handover";

#[derive(Debug, clap::Args)]
pub struct HandoverArgs {
    /// Standby that becomes active [default: the one with the highest priority]
    pub member: Option<String>,

    #[command(flatten)]
    pub host: HostArgs,
}

#[derive(Deserialize)]
struct HandoverResult {
    to: String,
}

pub(super) fn run(
    options: &GlobalOptions,
    args: &HandoverArgs,
    output: &mut Output<'_>,
) -> Result<(), Error> {
    let client = options.host_client(&args.host)?;
    let request = match &args.member {
        Some(member) => json!({ "to": member }),
        None => json!({}),
    };
    let response = client.post_json(PATH, &request.to_string())?;
    if output.is_json() {
        return output.line(&response);
    }
    let HandoverResult { to } = client.parse(PATH, &response)?;
    output.line(&format!(
        "`{to}` becomes active as soon as this host has delivered what it can"
    ))
}
