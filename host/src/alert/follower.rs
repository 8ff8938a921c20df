//! Keeps the table in step with the journal.
//!
//! Promises: a batch changes the table once, and the journal's place moves only
//! when the table has it for good. What ends because a complete batch is without
//! it is appended as recoveries before the table changes, under a name that
//! follows from that batch: a crash in between appends nothing twice.
//!
//! Whatever fails is tried again: nothing of it is answered to anybody.

use std::{
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use delfin_plugin_api::{AlertBatch, Batch};
use tokio::{
    sync::watch,
    time::{sleep, timeout},
};

use super::{
    ActiveAlerts,
    store::AlertStore,
    table::{AlertRecord, AlertTable},
    tracked::recoveries_of,
};
use crate::{
    batch::{NewBatch, Seq, StoredBatch},
    batch_journal::{BatchJournal, ReadResult},
    journal::{AppendError, Commit, CommitQueue, CursorError, Position, ReadError, StartFrom},
    lifecycle::Phase,
    sqlite::DatabaseError,
};

/// The follower's place in the journal; no exporter can have this name.
const CURSOR: &str = ":active-alerts";
/// How many batches share a write.
const MOST_BATCHES: usize = 64;
/// How long to wait before something that failed is tried again.
const AGAIN: Duration = Duration::from_secs(1);
/// How often recoveries are offered to a journal that has no room.
const MOST_TRIES: u32 = 60;
/// How often lost alerts are told of at most.
const TELL_EVERY: Duration = Duration::from_mins(1);

/// Why the table cannot be kept.
#[derive(Debug, thiserror::Error)]
pub enum AlertTableError {
    /// Its file cannot be used.
    #[error(transparent)]
    Database(#[from] DatabaseError),
    /// There is no place in the journal for it.
    #[error(transparent)]
    Cursor(#[from] CursorError),
}

/// Whoever keeps the table in step.
pub struct Follower {
    journal: Arc<BatchJournal>,
    alerts: ActiveAlerts,
    store: Arc<Mutex<AlertStore>>,
    settling: CommitQueue,
    /// The next record to read.
    next: Seq,
    /// The first record that the table does not know.
    apply_from: Seq,
    /// The first record that the place in the journal has not passed.
    settle_from: Seq,
    told: Told,
}

/// What was told of alerts that the table had no room for.
#[derive(Debug, Default)]
struct Told {
    dropped: u64,
    at: Option<Instant>,
}

/// The host stops.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Stop;

impl Follower {
    pub(super) async fn open(
        state_dir: &Path,
        max_active: usize,
        journal: &Arc<BatchJournal>,
    ) -> Result<(ActiveAlerts, Self), AlertTableError> {
        let (store, stored) = AlertStore::open(state_dir)?;
        let backend = journal.backend();
        let cursor = backend.open_cursor(CURSOR, StartFrom::Earliest).await?;
        let head = *backend.head().borrow();
        // A place that the journal has not come to is one in a journal that is gone.
        let known = stored.next.filter(|next| *next <= head.next());
        let apply_from = known.unwrap_or_default();
        let mut table = AlertTable::new(max_active, stored.alerts);
        table.advance_to(apply_from);
        let alerts = ActiveAlerts(Arc::new(Mutex::new(table)));
        let follower = Self {
            journal: Arc::clone(journal),
            alerts: alerts.clone(),
            store: Arc::new(Mutex::new(store)),
            settling: CommitQueue::new(CURSOR, backend),
            next: apply_from.min(cursor.next.seq),
            apply_from,
            settle_from: cursor.next.seq,
            told: Told::default(),
        };
        Ok((alerts, follower))
    }

    /// Follows the journal until the host has delivered what it could.
    pub async fn run(mut self, mut phase: watch::Receiver<Phase>) {
        let mut head = self.journal.backend().head();
        while *phase.borrow() < Phase::Aborting {
            let Ok(followed) = self.follow(&mut phase).await else {
                break;
            };
            if followed {
                self.look_at_settling().await;
                continue;
            }
            tokio::select! {
                settled = self.settling.progress() => self.settled(settled).await,
                _ = head.changed() => {}
                changed = phase.changed() => if changed.is_err() { break },
            }
        }
        if let Err(error) = self.settling.finish().await {
            log::debug!("the table of active alerts will look at some batches again: {error}");
        }
    }

    /// Takes in what is there, as far as one write should hold; nothing, if
    /// nothing is there.
    pub(super) async fn follow(
        &mut self,
        phase: &mut watch::Receiver<Phase>,
    ) -> Result<bool, Stop> {
        let mut settlement = Commit::default();
        let mut batches = 0;
        while batches < MOST_BATCHES {
            let (seq, items) = match self.journal.read(self.next).await {
                Ok(ReadResult::Batch(batch)) => {
                    if batch.seq >= self.apply_from {
                        self.take_in(&batch, phase).await?;
                    }
                    (batch.seq, batch.header.items)
                }
                Ok(ReadResult::Damaged(record, reason)) => {
                    log::error!(record:% = record.seq; "active alerts: a batch in the journal cannot be read: {reason}");
                    (record.seq, record.header.items)
                }
                Ok(ReadResult::EndOfJournal) => break,
                Err(error @ ReadError::Unavailable { .. }) => {
                    log::debug!("active alerts fall behind: {error}");
                    pause(phase).await?;
                    break;
                }
            };
            batches += 1;
            self.next = seq.next();
            self.alerts.lock().advance_to(self.next);
            if seq >= self.settle_from {
                settlement.delivered += items;
            }
        }
        if batches == 0 {
            return Ok(false);
        }
        if self.next > self.apply_from {
            self.save(phase).await?;
            self.apply_from = self.next;
        }
        if self.next > self.settle_from {
            self.settle_from = self.next;
            settlement.through = Position::at(self.next);
            self.settling.add(settlement);
        }
        self.tell_of_dropped();
        Ok(true)
    }

    async fn take_in(
        &mut self,
        batch: &StoredBatch,
        phase: &mut watch::Receiver<Phase>,
    ) -> Result<(), Stop> {
        // The table's own recoveries say what it knows; and where an alert was
        // record again before they came, that is what holds.
        if BatchJournal::is_derived(batch.header.batch_id) {
            return Ok(());
        }
        let alerts = match AlertBatch::try_from_arrow(batch.arrow.clone()) {
            Ok(alerts) => alerts,
            Err(error) => {
                log::error!(record:% = batch.seq; "active alerts: a batch is none of alerts: {error}");
                return Ok(());
            }
        };
        let record = AlertRecord {
            seq: batch.seq,
            accepted_ms: batch.header.accepted_ms,
            complete_for: batch
                .header
                .storage_id
                .as_deref()
                .filter(|_| batch.header.complete),
            alerts: &alerts,
        };
        let ended = self.alerts.lock().absent_from(&record);
        if !ended.is_empty() {
            let recoveries = recoveries_of(&ended, batch.header.accepted_ms);
            self.append(batch, recoveries, phase).await?;
        }
        self.alerts.lock().apply(&record);
        Ok(())
    }

    /// Appends recoveries that follow from a batch.
    async fn append(
        &mut self,
        batch: &StoredBatch,
        recoveries: AlertBatch,
        phase: &mut watch::Receiver<Phase>,
    ) -> Result<(), Stop> {
        let new = NewBatch {
            rows: recoveries.into(),
            origin: batch.header.origin,
            storage_id: batch.header.storage_id.clone(),
            complete: false,
        };
        let mut tries = 0;
        loop {
            tries += 1;
            let Err(error) = self
                .journal
                .accept_derived(batch.header.batch_id, new.clone())
                .await
            else {
                return Ok(());
            };
            match error {
                AppendError::Full { .. } | AppendError::NoSpace { .. } if tries < MOST_TRIES => {
                    log::log!(
                        loudness(tries),
                        "nobody hears yet which alerts have ended: {error}"
                    );
                    pause(phase).await?;
                }
                AppendError::Unavailable { .. } => {
                    log::log!(
                        loudness(tries),
                        "nobody hears yet which alerts have ended: {error}"
                    );
                    pause(phase).await?;
                }
                AppendError::Closed => return Err(Stop),
                // The room may be missing because of what this very place holds.
                AppendError::Full { .. }
                | AppendError::NoSpace { .. }
                | AppendError::Unfit { .. } => {
                    log::error!(items = new.rows.items(); "alerts have ended and no exporter hears of it: {error}");
                    return Ok(());
                }
            }
        }
    }

    async fn save(&mut self, phase: &mut watch::Receiver<Phase>) -> Result<(), Stop> {
        let mut tries = 0;
        loop {
            tries += 1;
            let (place, changes) = (self.next, self.alerts.lock().changes());
            let store = Arc::clone(&self.store);
            let saved = tokio::task::spawn_blocking(move || {
                let mut store = store.lock().unwrap_or_else(PoisonError::into_inner);
                store.save(place, &changes)
            });
            match saved.await {
                Ok(Ok(())) => {
                    self.alerts.lock().mark_saved();
                    return Ok(());
                }
                Ok(Err(error)) => log::log!(loudness(tries), "{error}"),
                Err(error) => log::error!("active alerts were not saved: {error}"),
            }
            self.alerts.lock().mark_all_changed();
            pause(phase).await?;
        }
    }

    /// Only looks whether an earlier settlement is through: the next batches do
    /// not wait for this one.
    async fn look_at_settling(&mut self) {
        let settled = tokio::select! {
            biased;
            settled = self.settling.progress() => settled,
            () = std::future::ready(()) => Ok(()),
        };
        self.settled(settled).await;
    }

    /// A place that the journal does not know so is asked for anew.
    async fn settled(&mut self, settled: Result<(), CursorError>) {
        let Err(error) = settled else { return };
        log::warn!("the place of the active alerts in the journal did not move: {error}");
        match error {
            CursorError::Unavailable { .. } | CursorError::Closed => {
                sleep(AGAIN).await;
                self.settling.hand_over();
            }
            CursorError::Missing { .. } | CursorError::Refused { .. } => {
                self.settling.forget();
                let journal = self.journal.backend();
                if let Ok(cursor) = journal.open_cursor(CURSOR, StartFrom::Earliest).await {
                    self.settle_from = cursor.next.seq;
                    self.next = self.next.min(self.settle_from);
                }
            }
        }
    }

    /// Says aloud that the table is full, now and then.
    fn tell_of_dropped(&mut self) {
        let dropped = self.alerts.lock().dropped();
        let quiet = self.told.at.is_some_and(|at| at.elapsed() < TELL_EVERY);
        if dropped == self.told.dropped || quiet {
            return;
        }
        let alerts = dropped - self.told.dropped;
        log::error!(alerts; "more alerts are active than the table holds: the oldest are not sent again (raise `alerts.max_active`)");
        self.told = Told {
            dropped,
            at: Some(Instant::now()),
        };
    }
}

impl std::fmt::Debug for Follower {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Follower")
            .field("next", &self.next)
            .finish_non_exhaustive()
    }
}

/// What goes on failing is news once.
fn loudness(tries: u32) -> log::Level {
    if tries == 1 {
        log::Level::Warn
    } else {
        log::Level::Debug
    }
}

/// Waits before the next try, unless the host is about to end.
async fn pause(phase: &mut watch::Receiver<Phase>) -> Result<(), Stop> {
    let stopping = phase.wait_for(|phase| *phase == Phase::Aborting);
    match timeout(AGAIN, stopping).await {
        Err(_) => Ok(()),
        Ok(_) => Err(Stop),
    }
}
