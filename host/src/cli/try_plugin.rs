//! `try`: one plugin, one batch.

use std::path::PathBuf;

use super::{Error, Global, Output};

/// What `try` understands.
#[derive(Debug, clap::Args)]
pub struct TryArgs {
    /// The plugin
    #[arg(value_name = "FILE.so")]
    pub plugin: PathBuf,

    /// Which of its exporters [default: the only one]
    #[arg(long, value_name = "NAME")]
    pub exporter: Option<String>,

    /// A batch as for `push` [default: one that is made up]
    #[arg(long, value_name = "FILE")]
    pub batch: Option<PathBuf>,
}

pub(super) fn run(_: &Global, _: &TryArgs, _: &mut Output<'_>) -> Result<(), Error> {
    Err(Error::Failed("`try` is not connected yet".into()))
}
