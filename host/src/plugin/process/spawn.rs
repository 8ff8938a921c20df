//! Starts the process of an exporter or a driver.

use std::{env, ffi::OsString, io, path::Path, sync::Arc};

use delfin_plugin_api::connections::{PORTS_VARIABLE, own_ports};
use delfin_plugin_loader::{PluginProgram, PreparedCommand, ProgramTransport};

use super::{EXPORTER_COMMAND, PROGRAM_COMMAND, ProcessRole, ProcessSource};
use crate::platform::{INHERITED_VARIABLES, ProcessCommand, StartedProcess};

/// Variables that the process always gets. The folder of a plugin must not change while it runs.
const FIXED_ENVIRONMENT: [(&str, &str); 1] = [("PYTHONDONTWRITEBYTECODE", "1")];

/// # Errors
///
/// The system cannot start a process, or the program of the plugin has changed.
pub(super) async fn spawn(
    source: &Arc<ProcessSource>,
    exporter: &str,
) -> io::Result<StartedProcess> {
    let (source, exporter) = (Arc::clone(source), exporter.to_owned());
    StartedProcess::start(move || command(&source, &exporter)).await
}

/// The ports that an exporter on trial may find in use, because it takes them over.
fn ports_of_host() -> String {
    let ports: Vec<String> = own_ports().iter().map(u16::to_string).collect();
    ports.join(",")
}

fn command(source: &ProcessSource, exporter: &str) -> io::Result<ProcessCommand> {
    let limits = arguments(source, exporter).into_iter().map(OsString::from);
    let mut arguments = Vec::new();
    let mut copy = None;
    match source.plugin.program() {
        PluginProgram::Library(library) => {
            arguments.push(EXPORTER_COMMAND.into());
            arguments.extend(limits);
            let interface = &source.plugin.inspection().manifest.abi;
            arguments.push(format!("--interface={interface}").into());
            arguments.extend((source.role == ProcessRole::Driver).then(|| "--driver".into()));
            copy = Some(library.clone());
        }
        PluginProgram::Command(program) => {
            program.check_unchanged().map_err(io::Error::other)?;
            arguments.push(PROGRAM_COMMAND.into());
            arguments.extend(limits);
            arguments.extend(program_arguments(program));
        }
    }
    Ok(ProcessCommand {
        arguments,
        environment: environment(source.role),
        library: copy,
    })
}

fn environment(role: ProcessRole) -> Vec<(OsString, OsString)> {
    let fixed = FIXED_ENVIRONMENT.map(|(name, value)| (name.into(), value.into()));
    let inherited = INHERITED_VARIABLES
        .iter()
        .filter_map(|name| Some((OsString::from(name), env::var_os(name)?)));
    let ports = (role == ProcessRole::ExporterOnTrial)
        .then(|| (PORTS_VARIABLE.into(), ports_of_host().into()));
    fixed.into_iter().chain(inherited).chain(ports).collect()
}

fn arguments(source: &ProcessSource, exporter: &str) -> Vec<String> {
    let mut arguments = vec![
        exporter.to_owned(),
        format!("--parent={}", std::process::id()),
    ];
    let limits = [
        ("memory", source.limits.memory),
        ("open-files", source.limits.open_files),
    ];
    for (name, limit) in limits {
        arguments.extend(limit.map(|limit| format!("--{name}={limit}")));
    }
    arguments
}

fn program_arguments(program: &PreparedCommand) -> Vec<OsString> {
    let path = |name: &str, path: &Path| {
        let mut argument = OsString::from(name);
        argument.push(path);
        argument
    };
    let mut arguments = vec![
        path("--folder=", program.folder()),
        path("--program=", &program.program),
    ];
    if program.command.transport == ProgramTransport::Stdio {
        arguments.push("--stdio".into());
    }
    arguments.push("--".into());
    arguments.extend(program.command.words.iter().map(OsString::from));
    arguments
}
