//! What a token allows.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A part of the API.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum AccessScope {
    /// See everything that the API shows
    Read,
    /// Send batches
    Ingest,
    /// Change the host, and everything of the other scopes
    Admin,
}

impl AccessScope {
    pub const ALL: [Self; 3] = [Self::Read, Self::Ingest, Self::Admin];

    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Ingest => "ingest",
            Self::Admin => "admin",
        }
    }

    /// Whether a token with this scope may make a call that needs `needed`.
    #[must_use]
    pub fn includes(self, needed: Self) -> bool {
        self == Self::Admin || self == needed
    }
}

impl fmt::Display for AccessScope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
