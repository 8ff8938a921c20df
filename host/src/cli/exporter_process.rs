//! The hidden command of an exporter's process.

use clap::Args;

use super::Error;
use crate::plugin::{RunnerArgs, run_exporter};

#[derive(Debug, Args)]
pub struct ExporterProcessArgs {
    /// Name of the exporter in the configuration
    name: String,

    /// Process id of the host
    #[arg(long)]
    parent: i32,

    /// Interface version of the library
    #[arg(long)]
    interface: String,

    /// Limit of memory, in bytes
    #[arg(long)]
    memory: Option<u64>,

    /// Limit of open files
    #[arg(long)]
    open_files: Option<u64>,
}

pub(super) fn run(args: &ExporterProcessArgs) -> Result<(), Error> {
    let args = RunnerArgs {
        name: args.name.clone(),
        parent: args.parent,
        interface: args.interface.clone(),
        memory: args.memory,
        open_files: args.open_files,
    };
    run_exporter(&args).map_err(Error::failed)
}
