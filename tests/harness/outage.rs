//! A host whose receiver is down for a while, and which is killed meanwhile.

use std::{ops::Not, path::Path};

use serde_json::Value;

use crate::Setup;

/// Sends the batches to a host with this exporter of a library, and waits until none is pending.
///
/// `set_down` stops the receiver after a third of the batches, and starts it before the last third.
/// The host is killed while the receiver is down. No item becomes a dead letter.
pub fn deliver_in_spite_of_outages(
    library: &Path,
    exporter: &str,
    settings: &Value,
    batches: &[Value],
    mut set_down: impl FnMut(bool),
) {
    let (kind, path) = if exporter.starts_with("Alert") {
        ("alert", "alerts")
    } else {
        ("performance", "performance")
    };
    let settings = settings.as_object().into_iter().flatten();
    let settings: String = settings
        .map(|(key, value)| format!("{key} = {value}\n"))
        .collect();
    let config = format!(
        "{kind}_exporters = [\"{exporter}\"]\n\
         [exporter.{exporter}.retry]\ninitial_interval = \"50ms\"\nmax_interval = \"200ms\"\n\
         [exporter.{exporter}.config]\n{settings}"
    );
    let setup = Setup::new(&[], &config).with_library(library);
    let mut host = setup.start();
    let (down, up) = (batches.len() / 3, batches.len() * 2 / 3);
    for (number, batch) in batches.iter().enumerate() {
        if number == down {
            set_down(true);
        }
        if number == up {
            let has_failed = |view: &Value| view["last_error"].is_null().not();
            host.wait_for_exporter(exporter, "a failed call", has_failed);
            host.kill();
            host = setup.start();
            set_down(false);
        }
        let (status, answer) = host.ingest(path, batch);
        assert_eq!(status, 202, "{answer}");
    }
    let is_done = |view: &Value| view["pending"] == 0;
    let view = host.wait_for_exporter(exporter, "nothing pending", is_done);
    assert_eq!(view["dead_lettered"], 0, "{view}");
}
