//! One storage's task: when something is due, it calls the driver and hands on
//! what that said.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use delfin_plugin_api::{AlertBatch, Origin, PerformanceBatch};
use tokio::{
    sync::watch,
    time::{Instant, sleep_until},
};

use super::{
    StorageConfig, WallClock,
    stats::{CollectState, SharedStats},
    windows::{Planned, Rhythm, Windows},
    worker::{CallError, Worker},
};
use crate::collect::{
    destination::{Collected, CollectedBatch, Destination, Refused},
    driver::DriverError,
    drivers::Factory,
    sink::{AlertSink, SeriesSink, StorageLabels},
};

/// Collects from one storage.
pub(super) struct StorageTask<D> {
    config: StorageConfig,
    factory: Factory,
    destination: Arc<D>,
    clock: WallClock,
    stats: SharedStats,
    driver: Option<OpenDriver>,
    windows: Windows,
    /// Points that the destination has not taken yet.
    kept: Option<Collected>,
    /// Whether the alerts that were handed on last were none. Of the time before
    /// the start nothing is known, so the first list is handed on whatever it says.
    no_alerts_before: bool,
    /// Whether the destination did not take the last batch.
    refusing: bool,
    /// Why the last call of each kind failed.
    errors: BTreeMap<Due, String>,
}

/// A driver that has told who its storage is.
struct OpenDriver {
    worker: Worker,
    labels: Arc<StorageLabels>,
    is_historic: bool,
}

/// What a driver is called for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Due {
    Performance,
    Alerts,
}

/// What comes after a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    Again,
    NotThisCall,
    NotThisStorage,
}

impl<D: Destination> StorageTask<D> {
    pub(super) fn new(
        config: StorageConfig,
        factory: Factory,
        destination: Arc<D>,
        clock: WallClock,
    ) -> Self {
        Self {
            windows: Windows::new(config.performance_interval),
            config,
            factory,
            destination,
            clock,
            stats: SharedStats::default(),
            driver: None,
            kept: None,
            no_alerts_before: false,
            refusing: false,
            errors: BTreeMap::new(),
        }
    }

    pub(super) fn stats(&self) -> SharedStats {
        self.stats.clone()
    }

    /// Goes on until it is told to stop, or the storage must not be asked any more.
    pub(super) async fn run(mut self, mut stop: watch::Receiver<bool>) {
        let end = self.attend(&mut stop).await;
        self.stats.lock().state = end;
    }

    async fn attend(&mut self, stop: &mut watch::Receiver<bool>) -> CollectState {
        let now = Instant::now();
        let mut performance = Some(Rhythm::new(now, self.config.performance_interval));
        let mut alerts = Some(Rhythm::new(now, self.config.alerts_interval));
        loop {
            let (due, rhythm) = tokio::select! {
                biased;
                () = stopped(stop) => return CollectState::Stopped,
                () = due(performance.as_ref()) => (Due::Performance, &mut performance),
                () = due(alerts.as_ref()) => (Due::Alerts, &mut alerts),
            };
            let Some(next) = self.serve(due, stop).await else {
                return CollectState::Stopped;
            };
            match (next, rhythm.as_mut()) {
                (Next::Again, Some(rhythm)) => rhythm.advance(Instant::now()),
                (Next::Again | Next::NotThisCall, _) => *rhythm = None,
                (Next::NotThisStorage, _) => return CollectState::Failed,
            }
        }
    }

    /// Calls the driver and hands on what it says; nothing if it is told to stop
    /// meanwhile.
    async fn serve(&mut self, due: Due, stop: &mut watch::Receiver<bool>) -> Option<Next> {
        if due == Due::Performance
            && let Some(kept) = self.kept.take()
        {
            self.hand_over_points(kept).await;
            if self.kept.is_some() {
                return Some(Next::Again);
            }
        }
        let since_ms = (self.clock)();
        self.stats.lock().state = CollectState::Calling { since_ms };
        let started = Instant::now();
        let called = tokio::select! {
            biased;
            () = stopped(stop) => return None,
            called = self.call(due) => called,
        };
        self.stats.lock().state = CollectState::Waiting;
        self.stats.lock().last_duration = Some(started.elapsed());
        match called {
            Ok(collected) => {
                self.succeeded(due, &collected, started.elapsed());
                match due {
                    Due::Performance => self.hand_over_points(collected).await,
                    Due::Alerts => self.hand_over_alerts(collected).await,
                }
                Some(Next::Again)
            }
            Err(error) => Some(self.failed(due, &error)),
        }
    }

    async fn call(&mut self, due: Due) -> Result<Collected, CallError> {
        let (origin, complete, batch) = match due {
            Due::Performance => {
                let points = self.collect().await?;
                (
                    Origin::Collection,
                    false,
                    CollectedBatch::Performance(points),
                )
            }
            Due::Alerts => {
                let alerts = self.list_alerts().await?;
                (Origin::Sync, true, CollectedBatch::Alerts(alerts))
            }
        };
        Ok(Collected {
            storage_id: self.config.id.clone(),
            origin,
            complete,
            batch,
        })
    }

    async fn collect(&mut self) -> Result<PerformanceBatch, CallError> {
        let planned = self.windows.plan((self.clock)(), Instant::now());
        let driver = self.opened().await?;
        let labels = Arc::clone(&driver.labels);
        let is_historic = driver.is_historic;
        let call = driver.worker.call(move |driver| {
            let mut series = SeriesSink::new(&labels);
            driver.collect(planned.window, &mut series)?;
            Ok(series.build())
        });
        let batch = call.await??;
        self.windows.done(&planned);
        self.report_cut(&planned, is_historic);
        Ok(batch)
    }

    async fn list_alerts(&mut self) -> Result<AlertBatch, CallError> {
        let driver = self.opened().await?;
        let labels = Arc::clone(&driver.labels);
        let call = driver.worker.call(move |driver| {
            let mut alerts = AlertSink::new(&labels);
            driver.list_alerts(None, &mut alerts)?;
            Ok(alerts.build())
        });
        Ok(call.await??)
    }

    async fn opened(&mut self) -> Result<&OpenDriver, CallError> {
        let driver = match self.driver.take() {
            Some(driver) => driver,
            None => self.open().await?,
        };
        Ok(self.driver.insert(driver))
    }

    async fn open(&self) -> Result<OpenDriver, CallError> {
        let config = &self.config;
        let factory = Arc::clone(&self.factory);
        let (worker, opened) = Worker::open(&config.id, factory, config.options.clone())?;
        let opened = opened.await??;
        let mut info = opened.info;
        if let Some(name) = &config.name {
            info.name.clone_from(name);
        }
        let id = config.id.clone();
        Ok(OpenDriver {
            worker,
            labels: Arc::new(StorageLabels { id, info }),
            is_historic: opened.is_historic,
        })
    }

    /// Points that are not taken are kept.
    async fn hand_over_points(&mut self, collected: Collected) {
        let items = collected.batch.items();
        if items == 0 {
            return;
        }
        match self.destination.accept(collected.clone()).await {
            Ok(()) => {
                self.accepted();
                self.stats.lock().points += items;
            }
            Err(error) => {
                self.refused(&error);
                self.kept = Some(collected);
            }
        }
    }

    /// Alerts that are not taken are not kept: the next list says all of it again.
    async fn hand_over_alerts(&mut self, collected: Collected) {
        let items = collected.batch.items();
        if items == 0 && self.no_alerts_before {
            return;
        }
        match self.destination.accept(collected).await {
            Ok(()) => {
                self.accepted();
                self.no_alerts_before = items == 0;
                self.stats.lock().alerts += items;
            }
            Err(error) => self.refused(&error),
        }
    }

    fn succeeded(&mut self, due: Due, collected: &Collected, took: Duration) {
        let storage = self.config.id.as_str();
        if self.errors.remove(&due).is_some() {
            log::info!(storage, due = due.as_str(); "storage answers again");
        }
        let mut stats = self.stats.lock();
        stats.succeeded += 1;
        stats.last_success_ms = Some((self.clock)());
        stats.last_error = self.errors.values().next().cloned();
        drop(stats);
        let items = collected.batch.items();
        log::debug!(storage, due = due.as_str(), items, took:?; "storage answered");
    }

    fn failed(&mut self, due: Due, error: &CallError) -> Next {
        let storage = self.config.id.as_str();
        let (due_as, text) = (due.as_str(), error.to_string());
        let next = Next::after(error);
        if next == Next::NotThisCall {
            log::info!(storage, due = due_as, error = text; "driver does not offer this");
            return next;
        }
        let known = self.errors.insert(due, text.clone());
        match next {
            Next::NotThisStorage => {
                log::error!(storage, due = due_as, error = text; "storage is not asked any more");
            }
            Next::Again | Next::NotThisCall if known.as_ref() == Some(&text) => {
                log::debug!(storage, due = due_as, error = text; "storage still fails");
            }
            Next::Again | Next::NotThisCall => {
                log::warn!(storage, due = due_as, error = text; "storage failed, it is asked again");
            }
        }
        let mut stats = self.stats.lock();
        stats.failed += 1;
        stats.last_error = Some(text);
        drop(stats);
        if matches!(error, CallError::Panicked) {
            self.driver = None;
        }
        next
    }

    fn accepted(&mut self) {
        if std::mem::take(&mut self.refusing) {
            let storage = self.config.id.as_str();
            log::info!(storage; "collected batches are taken again");
        }
    }

    fn refused(&mut self, error: &Refused) {
        let storage = self.config.id.as_str();
        self.stats.lock().refused += 1;
        if !std::mem::replace(&mut self.refusing, true) {
            log::warn!(storage, error:%; "collected batch is not taken (it is offered again)");
        }
    }

    fn report_cut(&self, planned: &Planned, is_historic: bool) {
        // Without a history there is nothing that an older window would have brought.
        if planned.cut.is_zero() || !is_historic {
            return;
        }
        let storage = self.config.id.as_str();
        self.stats.lock().given_up += planned.cut;
        log::error!(storage, given_up:? = planned.cut; "storage was away for too long, its oldest points are given up");
    }
}

impl Next {
    fn after(error: &CallError) -> Self {
        match error {
            CallError::Panicked => Self::Again,
            CallError::Driver(DriverError::Unsupported { .. }) => Self::NotThisCall,
            CallError::Driver(error) if error.may_retry() => Self::Again,
            CallError::Driver(_) => Self::NotThisStorage,
        }
    }
}

impl Due {
    fn as_str(self) -> &'static str {
        match self {
            Self::Performance => "performance",
            Self::Alerts => "alerts",
        }
    }
}

async fn due(rhythm: Option<&Rhythm>) {
    match rhythm {
        Some(rhythm) => sleep_until(rhythm.due()).await,
        None => std::future::pending().await,
    }
}

/// Returns when the schedule has been stopped, or dropped.
async fn stopped(stop: &mut watch::Receiver<bool>) {
    drop(stop.wait_for(|stop| *stop).await);
}
