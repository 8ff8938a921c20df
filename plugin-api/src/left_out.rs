//! What JSON has no place for: counted, so that nothing goes missing unseen.

use crate::Host;

/// How much of a batch an encoder left out.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct LeftOut {
    /// Points whose value is not a number of JSON: NaN and the infinities.
    pub non_finite_points: u64,
    /// Extras of an alert that are named like a column that it has.
    pub clashing_extras: u64,
}

impl LeftOut {
    /// Adds to the counters `non_finite_points` and `clashing_extras`; one that
    /// would stay 0 is not made.
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

impl std::ops::AddAssign for LeftOut {
    fn add_assign(&mut self, more: Self) {
        self.non_finite_points += more.non_finite_points;
        self.clashing_extras += more.clashing_extras;
    }
}
