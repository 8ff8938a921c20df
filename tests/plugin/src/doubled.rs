//! The scripted exporter, without a claim to be the only one: what hangs is doubled.
//!
//! With the word `hang-first` the first instance hangs for ever, and the others
//! deliver.

use std::{
    sync::atomic::{AtomicU32, Ordering},
    thread,
    time::Duration,
};

use delfin_plugin_api::{Context, Exporter, Failure, Host, Outcome, PerformanceBatch};

use crate::{Config, Scripted};

/// How many were made in this process.
static MADE: AtomicU32 = AtomicU32::new(0);

pub(crate) struct Doubled {
    inner: Scripted<PerformanceBatch>,
    is_first: bool,
}

impl Exporter for Doubled {
    type Batch = PerformanceBatch;
    type Config = Config;

    const EXCLUSIVE: bool = false;

    fn create(config: Config, host: &Host) -> Result<Self, Failure> {
        Ok(Self {
            inner: Scripted::create(config, host)?,
            is_first: MADE.fetch_add(1, Ordering::Relaxed) == 0,
        })
    }

    fn export(&mut self, batch: &PerformanceBatch, context: &Context<'_>) -> Outcome {
        while self.is_first && self.inner.word() == "hang-first" {
            thread::sleep(Duration::from_millis(10));
        }
        self.inner.export(batch, context)
    }
}
