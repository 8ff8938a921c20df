//! The scripted exporter with instances that do not exclude each other: the host makes a
//! second instance when the first is stuck.
//!
//! The script `hang-first` makes the first instance hang; the others deliver.

use std::{
    sync::atomic::{AtomicU32, Ordering},
    thread,
    time::Duration,
};

use delfin_plugin_api::{Context, Exporter, Failure, Host, Outcome, PerformanceBatch};

use crate::{Config, ScriptedExporter};

/// The number of instances that were made in this process.
static INSTANCES: AtomicU32 = AtomicU32::new(0);

pub(crate) struct ConcurrentExporter {
    inner: ScriptedExporter<PerformanceBatch>,
    is_first: bool,
}

impl Exporter for ConcurrentExporter {
    type Batch = PerformanceBatch;
    type Config = Config;

    const EXCLUSIVE: bool = false;

    fn create(config: Config, host: &Host) -> Result<Self, Failure> {
        Ok(Self {
            inner: ScriptedExporter::create(config, host)?,
            is_first: INSTANCES.fetch_add(1, Ordering::Relaxed) == 0,
        })
    }

    fn export(&mut self, batch: &PerformanceBatch, context: &Context<'_>) -> Outcome {
        while self.is_first && self.inner.script() == "hang-first" {
            thread::sleep(Duration::from_millis(10));
        }
        self.inner.export(batch, context)
    }
}
