//! What a call over the C interface costs next to the same call over the Rust interface, with its
//! budget: no more.
//!
//! The calls alternate between the interfaces, so that a busy machine slows both. On a machine
//! with other work, run it with `chrt -f 20`.

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
    let folder = Harness::of_crate().new_folder();
    let rust = Harness::open(&library);
    let c = Harness::open(&testkit::c_interface_only(&library, &folder));
    let native = compiled(&folder).map(|library| Harness::open(&library));
    println!("one exporter over the Rust interface and over the C interface; medians of calls");
    for (series, points, calls) in CALLS {
        let batch = sample::performance(series, points);
        let [by_rust, by_c] = alternating(&batch, [&rust, &c], calls);
        let ratio = by_c.as_secs_f64() / by_rust.as_secs_f64();
        let result = if ratio <= BUDGET { "met" } else { "NOT MET" };
        println!(
            "{:>6} points in {series:>5} series: Rust {:>8.2} us, C {:>8.2} us, ratio {ratio:.3} (budget {BUDGET}: {result})",
            series * points,
            micros(by_rust),
            micros(by_c),
        );
        if let Some(native) = &native {
            let [by_rust, by_native] = alternating(&batch, [&rust, native], calls);
            println!(
                "{:>37} Rust {:>8.2} us, a plugin in C {:>8.2} us",
                "",
                micros(by_rust),
                micros(by_native)
            );
        }
    }
}

/// The median time of a call over each interface.
fn alternating(batch: &PerformanceBatch, harnesses: [&Harness; 2], calls: usize) -> [Duration; 2] {
    let mut instances = harnesses.map(|harness| harness.start(SUM, &serde_json::json!({})));
    let mut times = [Vec::new(), Vec::new()];
    for _ in 0..calls {
        for (instance, times) in instances.iter_mut().zip(&mut times) {
            times.push(time_of(instance, batch));
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

fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}
