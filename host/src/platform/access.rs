//! Access rights, as messages show them.

use std::{borrow::Cow, fmt};

/// Who can read a new file, or list a new folder, besides the administrators.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FileReaders {
    /// The user that creates it.
    Owner,
    /// The group of this user too.
    Group,
}

/// What gives other users access to a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessFinding {
    pub(crate) shown: String,
    pub(crate) remedy: Cow<'static, str>,
}

impl fmt::Display for AccessFinding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.shown, self.remedy)
    }
}
