//! The schedule: each storage is asked in its own rhythm.
//!
//! Per storage there is a task that keeps the rhythm; each call of its driver has
//! a thread of its own, so a slow storage delays nobody. There is one call at a
//! time per storage. Storages come, go and change while it runs.
//!
//! Windows neither overlap nor leave gaps: what could not be collected is part
//! of the next window. To keep a failed window apart and ask for it again would
//! bring the same points in two calls, and ask a storage that is in trouble
//! more often.
//!
//! A batch that the destination does not take is kept and offered again; until
//! it is taken nothing more is collected from that storage, and its window grows.
//!
//! Knows nothing of what a driver does, nor of where batches go.

mod ask;
mod slots;
mod stats;
mod storage;
mod windows;
pub(super) mod worker;

use std::{
    collections::BTreeMap,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use delfin_plugin_api::AlertBatch;
use tokio::{
    sync::{mpsc, oneshot, watch},
    task::JoinSet,
};

use self::{
    ask::{Answer, Order},
    slots::Slots,
    stats::SharedStats,
    storage::{Commands, StorageTask},
};
use crate::clock::now_ms;

use super::{
    destination::Destination,
    driver::{Offer, Options},
    drivers::{Factory, Registry, UnknownDriver},
};

pub use self::{
    ask::{AlertQuery, AskError, Pace},
    stats::{CollectState, CollectStats},
    worker::CallError,
};

/// Up to this many storages all begin at once. Of more, each begins at a moment
/// of its interval that its id decides: together they would want all memory and
/// every processor, and then leave them idle.
const FEW: usize = 16;

/// A storage to collect from.
#[derive(Clone)]
pub struct StorageConfig {
    /// Its id.
    pub id: String,
    /// Its name; without one, it is what the storage calls itself.
    pub name: Option<String>,
    /// The vendor that its driver is registered under.
    pub vendor: String,
    /// The model that its driver is registered under.
    pub model: String,
    /// How often it is asked.
    pub pace: Pace,
    /// Up to when it was collected from before, in milliseconds since the epoch.
    pub collected_until_ms: Option<i64>,
    /// The driver's own settings.
    pub options: Options,
}

/// A running schedule. It ends when it is dropped.
pub struct Schedule {
    registry: Registry,
    launch: Launch,
    running: Mutex<Running>,
    collecting: Collecting,
}

/// How each storage of a schedule is doing.
#[derive(Clone, Debug, Default)]
pub struct Collecting(Arc<Mutex<BTreeMap<String, SharedStats>>>);

struct Running {
    tasks: JoinSet<()>,
    storages: BTreeMap<String, Reach>,
}

/// What reaches the task of a storage; dropped, it ends the task.
struct Reach {
    stop: watch::Sender<bool>,
    orders: mpsc::UnboundedSender<Order>,
}

type Task = Pin<Box<dyn Future<Output = ()> + Send>>;
/// Makes the task of a storage.
type Launch = Box<dyn Fn(StorageConfig, Factory, Commands) -> (SharedStats, Task) + Send + Sync>;

impl Collecting {
    /// How each storage is doing now, by its id.
    #[must_use]
    pub fn stats(&self) -> BTreeMap<String, CollectStats> {
        let stats = self.lock();
        let stats = stats.iter();
        stats
            .map(|(id, stats)| (id.clone(), stats.lock().clone()))
            .collect()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, SharedStats>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
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
        for config in &storages {
            registry.factory(&config.vendor, &config.model)?;
        }
        let slots = Slots::new();
        let launch = move |config, factory, commands| {
            let around = (
                Arc::clone(&destination),
                Arc::clone(&clock),
                Arc::clone(&slots),
            );
            let task = StorageTask::new(config, factory, around);
            let stats = task.stats();
            (stats, Box::pin(task.run(commands)) as Task)
        };
        let schedule = Self {
            registry: registry.clone(),
            launch: Box::new(launch),
            running: Mutex::new(Running {
                tasks: JoinSet::new(),
                storages: BTreeMap::new(),
            }),
            collecting: Collecting::default(),
        };
        for config in storages {
            schedule.add(config)?;
        }
        Ok(schedule)
    }

    /// Begins to collect from a storage, in the place of one of the same id.
    /// Must be called within a tokio runtime.
    ///
    /// # Errors
    ///
    /// It has no driver; then nothing has changed.
    pub fn add(&self, config: StorageConfig) -> Result<(), UnknownDriver> {
        let factory = self.registry.factory(&config.vendor, &config.model)?;
        let id = config.id.clone();
        let (stop, stopped) = watch::channel(false);
        let (orders, received) = mpsc::unbounded_channel();
        let mut running = self.running();
        let commands = Commands {
            stopped,
            orders: received,
            is_spread: running.storages.len() >= FEW,
        };
        let (stats, task) = (self.launch)(config, factory, commands);
        self.collecting.lock().insert(id.clone(), stats);
        running.storages.insert(id, Reach { stop, orders });
        running.tasks.spawn(task);
        // What has ended is let go of.
        while running.tasks.try_join_next().is_some() {}
        Ok(())
    }

    /// Asks a storage more often, less often or not at all, from now on.
    pub fn set_pace(&self, id: &str, pace: Pace) {
        if let Some(storage) = self.running().storages.get(id) {
            // A task that has ended has been stopped.
            drop(storage.orders.send(Order::Pace(pace)));
        }
    }

    /// Collects from a storage no more. A batch that is being handed over is
    /// handed over; a driver that is being called is left to itself.
    pub fn remove(&self, id: &str) {
        self.running().storages.remove(id);
        self.collecting.lock().remove(id);
    }

    /// Asks a storage for its alerts, as soon as it is not being asked for
    /// something else.
    ///
    /// # Errors
    ///
    /// There is no such storage, or it has no answer.
    pub async fn list_alerts(&self, id: &str, query: AlertQuery) -> Result<AlertBatch, AskError> {
        self.ask(id, |answer| Order::Alerts(query, answer)).await
    }

    /// What a storage's driver can be asked for.
    ///
    /// # Errors
    ///
    /// There is no such storage, or it does not answer.
    pub async fn offer(&self, id: &str) -> Result<Offer, AskError> {
        self.ask(id, Order::Offer).await
    }

    /// For whoever asks how each storage is doing.
    #[must_use]
    pub fn collecting(&self) -> Collecting {
        self.collecting.clone()
    }

    /// Stops to collect. A batch that is being handed over is handed over; a
    /// driver that is being called is left to itself.
    pub async fn stop(&self) {
        let mut tasks = {
            let mut running = self.running();
            for storage in running.storages.values() {
                storage.stop.send_replace(true);
            }
            std::mem::take(&mut running.tasks)
        };
        while tasks.join_next().await.is_some() {}
    }

    async fn ask<T>(
        &self,
        id: &str,
        order: impl FnOnce(Answer<T>) -> Order,
    ) -> Result<T, AskError> {
        let orders = self.running().storages.get(id).map(|s| s.orders.clone());
        let orders = orders.ok_or(AskError::Gone)?;
        let (answer, answered) = oneshot::channel();
        // A task that has ended drops the order, and the answer with it.
        drop(orders.send(order(answer)));
        answered.await.unwrap_or(Err(AskError::Gone))
    }

    fn running(&self) -> MutexGuard<'_, Running> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Schedule {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Schedule")
            .field("collecting", &self.collecting)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
