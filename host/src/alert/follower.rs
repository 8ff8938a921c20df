//! Updates the table of active alerts from the alert journal.
//!
//! Promises: the table applies each record once, and the follower's cursor moves only when the
//! table on the disk contains the record. If alerts end because a complete batch does not
//! contain them, the follower appends recoveries before it changes the table. Their batch id is
//! derived from that batch, so a crash in between appends nothing twice. Alerts that are too old
//! end in the same way; after a crash in between, their recoveries are appended again.
//!
//! Failures are retried: no client waits for the follower.

use std::{
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use delfin_plugin_api::{AlertBatch, Batch, Origin};
use tokio::{
    sync::watch,
    time::{MissedTickBehavior, sleep, timeout},
};
use uuid::Uuid;

use super::{
    ActiveAlerts,
    store::{AlertStoreError, SharedAlertStore, StoredTable, next_record},
    table::{AlertRecord, AlertTable},
    tracked::recoveries_of,
};
use crate::{
    batch::{NewBatch, Seq, StoredBatch},
    batch_journal::{BatchJournal, JournalReader, ReadForm, ReadResult},
    clock::{HostClock, now_ms},
    config::AlertsConfig,
    journal::{AppendError, Commit, CursorError, JournalCheck, Position, ReadError, StartFrom},
    lifecycle::Phase,
    sqlite::DatabaseError,
};

/// Name of the follower's cursor; not a valid name of an exporter.
const CURSOR: &str = ":active-alerts";
/// Maximum number of records per write of the table.
const MAX_RECORDS: usize = 64;
/// Wait before a failed operation is retried.
const RETRY_INTERVAL: Duration = Duration::from_secs(1);
/// Attempts to append recoveries to a full journal.
const MAX_APPEND_ATTEMPTS: u32 = 60;
/// How often alerts are checked for their age.
const EXPIRY_INTERVAL: Duration = Duration::from_secs(5);
/// Minimum time between two reports of dropped alerts.
const REPORT_INTERVAL: Duration = Duration::from_mins(1);

/// Why the table cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum AlertTableError {
    #[error(transparent)]
    Store(#[from] AlertStoreError),
    /// The journal cannot open the follower's cursor.
    #[error(transparent)]
    Cursor(#[from] CursorError),
}

/// Reads the alert journal and updates the table.
///
/// Three positions, in this order after a crash: the table on the disk is at `apply_from`, the
/// cursor may be behind it at `commit_from`, because the table is written first. Records between
/// the two are read to commit them, and not applied again.
pub struct Follower {
    reader: JournalReader,
    alerts: ActiveAlerts,
    store: SharedAlertStore,
    limits: AlertsConfig,
    /// The next record to read.
    next: Seq,
    /// The first record that is not in the table.
    apply_from: Seq,
    /// The first record that the cursor has not passed.
    commit_from: Seq,
    drop_report: DropReport,
}

/// The last report of alerts that the table had no room for.
#[derive(Debug, Default)]
struct DropReport {
    dropped: u64,
    at: Option<Instant>,
}

/// Whether a journal has every record that the table in another file still needs. Hosts may have
/// both open; the table is to be read, or copied, first.
pub(crate) fn fits_journal(table: &Path, journal: &Path) -> Result<bool, DatabaseError> {
    match next_record(table)? {
        Some(next) => JournalCheck::has_records_from(journal, CURSOR, next),
        None => Ok(true),
    }
}

/// The host stops before the operation succeeded.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Shutdown;

impl Follower {
    pub(super) async fn open(
        store: SharedAlertStore,
        stored: StoredTable,
        limits: &AlertsConfig,
        journal: &Arc<BatchJournal>,
    ) -> Result<(ActiveAlerts, Self), AlertTableError> {
        let mut reader = JournalReader::new(journal, CURSOR, StartFrom::Earliest, ReadForm::Rows);
        let cursor = reader.reopen().await?;
        let head = *journal.backend().head().borrow();
        // A position above the head belongs to a journal that was removed.
        let known = stored.next.filter(|next| *next <= head.next());
        let apply_from = known.unwrap_or_default();
        let mut table = AlertTable::new(limits.max_active, stored.alerts);
        table.advance_to(apply_from);
        let alerts = ActiveAlerts(Arc::new(Mutex::new(table)));
        let follower = Self {
            reader,
            alerts: alerts.clone(),
            store,
            limits: limits.clone(),
            next: apply_from.min(cursor.next.seq),
            apply_from,
            commit_from: cursor.next.seq,
            drop_report: DropReport::default(),
        };
        Ok((alerts, follower))
    }

    /// Follows the journal until the drain of the host is over.
    pub async fn run(mut self, mut phase: watch::Receiver<Phase>) {
        let mut head = self.reader.journal().backend().head();
        let clock = self.reader.journal().clock().clone();
        let mut expiry = tokio::time::interval(EXPIRY_INTERVAL);
        expiry.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while *phase.borrow() < Phase::Aborting {
            let Ok(has_advanced) = self.advance(&mut phase).await else {
                break;
            };
            if has_advanced {
                // The next records do not wait for a commit.
                if let Some(result) = self.reader.poll_committed().await {
                    self.on_commit_result(result).await;
                }
                continue;
            }
            tokio::select! {
                result = self.reader.committed() => self.on_commit_result(result).await,
                _ = head.changed() => {}
                // Every record is applied: what is too old now was not seen again.
                _ = expiry.tick() => if self.expire(&clock, &mut phase).await.is_err() { break },
                changed = phase.changed() => if changed.is_err() { break },
            }
        }
        if let Err(error) = self.reader.finish().await {
            log::debug!(
                "the table of active alerts reads some records again after the start: {error}"
            );
        }
    }

    /// Applies the records that are available, up to one write of the table. Returns whether
    /// there were any.
    pub(super) async fn advance(
        &mut self,
        phase: &mut watch::Receiver<Phase>,
    ) -> Result<bool, Shutdown> {
        let mut commit = Commit::default();
        let mut records = 0;
        while records < MAX_RECORDS {
            let (seq, items) = match self.reader.read(self.next).await {
                Ok(ReadResult::Batch(batch)) => {
                    if batch.seq >= self.apply_from {
                        self.apply(&batch, phase).await?;
                    }
                    (batch.seq, batch.header.items)
                }
                Ok(ReadResult::Damaged(record, reason)) => {
                    log::error!(record:% = record.seq; "active alerts: skipping a record that cannot be decoded: {reason}");
                    (record.seq, record.header.items)
                }
                Ok(ReadResult::EndOfJournal) => break,
                Err(error @ ReadError::Unavailable { .. }) => {
                    log::debug!("active alerts: cannot read the journal, retrying: {error}");
                    pause(phase).await?;
                    break;
                }
            };
            records += 1;
            self.next = seq.next();
            self.alerts.lock().advance_to(self.next);
            if seq >= self.commit_from {
                commit.delivered += items;
            }
        }
        if records == 0 {
            return Ok(false);
        }
        // First the table, then the cursor: after a crash in between, the records are read again
        // and skipped.
        if self.next > self.apply_from {
            self.save(phase).await?;
            self.apply_from = self.next;
        }
        if self.next > self.commit_from {
            self.commit_from = self.next;
            commit.through = Position::at(self.next);
            self.reader.commit(commit);
        }
        self.report_dropped();
        Ok(true)
    }

    /// Ends the alerts that are too old, and appends their recoveries.
    pub(super) async fn expire(
        &mut self,
        clock: &HostClock,
        phase: &mut watch::Receiver<Phase>,
    ) -> Result<(), Shutdown> {
        let expired = self.alerts.lock().expired(&self.limits, clock);
        if expired.is_empty() {
            return Ok(());
        }
        log::info!(alerts = expired.len(); "alerts have ended because they were not seen again");
        let now_ms = now_ms();
        let batch = NewBatch {
            rows: recoveries_of(&expired, now_ms).into(),
            origin: Origin::Ingest,
            storage_id: None,
            complete: false,
        };
        let seq = self.append(Uuid::now_v7(), batch, phase).await?;
        let seq = seq.unwrap_or(self.next);
        self.alerts.lock().end_all(&expired, seq, now_ms);
        self.save(phase).await
    }

    async fn apply(
        &mut self,
        batch: &StoredBatch,
        phase: &mut watch::Receiver<Phase>,
    ) -> Result<(), Shutdown> {
        // Recoveries that the follower appended are in the table already. If the alert became
        // active again before they were appended, the table is right and they are outdated.
        if BatchJournal::is_derived(batch.header.batch_id) {
            return Ok(());
        }
        let alerts = match AlertBatch::try_from_arrow(batch.arrow.clone()) {
            Ok(alerts) => alerts,
            Err(error) => {
                log::error!(record:% = batch.seq; "active alerts: skipping a record that is not an alert batch: {error}");
                return Ok(());
            }
        };
        let storage_id = batch.header.storage_id.as_deref();
        let record = AlertRecord {
            seq: batch.seq,
            accepted_ms: batch.header.accepted_ms,
            complete_for: storage_id.filter(|_| batch.header.complete),
            // The storage was removed, or says that it has no alert at all.
            ends_notified: batch.header.origin == Origin::Sync && batch.header.items == 0,
            is_ingested: batch.header.origin == Origin::Ingest
                || BatchJournal::is_forwarded(batch.header.batch_id),
            alerts: &alerts,
        };
        let absent = self.alerts.lock().absent_from(&record);
        if !absent.is_empty() {
            let recoveries = NewBatch {
                rows: recoveries_of(&absent, batch.header.accepted_ms).into(),
                origin: batch.header.origin,
                storage_id: batch.header.storage_id.clone(),
                complete: false,
            };
            self.append(batch.header.batch_id, recoveries, phase)
                .await?;
        }
        self.alerts.lock().apply(&record);
        Ok(())
    }

    /// Appends recoveries. Returns their record; `None` if the journal has no room for them.
    async fn append(
        &mut self,
        source_id: Uuid,
        batch: NewBatch,
        phase: &mut watch::Receiver<Phase>,
    ) -> Result<Option<Seq>, Shutdown> {
        let mut attempt = 0;
        loop {
            attempt += 1;
            let journal = self.reader.journal();
            let appended = journal.accept_derived(source_id, batch.clone());
            let error = match appended.await {
                Ok(receipt) => return Ok(Some(receipt.seq)),
                Err(error) => error,
            };
            let may_retry = match error {
                // The journal may be full of records that this cursor holds: waiting for room
                // could then last without end.
                AppendError::Full { .. }
                | AppendError::QueueFull { .. }
                | AppendError::NoSpace { .. } => attempt < MAX_APPEND_ATTEMPTS,
                AppendError::Unavailable { .. } | AppendError::Remote { .. } => true,
                AppendError::Unfit { .. } => false,
                AppendError::Closed => return Err(Shutdown),
            };
            if !may_retry {
                log::error!(items = batch.rows.items(); "alerts have ended, but no exporter receives their recoveries: {error}");
                return Ok(None);
            }
            log::log!(
                retry_level(attempt),
                "cannot append the recoveries of ended alerts, retrying: {error}"
            );
            pause(phase).await?;
        }
    }

    /// Writes the changes of the table, until that succeeds.
    async fn save(&mut self, phase: &mut watch::Receiver<Phase>) -> Result<(), Shutdown> {
        let mut attempt = 0;
        loop {
            attempt += 1;
            let (next, changes) = (self.next, self.alerts.lock().changes());
            let store = Arc::clone(&self.store);
            let saved = tokio::task::spawn_blocking(move || {
                let mut store = store.lock().unwrap_or_else(PoisonError::into_inner);
                store.save(next, &changes)
            });
            match saved.await {
                Ok(Ok(())) => {
                    self.alerts.lock().mark_saved();
                    return Ok(());
                }
                Ok(Err(error)) => {
                    log::log!(retry_level(attempt), "{error}");
                    if error.may_lose_table() {
                        self.alerts.lock().mark_all_changed();
                    }
                }
                Err(error) => {
                    log::error!("the table of active alerts was not saved: {error}");
                    self.alerts.lock().mark_all_changed();
                }
            }
            pause(phase).await?;
        }
    }

    async fn on_commit_result(&mut self, result: Result<(), CursorError>) {
        let Err(error) = result else { return };
        log::warn!("cannot commit the cursor of the active alerts, retrying: {error}");
        match self.reader.recover(&error).await {
            // The journal is unavailable, and the commit is kept.
            Ok(None) => {
                sleep(RETRY_INTERVAL).await;
                self.reader.flush();
            }
            // The journal has another position for this cursor, as after damage: continue there.
            Ok(Some(cursor)) => {
                self.commit_from = cursor.next.seq;
                self.next = self.next.min(self.commit_from);
                if self.reader.paused_until().is_some() {
                    sleep(RETRY_INTERVAL).await;
                }
            }
            // The next commit fails in the same way, and then the cursor is opened.
            Err(error) => log::debug!("cannot open the cursor of the active alerts: {error}"),
        }
    }

    /// Logs how many alerts the table dropped, at most once a minute.
    fn report_dropped(&mut self) {
        let dropped = self.alerts.lock().dropped();
        let last = &self.drop_report;
        let is_recent = last.at.is_some_and(|at| at.elapsed() < REPORT_INTERVAL);
        if dropped == last.dropped || is_recent {
            return;
        }
        let alerts = dropped - last.dropped;
        log::error!(alerts; "more alerts are active than the table holds: the oldest are not sent again (raise `alerts.max_active`)");
        self.drop_report = DropReport {
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

/// Only the first failure of an operation is a warning.
fn retry_level(attempt: u32) -> log::Level {
    if attempt == 1 {
        log::Level::Warn
    } else {
        log::Level::Debug
    }
}

/// Waits before the next attempt, unless the host stops.
async fn pause(phase: &mut watch::Receiver<Phase>) -> Result<(), Shutdown> {
    let aborting = phase.wait_for(|phase| *phase == Phase::Aborting);
    match timeout(RETRY_INTERVAL, aborting).await {
        Err(_) => Ok(()),
        Ok(_) => Err(Shutdown),
    }
}
