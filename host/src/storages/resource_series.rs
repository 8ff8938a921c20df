//! Sends what is known of storages as series: capacity, status and descriptive labels, as they have listed
//! them, and how many alerts are active.
//!
//! The host lists resources seldom, because a list can be expensive for a storage. A receiver
//! such as Prometheus takes a series for ended after five minutes without a point. So the series are
//! sent when a sync has ended, and again at an interval, with the values of the last list. A list
//! that is too old is not sent again: its series end.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::Duration,
};

use delfin_plugin_api::{Batch, BatchError, Origin, PerformanceBatch};
use tokio::{
    sync::Notify,
    time::{Instant, timeout},
};
use uuid::Uuid;

use super::{StorageStatus, StorageView, Storages};
use crate::{
    alert::SeverityCounts,
    batch::NewBatch,
    clock::{now_ms, now_us},
    collect::{
        CollectedBatch, Destination, DestinationError, ResourceKind, ResourceNames, ResourceSeries,
        ResourceStatus, SeriesBuilder, StorageLabels,
    },
    inventory::{InventoryError, ResourceStore},
    panics::{self, ContainedFuture},
};

/// How often the series of a storage are sent. Below half of the time after which Prometheus takes
/// a series for ended, so that one batch may be late.
const SEND_INTERVAL: Duration = Duration::from_secs(120);
/// How often the schedule is looked at, and a failure is tried again.
const CHECK_INTERVAL: Duration = Duration::from_secs(5);
/// After this number of intervals without a new list, a list is not sent again.
const MAX_INTERVALS: u32 = 3;

/// Accepts the batches. Hides the type of the destination.
pub(super) type AcceptSeries =
    Box<dyn Fn(CollectedBatch) -> ContainedFuture<Result<(), DestinationError>> + Send + Sync>;

/// The storages whose series are to be sent before their interval ends.
#[derive(Default)]
pub(super) struct DueSeries {
    storages: Mutex<BTreeSet<Uuid>>,
    changed: Notify,
}

impl DueSeries {
    pub(super) fn add(&self, id: Uuid) {
        self.lock().insert(id);
        self.changed.notify_one();
    }

    fn take(&self) -> BTreeSet<Uuid> {
        std::mem::take(&mut *self.lock())
    }

    fn lock(&self) -> MutexGuard<'_, BTreeSet<Uuid>> {
        self.storages.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Sends the series of each storage after its syncs and at an interval, until the host stops.
pub async fn send_resource_series(storages: Weak<Storages>) {
    let mut due: BTreeMap<Uuid, Instant> = BTreeMap::new();
    while let Some(storages) = storages.upgrade() {
        let known = storages.known();
        let synced = storages.due_series.take();
        due.retain(|id, _| known.iter().any(|one| one.id == *id));
        for storage in &known {
            let now = Instant::now();
            let due = due
                .entry(storage.id)
                .or_insert_with(|| now + SEND_INTERVAL.mul_f64(part_of_interval(storage.id)));
            let is_synced = synced.contains(&storage.id);
            if is_synced || *due <= now {
                let is_sent = storages.send_series(storage.clone()).await;
                // The interval of a storage keeps its part, whenever it is synced.
                if !is_sent {
                    *due = now + CHECK_INTERVAL;
                } else if *due <= now {
                    *due = now + SEND_INTERVAL;
                }
            }
        }
        let due_series = Arc::clone(&storages.due_series);
        drop(storages);
        // It ends early if a storage was synced.
        let _ = timeout(CHECK_INTERVAL, due_series.changed.notified()).await;
    }
}

/// From 0 to 1: each storage has its own part of the interval, so that not all are sent at once. Ids
/// are random in their low bits, except for the first two.
fn part_of_interval(id: Uuid) -> f64 {
    let (_, low) = id.as_u64_pair();
    (low << 2) as f64 / u64::MAX as f64
}

pub(super) fn accept_by<D: Destination>(destination: &Arc<D>) -> AcceptSeries {
    let destination = Arc::clone(destination);
    Box::new(move |collected| {
        let destination = Arc::clone(&destination);
        ContainedFuture::new(async move { destination.accept(collected).await })
    })
}

/// The names of a storage's resources; none if they cannot be read.
pub(super) fn names(store: &ResourceStore, storage_id: &str) -> ResourceNames {
    let mut names = ResourceNames::default();
    for kind in kinds() {
        let read = store.visit(storage_id, kind, |fields| names.add(kind, fields));
        if let Err(error) = read {
            log::warn!(storage = storage_id, error:%; "cannot read the names of resources, their ids are used");
            break;
        }
    }
    names
}

impl Storages {
    /// Sends the series of a storage; whether it could. One that has never answered has none: its series
    /// would lack the serial number, and be others later.
    async fn send_series(&self, view: StorageView) -> bool {
        if view.info.serial_number.is_empty() {
            return true;
        }
        let storage_id = view.id.to_string();
        let max_age = self.resources_interval.saturating_mul(MAX_INTERVALS);
        let store = Arc::clone(&self.resources);
        let alerts = self.alerts.counts_of(&storage_id);
        let built = panics::spawn_blocking(move || build(&view, &alerts, &store, max_age)).await;
        let batch = match built {
            Ok(Ok(batch)) if batch.rows() > 0 => batch,
            Ok(Ok(_)) => return true,
            // The panic is logged.
            Err(_) => return false,
            Ok(Err(error)) => {
                log::warn!(storage = storage_id, error:%; "cannot read the resources of a storage, their series are late");
                return false;
            }
        };
        let collected = CollectedBatch::new(NewBatch {
            rows: batch.into(),
            origin: Origin::Collection,
            storage_id: Some(storage_id.clone()),
            complete: false,
        });
        let accepted = (self.accept_series)(collected).await;
        if let Err(error) = &accepted {
            // The measurements of the storage are refused as well, and that is a warning.
            log::debug!(storage = storage_id, error:%; "series of resources not accepted, tried again soon");
        }
        accepted.is_ok()
    }
}

fn kinds() -> impl Iterator<Item = ResourceKind> {
    ResourceKind::all().filter(|kind| kind.resource_type().is_some())
}

/// The series of a storage. Blocks on the disk.
fn build(
    view: &StorageView,
    alerts: &SeverityCounts,
    store: &ResourceStore,
    max_age: Duration,
) -> Result<PerformanceBatch, InventoryError> {
    let storage_id = view.id.to_string();
    let labels = StorageLabels {
        names: Arc::new(names(store, &storage_id)),
        id: storage_id,
        info: view.info.clone(),
        fixed: Arc::clone(&view.labels),
    };
    let mut series = SeriesBuilder::new(&labels);
    let mut writer = ResourceSeries {
        series: &mut series,
        time_ms: now_ms(),
    };
    let mut written = writer
        .storage(&view.info, status(view.status))
        .and_then(|()| writer.active_alerts(alerts));
    let oldest_us = now_us() - i64::try_from(max_age.as_micros()).unwrap_or(i64::MAX);
    for list in store.lists(&labels.id)? {
        if list.listed_us.is_none_or(|listed_us| listed_us < oldest_us) {
            continue;
        }
        store.visit(&labels.id, list.kind, |fields| {
            if written.is_ok() {
                written = writer.resource(list.kind, fields);
            }
        })?;
    }
    if let Err(error) = written {
        report_limit(&labels.id, &error);
    }
    Ok(series.build())
}

fn report_limit(storage: &str, error: &BatchError) {
    log::warn!(storage, error:%; "storage has more resources than a batch can hold, the others have no series");
}

fn status(status: StorageStatus) -> ResourceStatus {
    match status {
        StorageStatus::Normal => ResourceStatus::Normal,
        StorageStatus::Offline => ResourceStatus::Offline,
        StorageStatus::Unknown => ResourceStatus::Unknown,
    }
}
