//! Where the key of the inventory is.

use std::path::PathBuf;

/// Where the key is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum KeyPlace {
    /// In the state folder. The host creates it.
    State(PathBuf),
    /// In a file that only the operator changes.
    File(PathBuf),
    /// Among the credentials of the service, whose folder only the service can open.
    Credential(PathBuf),
}
