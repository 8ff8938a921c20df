use std::{
    sync::{
        atomic::{AtomicI64, AtomicUsize, Ordering},
        mpsc as blocking,
    },
    time::Duration,
};

use delfin_plugin_api::{Batch, NewAlert, Origin};
use tokio::{
    sync::{Semaphore, mpsc},
    time::{Instant, sleep},
};

use super::*;
use crate::batch::{AnyBatch, NewBatch};
use crate::collect::{
    AlertSink, Capabilities, Collected, Driver, DriverError, Metric, Refused, Resource,
    ResourceType, SeriesSink, StorageDetails, StorageInfo, Window,
};

const INTERVAL: Duration = Duration::from_secs(10);
const NEVER: Duration = Duration::from_secs(1_000_000);
const BEGIN_MS: i64 = 1_000_000;

type Collect = dyn FnMut(Window) -> Result<(), DriverError> + Send;
type Alerts = dyn FnMut() -> Result<usize, DriverError> + Send;

/// A driver that does what the test says.
struct FakeDriver {
    collect: Arc<Mutex<Collect>>,
    alerts: Arc<Mutex<Alerts>>,
}

/// Gives what it takes to the test, unless it is told to refuse.
struct FakeDestination {
    taken: mpsc::UnboundedSender<Collected>,
    refusals: AtomicUsize,
    permits: Semaphore,
}

/// The storages, drivers and clock of one test.
struct Bench {
    registry: Registry,
    storages: Vec<StorageConfig>,
    destination: Arc<FakeDestination>,
    taken: mpsc::UnboundedReceiver<Collected>,
    set_ms: Arc<AtomicI64>,
}

impl Driver for FakeDriver {
    fn storage(&mut self) -> Result<StorageInfo, DriverError> {
        Ok(StorageInfo {
            name: "its own name".to_owned(),
            vendor: "fake".to_owned(),
            model: "fake".to_owned(),
            serial_number: "1".to_owned(),
            details: StorageDetails::default(),
        })
    }

    fn capabilities(&self) -> Capabilities<'_> {
        Capabilities {
            is_historic: true,
            retention_ms: None,
            resource_metrics: &[],
        }
    }

    fn collect(&mut self, window: Window, series: &mut SeriesSink<'_>) -> Result<(), DriverError> {
        (self.collect.lock().unwrap())(window)?;
        let resource = Resource {
            resource_type: ResourceType::Disk,
            id: "d",
        };
        let metric = Metric {
            name: "iops",
            unit: "IOPS",
        };
        series.series(resource, metric, [(window.start_ms, window.end_ms as f64)])
    }

    fn list_alerts(
        &mut self,
        _: Option<Window>,
        alerts: &mut AlertSink<'_>,
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

impl Destination for FakeDestination {
    async fn accept(&self, collected: Collected) -> Result<(), Refused> {
        let permit = self.permits.acquire().await;
        drop(permit);
        let left = self.refusals.load(Ordering::SeqCst);
        if left > 0 {
            self.refusals.store(left - 1, Ordering::SeqCst);
            return Err("the journal is full".into());
        }
        Ok(self.taken.send(collected)?)
    }
}

impl Bench {
    fn new() -> Self {
        let (sender, taken) = mpsc::unbounded_channel();
        Self {
            registry: Registry::empty(),
            storages: Vec::new(),
            destination: Arc::new(FakeDestination {
                taken: sender,
                refusals: AtomicUsize::new(0),
                permits: Semaphore::new(1),
            }),
            taken,
            set_ms: Arc::default(),
        }
    }

    /// A storage that is measured every ten seconds.
    fn measured(
        &mut self,
        id: &str,
        collect: impl FnMut(Window) -> Result<(), DriverError> + Send + 'static,
    ) {
        self.add(id, [INTERVAL, NEVER], collect, || Ok(0));
    }

    fn add(
        &mut self,
        id: &str,
        [performance_interval, alerts_interval]: [Duration; 2],
        collect: impl FnMut(Window) -> Result<(), DriverError> + Send + 'static,
        alerts: impl FnMut() -> Result<usize, DriverError> + Send + 'static,
    ) {
        let collect: Arc<Mutex<Collect>> = Arc::new(Mutex::new(collect));
        let alerts: Arc<Mutex<Alerts>> = Arc::new(Mutex::new(alerts));
        self.registry.add("fake", id, move |_, _| {
            let (collect, alerts) = (Arc::clone(&collect), Arc::clone(&alerts));
            Ok(Box::new(FakeDriver { collect, alerts }))
        });
        self.storages.push(StorageConfig {
            id: id.to_owned(),
            name: None,
            vendor: "fake".to_owned(),
            model: id.to_owned(),
            pace: Pace {
                performance: Some(performance_interval),
                alerts: Some(alerts_interval),
                is_historic: true,
            },
            collected_until_ms: None,
            options: Options::new(),
        });
    }

    fn start(&self) -> Schedule {
        let (start, set_ms) = (Instant::now(), Arc::clone(&self.set_ms));
        let clock =
            move || BEGIN_MS + start.elapsed().as_millis() as i64 + set_ms.load(Ordering::SeqCst);
        let destination = Arc::clone(&self.destination);
        let storages = self.storages.clone();
        Schedule::start_with_clock(storages, &self.registry, destination, Arc::new(clock)).unwrap()
    }

    /// The window of the next points that the destination takes, and whose they are.
    async fn window(&mut self) -> (String, i64, i64) {
        loop {
            let collected = self.taken.recv().await.unwrap();
            let NewBatch {
                rows: AnyBatch::Performance(batch),
                origin,
                storage_id: Some(storage_id),
                ..
            } = collected.batch
            else {
                continue;
            };
            assert_eq!(origin, Origin::Collection);
            let series = batch.series().next().unwrap();
            let (start_ms, end_ms) = series.points().next().unwrap();
            return (storage_id, start_ms, end_ms as i64);
        }
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

fn unavailable() -> DriverError {
    DriverError::Unavailable {
        reason: "it is off".to_owned(),
    }
}

/// The results of a driver's calls, one after the other; after them, all is well.
fn script<T>(
    results: impl IntoIterator<Item = Result<T, DriverError>>,
) -> impl FnMut() -> Option<Result<T, DriverError>> {
    let mut results: Vec<_> = results.into_iter().collect();
    results.reverse();
    move || results.pop()
}

#[tokio::test(start_paused = true)]
async fn the_first_collection_is_at_once_and_windows_have_no_gaps() {
    let mut bench = Bench::new();
    bench.measured("s", |_| Ok(()));
    let begin = Instant::now();
    let _schedule = bench.start();
    let first = bench.windows(1).await;
    assert_eq!(first, [(990_000, 1_000_000)]);
    assert_eq!(begin.elapsed(), Duration::ZERO);
    let next = bench.windows(3).await;
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
    let mut bench = Bench::new();
    let mut results = script([
        Err(unavailable()),
        Ok(()),
        Err(unavailable()),
        Err(unavailable()),
    ]);
    bench.measured("s", move |_| results().unwrap_or(Ok(())));
    let schedule = bench.start();
    let windows = bench.windows(2).await;
    assert_eq!(windows, [(990_000, 1_010_000), (1_010_000, 1_040_000)]);
    assert_eq!(schedule.collecting().stats()["s"].failed, 3);
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_is_set_back_inverts_no_window() {
    let mut bench = Bench::new();
    bench.measured("s", |_| Ok(()));
    let _schedule = bench.start();
    bench.windows(1).await;
    bench.set_ms.store(-900_000, Ordering::SeqCst);
    assert_eq!(
        bench.windows(2).await,
        [(100_000, 110_000), (110_000, 120_000)]
    );
}

#[tokio::test(start_paused = true)]
async fn a_slow_driver_delays_no_other_storage_and_loses_no_time() {
    let mut bench = Bench::new();
    let (release, gate) = blocking::channel::<()>();
    let mut held = true;
    bench.measured("slow", move |_| {
        if std::mem::take(&mut held) {
            let _ = gate.recv();
        }
        Ok(())
    });
    bench.measured("fast", |_| Ok(()));
    let schedule = bench.start();
    for beat in 0..5 {
        let end_ms = BEGIN_MS + beat * 10_000;
        let expected = ("fast".to_owned(), end_ms - 10_000, end_ms);
        assert_eq!(bench.window().await, expected);
    }
    let since_ms = BEGIN_MS;
    let state = schedule.collecting().stats()["slow"].state;
    assert_eq!(state, CollectState::Calling { since_ms });

    release.send(()).unwrap();
    let mut slow = Vec::new();
    while slow.len() < 2 {
        let (id, start_ms, end_ms) = bench.window().await;
        if id == "slow" {
            slow.push((start_ms, end_ms));
        }
    }
    assert_eq!(slow[0], (990_000, 1_000_000));
    assert_eq!(slow[1].0, 1_000_000);
    assert!(slow[1].1 >= 1_050_000);
}

#[tokio::test(start_paused = true)]
async fn a_driver_that_hangs_does_not_hold_up_the_stop() {
    let mut bench = Bench::new();
    let (_release, gate) = blocking::channel::<()>();
    let (called, mut calls) = mpsc::unbounded_channel();
    bench.measured("s", move |_| {
        called.send(()).unwrap();
        let _ = gate.recv();
        Ok(())
    });
    let schedule = bench.start();
    calls.recv().await.unwrap();
    schedule.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_stop_lets_a_batch_be_handed_over() {
    let mut bench = Bench::new();
    bench.measured("s", |_| Ok(()));
    let destination = Arc::clone(&bench.destination);
    let busy = destination.permits.acquire().await.unwrap();
    let schedule = bench.start();
    while schedule.collecting().stats()["s"].succeeded == 0 {
        tokio::task::yield_now().await;
    }
    let stop = tokio::spawn(async move { schedule.stop().await });
    tokio::task::yield_now().await;
    assert!(!stop.is_finished());
    drop(busy);
    stop.await.unwrap();
    assert_eq!(bench.windows(1).await, [(990_000, 1_000_000)]);
}

#[tokio::test(start_paused = true)]
async fn points_that_are_not_taken_are_offered_again_and_nothing_is_lost() {
    let mut bench = Bench::new();
    bench.measured("s", |_| Ok(()));
    // The points, the alerts of the same moment, and the points again.
    bench.destination.refusals.store(3, Ordering::SeqCst);
    let schedule = bench.start();
    let windows = bench.windows(3).await;
    assert_eq!(
        windows,
        [
            (990_000, 1_000_000),
            (1_000_000, 1_020_000),
            (1_020_000, 1_030_000)
        ]
    );
    assert_eq!(schedule.collecting().stats()["s"].refused, 3);
}

#[tokio::test(start_paused = true)]
async fn a_storage_that_refuses_its_driver_is_left_alone() {
    let mut bench = Bench::new();
    bench.measured("s", |_| {
        Err(DriverError::Refused {
            reason: "wrong password".to_owned(),
        })
    });
    let schedule = bench.start();
    while schedule.collecting().stats()["s"].state != CollectState::Failed {
        tokio::task::yield_now().await;
    }
    let stats = &schedule.collecting().stats()["s"];
    assert_eq!((stats.state, stats.failed), (CollectState::Failed, 1));
    assert_eq!(
        stats.last_error.as_deref(),
        Some("storage refused the driver: wrong password (correct its access data)")
    );
}

#[tokio::test(start_paused = true)]
async fn a_driver_without_alerts_is_still_measured() {
    let mut bench = Bench::new();
    let unsupported = || {
        Err(DriverError::Unsupported {
            action: "list alerts",
            reason: "there are none",
        })
    };
    bench.add("s", [INTERVAL, INTERVAL], |_| Ok(()), unsupported);
    let schedule = bench.start();
    bench.windows(3).await;
    let stats = &schedule.collecting().stats()["s"];
    assert_eq!((stats.failed, &stats.last_error), (0, &None));
}

#[tokio::test(start_paused = true)]
async fn the_end_of_alerts_is_handed_on_once() {
    let mut bench = Bench::new();
    let mut results = script([Ok(0), Ok(0), Ok(2), Ok(0), Ok(0)]);
    let alerts = move || results().unwrap_or(Ok(1));
    bench.add("s", [NEVER, INTERVAL], |_| Err(unavailable()), alerts);
    let begin = Instant::now();
    let _schedule = bench.start();
    let mut seen = Vec::new();
    while seen.len() < 4 {
        let collected = bench.taken.recv().await.unwrap();
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
async fn a_driver_that_panics_is_made_anew_and_its_window_is_not_lost() {
    let mut bench = Bench::new();
    let calls = AtomicUsize::new(0);
    let collect = move |_| {
        if calls.fetch_add(1, Ordering::SeqCst) == 0 {
            std::panic::resume_unwind(Box::new("on purpose"));
        }
        Ok(())
    };
    // The lock around the closure would stay poisoned, so each driver has its own.
    let collect = Arc::new(collect);
    bench.add("s", [INTERVAL, NEVER], |_| Ok(()), || Ok(0));
    bench.registry.add("fake", "s", move |_, _| {
        let collect = Arc::clone(&collect);
        Ok(Box::new(FakeDriver {
            collect: Arc::new(Mutex::new(move |window| collect(window))),
            alerts: Arc::new(Mutex::new(|| Ok(0))),
        }))
    });
    let schedule = bench.start();
    assert_eq!(bench.windows(1).await, [(990_000, 1_010_000)]);
    assert_eq!(schedule.collecting().stats()["s"].failed, 1);
}

#[tokio::test(start_paused = true)]
async fn a_name_in_the_configuration_comes_before_the_storages_own() {
    let mut bench = Bench::new();
    bench.measured("s", |_| Ok(()));
    bench.storages[0].name = Some("given".to_owned());
    let _schedule = bench.start();
    let collected = bench.taken.recv().await.unwrap();
    let AnyBatch::Performance(batch) = collected.batch.rows else {
        panic!("performance comes first")
    };
    let series = batch.series().next().unwrap();
    assert_eq!(series.labels().get("name"), Some("given"));
}

#[tokio::test(start_paused = true)]
async fn a_schedule_that_is_dropped_collects_no_more() {
    let mut bench = Bench::new();
    bench.measured("s", |_| Ok(()));
    let schedule = bench.start();
    bench.windows(1).await;
    drop(schedule);
    sleep(INTERVAL * 3).await;
    while let Ok(collected) = bench.taken.try_recv() {
        assert!(matches!(collected.batch.rows, AnyBatch::Alerts(_)));
    }
}

#[tokio::test]
async fn a_storage_without_a_driver_is_an_error_at_start() {
    let mut bench = Bench::new();
    bench.measured("s", |_| Ok(()));
    bench.storages[0].model = "t".to_owned();
    let destination = Arc::clone(&bench.destination);
    let error = Schedule::start(bench.storages, &bench.registry, destination).unwrap_err();
    assert_eq!(
        error.to_string(),
        "no driver for vendor `fake`, model `t` (there is `fake` `s`)"
    );
}

#[tokio::test(start_paused = true)]
async fn a_storage_that_is_added_is_collected_from_at_once_and_one_removed_no_more() {
    let mut bench = Bench::new();
    bench.measured("later", |_| Ok(()));
    let later = bench.storages.remove(0);
    bench.measured("first", |_| Ok(()));
    let schedule = bench.start();
    assert_eq!(bench.window().await.0, "first");
    schedule.add(later).unwrap();
    while bench.window().await.0 != "later" {}
    schedule.remove("first");
    // What was on its way may still come.
    while bench.window().await.0 != "later" {}
    for _ in 0..3 {
        assert_eq!(bench.window().await.0, "later");
    }
    assert!(!schedule.collecting().stats().contains_key("first"));
}

#[tokio::test(start_paused = true)]
async fn another_interval_is_in_force_at_once_and_leaves_no_gap() {
    let mut bench = Bench::new();
    bench.measured("s", |_| Ok(()));
    let pace = bench.storages[0].pace.clone();
    let schedule = bench.start();
    bench.windows(1).await;
    sleep(INTERVAL / 2).await;
    let performance = Some(INTERVAL * 3);
    schedule.set_pace(
        "s",
        Pace {
            performance,
            ..pace
        },
    );
    let windows = bench.windows(2).await;
    assert_eq!(windows, [(1_000_000, 1_005_000), (1_005_000, 1_035_000)]);
}

#[tokio::test(start_paused = true)]
async fn without_an_interval_nothing_is_measured_and_that_time_is_never_asked_for() {
    let mut bench = Bench::new();
    bench.measured("s", |_| Ok(()));
    let pace = bench.storages[0].pace.clone();
    let schedule = bench.start();
    bench.windows(1).await;
    let performance = None;
    schedule.set_pace(
        "s",
        Pace {
            performance,
            ..pace.clone()
        },
    );
    sleep(INTERVAL * 10).await;
    while let Ok(collected) = bench.taken.try_recv() {
        assert!(matches!(collected.batch.rows, AnyBatch::Alerts(_)));
    }
    schedule.set_pace("s", pace);
    assert_eq!(bench.windows(1).await, [(1_090_000, 1_100_000)]);
}

#[tokio::test(start_paused = true)]
async fn what_was_missed_before_the_start_is_asked_for_unless_history_is_not_wanted() {
    for (is_historic, expected) in [(true, (700_000, 1_000_000)), (false, (990_000, 1_000_000))] {
        let mut bench = Bench::new();
        bench.measured("s", |_| Ok(()));
        bench.storages[0].collected_until_ms = Some(700_000);
        bench.storages[0].pace.is_historic = is_historic;
        let _schedule = bench.start();
        let until_ms = loop {
            let collected = bench.taken.recv().await.unwrap();
            if let AnyBatch::Performance(batch) = collected.batch.rows {
                let point = batch.series().next().unwrap().points().next().unwrap();
                assert_eq!((point.0, point.1 as i64), expected);
                break collected.until_ms;
            }
        };
        assert_eq!(until_ms, is_historic.then_some(1_000_000));
    }
}

#[tokio::test(start_paused = true)]
async fn whoever_asks_gets_the_alerts_and_a_sync_hands_them_on() {
    let mut bench = Bench::new();
    bench.add("s", [NEVER, NEVER], |_| Ok(()), || Ok(2));
    bench.storages[0].pace.alerts = None;
    let schedule = bench.start();
    bench.windows(1).await;
    let range = Some(Window {
        start_ms: 1,
        end_ms: 2,
    });
    for (range, hand_over) in [(None, false), (None, true), (range, true)] {
        let query = AlertQuery { range, hand_over };
        let alerts = schedule.list_alerts("s", query).await.unwrap();
        assert_eq!(alerts.items(), 2);
    }
    let mut complete = Vec::new();
    while let Ok(collected) = bench.taken.try_recv() {
        assert_eq!(collected.batch.origin, Origin::Sync);
        complete.push(collected.batch.complete);
    }
    assert_eq!(complete, [true, false]);
    let gone = schedule.offer("t").await;
    assert_eq!(gone, Err(AskError::Gone));
    assert!(schedule.offer("s").await.unwrap().is_historic);
}

#[tokio::test(start_paused = true)]
async fn a_storage_that_was_given_up_is_asked_again_once_its_pace_is_set() {
    let mut bench = Bench::new();
    let mut results = script([Err(DriverError::Refused {
        reason: "wrong password".to_owned(),
    })]);
    bench.measured("s", move |_| results().unwrap_or(Ok(())));
    let pace = bench.storages[0].pace.clone();
    let schedule = bench.start();
    while schedule.collecting().stats()["s"].state != CollectState::Failed {
        tokio::task::yield_now().await;
    }
    schedule.set_pace("s", pace);
    assert_eq!(bench.windows(1).await.len(), 1);
}
