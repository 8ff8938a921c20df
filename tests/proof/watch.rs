//! Checks the counts of the host repeatedly while it runs: no item is unaccounted for, and no more
//! items are counted as delivered than arrived.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use delfin_tests::{Host, Metrics};

use crate::testbed::{Exporter, Testbed};

/// Checks in a thread until [`finish`](Self::finish).
pub(crate) struct Watch {
    over: Arc<AtomicBool>,
    checks: JoinHandle<u64>,
}

impl Watch {
    pub(crate) fn start(testbed: &Testbed, host: &Host) -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let (exporters, url) = (testbed.exporters.clone(), host.url().to_owned());
        let ends = Arc::clone(&over);
        let checks = thread::spawn(move || {
            let mut checks = 0;
            while !ends.load(Ordering::Relaxed) {
                if let Some(metrics) = metrics(&url) {
                    for exporter in &exporters {
                        check(exporter, &metrics);
                    }
                    checks += 1;
                }
                thread::sleep(Duration::from_millis(30));
            }
            checks
        });
        Self { over, checks }
    }

    /// The number of checks.
    ///
    /// # Panics
    ///
    /// A check failed.
    pub(crate) fn finish(self) -> u64 {
        self.over.store(true, Ordering::Relaxed);
        match self.checks.join() {
            Ok(checks) => checks,
            Err(seen) => std::panic::resume_unwind(seen),
        }
    }
}

/// The metrics, if the host responds.
fn metrics(url: &str) -> Option<Metrics> {
    let mut answer = ureq::get(format!("{url}/metrics")).call().ok()?;
    let page = answer.body_mut().read_to_string().ok()?;
    Some(Metrics::parse(&page).unwrap_or_else(|error| panic!("{error} in\n{page}")))
}

fn check(exporter: &Exporter, metrics: &Metrics) {
    let of =
        |name: &str| metrics.of_exporter(&exporter.name, &format!("delfin_host_exporter_{name}"));
    let unaccounted = of("unaccounted_items");
    assert!(
        unaccounted == 0.0,
        "{}: {unaccounted} items are unaccounted for",
        exporter.name
    );
    if let Some(receiver) = exporter.receiver() {
        let (delivered, arrived) = (of("delivered_items_total"), receiver.items() as f64);
        // Replayed items count as delivered again.
        let replayed = of("replayed_items_total");
        assert!(
            delivered <= arrived + replayed,
            "{}: {delivered} are counted as delivered, {arrived} arrived",
            exporter.name
        );
    }
}
