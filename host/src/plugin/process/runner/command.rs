//! The process of a plugin that is a folder: becomes the program that its manifest names.
//!
//! Promises: the program has the limits of an exporter's process, ends with the host, and gets
//! the connection and nothing else of the host.

use std::{env, io, os::unix::process::CommandExt, path::PathBuf, process::Command};

use rustix::stdio::dup2_stdout;

use super::{
    RunnerError,
    confine::{ConfineArgs, confine},
    descriptors,
};

/// What the host passes on the command line.
#[derive(Clone, Debug)]
pub struct CommandArgs {
    pub confine: ConfineArgs,
    /// The folder of the plugin.
    pub folder: PathBuf,
    /// Whether the connection is standard output as well.
    pub stdio: bool,
    /// The path of the program.
    pub program: PathBuf,
    /// The words of the command: the name of the program, and its arguments.
    pub words: Vec<String>,
}

/// Becomes the program. Returns only if that fails.
pub fn run_command(args: &CommandArgs) -> RunnerError {
    match become_program(args) {
        Ok(never) => match never {},
        Err(error) => error,
    }
}

fn become_program(args: &CommandArgs) -> Result<std::convert::Infallible, RunnerError> {
    descriptors::check_connection().map_err(RunnerError::NotStartedByHost)?;
    confine(&args.confine).map_err(RunnerError::Confine)?;
    let failed = |source: io::Error| RunnerError::Program {
        program: args.program.clone(),
        source,
    };
    if args.stdio {
        dup2_stdout(io::stdin()).map_err(|error| failed(error.into()))?;
    }
    env::set_current_dir(&args.folder).map_err(failed)?;
    let mut command = Command::new(&args.program);
    if let Some((name, arguments)) = args.words.split_first() {
        command.arg0(name).args(arguments);
    }
    Err(failed(command.exec()))
}
