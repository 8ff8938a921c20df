//! The proof that nothing is lost: compares each row that was acknowledged to a client with the rows
//! that receivers got and with the counts of the host.
//!
//! For every exporter, each acknowledged item is exactly one of delivered, dead-lettered, dropped by a
//! named limit, filtered, or pending. The tests hold this while receivers, plugins, disks and power
//! supplies fail. Each test prints its seed; `DELFIN_TEST_SEED` sets it, and `DELFIN_TEST_SOAK`
//! multiplies the rounds.

#![expect(clippy::expect_used, reason = "a test says by a panic that it failed")]

mod accounting;
mod disk;
mod faults;
mod journal;
mod kills;
mod limits;
mod plugins;
mod poison;
mod producer;
mod testbed;
mod watch;

use rand::{Rng, SeedableRng, rngs::StdRng};

/// Random numbers from a seed that is printed.
#[expect(clippy::print_stdout, reason = "a test that fails shows it")]
fn random() -> StdRng {
    let seed = std::env::var("DELFIN_TEST_SEED").map_or_else(
        |_| rand::rng().random(),
        |seed| seed.parse().expect("a number"),
    );
    println!("DELFIN_TEST_SEED={seed}");
    StdRng::seed_from_u64(seed)
}
