//! `reload`: the running host reads its configuration again.

use serde::Deserialize;

use super::{Api, ApiError, Error, Global, HostArgs, Output, settings};

const PATH: &str = "/v1/reload";

/// What `reload` understands.
#[derive(Debug, clap::Args)]
pub struct ReloadArgs {
    /// Which host.
    #[command(flatten)]
    pub host: HostArgs,
}

#[derive(Deserialize)]
struct Reloaded {
    added: Vec<String>,
    changed: Vec<String>,
    removed: Vec<String>,
    resumed: Vec<String>,
    unchanged: Vec<String>,
    needs_restart: Vec<String>,
}

pub(super) fn run(
    global: &Global,
    args: &ReloadArgs,
    output: &mut Output<'_>,
) -> Result<(), Error> {
    let api = Api::new(&settings::api_url(global, &args.host)?);
    let answer = api.post_json(PATH, "{}").map_err(|error| match error {
        refused @ ApiError::Refused { .. } => Error::Configuration(refused.into()),
        other => other.into(),
    })?;
    if output.json() {
        return output.line(&answer);
    }
    let reloaded: Reloaded = api.parse(PATH, &answer)?;
    let parts = [
        ("added", &reloaded.added),
        ("changed", &reloaded.changed),
        ("removed", &reloaded.removed),
        ("resumed", &reloaded.resumed),
        ("unchanged", &reloaded.unchanged),
    ];
    for (what, names) in parts.iter().filter(|(_, names)| !names.is_empty()) {
        output.line(&format!("{what:<10} {}", names.join(", ")))?;
    }
    if !reloaded.needs_restart.is_empty() {
        let parts = reloaded.needs_restart.join(", ");
        output.warn(&format!(
            "changed, and needs a restart of the host: {parts}"
        ));
    }
    Ok(())
}
