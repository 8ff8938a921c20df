//! What a call over the C interface costs next to the same call over the Rust interface, with its
//! budget: no more.
//!
//! The calls take turns, in both orders, so that a busy machine slows all and none always comes first. A
//! second copy of the same library over the same interface shows how far two equal measurements differ. On a
//! machine with other work, run it with `nice -n -10`.

use std::{
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use delfin_plugin_api::{
    Batch, PerformanceBatch, sample,
    testkit::{self, Harness, TestInstance},
};

const SUM: &str = "PerformanceExporterSum";

/// Series and points of each, and how many calls are made over each interface.
const CALLS: [(usize, usize, usize); 3] = [(1, 1, 20_000), (1_000, 100, 1_000), (10_000, 10, 400)];

/// The most that a call over the C interface may take, as a part of one over the Rust interface.
/// The rest is what two measurements of the same differ by.
const BUDGET: f64 = 1.02;

#[expect(clippy::print_stdout, reason = "what was measured")]
fn main() {
    let library = testkit::build_library();
    let rust = Harness::open(&library);
    let copy = Harness::open(&library);
    let folder = rust.new_folder();
    let c = Harness::open(&testkit::c_interface_only(&library, &folder));
    let native = compiled(&folder).map(|library| Harness::open(&library));
    println!("one exporter over the Rust interface and over the C interface; medians of calls");
    for (series, points, calls) in CALLS {
        let batch = sample::performance(series, points);
        println!("{} points in {series} series", series * points);
        let [by_rust, by_copy] = taking_turns(&batch, [&rust, &copy], calls);
        println!("{}", row("the same twice", by_rust, by_copy));
        let [by_rust, by_c] = taking_turns(&batch, [&rust, &c], calls);
        let is_met = by_c.as_secs_f64() <= BUDGET * by_rust.as_secs_f64();
        let result = if is_met { "met" } else { "NOT MET" };
        println!(
            "{} (budget {BUDGET}: {result})",
            row("Rust, C", by_rust, by_c)
        );
        if let Some(native) = &native {
            let [by_rust, by_native] = taking_turns(&batch, [&rust, native], calls);
            println!("{}", row("Rust, a plugin in C", by_rust, by_native));
        }
    }
}

/// The median time of a call of each.
fn taking_turns(batch: &PerformanceBatch, harnesses: [&Harness; 2], calls: usize) -> [Duration; 2] {
    let mut instances = harnesses.map(|harness| harness.start(SUM, &serde_json::json!({})));
    let mut times = [Vec::new(), Vec::new()];
    for call in 0..calls {
        for turn in 0..2 {
            let which = (call + turn) % 2;
            times[which].push(time_of(&mut instances[which], batch));
        }
    }
    times.map(|mut times| {
        times.sort_unstable();
        times.get(times.len() / 2).copied().unwrap_or_default()
    })
}

fn time_of(instance: &mut TestInstance, batch: &PerformanceBatch) -> Duration {
    let start = Instant::now();
    let outcome = instance.export(batch.as_arrow());
    let time = start.elapsed();
    assert_eq!(outcome.message, "");
    time
}

fn row(name: &str, first: Duration, second: Duration) -> String {
    let [first, second] = [first, second].map(|time| time.as_secs_f64() * 1e6);
    format!(
        "{name:>20} {first:>8.2} us {second:>8.2} us, ratio {:.3}",
        second / first
    )
}

/// A plugin in C; `None` without a compiler.
fn compiled(folder: &Path) -> Option<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let library = folder.join("sum.so");
    let status = Command::new("cc")
        .args(["-std=c99", "-O2", "-fPIC", "-shared", "-fvisibility=hidden"])
        .arg("-I")
        .arg(root.join("../../plugin-api/c"))
        .arg("-o")
        .arg(&library)
        .arg(root.join("benches/sum.c"))
        .status();
    status.ok()?.success().then_some(library)
}
