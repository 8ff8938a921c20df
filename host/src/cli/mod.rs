//! The command line: what may be typed, and which command it means.
//!
//! Data goes to the standard output, messages to the standard error; a command
//! ends with one of the codes of [`Exit`].

mod api;
mod check;
mod dead_letters;
mod error;
mod exit;
mod exporters;
mod new_exporter;
mod output;
mod plugins;
mod push;
mod reload;
mod replay;
mod run;
mod settings;
mod storages;
mod table;
mod try_plugin;

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::{ColorChoice, Parser, Subcommand};

use crate::plugin::PROBE_COMMAND;

pub use api::{Api, ApiError};
pub use check::CheckArgs;
pub use dead_letters::DeadLettersCommand;
pub use error::Error;
pub use exit::Exit;
pub use exporters::ExportersArgs;
pub use new_exporter::{NewError, NewExporterArgs};
pub use output::Output;
pub use plugins::PluginsCommand;
pub use push::{PushArgs, PushError};
pub use reload::ReloadArgs;
pub use replay::ReplayArgs;
pub use run::RunArgs;
pub use settings::HostArgs;
pub use storages::StoragesCommand;
pub use table::{Cell, Table, grouped};
pub use try_plugin::{TryArgs, TryError};

/// Loads exporters from shared libraries and delivers every batch to them
#[derive(Debug, Parser)]
#[command(
    name = "delfin-host",
    version,
    after_help = exit::help(),
    disable_help_subcommand = true,
    max_term_width = 100
)]
pub struct Cli {
    /// What every command understands.
    #[command(flatten)]
    pub global: Global,

    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What every command understands.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Everywhere")]
pub struct Global {
    /// The configuration [default: $DELFIN_CONF, ./etc/delfin/delfin.conf,
    /// /etc/delfin/delfin.conf, or what is built in]
    #[arg(short, long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,

    /// Print JSON, for machines
    #[arg(long, global = true)]
    pub json: bool,

    /// Colours, and when
    #[arg(long, global = true, value_name = "WHEN", default_value_t = ColorChoice::Auto)]
    pub color: ColorChoice,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the host: collect, take batches in, deliver them
    Run(RunArgs),

    /// Try the configuration and its plugins without sending anything
    Check(CheckArgs),

    /// Look at plugin files without running any of their code
    #[command(subcommand)]
    Plugins(PluginsCommand),

    /// Show the running host's exporters: state, counts, last error
    Exporters(ExportersArgs),

    /// Show, register or forget storages of the running host
    #[command(subcommand)]
    Storages(StoragesCommand),

    /// Show, export, replay or purge what the receivers of the running host will never take
    #[command(subcommand)]
    DeadLetters(DeadLettersCommand),

    /// Deliver once more what one of the running host's exporters has had
    Replay(ReplayArgs),

    /// Have the running host read its configuration again
    Reload(ReloadArgs),

    /// Hand a file of performance or of alerts to the running host
    Push(PushArgs),

    /// Load one plugin and give it one batch: outcome, log, time
    Try(TryArgs),

    /// Start something of your own
    #[command(subcommand)]
    New(NewCommand),

    /// Open a library and say whether that went well: the host runs itself so
    /// before it opens one for the first time
    #[command(name = PROBE_COMMAND, hide = true)]
    Probe {
        /// The library
        file: PathBuf,
    },
}

/// What can be started.
#[derive(Debug, Subcommand)]
pub enum NewCommand {
    /// Write a crate with an exporter that works, and all that it needs to be built
    Exporter(NewExporterArgs),
}

impl Cli {
    /// Does what was typed.
    ///
    /// # Errors
    ///
    /// Whatever kept the command from doing it, each with its [`Exit`].
    pub fn run(&self, output: &mut Output<'_>) -> Result<(), Error> {
        let global = &self.global;
        match &self.command {
            Command::Run(args) => run::run(global, args, output),
            Command::Check(args) => check::run(global, args, output),
            Command::Plugins(command) => plugins::run(global, command, output),
            Command::Exporters(args) => exporters::run(global, args, output),
            Command::Storages(command) => storages::run(global, command, output),
            Command::DeadLetters(command) => dead_letters::run(global, command, output),
            Command::Replay(args) => replay::run(global, args, output),
            Command::Reload(args) => reload::run(global, args, output),
            Command::Push(args) => push::run(global, args, output),
            Command::Try(args) => try_plugin::run(global, args, output),
            Command::New(NewCommand::Exporter(args)) => new_exporter::run(args, output),
            Command::Probe { file } => probe(file),
        }
    }
}

fn probe(file: &Path) -> Result<(), Error> {
    if delfin_plugin_loader::probe(file) == ExitCode::SUCCESS {
        return Ok(());
    }
    Err(Error::Failed("nobody takes the verdict".into()))
}

#[cfg(test)]
mod tests;
