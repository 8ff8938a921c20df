//! Load for the host and for other programs, and what their processes use.

#![expect(
    clippy::expect_used,
    reason = "a benchmark says by a panic that it failed"
)]

pub mod load;
pub mod payload;
pub mod usage;
