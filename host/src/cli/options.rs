//! The options that several commands share, and what they mean.

use std::path::PathBuf;

use clap::ColorChoice;

use super::error::Error;
use crate::config::{self, Loaded};

/// The options of every command.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Global options")]
pub struct GlobalOptions {
    /// Configuration file [default: $DELFIN_CONF, ./etc/delfin/delfin.conf,
    /// /etc/delfin/delfin.conf, or the built-in configuration]
    #[arg(short, long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,

    /// Print JSON
    #[arg(long, global = true)]
    pub json: bool,

    /// When to print in color
    #[arg(long, global = true, value_name = "WHEN", default_value_t = ColorChoice::Auto)]
    pub color: ColorChoice,
}

impl GlobalOptions {
    pub(super) fn load_config(&self) -> Result<Loaded, Error> {
        config::load(self.config.as_deref()).map_err(Error::configuration)
    }
}
