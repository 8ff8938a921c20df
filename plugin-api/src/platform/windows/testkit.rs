//! The testkit.

use std::{io, path::Path};

/// Nothing: a file has the access list of its folder.
pub(crate) const fn make_trusted(_: &Path) -> io::Result<()> {
    Ok(())
}
