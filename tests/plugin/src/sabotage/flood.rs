//! Sends far more than the host wants to know.

use std::{process, thread, time::Duration};

use delfin_plugin_api::{Failure, Host, Outcome, RowFailure, RowFailureKind, log};

pub(super) fn run(word: &str) -> bool {
    match word {
        "fill-stderr" => print_lines(1000, 6000),
        "fill-stdout" => fill_stdout(),
        "print-and-exit" => {
            print_lines(1000, 10);
            process::exit(4);
        }
        "long-line" => long_line(),
        "long-log" => long_log(),
        "many-logs" => many_logs(),
        "log-without-end" => log_without_end(),
        "log-on" => log_on(),
        "forge-log" => forge_log(),
        _ => return false,
    }
    true
}

/// Adds to counters, to more than the host keeps.
pub(crate) fn count(host: &Host) {
    for number in 0..20_000 {
        host.count(&format!("counter-{}", number % 1000), u64::MAX);
    }
    host.count(&"n".repeat(1 << 20), 1);
}

/// An outcome that no exporter should return.
pub(crate) fn outcome(word: &str) -> Option<Outcome> {
    let failure = match word {
        "long-message" => Failure::retry("m".repeat(8 << 20)),
        "long-reasons" => Failure::Partial {
            rows: (0..100)
                .map(|row| refused(row..row + 1, 256 << 10))
                .collect(),
            after: None,
        },
        "many-rows" => Failure::Partial {
            rows: (0..300_000).map(|row| refused(row..row + 1, 100)).collect(),
            after: None,
        },
        "rows-overflow" => Failure::Partial {
            rows: vec![refused(0..usize::MAX, 1), refused(1..usize::MAX, 1)],
            after: None,
        },
        _ => return None,
    };
    Some(Err(failure))
}

fn refused(rows: std::ops::Range<usize>, reason: usize) -> RowFailure {
    RowFailure {
        rows,
        kind: RowFailureKind::Retry,
        reason: "r".repeat(reason),
    }
}

#[expect(clippy::print_stderr, reason = "the process writes to standard error")]
fn print_lines(lines: usize, length: usize) {
    for line in 0..lines {
        eprintln!("line {line} {}", "x".repeat(length));
    }
}

#[expect(clippy::print_stdout, reason = "the process writes to standard output")]
fn fill_stdout() {
    for line in 0..10_000 {
        println!("line {line} {}", "x".repeat(6000));
    }
}

#[expect(clippy::print_stderr, reason = "the process writes to standard error")]
fn long_line() {
    eprint!("long {}", "x".repeat(20 << 20));
}

fn long_log() {
    let long = "l".repeat(4 << 20);
    log::error!(first = long, second = long; "long {long}");
    // Longer than a frame may be.
    log::error!("too long {}", "t".repeat(20 << 20));
}

/// Records that look as if they were of another exporter, and one with a long target.
fn forge_log() {
    let target = "forged\n2026-01-01T00:00:00.000Z ERROR forged: by exporter=witness-process";
    log::warn!(target: target, exporter = "witness-process"; "forged");
    log::warn!(target: &"forged ".repeat(100_000), "forged");
}

/// As quickly as the host takes it, also between calls.
fn log_without_end() {
    thread::spawn(|| {
        loop {
            log::warn!("without end");
        }
    });
}

/// Says now and then which process this is.
fn log_on() {
    thread::spawn(|| {
        loop {
            log::info!(number = process::id(); "still here");
            thread::sleep(Duration::from_millis(20));
        }
    });
}

fn many_logs() {
    let text = "m".repeat(1000);
    for number in 0..5000 {
        log::warn!("many {number} {text}");
    }
}
