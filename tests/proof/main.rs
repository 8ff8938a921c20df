//! The proof that nothing is lost: what clients had acknowledged is compared, item
//! by item, with what receivers got and with what the host says became of it.
//!
//! Every item that was acknowledged is, for every exporter, exactly one of
//! delivered, dead-lettered, dropped by a named limit, filtered, or pending. Here
//! that is tried under whatever receivers, plugins, disks and power supplies do.
//! Each test prints its seed; `DELFIN_TEST_SEED` sets it.

#![expect(clippy::expect_used, reason = "a test says by a panic that it failed")]

mod disk;
mod faults;
mod journal;
mod judge;
mod killing;
mod limits;
mod plugins;
mod poison;
mod producer;
mod stage;
mod watch;

use rand::{Rng, SeedableRng, rngs::StdRng};

/// Randomness that can be had again.
#[expect(clippy::print_stdout, reason = "a test that fails shows it")]
fn random() -> StdRng {
    let seed = std::env::var("DELFIN_TEST_SEED").map_or_else(
        |_| rand::rng().random(),
        |seed| seed.parse().expect("a number"),
    );
    println!("DELFIN_TEST_SEED={seed}");
    StdRng::seed_from_u64(seed)
}
