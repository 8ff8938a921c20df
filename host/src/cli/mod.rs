//! The command line.
//!
//! Data goes to standard output, messages go to standard error. Each command ends
//! with one of the codes of [`Exit`].

mod alerts;
mod check;
mod client;
mod clusters;
mod completions;
mod config;
mod conformance;
mod connect;
mod dead_letters;
mod error;
mod exit;
mod exporter_process;
mod exporters;
mod handover;
mod init;
mod inputs;
mod inventory;
mod log;
mod man_pages;
mod mapping_report;
mod members;
mod new_project;
mod options;
mod output;
mod plugins;
mod progress;
mod push;
mod reload;
mod replay;
mod resources;
mod run;
mod service;
mod state;
mod storages;
mod syslog;
mod table;
mod tap;
mod tokens;
mod top;
mod traps;
mod try_plugin;
mod webhooks;

use clap::{Parser, Subcommand};

use self::{
    alerts::AlertsCommand,
    check::CheckArgs,
    clusters::ClustersArgs,
    completions::CompletionsArgs,
    config::ConfigCommand,
    conformance::ConformanceArgs,
    dead_letters::DeadLettersCommand,
    exporter_process::{ExporterProcessArgs, ProgramProcessArgs},
    exporters::ExportersArgs,
    handover::HandoverArgs,
    init::InitArgs,
    inputs::InputsCommand,
    inventory::InventoryCommand,
    log::LogCommand,
    man_pages::ManPagesArgs,
    members::MembersArgs,
    new_project::{NewDriverArgs, NewExporterArgs},
    options::GlobalOptions,
    plugins::PluginsCommand,
    push::PushArgs,
    reload::ReloadArgs,
    replay::ReplayArgs,
    run::RunArgs,
    service::ServiceCommand,
    state::StateCommand,
    storages::StoragesCommand,
    syslog::SyslogCommand,
    tap::TapArgs,
    tokens::TokensCommand,
    top::TopArgs,
    traps::TrapsCommand,
    try_plugin::TryArgs,
    webhooks::WebhooksCommand,
};
use crate::{
    platform::limit_kept_memory,
    plugin::{EXPORTER_COMMAND, PROGRAM_COMMAND},
};

pub use error::Error;
pub use exit::Exit;
pub use output::Output;

/// Load exporters from shared libraries and deliver batches to them
#[derive(Debug, Parser)]
#[command(
    name = "delfin-host",
    version,
    after_help = exit::help(),
    disable_help_subcommand = true,
    max_term_width = 100
)]
pub struct Cli {
    #[command(flatten)]
    pub options: GlobalOptions,

    #[command(subcommand)]
    pub command: CliCommand,
}

#[derive(Debug, Subcommand)]
pub enum CliCommand {
    /// Run the host: collect and accept batches, and deliver them to the exporters
    Run(RunArgs),

    /// Write a configuration for production
    Init(InitArgs),

    /// Check the configuration and the settings of exporters, and create nothing
    Check(CheckArgs),

    /// Convert the configuration of Delfin
    #[command(subcommand)]
    Config(ConfigCommand),

    /// Show plugin files without running their code
    #[command(subcommand)]
    Plugins(PluginsCommand),

    /// Show the exporters of the running host, or pause, resume, skip, rename or forget one
    Exporters(ExportersArgs),

    /// List the hosts of the cluster, and which of them is active
    Members(MembersArgs),

    /// Make another host of the cluster active
    Handover(HandoverArgs),
    /// List the clusters of the database, with their members and what they deliver
    Clusters(ClustersArgs),

    /// Show the exporters, storages, alerts and journals of the running host in a terminal, live
    Top(TopArgs),

    /// Show rows of the running host as they pass, a sample of them
    Tap(TapArgs),

    /// List, register or remove storages of the running host
    #[command(subcommand)]
    Storages(StoragesCommand),

    /// Maintain the registered storages
    #[command(subcommand)]
    Inventory(InventoryCommand),

    /// Show what becomes of SNMP traps
    #[command(subcommand)]
    Traps(TrapsCommand),

    /// Show what becomes of syslog messages
    #[command(subcommand)]
    Syslog(SyslogCommand),

    /// Show what becomes of webhooks
    #[command(subcommand)]
    Webhooks(WebhooksCommand),

    /// Show what becomes of series of other monitoring systems
    #[command(subcommand)]
    Inputs(InputsCommand),

    /// List or clear active alerts of the running host
    #[command(subcommand)]
    Alerts(AlertsCommand),

    /// List, export, replay or purge dead letters of the running host
    #[command(subcommand)]
    DeadLetters(DeadLettersCommand),

    /// Deliver stored batches of the running host to one exporter again
    Replay(ReplayArgs),

    /// Reload the configuration of the running host
    Reload(ReloadArgs),

    /// Send a file of performance data or alerts to the running host
    Push(PushArgs),

    /// Back up, restore or check the state of a host
    #[command(subcommand)]
    State(StateCommand),

    /// Show or change the levels of the log of the running host
    #[command(subcommand)]
    Log(LogCommand),

    /// Add, list or revoke tokens of the API
    #[command(subcommand)]
    Tokens(TokensCommand),

    /// Load one plugin and send it one batch: show the outcome, the log and the timing
    Try(TryArgs),

    /// Run the tests that every exporter and every driver must pass on a plugin
    Conformance(ConformanceArgs),

    /// Install or remove the service of Windows that runs the host
    #[command(subcommand)]
    Service(ServiceCommand),

    /// Create the source code of an extension
    #[command(subcommand)]
    New(NewCommand),

    /// Print the completions for a shell
    Completions(CompletionsArgs),

    /// Write a manual page for each command
    ManPages(ManPagesArgs),

    /// Run one exporter for the host
    ///
    /// The host starts itself with this command for each exporter that has a process
    /// of its own.
    #[command(name = EXPORTER_COMMAND, hide = true)]
    Exporter(ExporterProcessArgs),

    /// Become the program of a plugin
    ///
    /// The host starts itself with this command for each exporter of a plugin that is a
    /// folder.
    #[command(name = PROGRAM_COMMAND, hide = true)]
    Program(ProgramProcessArgs),
}

#[derive(Debug, Subcommand)]
pub enum NewCommand {
    /// Create a project with a working exporter and all that it needs
    Exporter(NewExporterArgs),

    /// Create a project with a working driver and all that it needs
    Driver(NewDriverArgs),
}

impl Cli {
    /// Runs the command.
    ///
    /// # Errors
    ///
    /// The command failed. [`Error::exit`] is the exit code.
    pub fn run(&self, output: &mut Output<'_>) -> Result<(), Error> {
        limit_kept_memory();
        let options = &self.options;
        match &self.command {
            CliCommand::Run(args) => run::run(options, args, output),
            CliCommand::Service(command) => service::run(options, command, output),
            CliCommand::Init(args) => init::run(args, output),
            CliCommand::Check(args) => check::run(options, args, output),
            CliCommand::Config(command) => config::run(command, output),
            CliCommand::Plugins(command) => plugins::run(options, command, output),
            CliCommand::Exporters(args) => exporters::run(options, args, output),
            CliCommand::Members(args) => members::run(options, args, output),
            CliCommand::Handover(args) => handover::run(options, args, output),
            CliCommand::Clusters(args) => clusters::run(options, args, output),
            CliCommand::Top(args) => top::run(options, args, output),
            CliCommand::Tap(args) => tap::run(options, args, output),
            CliCommand::Storages(command) => storages::run(options, command, output),
            CliCommand::Inventory(command) => inventory::run(options, command, output),
            CliCommand::Traps(command) => traps::run(options, command, output),
            CliCommand::Syslog(command) => syslog::run(options, command, output),
            CliCommand::Webhooks(command) => webhooks::run(options, command, output),
            CliCommand::Inputs(command) => inputs::run(options, command, output),
            CliCommand::Alerts(command) => alerts::run(options, command, output),
            CliCommand::DeadLetters(command) => dead_letters::run(options, command, output),
            CliCommand::Replay(args) => replay::run(options, args, output),
            CliCommand::Reload(args) => reload::run(options, args, output),
            CliCommand::Push(args) => push::run(options, args, output),
            CliCommand::State(command) => state::run(options, command, output),
            CliCommand::Log(command) => log::run(options, command, output),
            CliCommand::Tokens(command) => tokens::run(options, command, output),
            CliCommand::Try(args) => try_plugin::run(args, output),
            CliCommand::Conformance(args) => conformance::run(args, output),
            CliCommand::New(NewCommand::Exporter(args)) => new_project::run_exporter(args, output),
            CliCommand::New(NewCommand::Driver(args)) => new_project::run_driver(args, output),
            CliCommand::Completions(args) => completions::run(args, output),
            CliCommand::ManPages(args) => man_pages::run(args, output),
            CliCommand::Exporter(args) => exporter_process::run(args),
            CliCommand::Program(args) => Err(exporter_process::run_program(args)),
        }
    }
}

#[cfg(test)]
mod tests;
