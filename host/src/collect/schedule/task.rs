//! The task of one storage: calls the driver at each interval and forwards the result.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use delfin_plugin_api::{AlertBatch, Batch, Kind, Origin};
use tokio::{
    sync::{mpsc, watch},
    time::{Instant, sleep_until},
};
use uuid::Uuid;

use super::{
    config::CollectConfig,
    driver_call::DriverCallError,
    limiter::{CallLimiter, CallPermit},
    request::{AlertSelection, StorageReply, StorageRequest, StorageRequestError},
    session::DriverSession,
    stats::{CollectState, SharedStats},
    windows::{IntervalTimer, PlannedWindow, WindowPlanner},
};
use crate::{
    batch::NewBatch,
    collect::{
        destination::{CollectedBatch, Destination, DestinationError},
        driver::DriverError,
        drivers::DriverRegistry,
        static_labels::SITE,
    },
};

/// Returns the wall clock time in milliseconds since the Unix epoch.
pub(super) type WallClock = Arc<dyn Fn() -> i64 + Send + Sync>;

/// Collects from one storage.
pub(super) struct StorageTask<D> {
    config: CollectConfig,
    session: DriverSession,
    destination: Arc<D>,
    clock: WallClock,
    limiter: Arc<CallLimiter>,
    stats: SharedStats,
    windows: WindowPlanner,
    /// Whether the first window follows the last one of the time before the host started.
    has_resumed: bool,
    /// Points that the destination has not accepted yet. Until it does, the task
    /// measures nothing else.
    unsent: Option<Box<CollectedBatch>>,
    /// Whether the last alert batch that was forwarded was empty. The host knows
    /// nothing of the time before its start, so it forwards the first list in any case.
    last_alerts_empty: bool,
    /// Whether the destination rejected the last batch.
    is_rejected: bool,
    /// Reason of the last failure, per kind of call.
    errors: BTreeMap<Kind, String>,
    /// Whether the task waits for a new schedule, because the operator has to correct
    /// something first.
    has_failed: bool,
}

/// Why a task stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum StopReason {
    /// The storage was removed: its alerts have ended.
    Removed,
    /// Another task collects from the storage from now on.
    Replaced,
    HostStops,
}

/// How the scheduler controls a task.
pub(super) struct TaskControl {
    pub(super) stop: watch::Receiver<Option<StopReason>>,
    pub(super) requests: mpsc::UnboundedReceiver<Box<StorageRequest>>,
    /// Whether the first call waits for a part of the interval that the storage's id
    /// decides.
    pub(super) is_spread: bool,
}

/// When the next call of each kind is due.
#[derive(Default)]
struct IntervalTimers {
    performance: Option<IntervalTimer>,
    alerts: Option<IntervalTimer>,
}

/// Why a storage was not collected from.
#[derive(Debug, thiserror::Error)]
enum CollectError {
    #[error(transparent)]
    Call(#[from] DriverCallError),
    #[error("cannot tell until when it was collected: {0}")]
    Destination(DestinationError),
}

/// What follows a driver call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum FollowUp {
    /// The same call at the next interval.
    Repeat,
    /// No further call of this kind.
    DisableKind,
    /// No further call to this storage.
    DisableStorage,
}

impl<D: Destination> StorageTask<D> {
    pub(super) fn new(
        config: CollectConfig,
        registry: DriverRegistry,
        (destination, clock, limiter): (Arc<D>, WallClock, Arc<CallLimiter>),
    ) -> Self {
        let stats = SharedStats::default();
        Self {
            windows: WindowPlanner::new(config.schedule.performance.unwrap_or_default()),
            session: DriverSession::new(&config, registry, stats.clone()),
            config,
            destination,
            clock,
            limiter,
            stats,
            has_resumed: false,
            unsent: None,
            last_alerts_empty: false,
            is_rejected: false,
            errors: BTreeMap::new(),
            has_failed: false,
        }
    }

    pub(super) fn stats(&self) -> SharedStats {
        self.stats.clone()
    }

    /// Collects until it is stopped.
    ///
    /// Most storages are at rest most of the time. So each call has its future in a box of its own, and
    /// this one has no room for them.
    pub(super) async fn run(mut self, mut control: TaskControl) {
        let mut timers = self.timers(control.is_spread);
        while let Some(()) = self.handle_next(&mut timers, &mut control).await {}
        if *control.stop.borrow() == Some(StopReason::Removed) {
            Box::pin(self.end_alerts()).await;
        }
        self.stats.lock().state = CollectState::Stopped;
    }

    /// Forwards that all alerts have ended. The last batch of the task: no alert can follow.
    async fn end_alerts(&mut self) {
        let collected = CollectedBatch::new(NewBatch::all_alerts_ended(&self.config.id));
        if let Err(error) = self.destination.accept(collected).await {
            let storage = self.config.id.as_str();
            log::error!(storage, error:%; "cannot end the alerts of a removed storage (they end at the next start, or with `alerts clear`)");
        }
    }

    /// Handles the next request or the next call that is due. `None`: stopped.
    async fn handle_next(
        &mut self,
        timers: &mut IntervalTimers,
        control: &mut TaskControl,
    ) -> Option<()> {
        let kind = tokio::select! {
            biased;
            () = stopped(&mut control.stop) => return None,
            request = control.requests.recv() => {
                match *request? {
                    StorageRequest::SetSchedule(schedule) => {
                        self.config.schedule = schedule;
                        self.has_failed = false;
                        self.windows.set_interval(self.config.schedule.performance);
                        *timers = self.timers(control.is_spread);
                    }
                    StorageRequest::SetOptions(options) => {
                        self.session.set_options(options);
                        self.has_failed = false;
                        *timers = self.timers(control.is_spread);
                    }
                    StorageRequest::SetLabels(labels) => {
                        self.config.labels = Arc::clone(&labels);
                        self.session.set_labels(labels);
                    }
                    StorageRequest::ReadNames => Box::pin(self.session.read_names()).await,
                    request => Box::pin(self.answer(request, &mut control.stop)).await?,
                }
                return Some(());
            }
            () = due(timers.performance.as_ref()) => Kind::Performance,
            () = due(timers.alerts.as_ref()) => Kind::Alert,
        };
        let follow_up = Box::pin(self.collect_due(kind, &mut control.stop)).await?;
        let timer = match kind {
            Kind::Performance => &mut timers.performance,
            Kind::Alert => &mut timers.alerts,
        };
        match (follow_up, timer.as_mut()) {
            (FollowUp::Repeat, Some(timer)) => {
                self.stats.lock().skipped += timer.advance(Instant::now());
            }
            (FollowUp::Repeat | FollowUp::DisableKind, _) => *timer = None,
            (FollowUp::DisableStorage, _) => {
                *timers = IntervalTimers::default();
                self.has_failed = true;
                self.show_idle();
            }
        }
        Some(())
    }

    /// Timers of the current schedule that start now.
    fn timers(&self, is_spread: bool) -> IntervalTimers {
        let timer = |interval: Option<Duration>, kind: Kind| {
            let interval = interval?;
            let delay = if is_spread {
                interval.mul_f64(spread(&self.config.id, kind))
            } else {
                Duration::ZERO
            };
            Some(IntervalTimer::new(Instant::now() + delay, interval))
        };
        IntervalTimers {
            performance: timer(self.config.schedule.performance, Kind::Performance),
            alerts: timer(self.config.schedule.alerts, Kind::Alert),
        }
    }

    /// Calls the driver and forwards the result. `None`: stopped.
    async fn collect_due(
        &mut self,
        kind: Kind,
        stop: &mut watch::Receiver<Option<StopReason>>,
    ) -> Option<FollowUp> {
        // The permit bounds memory, so it is held until the destination has the batch. A call that takes long may lose it
        // before.
        let mut permit = self.permit(stop).await?;
        if kind == Kind::Performance
            && let Some(unsent) = self.unsent.take()
        {
            permit.keep_for_batch();
            self.forward_points(*unsent).await;
            // The window of the next measurement includes the time of this one.
            if self.unsent.is_some() {
                return Some(FollowUp::Repeat);
            }
            // A driver that hangs must not keep it.
            drop(permit);
            permit = self.permit(stop).await?;
        }
        let (result, took) = self
            .timed(stop, async |task| task.collect(kind).await)
            .await?;
        match result {
            Ok(collected) => {
                permit.keep_for_batch();
                self.on_success(kind, &collected, took);
                match kind {
                    Kind::Performance => self.forward_points(collected).await,
                    // A rejected list is in the statistics; the next list replaces it.
                    Kind::Alert => drop(self.forward_alerts(collected).await),
                }
                Some(FollowUp::Repeat)
            }
            Err(error) => Some(self.on_failure(kind, &error)),
        }
    }

    /// Waits until the limits allow a driver call. `None`: stopped.
    async fn permit(
        &mut self,
        stop: &mut watch::Receiver<Option<StopReason>>,
    ) -> Option<CallPermit> {
        let (limiter, labels) = (Arc::clone(&self.limiter), Arc::clone(&self.config.labels));
        tokio::select! {
            biased;
            () = stopped(stop) => None,
            permit = limiter.acquire(labels.get(SITE)) => Some(permit),
        }
    }

    /// Answers a request of a client. `None`: stopped.
    async fn answer(
        &mut self,
        request: StorageRequest,
        stop: &mut watch::Receiver<Option<StopReason>>,
    ) -> Option<()> {
        match request {
            StorageRequest::SetSchedule(_)
            | StorageRequest::SetOptions(_)
            | StorageRequest::SetLabels(_)
            | StorageRequest::ReadNames => {}
            StorageRequest::Capabilities(reply) => {
                let call = async |task: &mut Self| task.session.capabilities().await.cloned();
                self.reply(stop, reply, call).await?;
            }
            StorageRequest::Identify(reply) => {
                let call = async |task: &mut Self| task.session.identify().await;
                self.reply(stop, reply, call).await?;
            }
            StorageRequest::ClearAlert(sequence_number, reply) => {
                let call = async |task: &mut Self| task.session.clear_alert(sequence_number).await;
                self.reply(stop, reply, call).await?;
            }
            StorageRequest::ListResources(kind, reply) => {
                let _permit = self.permit(stop).await?;
                let call = async |task: &mut Self| task.session.list_resources(kind).await;
                self.reply(stop, reply, call).await?;
            }
            StorageRequest::ParseTrap(variables, reply) => {
                let call = async |task: &mut Self| task.session.parse_trap(variables).await;
                self.reply(stop, reply, call).await?;
            }
            StorageRequest::ListAlerts(selection, reply) => {
                let call = async |task: &mut Self| task.session.list_alerts(selection.range).await;
                let (alerts, _) = self.timed(stop, call).await?;
                let alerts = match alerts {
                    Ok(alerts) => self.forward_selection(selection, alerts).await,
                    Err(error) => Err(error.into()),
                };
                // As in `reply`.
                drop(reply.send(alerts));
            }
        }
        Some(())
    }

    /// Makes a driver call for a client, and sends it the result. `None`: stopped.
    async fn reply<T>(
        &mut self,
        stop: &mut watch::Receiver<Option<StopReason>>,
        reply: StorageReply<T>,
        call: impl AsyncFnOnce(&mut Self) -> Result<T, DriverCallError>,
    ) -> Option<()> {
        let (result, _) = self.timed(stop, call).await?;
        // Sending fails if the client has gone.
        drop(reply.send(result.map_err(StorageRequestError::from)));
        Some(())
    }

    async fn forward_selection(
        &mut self,
        selection: AlertSelection,
        alerts: AlertBatch,
    ) -> Result<AlertBatch, StorageRequestError> {
        // An empty list of a range has no meaning. An empty list of all active alerts
        // means that all of them have ended.
        let complete = selection.range.is_none();
        if selection.forward && (complete || alerts.items() > 0) {
            let collected = self.collected_alerts(alerts.clone(), complete);
            let forwarded = self.forward_alerts(collected).await;
            forwarded.map_err(|error| StorageRequestError::NotAccepted {
                reason: error.to_string(),
            })?;
        }
        Ok(alerts)
    }

    /// Runs a driver call and shows it in the statistics. `None`: stopped.
    async fn timed<T>(
        &mut self,
        stop: &mut watch::Receiver<Option<StopReason>>,
        call: impl AsyncFnOnce(&mut Self) -> T,
    ) -> Option<(T, Duration)> {
        let since_ms = (self.clock)();
        self.stats.lock().state = CollectState::Calling { since_ms };
        let started = Instant::now();
        let result = tokio::select! {
            biased;
            () = stopped(stop) => return None,
            result = call(self) => result,
        };
        self.show_idle();
        let took = started.elapsed();
        self.stats.lock().last_duration = Some(took);
        Some((result, took))
    }

    fn show_idle(&self) {
        self.stats.lock().state = if self.has_failed {
            CollectState::Failed
        } else {
            CollectState::Waiting
        };
    }

    async fn collect(&mut self, kind: Kind) -> Result<CollectedBatch, CollectError> {
        match kind {
            Kind::Performance => self.collect_points().await,
            Kind::Alert => {
                let alerts = self.session.list_alerts(None).await?;
                Ok(self.collected_alerts(alerts, true))
            }
        }
    }

    fn collected_alerts(&self, alerts: AlertBatch, complete: bool) -> CollectedBatch {
        CollectedBatch::new(NewBatch {
            rows: alerts.into(),
            origin: Origin::Sync,
            storage_id: Some(self.config.id.clone()),
            complete,
        })
    }

    async fn collect_points(&mut self) -> Result<CollectedBatch, CollectError> {
        // The window is planned before the driver is opened: if opening fails, the next
        // window starts where this one does.
        let mut planned = self.windows.plan((self.clock)(), Instant::now());
        let is_historic = self.session.capabilities().await?.is_historic;
        // Only the first window after the start can begin before the start of the host.
        // Only now is it known whether the storage is historic, so plan again.
        if is_historic && !self.has_resumed {
            let now_ms = planned.window.end_ms;
            self.resume_windows(now_ms).await?;
            planned = self.windows.plan(now_ms, Instant::now());
        }
        self.has_resumed = true;
        let points = self.session.collect(planned.window).await?;
        self.windows.complete(&planned);
        self.report_cut(&planned, is_historic);
        let collected = CollectedBatch::new(NewBatch {
            rows: points.into(),
            origin: Origin::Collection,
            storage_id: Some(self.config.id.clone()),
            complete: false,
        });
        Ok(CollectedBatch {
            until_ms: is_historic.then_some(planned.window.end_ms),
            ..collected
        })
    }

    /// Continues after the last window that the destination has of the storage.
    async fn resume_windows(&mut self, now_ms: i64) -> Result<(), CollectError> {
        let accepted = self.destination.collected_until(&self.config.id).await;
        let accepted = accepted.map_err(CollectError::Destination)?;
        if let Some(until_ms) = accepted.max(self.config.collected_until_ms) {
            let now = Instant::now();
            if self.config.schedule.backfill {
                self.windows.resume_with_backfill(until_ms, now_ms, now);
            } else {
                self.windows.resume(until_ms, now_ms, now);
            }
        }
        Ok(())
    }

    /// Forwards points; keeps those that the destination rejects.
    async fn forward_points(&mut self, collected: CollectedBatch) {
        let items = collected.batch.rows.items();
        if items == 0 {
            return;
        }
        match self.destination.accept(collected.clone()).await {
            Ok(()) => {
                self.on_accepted();
                self.stats.lock().points += items;
            }
            Err(error) => {
                self.on_rejected(&error);
                self.unsent = Some(Box::new(collected));
            }
        }
    }

    /// Forwards alerts. The task does not keep those that the destination rejects: the
    /// next list replaces them.
    async fn forward_alerts(&mut self, collected: CollectedBatch) -> Result<(), DestinationError> {
        let items = collected.batch.rows.items();
        // The first empty list says that all alerts have ended; further ones say nothing.
        if items == 0 && self.last_alerts_empty {
            return Ok(());
        }
        if let Err(error) = self.destination.accept(collected).await {
            self.on_rejected(&error);
            return Err(error);
        }
        self.on_accepted();
        self.last_alerts_empty = items == 0;
        self.stats.lock().alerts += items;
        Ok(())
    }

    fn on_success(&mut self, kind: Kind, collected: &CollectedBatch, took: Duration) {
        let storage = self.config.id.as_str();
        if self.errors.remove(&kind).is_some() {
            log::info!(storage, kind = kind.as_str(); "storage answers again");
        }
        let mut stats = self.stats.lock();
        stats.succeeded += 1;
        stats.last_success_ms = Some((self.clock)());
        // The other kind of call may still fail.
        stats.last_error = self.errors.values().next().cloned();
        drop(stats);
        let items = collected.batch.rows.items();
        log::debug!(storage, kind = kind.as_str(), items, took:?; "storage answered");
    }

    fn on_failure(&mut self, kind: Kind, error: &CollectError) -> FollowUp {
        let storage = self.config.id.as_str();
        let (call, text) = (kind.as_str(), error.to_string());
        let follow_up = FollowUp::of(error);
        if follow_up == FollowUp::DisableKind {
            log::info!(storage, kind = call, error = text; "driver does not support this call");
            return follow_up;
        }
        let last = self.errors.insert(kind, text.clone());
        match follow_up {
            FollowUp::DisableStorage => {
                log::error!(storage, kind = call, error = text; "collection failed, not retrying until the schedule is set or the host restarts");
            }
            FollowUp::Repeat | FollowUp::DisableKind if last.as_ref() == Some(&text) => {
                log::debug!(storage, kind = call, error = text; "collection still fails");
            }
            FollowUp::Repeat | FollowUp::DisableKind => {
                log::warn!(storage, kind = call, error = text; "collection failed, retrying at the next interval");
            }
        }
        let mut stats = self.stats.lock();
        stats.failed += 1;
        stats.last_error = Some(text);
        drop(stats);
        follow_up
    }

    fn on_accepted(&mut self) {
        if std::mem::take(&mut self.is_rejected) {
            let storage = self.config.id.as_str();
            log::info!(storage; "collected batches are accepted again");
        }
    }

    fn on_rejected(&mut self, error: &DestinationError) {
        let storage = self.config.id.as_str();
        self.stats.lock().rejected += 1;
        if !std::mem::replace(&mut self.is_rejected, true) {
            log::warn!(storage, error:%; "collected batch not accepted, retrying at the next interval");
        }
    }

    fn report_cut(&self, planned: &PlannedWindow, is_historic: bool) {
        // A storage without history has no points in the time that was cut.
        if planned.cut.is_zero() || !is_historic {
            return;
        }
        let storage = self.config.id.as_str();
        self.stats.lock().lost_time += planned.cut;
        log::error!(storage, lost:? = planned.cut; "storage was unavailable too long, its oldest points are not collected");
    }
}

impl FollowUp {
    fn of(error: &CollectError) -> Self {
        let error = match error {
            CollectError::Destination(_) => return Self::Repeat,
            CollectError::Call(error) => error,
        };
        match error {
            // A reload may bring the driver.
            DriverCallError::Panicked | DriverCallError::Unknown(_) => Self::Repeat,
            DriverCallError::Driver(DriverError::Unsupported { .. }) => Self::DisableKind,
            DriverCallError::Driver(error) if error.may_retry() => Self::Repeat,
            DriverCallError::Driver(_) => Self::DisableStorage,
        }
    }
}

/// The part of an interval, from 0 to 1, after which a storage starts. The same for the
/// same id; a hash, so that any set of ids is spread evenly.
fn spread(id: &str, kind: Kind) -> f64 {
    let name = [kind.as_str(), id].join("\0");
    let (high, _) = Uuid::new_v5(&Uuid::NAMESPACE_OID, name.as_bytes()).as_u64_pair();
    (high >> 11) as f64 / (1_u64 << 53) as f64
}

async fn due(timer: Option<&IntervalTimer>) {
    match timer {
        Some(timer) => sleep_until(timer.due()).await,
        None => std::future::pending().await,
    }
}

/// Returns when the scheduler was stopped or dropped.
async fn stopped(stop: &mut watch::Receiver<Option<StopReason>>) {
    drop(stop.wait_for(Option::is_some).await);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn storages_are_spread_evenly_over_their_interval_and_each_start_is_stable() {
        let mut tenths = [0; 10];
        for number in 0..1_000 {
            let id = Uuid::from_u128(number).to_string();
            let start = spread(&id, Kind::Performance);
            assert_eq!(start, spread(&id, Kind::Performance));
            assert_ne!(start, spread(&id, Kind::Alert));
            tenths[(start * 10.0) as usize] += 1;
        }
        assert!(
            tenths.iter().all(|count| (60..140).contains(count)),
            "{tenths:?}"
        );
    }
}
