//! One storage's task: when something is due, it calls the driver and hands on
//! what that said.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use delfin_plugin_api::{AlertBatch, Batch, Origin};
use tokio::{
    sync::{mpsc, watch},
    time::{Instant, sleep_until},
};
use uuid::Uuid;

use super::{
    StorageConfig, WallClock,
    ask::{AlertQuery, AskError, Order},
    slots::Slots,
    stats::{CollectState, SharedStats},
    windows::{Planned, Rhythm, Windows},
    worker::{CallError, Idle, open},
};
use crate::batch::NewBatch;
use crate::collect::{
    destination::{Collected, Destination, Refused},
    driver::{Driver, DriverError, Offer, Window},
    drivers::Factory,
    sink::{AlertSink, SeriesSink, StorageLabels},
};

/// Collects from one storage.
pub(super) struct StorageTask<D> {
    config: StorageConfig,
    factory: Factory,
    destination: Arc<D>,
    clock: WallClock,
    slots: Arc<Slots>,
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
    /// Whether somebody has to correct something before it is asked again.
    given_up: bool,
}

/// What tells a task what to do.
pub(super) struct Commands {
    pub(super) stopped: watch::Receiver<bool>,
    pub(super) orders: mpsc::UnboundedReceiver<Order>,
    /// Whether it begins at a moment of its own instead of at once.
    pub(super) is_spread: bool,
}

/// A driver that has told who its storage is.
struct OpenDriver {
    driver: Idle,
    labels: Arc<StorageLabels>,
    offer: Offer,
}

/// When the next call of each kind is due.
#[derive(Default)]
struct Rhythms {
    performance: Option<Rhythm>,
    alerts: Option<Rhythm>,
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
        (destination, clock, slots): (Arc<D>, WallClock, Arc<Slots>),
    ) -> Self {
        Self {
            windows: Windows::new(config.pace.performance.unwrap_or_default()),
            config,
            factory,
            destination,
            clock,
            slots,
            stats: SharedStats::default(),
            driver: None,
            kept: None,
            no_alerts_before: false,
            refusing: false,
            errors: BTreeMap::new(),
            given_up: false,
        }
    }

    pub(super) fn stats(&self) -> SharedStats {
        self.stats.clone()
    }

    /// Goes on until it is told to stop.
    pub(super) async fn run(mut self, mut commands: Commands) {
        let mut rhythms = self.rhythms(commands.is_spread);
        while let Some(()) = self.attend(&mut rhythms, &mut commands).await {}
        self.stats.lock().state = CollectState::Stopped;
    }

    /// Does what comes next; nothing once it is told to stop.
    async fn attend(&mut self, rhythms: &mut Rhythms, commands: &mut Commands) -> Option<()> {
        let due = tokio::select! {
            biased;
            () = stopped(&mut commands.stopped) => return None,
            order = commands.orders.recv() => {
                match order? {
                    Order::Pace(pace) => {
                        self.config.pace = pace;
                        self.given_up = false;
                        self.windows.set_interval(self.config.pace.performance);
                        *rhythms = self.rhythms(commands.is_spread);
                    }
                    order => self.answer(order, &mut commands.stopped).await?,
                }
                return Some(());
            }
            () = due(rhythms.performance.as_ref()) => Due::Performance,
            () = due(rhythms.alerts.as_ref()) => Due::Alerts,
        };
        let next = self.serve(due, &mut commands.stopped).await?;
        let rhythm = match due {
            Due::Performance => &mut rhythms.performance,
            Due::Alerts => &mut rhythms.alerts,
        };
        match (next, rhythm.as_mut()) {
            (Next::Again, Some(rhythm)) => {
                self.stats.lock().skipped += rhythm.advance(Instant::now());
            }
            (Next::Again | Next::NotThisCall, _) => *rhythm = None,
            (Next::NotThisStorage, _) => {
                *rhythms = Rhythms::default();
                self.given_up = true;
                self.at_rest();
            }
        }
        Some(())
    }

    /// The rhythms of its pace, from now on.
    fn rhythms(&self, is_spread: bool) -> Rhythms {
        let rhythm = |interval: Option<Duration>, due: Due| {
            let interval = interval?;
            let phase = if is_spread {
                interval.mul_f64(phase(&self.config.id, due))
            } else {
                Duration::ZERO
            };
            Some(Rhythm::new(Instant::now() + phase, interval))
        };
        Rhythms {
            performance: rhythm(self.config.pace.performance, Due::Performance),
            alerts: rhythm(self.config.pace.alerts, Due::Alerts),
        }
    }

    /// Calls the driver and hands on what it says; nothing if it is told to stop
    /// meanwhile.
    async fn serve(&mut self, due: Due, stop: &mut watch::Receiver<bool>) -> Option<Next> {
        let slots = Arc::clone(&self.slots);
        // Kept until the batch is handed over: it is what takes the memory.
        let _slot = tokio::select! {
            biased;
            () = stopped(stop) => return None,
            slot = slots.take() => slot,
        };
        if due == Due::Performance
            && let Some(kept) = self.kept.take()
        {
            self.hand_over_points(kept).await;
            if self.kept.is_some() {
                return Some(Next::Again);
            }
        }
        let (called, took) = self.timed(stop, async |task| task.call(due).await).await?;
        match called {
            Ok(collected) => {
                self.succeeded(due, &collected, took);
                match due {
                    Due::Performance => self.hand_over_points(collected).await,
                    Due::Alerts => drop(self.hand_over_alerts(collected).await),
                }
                Some(Next::Again)
            }
            Err(error) => Some(self.failed(due, &error)),
        }
    }

    /// Answers a question; nothing if it is told to stop meanwhile.
    async fn answer(&mut self, order: Order, stop: &mut watch::Receiver<bool>) -> Option<()> {
        match order {
            Order::Pace(_) => {}
            Order::Offer(answer) => {
                let asked = async |task: &mut Self| Ok(task.opened().await?.offer.clone());
                let (offer, _) = self.timed(stop, asked).await?;
                // Who asked may have gone.
                drop(answer.send(offer.map_err(|error: CallError| error.into())));
            }
            Order::Alerts(query, answer) => {
                let asked = async |task: &mut Self| task.list_alerts(query.range).await;
                let (alerts, _) = self.timed(stop, asked).await?;
                let alerts = match alerts {
                    Ok(alerts) => self.told(query, alerts).await,
                    Err(error) => Err(AskError::Call(error)),
                };
                drop(answer.send(alerts));
            }
        }
        Some(())
    }

    async fn told(
        &mut self,
        query: AlertQuery,
        alerts: AlertBatch,
    ) -> Result<AlertBatch, AskError> {
        // A range without an alert says nothing; no alert at all says that all ended.
        if query.hand_over && (query.range.is_none() || alerts.items() > 0) {
            let complete = query.range.is_none();
            let collected = self.alerts(alerts.clone(), complete);
            self.hand_over_alerts(collected)
                .await
                .map_err(|error| AskError::NotTaken {
                    reason: error.to_string(),
                })?;
        }
        Ok(alerts)
    }

    /// Does something that calls the driver, and shows that meanwhile.
    async fn timed<T>(
        &mut self,
        stop: &mut watch::Receiver<bool>,
        work: impl AsyncFnOnce(&mut Self) -> T,
    ) -> Option<(T, Duration)> {
        let since_ms = (self.clock)();
        self.stats.lock().state = CollectState::Calling { since_ms };
        let started = Instant::now();
        let done = tokio::select! {
            biased;
            () = stopped(stop) => return None,
            done = work(self) => done,
        };
        self.at_rest();
        let took = started.elapsed();
        self.stats.lock().last_duration = Some(took);
        Some((done, took))
    }

    fn at_rest(&self) {
        self.stats.lock().state = if self.given_up {
            CollectState::Failed
        } else {
            CollectState::Waiting
        };
    }

    async fn call(&mut self, due: Due) -> Result<Collected, CallError> {
        match due {
            Due::Performance => self.collect().await,
            Due::Alerts => {
                let alerts = self.list_alerts(None).await?;
                Ok(self.alerts(alerts, true))
            }
        }
    }

    fn alerts(&self, alerts: AlertBatch, complete: bool) -> Collected {
        Collected {
            batch: NewBatch {
                rows: alerts.into(),
                origin: Origin::Sync,
                storage_id: Some(self.config.id.clone()),
                complete,
            },
            until_ms: None,
        }
    }

    async fn collect(&mut self) -> Result<Collected, CallError> {
        let mut planned = self.windows.plan((self.clock)(), Instant::now());
        let driver = self.opened().await?;
        let labels = Arc::clone(&driver.labels);
        let is_historic = driver.offer.is_historic;
        let remembers = is_historic && self.config.pace.is_historic;
        if let Some(until_ms) = self.config.collected_until_ms.take()
            && remembers
        {
            let now_ms = planned.window.end_ms;
            self.windows.resume(until_ms, now_ms, Instant::now());
            planned = self.windows.plan(now_ms, Instant::now());
        }
        let window = planned.window;
        let batch = self
            .called(move |driver| {
                let mut series = SeriesSink::new(&labels);
                driver.collect(window, &mut series)?;
                Ok(series.build())
            })
            .await?;
        self.windows.done(&planned);
        self.report_cut(&planned, is_historic);
        Ok(Collected {
            batch: NewBatch {
                rows: batch.into(),
                origin: Origin::Collection,
                storage_id: Some(self.config.id.clone()),
                complete: false,
            },
            until_ms: remembers.then_some(window.end_ms),
        })
    }

    async fn list_alerts(&mut self, range: Option<Window>) -> Result<AlertBatch, CallError> {
        let labels = Arc::clone(&self.opened().await?.labels);
        self.called(move |driver| {
            let mut alerts = AlertSink::new(&labels);
            driver.list_alerts(range, &mut alerts)?;
            Ok(alerts.build())
        })
        .await
    }

    /// Calls the driver that is open. After a panic it is not.
    async fn called<T: Send + 'static>(
        &mut self,
        call: impl FnOnce(&mut dyn Driver) -> Result<T, DriverError> + Send + 'static,
    ) -> Result<T, CallError> {
        let Some(open) = self.driver.take() else {
            return Err(CallError::Panicked);
        };
        let (driver, result) = open.driver.call(&self.config.id, call).await;
        self.driver = driver.map(|driver| OpenDriver { driver, ..open });
        result
    }

    async fn opened(&mut self) -> Result<&OpenDriver, CallError> {
        let driver = match self.driver.take() {
            Some(driver) => driver,
            None => self.open().await?,
        };
        Ok(self.driver.insert(driver))
    }

    async fn open(&mut self) -> Result<OpenDriver, CallError> {
        let config = &self.config;
        let (factory, id) = (Arc::clone(&self.factory), config.id.clone());
        let options = config.options.clone();
        let opened = open(&config.id, move || factory(&id, &options)).await?;
        let mut info = opened.info;
        if let Some(name) = &config.name {
            info.name.clone_from(name);
        }
        self.stats.lock().info = Some(info.clone());
        let id = config.id.clone();
        Ok(OpenDriver {
            driver: opened.driver,
            labels: Arc::new(StorageLabels { id, info }),
            offer: opened.offer,
        })
    }

    /// Points that are not taken are kept.
    async fn hand_over_points(&mut self, collected: Collected) {
        let items = collected.batch.rows.items();
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
    async fn hand_over_alerts(&mut self, collected: Collected) -> Result<(), Refused> {
        let items = collected.batch.rows.items();
        if items == 0 && self.no_alerts_before {
            return Ok(());
        }
        if let Err(error) = self.destination.accept(collected).await {
            self.refused(&error);
            return Err(error);
        }
        self.accepted();
        self.no_alerts_before = items == 0;
        self.stats.lock().alerts += items;
        Ok(())
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
        let items = collected.batch.rows.items();
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

/// At which part of an interval a storage begins. Neighbouring ids are far apart,
/// and the same id is always at the same place.
fn phase(id: &str, due: Due) -> f64 {
    let name = [due.as_str(), id].join("\0");
    let (high, _) = Uuid::new_v5(&Uuid::NAMESPACE_OID, name.as_bytes()).as_u64_pair();
    (high >> 11) as f64 / (1_u64 << 53) as f64
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn storages_are_spread_evenly_over_their_interval_and_each_keeps_its_place() {
        let mut tenths = [0; 10];
        for number in 0..1_000 {
            let id = Uuid::from_u128(number).to_string();
            let place = phase(&id, Due::Performance);
            assert_eq!(place, phase(&id, Due::Performance));
            assert_ne!(place, phase(&id, Due::Alerts));
            tenths[(place * 10.0) as usize] += 1;
        }
        assert!(
            tenths.iter().all(|count| (60..140).contains(count)),
            "{tenths:?}"
        );
    }
}
