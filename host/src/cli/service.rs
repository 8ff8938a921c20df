//! `service`: installs and removes the service of Windows that runs the host.

use std::{
    io,
    path::{PathBuf, absolute},
};

use serde_json::json;

use super::{error::Error, options::GlobalOptions, output::Output};
use crate::platform::{install_service, uninstall_service};

#[derive(Debug, clap::Subcommand)]
pub enum ServiceCommand {
    /// Install the service, which runs the host with the configuration that is used now
    Install,

    /// Stop and remove the service
    Uninstall,
}

/// Why the service was not installed or removed.
#[derive(Debug, thiserror::Error)]
enum ServiceCommandError {
    #[error("cannot change the service `delfin-host` (run this command as an administrator)")]
    Denied(#[source] io::Error),
    #[error(
        "the service `delfin-host` is installed already (remove it with `delfin-host service uninstall`)"
    )]
    Installed,
    #[error(
        "the service `delfin-host` is not installed (install it with `delfin-host service install`)"
    )]
    NotInstalled,
    #[error("cannot change the service `delfin-host`")]
    Failed(#[source] io::Error),
    #[error("the host has no configuration file (write one with `delfin-host init`)")]
    Embedded,
}

pub(super) fn run(
    options: &GlobalOptions,
    command: &ServiceCommand,
    output: &mut Output<'_>,
) -> Result<(), Error> {
    let done = match command {
        ServiceCommand::Install => {
            install_service(&configuration(options)?).map_err(failed)?;
            "installed"
        }
        ServiceCommand::Uninstall => {
            uninstall_service().map_err(failed)?;
            "uninstalled"
        }
    };
    if output.is_json() {
        return output.json(&json!({ "service": done }));
    }
    output.line(&format!("{done} the service `delfin-host`"))
}

fn failed(error: io::Error) -> Error {
    Error::failed(match error.kind() {
        io::ErrorKind::PermissionDenied => ServiceCommandError::Denied(error),
        io::ErrorKind::AlreadyExists => ServiceCommandError::Installed,
        io::ErrorKind::NotFound => ServiceCommandError::NotInstalled,
        _ => ServiceCommandError::Failed(error),
    })
}

/// The path of the configuration that the service uses.
fn configuration(options: &GlobalOptions) -> Result<PathBuf, Error> {
    let loaded = options.load_config()?;
    let Some(path) = loaded.source.path() else {
        return Err(Error::failed(ServiceCommandError::Embedded));
    };
    absolute(path).map_err(Error::failed)
}
