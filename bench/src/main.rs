//! Compares the host with other programs that do the same work, on the same machine and in the same run:
//! requests over HTTP from several connections, kept on disk, and sent on to counting sinks over HTTP.
//!
//! README.md of this folder says what is measured, and how the other programs are installed.

#![expect(clippy::print_stdout, reason = "what was measured")]
#![expect(
    clippy::expect_used,
    reason = "a benchmark says by a panic that it failed"
)]

mod cell;
mod report;
mod sink;
mod system;

use std::{fs, path::PathBuf, time::Duration};

use clap::Parser;

use cell::{CELLS, measure};
use report::{Report, median};
use system::{System, installed};

/// Compares the host with Fluent Bit and the OpenTelemetry Collector.
#[derive(Parser)]
struct Options {
    /// How long requests are sent, for each cell and program.
    #[arg(long, default_value_t = 10, value_name = "SECONDS")]
    seconds: u64,
    /// How often each cell is measured, the programs in turns; the table has the medians.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Only the cells whose name contains this text.
    #[arg(long, default_value = "")]
    cell: String,
    /// The host.
    #[arg(long, default_value = "target/dist/delfin-host")]
    host: PathBuf,
    /// The folder with the webhook plugin. No other user may write it.
    #[arg(long, default_value = "target/bench/plugins")]
    plugins: PathBuf,
    /// Where bench/peers installed the other programs.
    #[arg(long, default_value = "target/peers")]
    peers: PathBuf,
    /// Writes what was measured to this file, as JSON.
    #[arg(long)]
    output: Option<PathBuf>,
    /// The output of an earlier run: the table has the ratio to it.
    #[arg(long)]
    before: Option<PathBuf>,
}

fn main() {
    let options = Options::parse();
    let before = options.before.as_ref().map(|path| {
        let text = fs::read_to_string(path).expect("the output of the earlier run can be read");
        serde_json::from_str::<Report>(&text).expect("it is the output of an earlier run")
    });
    let host = System::DelfinHost {
        program: options.host,
        plugins: fs::canonicalize(&options.plugins).expect("the folder with the plugin exists"),
    };
    let systems = installed(host, &options.peers);
    let mut report = Report::default();
    for cell in CELLS
        .iter()
        .filter(|cell| cell.name.contains(&options.cell))
    {
        let mut rounds: Vec<_> = systems.iter().map(|_| Vec::new()).collect();
        for _ in 0..options.rounds.max(1) {
            for (system, measured) in systems.iter().zip(&mut rounds) {
                if system.takes(cell) {
                    measured.push(measure(system, cell, Duration::from_secs(options.seconds)));
                }
            }
        }
        report
            .rows
            .extend(rounds.iter().filter_map(|measured| median(measured)));
    }
    println!("{}", report.table(before.as_ref()));
    if let Some(path) = options.output {
        let text = serde_json::to_string_pretty(&report).expect("a report is JSON");
        fs::write(&path, text).expect("the output can be written");
    }
}
