//! Runs the real binary with real plugin files, and queries its API.
//!
//! Functions panic when they fail. A failed wait prints the log of the host. Nothing sleeps for a fixed
//! time: [`wait_for`] polls until a condition holds, and panics after a minute.

mod awkward;
mod build;
pub mod c_plugin;
mod certificates;
mod command;
mod command_lines;
mod disk;
mod host;
mod json;
mod metrics;
mod missing;
mod outage;
pub mod plugin_file;
pub mod plugin_folder;
mod receiver;
pub mod receivers;
pub mod redfish;
mod row;
mod series;
mod site;
mod soak;
mod terminal;
mod windows;

pub use awkward::{AWKWARD_TEXTS, AWKWARD_VALUES, LONG_TEXT};
pub use build::{
    binary, end_process, host_command, plugin, process_timeout, root, runs_windows, windows_script,
};
pub use certificates::{Authority, IssuedFiles};
pub use command::CommandOutput;
pub use command_lines::CommandLines;
pub use disk::Disk;
pub use host::{FILES, Host, INPUTS, Setup};
pub use json::{as_json, json_lines};
pub use metrics::{Metrics, Sample};
pub use missing::missing;
pub use outage::deliver_in_spite_of_outages;
pub use receiver::{Behavior, Receiver};
pub use row::Row;
pub use series::one_series;
pub use site::Site;
pub use soak::soak;
pub use terminal::TerminalCommand;
pub use windows::{
    DeliveredWindows, EVERY_RECORD, FakeStorages, WINDOW_STORAGES, Windows,
    assert_each_window_once, assert_no_gap, collected_windows,
};

use std::{
    fs,
    path::Path,
    thread,
    time::{Duration, Instant},
};

/// How long a condition may take to hold before its test fails.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// The whole lines of a file; none if it does not exist. A line that is still being written is left
/// out.
#[must_use]
pub fn lines(path: &Path) -> Vec<String> {
    let bytes = fs::read(path).unwrap_or_default();
    let whole = bytes.split_inclusive(|byte| *byte == b'\n');
    whole
        .filter_map(|line| line.strip_suffix(b"\n"))
        .map(|line| String::from_utf8_lossy(line).into_owned())
        .collect()
}

/// Polls until `condition` returns a value.
pub fn wait_for<T>(what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(value) = condition() {
            return value;
        }
        assert!(start.elapsed() < PATIENCE, "timed out waiting for: {what}");
        thread::sleep(Duration::from_millis(20));
    }
}
