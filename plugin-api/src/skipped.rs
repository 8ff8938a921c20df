//! Counts what an encoder cannot write, so that no loss goes unnoticed.

use crate::Host;

/// How much of a batch an encoder has skipped.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Skipped {
    /// Points whose value is NaN or infinite: JSON has no such number.
    pub non_finite_points: u64,
    /// Extras of an alert with the name of a column that the alert has.
    pub clashing_extras: u64,
}

impl Skipped {
    /// Adds to the exporter's counters `non_finite_points` and `clashing_extras`. A
    /// counter that would stay 0 is not created.
    pub fn count(self, host: &Host) {
        let Self {
            non_finite_points,
            clashing_extras,
        } = self;
        if non_finite_points > 0 {
            host.count("non_finite_points", non_finite_points);
        }
        if clashing_extras > 0 {
            host.count("clashing_extras", clashing_extras);
        }
    }
}

impl std::ops::AddAssign for Skipped {
    fn add_assign(&mut self, more: Self) {
        self.non_finite_points += more.non_finite_points;
        self.clashing_extras += more.clashing_extras;
    }
}
