//! The task behind one exporter.
//!
//! Promises: a batch is settled when its outcome is `delivered`, and tried again
//! on every other; the cursor is the only memory, so a restart goes on where it
//! stood. An exporter that cannot start keeps its cursor.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use delfin_plugin_api::Failure;
use tokio::{
    sync::watch,
    time::{sleep, sleep_until, timeout_at},
};

use super::{
    Delivery, Phase,
    backoff::Backoff,
    damaged,
    resend::{News, Rounds},
    settling::Settling,
    status::{State, Status, class},
};
use crate::{
    journal::{CursorError, Position, Seq, Settlement},
    lane::Next,
    plugin::{Answer, Call, Instance, Reply, StoredBatch},
};

/// How long an exporter without a batch goes without a `tick`.
const TICK: Duration = Duration::from_secs(1);

pub(super) struct Worker {
    delivery: Delivery,
    status: Arc<Status>,
    phase: watch::Receiver<Phase>,
    head: watch::Receiver<Seq>,
    backoff: Backoff,
    settling: Settling,
    rounds: Rounds,
    next: Seq,
    /// How often what is next was tried.
    attempt: u32,
}

/// Why an instance is left.
#[derive(Debug, PartialEq, Eq)]
enum Leave {
    /// It is beyond use.
    Restart,
    /// The host stops.
    Stop,
    /// The host stops, and a call has not come back.
    Abandon,
}

impl Worker {
    pub(super) fn new(
        delivery: Delivery,
        status: Arc<Status>,
        phase: watch::Receiver<Phase>,
    ) -> Self {
        let journal = delivery.lane.journal();
        Self {
            head: journal.head(),
            backoff: Backoff::new(&delivery.config.retry),
            settling: Settling::new(&delivery.config.name, journal),
            rounds: Rounds::new(delivery.resend.clone()),
            next: Seq(0),
            attempt: 0,
            delivery,
            status,
            phase,
        }
    }

    pub(super) async fn run(mut self) {
        if self.open_cursor().await.is_err() {
            return;
        }
        while let Some(instance) = self.create().await {
            let leave = self.deliver(&instance).await;
            if leave != Leave::Abandon {
                self.close(instance, &leave).await;
            }
            self.finish_settling().await;
            if leave != Leave::Restart {
                return;
            }
            if self.pause(None).await.is_err() {
                self.status.set(State::Stopped);
                return;
            }
            self.status.update(|status| status.restarts += 1);
        }
        self.rest().await;
    }

    /// Finds out where to go on from.
    async fn open_cursor(&mut self) -> Result<(), Leave> {
        loop {
            let journal = self.delivery.lane.journal();
            let start = self.delivery.config.start_from;
            match journal.open_cursor(self.name(), start).await {
                Ok(cursor) => {
                    self.next = cursor.next.seq;
                    self.status.update(|status| {
                        status.last_success_ms = status.last_success_ms.or(cursor.last_success_ms);
                        status.last_error = status.last_error.take().or(cursor.last_error);
                    });
                    return Ok(());
                }
                Err(error) => self.failed(State::Retrying, &error.to_string()),
            }
            self.pause(None).await?;
        }
    }

    /// An instance; none if there will never be one, or the host stops.
    async fn create(&mut self) -> Option<Instance> {
        let root = match &self.delivery.plugin {
            Ok(offered) => offered.root,
            Err(reason) => {
                let reason = reason.clone();
                self.failed(State::Failed, &reason);
                return None;
            }
        };
        loop {
            let Delivery { config, host, .. } = &self.delivery;
            let created = Instance::create(root, &config.plugin, &config.config, host.clone());
            let failure = match created {
                Ok((instance, reply)) => match self.answer(&instance, reply).await {
                    Ok(Answer {
                        outcome: Ok(()), ..
                    }) => {
                        let before = self.status.set(State::Running);
                        self.recovered(before);
                        return Some(instance);
                    }
                    Ok(Answer {
                        outcome: Err(failure),
                        ..
                    }) => failure,
                    Err(Leave::Restart) => Failure::fatal("its thread ended"),
                    Err(Leave::Stop | Leave::Abandon) => return None,
                },
                Err(error) => Failure::retry(format!("no thread for it: {error}")),
            };
            if let Failure::Misconfigured { message } = &failure {
                self.failed(State::Failed, &format!("refused its config: {message}"));
                return None;
            }
            self.failed(State::Retrying, &format!("cannot start: {failure}"));
            self.pause(None).await.ok()?;
        }
    }

    /// Delivers until the instance has to be left.
    async fn deliver(&mut self, instance: &Instance) -> Leave {
        let mut ticked = Instant::now();
        loop {
            let until = self.rounds.next(ticked + TICK);
            let mut left = self.deliver_next(instance, until).await;
            let head = *self.head.borrow();
            if left.is_ok() && self.rounds.is_due(self.next, head) {
                left = self.send_again(instance).await;
            }
            if left.is_ok() && ticked.elapsed() >= TICK {
                ticked = Instant::now();
                self.settling.hand_over();
                left = self.tick(instance).await;
            }
            if let Err(leave) = left {
                return leave;
            }
        }
    }

    /// Delivers the next batch, or waits for one until then.
    async fn deliver_next(&mut self, instance: &Instance, until: Instant) -> Result<(), Leave> {
        match self.delivery.lane.next(self.next).await {
            Ok(Next::Batch(batch)) => {
                self.status
                    .update(|status| status.oldest_pending_ms = Some(batch.accepted_ms));
                self.export(instance, &batch).await
            }
            Ok(Next::Damaged(entry, reason)) => {
                let settlement = damaged::dead_letter(*entry, &reason, self.plugin_version());
                log::error!(exporter = self.name(); "a batch in the journal cannot be read: {reason}");
                self.settle(settlement).await
            }
            Ok(Next::Nothing) if self.stopping() => Err(Leave::Stop),
            Ok(Next::Nothing) => {
                self.status.update(|status| status.oldest_pending_ms = None);
                self.wait_for_batch(until).await
            }
            Err(error) => {
                self.failed(State::Retrying, &error.to_string());
                self.pause(None).await
            }
        }
    }

    /// Exports one batch until it is delivered, and settles it.
    async fn export(&mut self, instance: &Instance, batch: &Arc<StoredBatch>) -> Result<(), Leave> {
        let through = Position::after(batch.seq);
        loop {
            let News { batch, filtered } = self.rounds.news_of(batch);
            let Some(batch) = batch else {
                return self
                    .settle(Settlement {
                        through,
                        filtered,
                        ..Settlement::default()
                    })
                    .await;
            };
            self.attempt = self.attempt.saturating_add(1);
            let call = Call::Export(Arc::clone(&batch), self.attempt);
            let answer = self.call(instance, call).await?;
            self.status.update(|status| {
                status.attempts[class(&answer.outcome)] += 1;
                status.export_time += answer.took;
            });
            let Err(failure) = answer.outcome else {
                self.backoff.reset();
                if self.attempt > 1 {
                    self.rounds.receiver_is_back();
                }
                let before = self.status.delivered();
                self.recovered(before);
                let delivered = Settlement::delivered(through, batch.items);
                return self
                    .settle(Settlement {
                        filtered,
                        ..delivered
                    })
                    .await;
            };
            self.failed(State::Retrying, &failure.to_string());
            let asked = match failure {
                Failure::Fatal { .. } => return Err(Leave::Restart),
                Failure::Retry { after, .. } | Failure::Throttled { after, .. } => after,
                Failure::Partial { .. }
                | Failure::TooLarge { .. }
                | Failure::Rejected { .. }
                | Failure::Unauthorized { .. }
                | Failure::Misconfigured { .. }
                | Failure::Uncertain { .. } => None,
            };
            self.pause(asked).await?;
        }
    }

    /// Sends what is active again; what does not arrive comes in the next round.
    async fn send_again(&mut self, instance: &Instance) -> Result<(), Leave> {
        for batch in self.rounds.begin() {
            let call = Call::Export(Arc::clone(&batch), 1);
            let answer = self.call(instance, call).await?;
            if let Err(failure) = answer.outcome {
                return self.not_sent_again(&failure);
            }
            self.status
                .update(|status| status.resent_items += batch.items);
            let before = self.status.set(State::Running);
            self.recovered(before);
        }
        Ok(())
    }

    fn not_sent_again(&mut self, failure: &Failure) -> Result<(), Leave> {
        self.status.update(|status| status.failed_resends += 1);
        match failure {
            Failure::Retry { after, .. } | Failure::Throttled { after, .. } => {
                self.rounds.put_off(after.unwrap_or_default());
                self.failed(State::Retrying, &failure.to_string());
            }
            Failure::Unauthorized { .. }
            | Failure::Misconfigured { .. }
            | Failure::Uncertain { .. } => self.failed(State::Retrying, &failure.to_string()),
            Failure::Partial { .. } | Failure::TooLarge { .. } | Failure::Rejected { .. } => {
                let failure = self.scrubbed(&failure.to_string());
                log::warn!(exporter = self.name(); "not all active alerts were taken again: {failure}");
            }
            Failure::Fatal { .. } => {
                self.failed(State::Retrying, &failure.to_string());
                return Err(Leave::Restart);
            }
        }
        Ok(())
    }

    async fn tick(&mut self, instance: &Instance) -> Result<(), Leave> {
        let Err(failure) = self.call(instance, Call::Tick).await?.outcome else {
            return Ok(());
        };
        log::warn!(exporter = self.name(); "tick failed: {}", self.scrubbed(&failure.to_string()));
        // Nothing waits on a tick but the next one.
        if let Failure::Fatal { .. } = failure {
            return Err(Leave::Restart);
        }
        Ok(())
    }

    /// Moves the place, and the cursor soon after it.
    async fn settle(&mut self, settlement: Settlement) -> Result<(), Leave> {
        self.next = settlement.through.seq;
        self.attempt = 0;
        self.settling.add(settlement);
        // Only looks whether an earlier one is through: the next batch does not
        // wait for this one.
        let settled = tokio::select! {
            biased;
            settled = self.settling.progress() => settled,
            () = std::future::ready(()) => Ok(()),
        };
        self.settled(settled).await
    }

    async fn settled(&mut self, settled: Result<(), CursorError>) -> Result<(), Leave> {
        let Err(error) = settled else {
            return Ok(());
        };
        self.failed(State::Retrying, &error.to_string());
        match error {
            CursorError::Unavailable { .. } | CursorError::Closed => Ok(()),
            CursorError::Missing { .. } | CursorError::Refused { .. } => {
                log::error!(exporter = self.name(); "settled otherwise than delivered: {error}");
                self.settling.forget();
                self.open_cursor().await
            }
        }
    }

    async fn wait_for_batch(&mut self, until: Instant) -> Result<(), Leave> {
        let settled = tokio::select! {
            settled = self.settling.progress() => settled,
            _ = self.head.changed() => Ok(()),
            _ = self.phase.changed() => Ok(()),
            () = sleep_until(until.into()) => Ok(()),
        };
        self.settled(settled).await
    }

    async fn call(&mut self, instance: &Instance, call: Call) -> Result<Answer, Leave> {
        let reply = instance.call(call, Instant::now() + self.delivery.config.timeout);
        self.answer(instance, reply).await
    }

    /// Waits for an answer, past the deadline too: the instance has one thread,
    /// and until it comes back there is nobody to call.
    async fn answer(&mut self, instance: &Instance, mut reply: Reply) -> Result<Answer, Leave> {
        let deadline = tokio::time::Instant::now() + self.delivery.config.timeout;
        let in_time = tokio::select! {
            in_time = timeout_at(deadline, &mut reply) => in_time,
            () = reached(&mut self.phase, Phase::Stopping) => {
                instance.cancel();
                return Err(Leave::Abandon);
            }
        };
        let answer = if let Ok(answer) = in_time {
            answer
        } else {
            let before = self.overdue();
            let answer = tokio::select! {
                answer = reply => answer,
                () = reached(&mut self.phase, Phase::Draining) => {
                    instance.cancel();
                    return Err(Leave::Abandon);
                }
            };
            self.status.set(before);
            answer
        };
        let Ok(answer) = answer else {
            self.failed(State::Retrying, "its thread ended");
            return Err(Leave::Restart);
        };
        if answer.panicked {
            self.status.update(|status| status.panics += 1);
        }
        Ok(answer)
    }

    async fn close(&mut self, instance: Instance, leave: &Leave) {
        let calls: &[Call] = if *leave == Leave::Stop {
            &[Call::Flush, Call::Close]
        } else {
            &[Call::Close]
        };
        for call in calls {
            match self.call(&instance, call.clone()).await {
                Ok(Answer {
                    outcome: Ok(()), ..
                }) => {}
                Ok(Answer {
                    outcome: Err(failure),
                    ..
                }) if *leave == Leave::Stop => {
                    let failure = self.scrubbed(&failure.to_string());
                    log::warn!(exporter = self.name(); "{call:?} failed: {failure}");
                }
                // It is beyond use anyway.
                Ok(Answer {
                    outcome: Err(_), ..
                }) => {}
                Err(_) => break,
            }
        }
        let ended = timeout_at(
            (Instant::now() + self.delivery.config.timeout).into(),
            instance.end(),
        );
        if ended.await.is_err() {
            log::warn!(exporter = self.name(); "an instance does not end; its thread is left behind");
        }
        if *leave == Leave::Stop {
            self.status.set(State::Stopped);
        }
    }

    async fn finish_settling(&mut self) {
        if let Err(error) = self.settling.finish().await {
            log::warn!(exporter = self.name(); "delivered batches will be delivered again: {error}");
        }
    }

    /// What an exporter does that cannot start: it keeps its place, and shows
    /// how old the oldest batch is that waits for it.
    async fn rest(&mut self) {
        while !self.stopping() {
            if self.status.view().oldest_pending_ms.is_none()
                && let Ok(Next::Batch(batch)) = self.delivery.lane.next(self.next).await
            {
                self.status
                    .update(|status| status.oldest_pending_ms = Some(batch.accepted_ms));
            }
            tokio::select! {
                _ = self.head.changed() => {}
                () = reached(&mut self.phase, Phase::Draining) => {}
            }
        }
    }

    /// Waits before the next try; not at all if the host stops.
    async fn pause(&mut self, asked: Option<Duration>) -> Result<(), Leave> {
        let wait = self.backoff.next(asked);
        log::debug!(exporter = self.name(), wait:? = wait; "trying again later");
        tokio::select! {
            () = reached(&mut self.phase, Phase::Draining) => Err(Leave::Stop),
            () = sleep(wait) => Ok(()),
        }
    }

    fn overdue(&self) -> State {
        self.status.update(|status| status.hangs += 1);
        let timeout = humantime::format_duration(self.delivery.config.timeout);
        log::error!(exporter = self.name(); "a call is past its deadline of {timeout}; waiting for it to come back");
        self.status.fail(
            State::Stuck,
            &format!("a call is past its deadline of {timeout}"),
        )
    }

    /// Says what went wrong: aloud when it is news, else at debug.
    fn failed(&self, state: State, error: &str) {
        let error = self.scrubbed(error);
        let before = self.status.fail(state, &error);
        if before == state {
            log::debug!(exporter = self.name(); "{state}: {error}");
            return;
        }
        let level = if state == State::Failed {
            log::Level::Error
        } else {
            log::Level::Warn
        };
        log::log!(level, exporter = self.name(); "{state}: {error}");
        // Lasts, so that `exporters` can tell after a restart; a failure to
        // write it shows as the journal's own.
        drop(
            self.delivery
                .lane
                .journal()
                .record_error(self.name(), &error),
        );
    }

    fn recovered(&self, before: State) {
        match before {
            State::Retrying | State::Stuck => log::info!(exporter = self.name(); "running again"),
            State::Starting => log::info!(exporter = self.name(); "running"),
            State::Running | State::Failed | State::Stopped => {}
        }
    }

    fn scrubbed(&self, text: &str) -> String {
        self.delivery.host.secrets.scrub(text).into_owned()
    }

    fn name(&self) -> &str {
        &self.delivery.config.name
    }

    fn plugin_version(&self) -> &str {
        let offered = self.delivery.plugin.as_ref();
        offered.map_or("", |offered| &offered.version)
    }

    fn stopping(&self) -> bool {
        *self.phase.borrow() >= Phase::Draining
    }
}

/// Over once the host has come to that phase.
async fn reached(phase: &mut watch::Receiver<Phase>, wanted: Phase) {
    if phase.wait_for(|phase| *phase >= wanted).await.is_err() {
        // The host is gone without a word: so is this task, in a moment.
        std::future::pending::<()>().await;
    }
}
