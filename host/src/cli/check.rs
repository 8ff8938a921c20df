//! `check`: would `run --strict` start?

use super::{Error, Global, Output};

/// What `check` understands.
#[derive(Debug, clap::Args)]
pub struct CheckArgs {}

pub(super) fn run(_: &Global, _: &CheckArgs, _: &mut Output<'_>) -> Result<(), Error> {
    Err(Error::Failed("`check` is not connected yet".into()))
}
