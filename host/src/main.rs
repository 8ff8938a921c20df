//! The binary: parses the command line, runs the command, returns its exit code.

use std::{io, process::ExitCode};

use clap::Parser;
use delfin_host::cli::{Cli, Exit, Output};

fn main() -> ExitCode {
    let cli = Cli::parse();
    let mut stdout = io::stdout().lock();
    let mut output = Output::new(&mut stdout, &cli.options);
    let exit = match cli.run(&mut output) {
        Ok(()) => Exit::Ok,
        Err(error) => {
            output.error(&error);
            error.exit()
        }
    };
    exit.into()
}
