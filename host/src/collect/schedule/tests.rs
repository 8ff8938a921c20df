use std::{
    sync::{
        atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering},
        mpsc as blocking,
    },
    time::Duration,
};

use delfin_plugin_api::{Batch, Kind, NewAlert, Origin};
use tokio::{
    sync::{Semaphore, SemaphorePermit, mpsc},
    time::{Instant, sleep, timeout},
};

use super::*;
use crate::batch::AnyBatch;
use crate::collect::{
    AlertBuilder, Capabilities, CollectLimits, CollectedBatch, DestinationError, Driver,
    DriverError, Resource, ResourceNameSource, ResourceType, SeriesBuilder, StorageDetails,
    StorageInfo, TimeWindow, metric::IOPS,
};

const INTERVAL: Duration = Duration::from_secs(10);
const NEVER: Duration = Duration::from_secs(1_000_000);
const BEGIN_MS: i64 = 1_000_000;

type Collect = dyn FnMut(TimeWindow) -> Result<(), DriverError> + Send;
type Alerts = dyn FnMut() -> Result<usize, DriverError> + Send;

/// A driver whose results the test decides.
struct ScriptedDriver {
    collect: Arc<Mutex<Collect>>,
    alerts: Arc<Mutex<Alerts>>,
}

/// Sends accepted batches to the test, unless the test makes it reject them.
struct ScriptedDestination {
    accepted: mpsc::UnboundedSender<CollectedBatch>,
    refusals: AtomicUsize,
    /// Whether it accepts what it refuses, as if its answer were lost.
    keeps_refused: AtomicBool,
    permits: Semaphore,
    /// What it answers until when a storage is collected, the last one first.
    collected: Mutex<Vec<Result<Option<i64>, DestinationError>>>,
}

/// The storages, drivers and clock of one test.
struct Fixture {
    registry: DriverRegistry,
    storages: Vec<CollectConfig>,
    destination: Arc<ScriptedDestination>,
    accepted: mpsc::UnboundedReceiver<CollectedBatch>,
    set_ms: Arc<AtomicI64>,
}

impl Driver for ScriptedDriver {
    fn storage(&mut self) -> Result<StorageInfo, DriverError> {
        Ok(StorageInfo {
            name: "its own name".to_owned(),
            vendor: "fake".to_owned(),
            model: "fake".to_owned(),
            serial_number: "1".to_owned(),
            details: StorageDetails::default(),
        })
    }

    fn capabilities(&mut self) -> Result<Capabilities, DriverError> {
        Ok(Capabilities::new(true, &[]))
    }

    fn collect(
        &mut self,
        window: TimeWindow,
        series: &mut SeriesBuilder<'_>,
    ) -> Result<(), DriverError> {
        (self.collect.lock().unwrap())(window)?;
        let resource = Resource {
            resource_type: ResourceType::Disk,
            id: "d",
        };
        let point = (window.start_ms, window.end_ms as f64);
        Ok(series.series(resource, IOPS, [point])?)
    }

    fn list_alerts(
        &mut self,
        _: Option<TimeWindow>,
        alerts: &mut AlertBuilder<'_>,
    ) -> Result<(), DriverError> {
        let count = (self.alerts.lock().unwrap())()?;
        for occur_time in 0..count as i64 {
            let texts = &[("alert_id", "a")];
            alerts.alert(NewAlert { occur_time, texts });
        }
        Ok(())
    }

    fn clear_alert(&mut self, _: &str) -> Result<(), DriverError> {
        Ok(())
    }
}

impl Destination for ScriptedDestination {
    async fn accept(&self, collected: CollectedBatch) -> Result<(), DestinationError> {
        let permit = self.permits.acquire().await;
        drop(permit);
        let left = self.refusals.load(Ordering::SeqCst);
        if left > 0 {
            self.refusals.store(left - 1, Ordering::SeqCst);
            if self.keeps_refused.load(Ordering::SeqCst) {
                self.accepted.send(collected)?;
            }
            return Err("the journal is full".into());
        }
        Ok(self.accepted.send(collected)?)
    }

    async fn collected_until(&self, _: &str) -> Result<Option<i64>, DestinationError> {
        self.collected.lock().unwrap().pop().unwrap_or(Ok(None))
    }
}

impl Fixture {
    fn new() -> Self {
        let (sender, accepted) = mpsc::unbounded_channel();
        Self {
            registry: DriverRegistry::empty(),
            storages: Vec::new(),
            destination: Arc::new(ScriptedDestination {
                accepted: sender,
                refusals: AtomicUsize::new(0),
                keeps_refused: AtomicBool::new(false),
                permits: Semaphore::new(1),
                collected: Mutex::default(),
            }),
            accepted,
            set_ms: Arc::default(),
        }
    }

    /// A storage that is measured every ten seconds.
    fn measured(
        &mut self,
        id: &str,
        collect: impl FnMut(TimeWindow) -> Result<(), DriverError> + Send + 'static,
    ) {
        self.add(id, [INTERVAL, NEVER], collect, || Ok(0));
    }

    fn add(
        &mut self,
        id: &str,
        [performance_interval, alerts_interval]: [Duration; 2],
        collect: impl FnMut(TimeWindow) -> Result<(), DriverError> + Send + 'static,
        alerts: impl FnMut() -> Result<usize, DriverError> + Send + 'static,
    ) {
        let collect: Arc<Mutex<Collect>> = Arc::new(Mutex::new(collect));
        let alerts: Arc<Mutex<Alerts>> = Arc::new(Mutex::new(alerts));
        self.registry.add("fake", id, move |_| {
            let (collect, alerts) = (Arc::clone(&collect), Arc::clone(&alerts));
            Ok(Box::new(ScriptedDriver { collect, alerts }))
        });
        self.storages.push(CollectConfig {
            id: id.to_owned(),
            name: None,
            vendor: "fake".to_owned(),
            model: id.to_owned(),
            schedule: CollectSchedule {
                performance: Some(performance_interval),
                alerts: Some(alerts_interval),
                backfill: true,
            },
            collected_until_ms: None,
            options: Arc::default(),
            names: ResourceNameSource::default(),
            labels: Arc::default(),
        });
    }

    fn start(&self) -> Scheduler {
        let (start, set_ms) = (Instant::now(), Arc::clone(&self.set_ms));
        let clock =
            move || BEGIN_MS + start.elapsed().as_millis() as i64 + set_ms.load(Ordering::SeqCst);
        let destination = Arc::clone(&self.destination);
        let storages = self.storages.clone();
        Scheduler::start_with_clock(
            storages,
            &self.registry,
            CollectLimits::default(),
            (destination, Arc::new(clock)),
        )
        .unwrap()
    }

    /// The next points that the destination accepts.
    async fn points(&mut self) -> CollectedBatch {
        loop {
            let collected = self.accepted.recv().await.unwrap();
            if collected.batch.rows.kind() == Kind::Performance {
                assert_eq!(collected.batch.origin, Origin::Collection);
                return collected;
            }
        }
    }

    /// Storage and window of the next points that the destination accepts.
    async fn window(&mut self) -> (String, i64, i64) {
        let collected = self.points().await;
        let (start_ms, end_ms) = window_of(&collected);
        (collected.batch.storage_id.unwrap(), start_ms, end_ms)
    }

    async fn windows(&mut self, count: usize) -> Vec<(i64, i64)> {
        let mut windows = Vec::new();
        for _ in 0..count {
            let (_, start_ms, end_ms) = self.window().await;
            windows.push((start_ms, end_ms));
        }
        windows
    }
}

/// Starts to collect from `s`. Its first batch is on its way to the destination until the permit is dropped.
async fn start_with_batch_on_its_way(fixture: &Fixture) -> (Scheduler, SemaphorePermit<'_>) {
    let busy = fixture.destination.permits.acquire().await.unwrap();
    let scheduler = fixture.start();
    while scheduler.monitor().stats()["s"].succeeded == 0 {
        tokio::task::yield_now().await;
    }
    (scheduler, busy)
}

/// The window of points.
fn window_of(collected: &CollectedBatch) -> (i64, i64) {
    let AnyBatch::Performance(batch) = &collected.batch.rows else {
        panic!("these are alerts")
    };
    let (start_ms, end_ms) = batch.series().next().unwrap().points().next().unwrap();
    (start_ms, end_ms as i64)
}

fn unavailable() -> DriverError {
    DriverError::Unavailable {
        reason: "it is off".to_owned(),
    }
}

/// The results of a driver's calls, one after the other; `None` after them.
fn script<T>(
    results: impl IntoIterator<Item = Result<T, DriverError>>,
) -> impl FnMut() -> Option<Result<T, DriverError>> {
    let mut results: Vec<_> = results.into_iter().collect();
    results.reverse();
    move || results.pop()
}

#[tokio::test(start_paused = true)]
async fn the_first_collection_is_at_once_and_windows_have_no_gaps() {
    let mut fixture = Fixture::new();
    fixture.measured("s", |_| Ok(()));
    let begin = Instant::now();
    let _scheduler = fixture.start();
    let first = fixture.windows(1).await;
    assert_eq!(first, [(990_000, 1_000_000)]);
    assert_eq!(begin.elapsed(), Duration::ZERO);
    let next = fixture.windows(3).await;
    assert_eq!(
        next,
        [
            (1_000_000, 1_010_000),
            (1_010_000, 1_020_000),
            (1_020_000, 1_030_000)
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn the_window_of_a_failed_collection_is_part_of_the_next() {
    let mut fixture = Fixture::new();
    let mut results = script([
        Err(unavailable()),
        Ok(()),
        Err(unavailable()),
        Err(unavailable()),
    ]);
    fixture.measured("s", move |_| results().unwrap_or(Ok(())));
    let scheduler = fixture.start();
    let windows = fixture.windows(2).await;
    assert_eq!(windows, [(990_000, 1_010_000), (1_010_000, 1_040_000)]);
    assert_eq!(scheduler.monitor().stats()["s"].failed, 3);
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_is_set_back_inverts_no_window() {
    let mut fixture = Fixture::new();
    fixture.measured("s", |_| Ok(()));
    let _scheduler = fixture.start();
    fixture.windows(1).await;
    fixture.set_ms.store(-900_000, Ordering::SeqCst);
    assert_eq!(
        fixture.windows(2).await,
        [(100_000, 110_000), (110_000, 120_000)]
    );
}

#[tokio::test(start_paused = true)]
async fn a_slow_driver_delays_no_other_storage_and_loses_no_time() {
    let mut fixture = Fixture::new();
    let (release, gate) = blocking::channel::<()>();
    let mut held = true;
    fixture.measured("slow", move |_| {
        if std::mem::take(&mut held) {
            let _ = gate.recv();
        }
        Ok(())
    });
    fixture.measured("fast", |_| Ok(()));
    let scheduler = fixture.start();
    for number in 0..5 {
        let end_ms = BEGIN_MS + number * 10_000;
        let expected = ("fast".to_owned(), end_ms - 10_000, end_ms);
        assert_eq!(fixture.window().await, expected);
    }
    let since_ms = BEGIN_MS;
    let state = scheduler.monitor().stats()["slow"].state;
    assert_eq!(state, CollectState::Calling { since_ms });

    release.send(()).unwrap();
    let mut slow = Vec::new();
    while slow.len() < 2 {
        let (id, start_ms, end_ms) = fixture.window().await;
        if id == "slow" {
            slow.push((start_ms, end_ms));
        }
    }
    assert_eq!(slow[0], (990_000, 1_000_000));
    assert_eq!(slow[1].0, 1_000_000);
    assert!(slow[1].1 >= 1_050_000);
}

#[tokio::test(start_paused = true)]
async fn a_driver_that_hangs_does_not_delay_the_stop() {
    let mut fixture = Fixture::new();
    let (_release, gate) = blocking::channel::<()>();
    let (called, mut calls) = mpsc::unbounded_channel();
    fixture.measured("s", move |_| {
        called.send(()).unwrap();
        let _ = gate.recv();
        Ok(())
    });
    let scheduler = fixture.start();
    calls.recv().await.unwrap();
    scheduler.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_stop_waits_for_a_batch_on_its_way_to_the_destination() {
    let mut fixture = Fixture::new();
    fixture.measured("s", |_| Ok(()));
    let (scheduler, busy) = start_with_batch_on_its_way(&fixture).await;
    let stop = tokio::spawn(async move { scheduler.stop().await });
    tokio::task::yield_now().await;
    assert!(!stop.is_finished());
    drop(busy);
    stop.await.unwrap();
    assert_eq!(fixture.windows(1).await, [(990_000, 1_000_000)]);
}

#[tokio::test(start_paused = true)]
async fn rejected_points_are_sent_again_and_nothing_is_lost() {
    let mut fixture = Fixture::new();
    fixture.measured("s", |_| Ok(()));
    // The points, the alerts of the same moment, and the points again.
    fixture.destination.refusals.store(3, Ordering::SeqCst);
    let scheduler = fixture.start();
    let windows = fixture.windows(3).await;
    assert_eq!(
        windows,
        [
            (990_000, 1_000_000),
            (1_000_000, 1_020_000),
            (1_020_000, 1_030_000)
        ]
    );
    assert_eq!(scheduler.monitor().stats()["s"].rejected, 3);
}

#[tokio::test(start_paused = true)]
async fn a_storage_that_refuses_its_driver_is_not_called_again() {
    let mut fixture = Fixture::new();
    fixture.measured("s", |_| {
        Err(DriverError::Refused {
            reason: "wrong password".to_owned(),
        })
    });
    let scheduler = fixture.start();
    while scheduler.monitor().stats()["s"].state != CollectState::Failed {
        tokio::task::yield_now().await;
    }
    let stats = &scheduler.monitor().stats()["s"];
    assert_eq!((stats.state, stats.failed), (CollectState::Failed, 1));
    assert_eq!(
        stats.last_error.as_deref(),
        Some("storage refused the driver: wrong password (correct its access data)")
    );
}

#[tokio::test(start_paused = true)]
async fn a_driver_without_alerts_is_still_measured() {
    let mut fixture = Fixture::new();
    let unsupported = || {
        Err(DriverError::Unsupported {
            action: "list alerts",
            reason: "there are none".into(),
        })
    };
    fixture.add("s", [INTERVAL, INTERVAL], |_| Ok(()), unsupported);
    let scheduler = fixture.start();
    fixture.windows(3).await;
    let stats = &scheduler.monitor().stats()["s"];
    assert_eq!((stats.failed, &stats.last_error), (0, &None));
}

#[tokio::test(start_paused = true)]
async fn an_empty_alert_list_is_forwarded_once() {
    let mut fixture = Fixture::new();
    let mut results = script([Ok(0), Ok(0), Ok(2), Ok(0), Ok(0)]);
    let alerts = move || results().unwrap_or(Ok(1));
    fixture.add("s", [NEVER, INTERVAL], |_| Err(unavailable()), alerts);
    let begin = Instant::now();
    let _scheduler = fixture.start();
    let mut seen = Vec::new();
    while seen.len() < 4 {
        let collected = fixture.accepted.recv().await.unwrap();
        assert_eq!(collected.batch.origin, Origin::Sync);
        assert!(collected.batch.complete);
        let AnyBatch::Alerts(batch) = collected.batch.rows else {
            panic!("nothing is measured")
        };
        seen.push((begin.elapsed().as_secs(), batch.rows()));
    }
    assert_eq!(seen, [(0, 0), (20, 2), (30, 0), (50, 1)]);
}

#[tokio::test(start_paused = true)]
async fn a_driver_that_panics_is_opened_again_and_its_window_is_not_lost() {
    let mut fixture = Fixture::new();
    let calls = AtomicUsize::new(0);
    let collect = move |_| {
        if calls.fetch_add(1, Ordering::SeqCst) == 0 {
            std::panic::resume_unwind(Box::new("on purpose"));
        }
        Ok(())
    };
    // The lock around the closure would stay poisoned, so each driver has its own.
    let collect = Arc::new(collect);
    fixture.add("s", [INTERVAL, NEVER], |_| Ok(()), || Ok(0));
    fixture.registry.add("fake", "s", move |_| {
        let collect = Arc::clone(&collect);
        Ok(Box::new(ScriptedDriver {
            collect: Arc::new(Mutex::new(move |window| collect(window))),
            alerts: Arc::new(Mutex::new(|| Ok(0))),
        }))
    });
    let scheduler = fixture.start();
    assert_eq!(fixture.windows(1).await, [(990_000, 1_010_000)]);
    assert_eq!(scheduler.monitor().stats()["s"].failed, 1);
}

#[tokio::test(start_paused = true)]
async fn a_name_in_the_configuration_replaces_the_storages_own() {
    let mut fixture = Fixture::new();
    fixture.measured("s", |_| Ok(()));
    fixture.storages[0].name = Some("given".to_owned());
    let _scheduler = fixture.start();
    let collected = fixture.accepted.recv().await.unwrap();
    let AnyBatch::Performance(batch) = collected.batch.rows else {
        panic!("performance comes first")
    };
    let series = batch.series().next().unwrap();
    assert_eq!(series.labels().get("name"), Some("given"));
}

#[tokio::test(start_paused = true)]
async fn a_scheduler_that_is_dropped_stops_collecting() {
    let mut fixture = Fixture::new();
    fixture.measured("s", |_| Ok(()));
    let scheduler = fixture.start();
    fixture.windows(1).await;
    drop(scheduler);
    sleep(INTERVAL * 3).await;
    while let Ok(collected) = fixture.accepted.try_recv() {
        assert!(matches!(collected.batch.rows, AnyBatch::Alerts(_)));
    }
}

#[tokio::test]
async fn a_storage_without_a_driver_is_an_error_at_start() {
    let mut fixture = Fixture::new();
    fixture.measured("s", |_| Ok(()));
    fixture.storages[0].model = "t".to_owned();
    let destination = Arc::clone(&fixture.destination);
    let error = Scheduler::start(
        fixture.storages,
        &fixture.registry,
        CollectLimits::default(),
        destination,
    )
    .unwrap_err();
    assert_eq!(
        error.to_string(),
        "no driver for vendor `fake`, model `t` (known drivers: `fake` `s`; others are plugins in `plugin_dirs`)"
    );
}

#[tokio::test(start_paused = true)]
async fn an_added_storage_is_collected_from_at_once_and_a_removed_one_is_not() {
    let mut fixture = Fixture::new();
    fixture.measured("later", |_| Ok(()));
    let later = fixture.storages.remove(0);
    fixture.measured("first", |_| Ok(()));
    let scheduler = fixture.start();
    assert_eq!(fixture.window().await.0, "first");
    scheduler.add(later);
    while fixture.window().await.0 != "later" {}
    scheduler.remove("first");
    // A batch of the removed storage may still be on its way.
    while fixture.window().await.0 != "later" {}
    for _ in 0..3 {
        assert_eq!(fixture.window().await.0, "later");
    }
    assert!(!scheduler.monitor().stats().contains_key("first"));
}

#[tokio::test(start_paused = true)]
async fn the_last_batch_of_a_removed_storage_is_an_empty_complete_list_of_its_alerts() {
    let mut fixture = Fixture::new();
    fixture.measured("s", |_| Ok(()));
    let scheduler = fixture.start();
    fixture.windows(1).await;
    scheduler.remove("s");
    let mut last = None;
    while let Ok(Some(collected)) = timeout(INTERVAL * 3, fixture.accepted.recv()).await {
        last = Some(collected.batch);
    }
    let last = last.unwrap();
    assert_eq!((last.rows.kind(), last.rows.items()), (Kind::Alert, 0));
    assert_eq!(
        (last.storage_id.as_deref(), last.complete),
        (Some("s"), true)
    );
}

#[tokio::test(start_paused = true)]
async fn a_removal_that_is_waited_for_ends_after_the_last_batch_and_tells_until_when_it_was_collected()
 {
    let mut fixture = Fixture::new();
    fixture.measured("s", |_| Ok(()));
    let (scheduler, busy) = start_with_batch_on_its_way(&fixture).await;
    let until = Ok(Some(1_000_000));
    fixture.destination.collected.lock().unwrap().push(until);
    let removal = tokio::spawn(async move { scheduler.remove_and_wait("s").await });
    sleep(INTERVAL * 3).await;
    assert!(!removal.is_finished());
    drop(busy);
    let until = removal.await.unwrap().unwrap();
    assert_eq!(until, Some(1_000_000));
    assert_eq!(fixture.windows(1).await, [(990_000, 1_000_000)]);
}

#[tokio::test(start_paused = true)]
async fn a_storage_that_is_replaced_is_not_called_until_its_last_batch_has_arrived() {
    let mut fixture = Fixture::new();
    fixture.measured("s", |_| Ok(()));
    let (scheduler, busy) = start_with_batch_on_its_way(&fixture).await;
    scheduler.add(fixture.storages[0].clone());
    for _ in 0..1000 {
        tokio::task::yield_now().await;
    }
    let stats = &scheduler.monitor().stats()["s"];
    assert_eq!((&stats.state, stats.succeeded), (&CollectState::Waiting, 0));
    drop(busy);
    assert_eq!(fixture.windows(2).await[0], (990_000, 1_000_000));
}

#[tokio::test(start_paused = true)]
async fn a_new_interval_takes_effect_at_once_and_leaves_no_gap() {
    let mut fixture = Fixture::new();
    fixture.measured("s", |_| Ok(()));
    let schedule = fixture.storages[0].schedule.clone();
    let scheduler = fixture.start();
    fixture.windows(1).await;
    sleep(INTERVAL / 2).await;
    let performance = Some(INTERVAL * 3);
    scheduler.set_schedule(
        "s",
        CollectSchedule {
            performance,
            ..schedule
        },
    );
    let windows = fixture.windows(2).await;
    assert_eq!(windows, [(1_000_000, 1_005_000), (1_005_000, 1_035_000)]);
}

#[tokio::test(start_paused = true)]
async fn without_an_interval_nothing_is_measured_and_that_time_is_in_no_window() {
    let mut fixture = Fixture::new();
    fixture.measured("s", |_| Ok(()));
    let schedule = fixture.storages[0].schedule.clone();
    let scheduler = fixture.start();
    fixture.windows(1).await;
    let performance = None;
    scheduler.set_schedule(
        "s",
        CollectSchedule {
            performance,
            ..schedule.clone()
        },
    );
    sleep(INTERVAL * 10).await;
    while let Ok(collected) = fixture.accepted.try_recv() {
        assert!(matches!(collected.batch.rows, AnyBatch::Alerts(_)));
    }
    scheduler.set_schedule("s", schedule);
    assert_eq!(fixture.windows(1).await, [(1_090_000, 1_100_000)]);
}

#[tokio::test(start_paused = true)]
async fn time_before_the_start_is_collected_only_with_backfill_and_never_twice() {
    for (accepted, earlier, backfill, expected) in [
        (Some(700_000), None, true, (700_000, 1_000_000)),
        (None, Some(700_000), true, (700_000, 1_000_000)),
        (Some(998_000), Some(700_000), true, (998_000, 1_000_000)),
        (Some(700_000), None, false, (990_000, 1_000_000)),
        (Some(998_000), None, false, (998_000, 1_000_000)),
        (None, None, true, (990_000, 1_000_000)),
    ] {
        let mut fixture = Fixture::new();
        fixture.measured("s", |_| Ok(()));
        fixture
            .destination
            .collected
            .lock()
            .unwrap()
            .push(Ok(accepted));
        fixture.storages[0].collected_until_ms = earlier;
        fixture.storages[0].schedule.backfill = backfill;
        let _scheduler = fixture.start();
        let collected = fixture.points().await;
        assert_eq!(window_of(&collected), expected);
        assert_eq!(collected.until_ms, Some(1_000_000));
    }
}

#[tokio::test(start_paused = true)]
async fn a_destination_that_cannot_tell_until_when_a_storage_is_collected_is_asked_again() {
    let mut fixture = Fixture::new();
    fixture.measured("s", |_| Ok(()));
    let answers = vec![Ok(Some(700_000)), Err("the journal cannot be read".into())];
    *fixture.destination.collected.lock().unwrap() = answers;
    let scheduler = fixture.start();
    assert_eq!(fixture.windows(1).await, [(700_000, 1_010_000)]);
    assert_eq!(scheduler.monitor().stats()["s"].failed, 1);
}

#[tokio::test(start_paused = true)]
async fn points_that_are_sent_again_have_the_same_id() {
    let mut fixture = Fixture::new();
    fixture.measured("s", |_| Ok(()));
    let destination = Arc::clone(&fixture.destination);
    destination.keeps_refused.store(true, Ordering::SeqCst);
    destination.refusals.store(1, Ordering::SeqCst);
    let _scheduler = fixture.start();
    let [first, again, next] = [
        fixture.points().await,
        fixture.points().await,
        fixture.points().await,
    ];
    assert_eq!(first.batch_id, again.batch_id);
    assert_ne!(again.batch_id, next.batch_id);
}

#[tokio::test(start_paused = true)]
async fn a_client_gets_the_alerts_and_a_sync_also_forwards_them() {
    let mut fixture = Fixture::new();
    fixture.add("s", [NEVER, NEVER], |_| Ok(()), || Ok(2));
    fixture.storages[0].schedule.alerts = None;
    let scheduler = fixture.start();
    fixture.windows(1).await;
    let range = Some(TimeWindow {
        start_ms: 1,
        end_ms: 2,
    });
    for (range, forward) in [(None, false), (None, true), (range, true)] {
        let selection = AlertSelection { range, forward };
        let alerts = scheduler.list_alerts("s", selection).await.unwrap();
        assert_eq!(alerts.items(), 2);
    }
    let mut complete = Vec::new();
    while let Ok(collected) = fixture.accepted.try_recv() {
        assert_eq!(collected.batch.origin, Origin::Sync);
        complete.push(collected.batch.complete);
    }
    assert_eq!(complete, [true, false]);
    let gone = scheduler.capabilities("t").await;
    assert_eq!(gone, Err(StorageRequestError::Gone));
    assert!(scheduler.capabilities("s").await.unwrap().is_historic);
}

#[tokio::test(start_paused = true)]
async fn a_failed_storage_is_called_again_after_its_schedule_is_set() {
    let mut fixture = Fixture::new();
    let mut results = script([Err(DriverError::Refused {
        reason: "wrong password".to_owned(),
    })]);
    fixture.measured("s", move |_| results().unwrap_or(Ok(())));
    let schedule = fixture.storages[0].schedule.clone();
    let scheduler = fixture.start();
    while scheduler.monitor().stats()["s"].state != CollectState::Failed {
        tokio::task::yield_now().await;
    }
    scheduler.set_schedule("s", schedule);
    assert_eq!(fixture.windows(1).await.len(), 1);
}
