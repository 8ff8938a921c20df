//! What becomes of each series of a body, for those who try mapping files.

use crate::ingest::ItemError;

/// A series of a body, and what became of it.
#[derive(Debug)]
pub struct MappedSeries {
    /// Line on which it begins, from 1, if the body has lines.
    pub line: Option<usize>,
    /// Its labels, and what else the client says of it. Of one that cannot be read: its name.
    pub source: Vec<(String, String)>,
    /// The rule for it: the file, and the number in it.
    pub rule: Option<String>,
    pub result: MappingResult,
}

/// What became of a series.
#[derive(Debug)]
pub enum MappingResult {
    /// It is the next row of the batch.
    Accepted,
    /// Its rule leaves it out.
    Ignored,
    /// None of its points has a number.
    NoPoints,
    Rejected(ItemError),
}

impl MappingResult {
    /// The name in reports.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Ignored => "ignored",
            Self::NoPoints => "no_points",
            Self::Rejected(_) => "rejected",
        }
    }
}
