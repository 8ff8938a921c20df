//! The kind and the origin of a batch.

use delfin_plugin_abi as abi;
use serde::{Deserialize, Serialize};

/// The kind of a batch. An exporter receives one kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Series of measured points.
    Performance,
    /// Alerts.
    Alert,
}

/// Where a batch comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Origin {
    /// Collected from a storage on a schedule.
    Collection,
    /// All alerts of a storage, after a request for a sync.
    Sync,
    /// An SNMP trap of a device.
    Trap,
    /// Sent by a client over HTTP or with `push`.
    Ingest,
    /// Active alerts that are sent again at an interval.
    Resend,
    /// Batches or dead letters that an operator delivers again.
    Replay,
    /// An origin that this version does not know.
    Other,
}

impl Kind {
    /// `performance` or `alert`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Performance => "performance",
            Self::Alert => "alert",
        }
    }
}

impl Origin {
    /// The name in lower case.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Collection => "collection",
            Self::Sync => "sync",
            Self::Trap => "trap",
            Self::Ingest => "ingest",
            Self::Resend => "resend",
            Self::Replay => "replay",
            Self::Other => "other",
        }
    }

    /// The origin with this name, or [`Origin::Other`] for the name of a newer version.
    #[must_use]
    pub fn from_name(name: &str) -> Self {
        let known = [
            Self::Collection,
            Self::Sync,
            Self::Trap,
            Self::Ingest,
            Self::Resend,
            Self::Replay,
        ];
        let origin = known.into_iter().find(|origin| origin.as_str() == name);
        origin.unwrap_or(Self::Other)
    }
}

impl std::fmt::Display for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

impl std::fmt::Display for Origin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

impl From<abi::Origin> for Origin {
    fn from(origin: abi::Origin) -> Self {
        match origin {
            abi::Origin::COLLECTION => Self::Collection,
            abi::Origin::SYNC => Self::Sync,
            abi::Origin::TRAP => Self::Trap,
            abi::Origin::INGEST => Self::Ingest,
            abi::Origin::RESEND => Self::Resend,
            abi::Origin::REPLAY => Self::Replay,
            _ => Self::Other,
        }
    }
}

impl From<Origin> for abi::Origin {
    fn from(origin: Origin) -> Self {
        match origin {
            Origin::Collection => Self::COLLECTION,
            Origin::Sync => Self::SYNC,
            Origin::Trap => Self::TRAP,
            Origin::Ingest => Self::INGEST,
            Origin::Resend => Self::RESEND,
            Origin::Replay => Self::REPLAY,
            Origin::Other => Self(0),
        }
    }
}
