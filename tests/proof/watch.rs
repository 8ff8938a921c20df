//! Looks at the host's counts while it works, again and again: whatever happens, no
//! item is unaccounted for, and nothing is called delivered that did not arrive.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use delfin_tests::{Host, Metrics};

use crate::stage::{Exporter, Stage};

/// Somebody who looks, until asked what was seen.
pub(crate) struct Watch {
    over: Arc<AtomicBool>,
    looks: JoinHandle<u64>,
}

impl Watch {
    /// Begins to look.
    pub(crate) fn begin(stage: &Stage, host: &Host) -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let (exporters, url) = (stage.exporters.clone(), host.url().to_owned());
        let ends = Arc::clone(&over);
        let looks = thread::spawn(move || {
            let mut looks = 0;
            while !ends.load(Ordering::Relaxed) {
                if let Some(metrics) = metrics(&url) {
                    for exporter in &exporters {
                        look(exporter, &metrics);
                    }
                    looks += 1;
                }
                thread::sleep(Duration::from_millis(30));
            }
            looks
        });
        Self { over, looks }
    }

    /// How often it looked.
    ///
    /// # Panics
    ///
    /// Something was not as it must be.
    pub(crate) fn end(self) -> u64 {
        self.over.store(true, Ordering::Relaxed);
        match self.looks.join() {
            Ok(looks) => looks,
            Err(seen) => std::panic::resume_unwind(seen),
        }
    }
}

/// The metrics, if the host is there to tell them.
fn metrics(url: &str) -> Option<Metrics> {
    let mut answer = ureq::get(format!("{url}/metrics")).call().ok()?;
    let page = answer.body_mut().read_to_string().ok()?;
    Some(Metrics::parse(&page).unwrap_or_else(|error| panic!("{error} in\n{page}")))
}

fn look(exporter: &Exporter, metrics: &Metrics) {
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
        // Those that were asked for once more are counted once more.
        let replayed = of("replayed_items_total");
        assert!(
            delivered <= arrived + replayed,
            "{}: {delivered} are called delivered, {arrived} arrived",
            exporter.name
        );
    }
}
