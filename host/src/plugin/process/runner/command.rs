//! The process of a plugin that is a folder: becomes the program that its manifest names.
//!
//! Promises: the program has the limits of an exporter's process, ends with the host, and gets
//! the connection and nothing else of the host.

use super::{RunnerError, log_locally};
use crate::platform::{ConfineArgs, ProgramStart, become_program, check_host_connection, confine};

/// What the host passes on the command line.
#[derive(Clone, Debug)]
pub struct CommandArgs {
    pub confine: ConfineArgs,
    pub program: ProgramStart,
}

/// Becomes the program. Returns only if that fails.
pub fn run_command(args: &CommandArgs) -> RunnerError {
    if let Err(error) = check_host_connection() {
        return RunnerError::NotStartedByHost(error);
    }
    if let Err(error) = confine(&args.confine, |warning| log_locally(warning)) {
        return RunnerError::Confine(error);
    }
    RunnerError::Program {
        source: become_program(&args.program),
        program: args.program.program.clone(),
    }
}
