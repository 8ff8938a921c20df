//! The schedule: each storage is asked in its own rhythm.
//!
//! Per storage there is a task that keeps the rhythm and a thread that has the
//! driver, so a slow storage delays nobody. There is one call at a time per
//! storage. Windows neither overlap nor leave gaps: what could not be collected
//! is part of the next window.
//!
//! A batch that the destination does not take is kept and offered again; until
//! it is taken nothing more is collected from that storage, and its window grows.
//!
//! Knows nothing of what a driver does, nor of where batches go.

mod stats;
mod storage;
mod windows;
mod worker;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use tokio::{sync::watch, task::JoinSet};

use self::{stats::SharedStats, storage::StorageTask};
use crate::clock::now_ms;

use super::{
    destination::Destination,
    driver::Options,
    drivers::{Registry, UnknownDriver},
};

pub use self::stats::{CollectState, CollectStats};

/// A storage to collect from.
#[derive(Clone, Debug)]
pub struct StorageConfig {
    /// Its id.
    pub id: String,
    /// Its name; without one, it is what the storage calls itself.
    pub name: Option<String>,
    /// The vendor that its driver is registered under.
    pub vendor: String,
    /// The model that its driver is registered under.
    pub model: String,
    /// How often it is measured.
    pub performance_interval: Duration,
    /// How often it is asked for its alerts.
    pub alerts_interval: Duration,
    /// The driver's own settings.
    pub options: Options,
}

/// A running schedule. It ends when it is dropped.
#[derive(Debug)]
pub struct Schedule {
    stop: watch::Sender<bool>,
    tasks: JoinSet<()>,
    stats: BTreeMap<String, SharedStats>,
}

/// How each storage of a schedule is doing.
#[derive(Clone, Debug, Default)]
pub struct Collecting(BTreeMap<String, SharedStats>);

impl Collecting {
    /// How each storage is doing now, by its id.
    #[must_use]
    pub fn stats(&self) -> BTreeMap<String, CollectStats> {
        let stats = self.0.iter();
        stats
            .map(|(id, stats)| (id.clone(), stats.lock().clone()))
            .collect()
    }
}

/// The time of day, in milliseconds since the epoch.
type WallClock = Arc<dyn Fn() -> i64 + Send + Sync>;

impl Schedule {
    /// Starts to collect. Must be called within a tokio runtime.
    ///
    /// # Errors
    ///
    /// A storage has no driver; nothing has been started.
    pub fn start<D: Destination>(
        storages: Vec<StorageConfig>,
        registry: &Registry,
        destination: Arc<D>,
    ) -> Result<Self, UnknownDriver> {
        Self::start_with_clock(storages, registry, destination, Arc::new(now_ms))
    }

    fn start_with_clock<D: Destination>(
        storages: Vec<StorageConfig>,
        registry: &Registry,
        destination: Arc<D>,
        clock: WallClock,
    ) -> Result<Self, UnknownDriver> {
        let with_drivers = storages.into_iter().map(|config| {
            let factory = registry.factory(&config.vendor, &config.model)?;
            Ok((config, factory))
        });
        let with_drivers: Vec<_> = with_drivers.collect::<Result<_, _>>()?;
        let mut schedule = Self {
            stop: watch::Sender::new(false),
            tasks: JoinSet::new(),
            stats: BTreeMap::new(),
        };
        for (config, factory) in with_drivers {
            let id = config.id.clone();
            let (destination, clock) = (Arc::clone(&destination), Arc::clone(&clock));
            let task = StorageTask::new(config, factory, destination, clock);
            schedule.stats.insert(id, task.stats());
            schedule.tasks.spawn(task.run(schedule.stop.subscribe()));
        }
        Ok(schedule)
    }

    /// For whoever asks how each storage is doing.
    #[must_use]
    pub fn collecting(&self) -> Collecting {
        Collecting(self.stats.clone())
    }

    /// Stops to collect. A batch that is being handed over is handed over; a
    /// driver that is being called is left to itself.
    pub async fn stop(mut self) {
        self.stop.send_replace(true);
        while self.tasks.join_next().await.is_some() {}
    }
}

#[cfg(test)]
mod tests;
