//! `config`: converts the configuration of Delfin.

use std::{fs, path::PathBuf};

use super::{error::Error, output::Output};
use crate::config::{self, Source};

#[derive(Debug, clap::Subcommand)]
pub enum ConfigCommand {
    /// Print the settings of Delfin's configuration as one of this host
    Import(ImportConfigArgs),
}

#[derive(Debug, clap::Args)]
pub struct ImportConfigArgs {
    /// The `delfin.conf` of Delfin
    pub file: PathBuf,
}

pub(super) fn run(command: &ConfigCommand, output: &mut Output<'_>) -> Result<(), Error> {
    let ConfigCommand::Import(ImportConfigArgs { file }) = command;
    let shown = file.display();
    let text = fs::read_to_string(file);
    let text = text.map_err(|error| Error::failed(format!("cannot read `{shown}`: {error}")))?;
    let toml = config::from_delfin(&text).ok_or_else(|| {
        let reason = "it has none of the sections of Delfin's INI file (is it the right file?)";
        Error::failed(format!("cannot import `{shown}`: {reason}"))
    })?;
    let source = Source::Flag(file.clone());
    if let Err(mistakes) = config::parse(&toml, &source) {
        for mistake in mistakes.to_string().lines() {
            output.warn(&format!("correct the result: {mistake}"));
        }
    }
    if output.is_json() {
        return output.json(&serde_json::json!({ "toml": toml }));
    }
    output.line(&toml)
}
