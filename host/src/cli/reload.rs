//! `reload`: makes the running host reload its configuration.

use serde::Deserialize;

use super::{
    client::ClientError, connect::HostArgs, error::Error, options::GlobalOptions, output::Output,
};

const PATH: &str = "/v1/reload";
const DRY_RUN_PATH: &str = "/v1/reload?dry_run=true";

#[derive(Debug, clap::Args)]
pub struct ReloadArgs {
    /// Check the configuration and show what would change, and change nothing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    pub host: HostArgs,
}

#[derive(Deserialize)]
struct ReloadResult {
    added: Vec<String>,
    changed: Vec<String>,
    removed: Vec<String>,
    resumed: Vec<String>,
    failed: Vec<String>,
    unchanged: Vec<String>,
    needs_restart: Vec<String>,
    warnings: Vec<String>,
}

pub(super) fn run(
    options: &GlobalOptions,
    args: &ReloadArgs,
    output: &mut Output<'_>,
) -> Result<(), Error> {
    let client = options.host_client(&args.host)?;
    let path = if args.dry_run { DRY_RUN_PATH } else { PATH };
    let response = client.post_json(path, "{}").map_err(|error| match error {
        // Without a token, nothing is known about the configuration.
        ClientError::Refused {
            body_fault: Some(_),
            ..
        } => Error::configuration(error),
        ClientError::Refused {
            body_fault: None, ..
        }
        | ClientError::Unreachable { .. }
        | ClientError::Disconnected { .. }
        | ClientError::Unexpected { .. } => Error::Client(error),
    })?;
    if output.is_json() {
        return output.line(&response);
    }
    let result: ReloadResult = client.parse(path, &response)?;
    let parts = [
        ("added", &result.added),
        ("changed", &result.changed),
        ("removed", &result.removed),
        ("resumed", &result.resumed),
        ("failed", &result.failed),
        ("unchanged", &result.unchanged),
    ];
    for (what, names) in parts.iter().filter(|(_, names)| !names.is_empty()) {
        output.line(&format!("{what:<10} {}", names.join(", ")))?;
    }
    for warning in &result.warnings {
        output.warn(warning);
    }
    if !result.needs_restart.is_empty() {
        let parts = result.needs_restart.join(", ");
        output.warn(&format!(
            "restart the host to apply the changes of: {parts}"
        ));
    }
    Ok(())
}
