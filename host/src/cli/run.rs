//! `run`: the host itself.

use super::{Error, Global, Output};

/// What `run` understands.
#[derive(Debug, clap::Args)]
pub struct RunArgs {
    /// Do not start either when an exporter cannot
    #[arg(long)]
    pub strict: bool,
}

pub(super) fn run(_: &Global, _: &RunArgs, _: &mut Output<'_>) -> Result<(), Error> {
    Err(Error::Failed("`run` is not connected yet".into()))
}
