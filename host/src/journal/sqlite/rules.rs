//! What decides how long the journal keeps something.

use super::super::JournalLimits;
use crate::clock::HostClock;

#[derive(Clone, Copy)]
pub(super) struct JournalRules<'a> {
    pub(super) limits: &'a JournalLimits,
    /// Measures ages.
    pub(super) clock: &'a HostClock,
}
