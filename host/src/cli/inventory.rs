//! `inventory`: maintains the registered storages of a host.
//!
//! Works with the running host, and without one on its state folder.

use std::path::{Path, PathBuf, absolute};

use serde::Deserialize;
use serde_json::json;

use super::{
    connect::HostArgs, error::Error, options::GlobalOptions, output::Output, table::counted,
};
use crate::{
    config::{self, StateSettings},
    inventory::InventoryPlace,
    journal,
    platform::{FileAccess, keep_files_private},
    state,
};

const PATH: &str = "/v1/inventory/rekey";

#[derive(Debug, clap::Subcommand)]
pub enum InventoryCommand {
    /// Seal the passwords and other secrets of all storages with another key
    Rekey(RekeyArgs),
}

#[derive(Debug, clap::Args)]
pub struct RekeyArgs {
    /// File with the new key, 32 random bytes [default: a new key in the state folder]
    #[arg(long, value_name = "FILE")]
    pub key_file: Option<PathBuf>,

    #[command(flatten)]
    pub host: HostArgs,
}

#[derive(Deserialize)]
struct RekeyResult {
    secrets: u64,
}

pub(super) fn run(
    options: &GlobalOptions,
    command: &InventoryCommand,
    output: &mut Output<'_>,
) -> Result<(), Error> {
    let InventoryCommand::Rekey(args) = command;
    let key_file = args.key_file.as_deref().map(absolute).transpose();
    let key_file = key_file.map_err(Error::failed)?;
    let settings = config::load_state_settings(options.config.as_deref());
    let StateSettings {
        state_dir,
        has_state_in_database,
        key_file: configured,
        audit_file,
    } = settings.map_err(Error::configuration)?;
    // What is in the database of a cluster, only the active host changes.
    let is_running =
        has_state_in_database || args.host.host.is_some() || journal::holder(&state_dir).is_some();
    let secrets = if is_running {
        let client = options.host_client(&args.host)?;
        let body = match &key_file {
            Some(path) => json!({ "key_file": path }),
            None => json!({}),
        };
        let response = client.post_json(PATH, &body.to_string())?;
        let result: RekeyResult = client.parse(PATH, &response)?;
        result.secrets
    } else {
        let secrets = rekey(&state_dir, configured.as_deref(), key_file.as_deref())?;
        output.audit(audit_file.as_deref(), "inventory rekey".to_owned());
        secrets
    };
    if output.is_json() {
        return output.json(&json!({ "secrets": secrets }));
    }
    let secrets = counted(secrets, "secret");
    output.line(&format!("sealed {secrets} with the new key"))?;
    if let Some(path) = key_file.filter(|path| configured.as_ref() != Some(path)) {
        output.warn(&format!(
            "set `key_file = \"{}\"` in `[inventory]` before the host starts again",
            path.display()
        ));
    }
    Ok(())
}

/// Changes the key of a host that does not run.
fn rekey(
    state_dir: &Path,
    configured: Option<&Path>,
    key_file: Option<&Path>,
) -> Result<u64, Error> {
    keep_files_private();
    let access = FileAccess::of_path(state_dir).map_err(Error::failed)?;
    if !access.is_own() {
        let message = format!(
            "`{}` belongs to user {} (run the command as this user, or start the host)",
            state_dir.display(),
            access.owner()
        );
        return Err(Error::failed(message));
    }
    let _lock = state::open(state_dir).map_err(Error::failed)?;
    let inventory = InventoryPlace::new(state_dir, configured).open();
    let inventory = inventory.map_err(Error::failed)?;
    let secrets = inventory.rekey(key_file).map_err(Error::failed)?;
    Ok(secrets as u64)
}
