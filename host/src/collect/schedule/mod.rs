//! The scheduler: collects from each storage at the storage's own intervals.
//!
//! Each storage has a task. The task calls the driver, one call at a time, on a thread
//! of its own, so a slow storage delays no other storage. Storages can be added, removed
//! and changed at any time.
//!
//! Windows neither overlap nor leave gaps: the time of a failed collection is part of
//! the next window. A separate retry of the failed window would fetch the same points
//! in two calls, and would call a failing storage more often.
//!
//! The task keeps a batch that the destination rejects and sends it again at the next
//! interval. Until the destination accepts the batch, the task measures nothing else
//! and its window grows.
//!
//! Knows nothing of what a driver does, nor of where batches go.

mod config;
pub(super) mod driver_call;
mod limiter;
mod permit_pool;
mod request;
mod session;
mod stats;
mod task;
mod windows;

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
    limiter::CallLimiter,
    request::{StorageReply, StorageRequest},
    stats::SharedStats,
    task::{StopReason, StorageTask, TaskControl, WallClock},
};
use super::{
    destination::{Destination, DestinationError},
    driver::{Capabilities, DriverOptions},
    drivers::{DriverRegistry, UnknownDriver},
    resource::{ResourceKind, ResourceList},
    static_labels::StaticLabels,
    storage_info::StorageInfo,
};
use crate::clock::now_ms;

pub use self::{
    config::{CollectConfig, CollectLimits, CollectSchedule},
    driver_call::DriverCallError,
    request::{AlertSelection, StorageRequestError},
    stats::{CollectState, CollectStats},
};

/// Up to this number of storages, each is called at once. A further storage starts at a
/// part of its interval that its id decides: together they would need all memory and
/// all processors for a moment, and nothing afterwards.
const MAX_IMMEDIATE: usize = 16;

/// What the task of a storage at rest may take: there can be thousands.
const MAX_REST_BYTES: usize = 8 << 10;

/// Runs the tasks of all storages; stops them when dropped.
pub struct Scheduler {
    new_task: NewTask,
    collected_until: CollectedUntil,
    tasks: Mutex<StorageTasks>,
    monitor: CollectMonitor,
}

/// Reads the statistics of each storage of a scheduler.
#[derive(Clone, Debug, Default)]
pub struct CollectMonitor(Arc<Mutex<BTreeMap<String, SharedStats>>>);

struct StorageTasks {
    running: JoinSet<()>,
    by_storage: BTreeMap<String, TaskHandle>,
}

/// Controls the task of a storage. The task ends when the handle is dropped.
struct TaskHandle {
    stop: watch::Sender<Option<StopReason>>,
    /// Boxed: the channel has room for many of them.
    requests: mpsc::UnboundedSender<Box<StorageRequest>>,
}

impl TaskHandle {
    /// Waits until the task has ended.
    async fn stop(self, reason: StopReason) {
        self.stop.send_replace(Some(reason));
        self.stop.closed().await;
    }
}

type TaskFuture = Pin<Box<dyn Future<Output = ()> + Send>>;
/// Creates the task of a storage. Hides the type of the destination.
type NewTask = Box<dyn Fn(CollectConfig, TaskControl) -> (SharedStats, TaskFuture) + Send + Sync>;

type UntilFuture<'a> =
    Pin<Box<dyn Future<Output = Result<Option<i64>, DestinationError>> + Send + 'a>>;
/// [`Destination::collected_until`].
type CollectedUntil = Box<dyn for<'a> Fn(&'a str) -> UntilFuture<'a> + Send + Sync>;

impl CollectMonitor {
    /// The statistics of each storage, by storage id.
    #[must_use]
    pub fn stats(&self) -> BTreeMap<String, CollectStats> {
        let stats = self.lock();
        let stats = stats.iter();
        stats
            .map(|(id, stats)| (id.clone(), stats.lock().clone()))
            .collect()
    }

    /// The statistics of one storage.
    #[must_use]
    pub fn stats_of(&self, id: &str) -> Option<CollectStats> {
        self.lock().get(id).map(|stats| stats.lock().clone())
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, SharedStats>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Scheduler {
    /// Starts collection. Must be called within a tokio runtime.
    ///
    /// # Errors
    ///
    /// A storage has no driver; no task was started.
    pub fn start<D: Destination>(
        storages: Vec<CollectConfig>,
        registry: &DriverRegistry,
        limits: CollectLimits,
        destination: Arc<D>,
    ) -> Result<Self, UnknownDriver> {
        Self::start_with_clock(storages, registry, limits, (destination, Arc::new(now_ms)))
    }

    fn start_with_clock<D: Destination>(
        storages: Vec<CollectConfig>,
        registry: &DriverRegistry,
        limits: CollectLimits,
        (destination, clock): (Arc<D>, WallClock),
    ) -> Result<Self, UnknownDriver> {
        for config in &storages {
            registry.factory(&config.vendor, &config.model)?;
        }
        let limiter = CallLimiter::new(limits.calls_per_site);
        let registry = registry.clone();
        let collected_until = until_of(&destination);
        let new_task = move |config, control| {
            let shared = (
                Arc::clone(&destination),
                Arc::clone(&clock),
                Arc::clone(&limiter),
            );
            let task = StorageTask::new(config, registry.clone(), shared);
            let stats = task.stats();
            let task = task.run(control);
            debug_assert!(size_of_val(&task) <= MAX_REST_BYTES);
            (stats, Box::pin(task) as TaskFuture)
        };
        let scheduler = Self {
            new_task: Box::new(new_task),
            collected_until,
            tasks: Mutex::new(StorageTasks {
                running: JoinSet::new(),
                by_storage: BTreeMap::new(),
            }),
            monitor: CollectMonitor::default(),
        };
        for config in storages {
            scheduler.add(config);
        }
        Ok(scheduler)
    }

    /// Starts to collect from a storage. Replaces a storage of the same id, once nothing of that one is on its way to the
    /// destination. A storage without a driver waits for it. Must be called within a tokio runtime.
    pub fn add(&self, config: CollectConfig) {
        let id = config.id.clone();
        let (stop, stopped) = watch::channel(None);
        let (requests, received) = mpsc::unbounded_channel();
        let mut tasks = self.tasks();
        let control = TaskControl {
            stop: stopped,
            requests: received,
            is_spread: tasks.by_storage.len() >= MAX_IMMEDIATE,
        };
        let (stats, task) = (self.new_task)(config, control);
        self.monitor.lock().insert(id.clone(), stats);
        let earlier = tasks.by_storage.insert(id, TaskHandle { stop, requests });
        tasks.running.spawn(async move {
            if let Some(earlier) = earlier {
                earlier.stop(StopReason::Replaced).await;
            }
            task.await;
        });
        // Tasks of removed storages stay in the set until they are joined.
        while tasks.running.try_join_next().is_some() {}
    }

    /// Sets the intervals of a storage, effective at once. Also starts collection again
    /// after an error that only the operator could correct.
    pub fn set_schedule(&self, id: &str, schedule: CollectSchedule) {
        self.send(id, StorageRequest::SetSchedule(schedule));
    }

    /// Reads the names of a storage's resources again.
    pub fn read_names(&self, id: &str) {
        self.send(id, StorageRequest::ReadNames);
    }

    /// Replaces the labels that the operator gives a storage.
    pub fn set_labels(&self, id: &str, labels: Arc<StaticLabels>) {
        self.send(id, StorageRequest::SetLabels(labels));
    }

    /// Replaces the options of a storage's driver, effective at once: the driver is opened
    /// again, and its windows go on. Also starts collection again after an error that only the
    /// operator could correct.
    pub fn set_options(&self, id: &str, options: Arc<DriverOptions>) {
        self.send(id, StorageRequest::SetOptions(options));
    }

    /// Stops to collect from a storage, and forwards an empty list of its alerts: all have
    /// ended. A batch on its way to the destination still arrives before; a driver call in
    /// progress is abandoned.
    pub fn remove(&self, id: &str) {
        if let Some(task) = self.tasks().by_storage.remove(id) {
            task.stop.send_replace(Some(StopReason::Removed));
        }
        self.monitor.lock().remove(id);
    }

    /// As [`remove`](Self::remove), and waits until nothing of the storage is on its way to the destination. Returns until when the
    /// destination has it.
    ///
    /// # Errors
    ///
    /// The destination does not know. The storage is removed in any case.
    pub async fn remove_and_wait(&self, id: &str) -> Result<Option<i64>, DestinationError> {
        let task = self.tasks().by_storage.remove(id);
        if let Some(task) = task {
            task.stop(StopReason::Removed).await;
        }
        self.monitor.lock().remove(id);
        (self.collected_until)(id).await
    }

    /// Asks a storage for its alerts. Waits for the call in progress.
    ///
    /// # Errors
    ///
    /// The storage does not exist, or the call failed.
    pub async fn list_alerts(
        &self,
        id: &str,
        selection: AlertSelection,
    ) -> Result<AlertBatch, StorageRequestError> {
        self.request(id, |reply| StorageRequest::ListAlerts(selection, reply))
            .await
    }

    /// Asks a storage again for its name, model, serial number and details.
    ///
    /// # Errors
    ///
    /// The storage does not exist, or the call failed.
    pub async fn identify(&self, id: &str) -> Result<StorageInfo, StorageRequestError> {
        self.request(id, StorageRequest::Identify).await
    }

    /// Clears an alert on a storage.
    ///
    /// # Errors
    ///
    /// The storage does not exist, or the call failed.
    pub async fn clear_alert(
        &self,
        id: &str,
        sequence_number: String,
    ) -> Result<(), StorageRequestError> {
        self.request(id, |reply| {
            StorageRequest::ClearAlert(sequence_number, reply)
        })
        .await
    }

    /// The alerts of an SNMP trap. Waits for the call in progress.
    ///
    /// # Errors
    ///
    /// The storage does not exist, or its driver does not read traps, or not this one.
    pub async fn parse_trap(
        &self,
        id: &str,
        variables: BTreeMap<String, String>,
    ) -> Result<AlertBatch, StorageRequestError> {
        self.request(id, |reply| StorageRequest::ParseTrap(variables, reply))
            .await
    }

    /// What the driver of a storage can measure.
    ///
    /// # Errors
    ///
    /// The storage does not exist, or its driver cannot be opened.
    pub async fn capabilities(&self, id: &str) -> Result<Capabilities, StorageRequestError> {
        self.request(id, StorageRequest::Capabilities).await
    }

    /// Asks a storage for its resources of a kind.
    ///
    /// # Errors
    ///
    /// The storage does not exist, or the call failed.
    pub async fn list_resources(
        &self,
        id: &str,
        kind: ResourceKind,
    ) -> Result<ResourceList, StorageRequestError> {
        self.request(id, |reply| StorageRequest::ListResources(kind, reply))
            .await
    }

    #[must_use]
    pub fn monitor(&self) -> CollectMonitor {
        self.monitor.clone()
    }

    /// Stops collection. Batches on their way to the destination still arrive; driver
    /// calls in progress are abandoned.
    pub async fn stop(&self) {
        let mut running = {
            let mut tasks = self.tasks();
            for storage in tasks.by_storage.values() {
                storage.stop.send_replace(Some(StopReason::HostStops));
            }
            std::mem::take(&mut tasks.running)
        };
        while running.join_next().await.is_some() {}
    }

    /// Sends a request that has no answer.
    fn send(&self, id: &str, request: StorageRequest) {
        if let Some(storage) = self.tasks().by_storage.get(id) {
            // Sending fails if the task was stopped.
            drop(storage.requests.send(Box::new(request)));
        }
    }

    async fn request<T>(
        &self,
        id: &str,
        request: impl FnOnce(StorageReply<T>) -> StorageRequest,
    ) -> Result<T, StorageRequestError> {
        let requests = {
            let tasks = self.tasks();
            tasks.by_storage.get(id).map(|task| task.requests.clone())
        };
        let requests = requests.ok_or(StorageRequestError::Gone)?;
        let (reply, result) = oneshot::channel();
        // A task that has ended drops the request and the reply channel with it, which
        // ends the wait below.
        drop(requests.send(Box::new(request(reply))));
        result.await.unwrap_or(Err(StorageRequestError::Gone))
    }

    fn tasks(&self) -> MutexGuard<'_, StorageTasks> {
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn until_of<D: Destination>(destination: &Arc<D>) -> CollectedUntil {
    let destination = Arc::clone(destination);
    Box::new(move |id| {
        let destination = Arc::clone(&destination);
        Box::pin(async move { destination.collected_until(id).await })
    })
}

impl std::fmt::Debug for Scheduler {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Scheduler")
            .field("monitor", &self.monitor)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
