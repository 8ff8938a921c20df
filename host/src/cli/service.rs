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
    #[error("cannot change the service (it needs the rights of an administrator)")]
    Refused(#[source] io::Error),
    #[error("the host has no configuration file (write one with `delfin-host init`)")]
    Embedded,
    #[error("a service has no standard error, and the log would be lost (set `log.file` in `{}`)", path.display())]
    NoLogFile { path: PathBuf },
}

pub(super) fn run(
    options: &GlobalOptions,
    command: &ServiceCommand,
    output: &mut Output<'_>,
) -> Result<(), Error> {
    let done = match command {
        ServiceCommand::Install => {
            install_service(&configuration(options)?).map_err(refused)?;
            "installed"
        }
        ServiceCommand::Uninstall => {
            uninstall_service().map_err(refused)?;
            "uninstalled"
        }
    };
    if output.is_json() {
        return output.json(&json!({ "service": done }));
    }
    output.line(&format!("{done} the service `delfin-host`"))
}

fn refused(error: io::Error) -> Error {
    Error::failed(ServiceCommandError::Refused(error))
}

/// The path of the configuration that the service uses.
fn configuration(options: &GlobalOptions) -> Result<PathBuf, Error> {
    let loaded = options.load_config()?;
    let Some(path) = loaded.source.path() else {
        return Err(Error::failed(ServiceCommandError::Embedded));
    };
    let path = absolute(path).map_err(Error::failed)?;
    if loaded.config.log.file.is_none() {
        return Err(Error::failed(ServiceCommandError::NoLogFile { path }));
    }
    Ok(path)
}
