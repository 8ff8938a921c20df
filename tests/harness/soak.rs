//! The length of randomized tests: short in `make test`, long in `make soak`.

/// How many rounds or cases a randomized test runs: `usual`, multiplied by the environment variable
/// `DELFIN_TEST_SOAK` if it is set.
#[must_use]
pub fn soak(usual: u32) -> u32 {
    match std::env::var("DELFIN_TEST_SOAK") {
        Ok(factor) => {
            let factor = factor.parse::<u32>();
            let factor = factor.unwrap_or_else(|error| panic!("DELFIN_TEST_SOAK: {error}"));
            usual.saturating_mul(factor.max(1))
        }
        Err(_) => usual,
    }
}
