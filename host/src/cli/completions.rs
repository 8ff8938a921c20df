//! `completions`: what a shell completes after `delfin-host`.

use clap::CommandFactory;
use clap_complete::Shell;

use super::{Cli, error::Error, output::Output};

#[derive(Debug, clap::Args)]
pub struct CompletionsArgs {
    /// Shell to write the completions for
    #[arg(value_enum)]
    pub shell: Shell,
}

pub(super) fn run(args: &CompletionsArgs, output: &mut Output<'_>) -> Result<(), Error> {
    let mut command = Cli::command();
    let name = command.get_name().to_owned();
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut command, name, &mut script);
    output.text(&String::from_utf8_lossy(&script))
}
