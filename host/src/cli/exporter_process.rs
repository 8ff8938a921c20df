//! The hidden commands of an exporter's process.

use std::path::PathBuf;

use clap::Args;

use super::Error;
use crate::{
    platform::{ConfineArgs, ProgramStart},
    plugin::{CommandArgs, RunnerArgs, run_command, run_driver, run_exporter},
};

#[derive(Debug, Args)]
pub struct ExporterProcessArgs {
    #[command(flatten)]
    limits: ProcessLimitArgs,

    /// Interface version of the library
    #[arg(long)]
    interface: String,

    /// Answer calls to a driver of the library
    #[arg(long)]
    driver: bool,
}

#[derive(Debug, Args)]
pub struct ProgramProcessArgs {
    #[command(flatten)]
    limits: ProcessLimitArgs,

    /// Folder of the plugin
    #[arg(long)]
    folder: PathBuf,

    /// Path of the program
    #[arg(long)]
    program: PathBuf,

    /// Make the connection standard output as well
    #[arg(long)]
    stdio: bool,

    /// Name of the program, and its arguments
    #[arg(last = true)]
    words: Vec<String>,
}

#[derive(Debug, Args)]
struct ProcessLimitArgs {
    /// Name of the exporter in the configuration
    name: String,

    /// Process id of the host
    #[arg(long)]
    parent: i32,

    /// Limit of memory, in bytes
    #[arg(long)]
    memory: Option<u64>,

    /// Limit of open files
    #[arg(long)]
    open_files: Option<u64>,
}

impl From<&ProcessLimitArgs> for ConfineArgs {
    fn from(args: &ProcessLimitArgs) -> Self {
        Self {
            name: args.name.clone(),
            parent: args.parent,
            memory: args.memory,
            open_files: args.open_files,
        }
    }
}

pub(super) fn run(args: &ExporterProcessArgs) -> Result<(), Error> {
    let is_driver = args.driver;
    let args = RunnerArgs {
        confine: ConfineArgs::from(&args.limits),
        interface: args.interface.clone(),
    };
    let run = if is_driver { run_driver } else { run_exporter };
    run(&args).map_err(Error::failed)
}

pub(super) fn run_program(args: &ProgramProcessArgs) -> Error {
    Error::failed(run_command(&CommandArgs {
        confine: ConfineArgs::from(&args.limits),
        program: ProgramStart {
            folder: args.folder.clone(),
            stdio: args.stdio,
            program: args.program.clone(),
            words: args.words.clone(),
        },
    }))
}
