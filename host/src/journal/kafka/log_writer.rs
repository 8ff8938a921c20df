//! Writes records to the partition: the only one that does so in its term.
//!
//! It sends one batch of records at a time, with every append that has arrived. If the outcome of a batch is
//! unknown, it begins a new term: what is in the partition before the new fence was written, and what comes after it does
//! not count. So an append is never written twice, and needs no idempotent producer.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use kafka_protocol::records::Compression;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep_until};

use super::append::{AppendGroup, PendingAppend};
use super::append_queue::{AppendQueue, BrokerWatch};
use super::change::DeleteReason;
use super::client::{BrokerFailure, MAX_BATCH_BYTES, PartitionClient, encode};
use super::commit_writer::CommitCommand;
use super::entry::{LogEntry, Term};
use super::queries::StateQueries;
use super::shared::{LogGap, OwnerState};
use super::store::{KeyReceipt, StateReader};
use crate::batch::Seq;
use crate::batch::codec;
use crate::journal::{AppendError, KEY_TTL, Receipt, reopen};
use crate::write_guard::{LEASE_OVER, WriteGuard};

/// What a record has in addition to its payload, at most about.
const RECORD_OVERHEAD: u64 = 2048;
const FETCH_BYTES: usize = 8 << 20;
/// How often a group is written, if its outcome is unknown.
const ATTEMPTS: usize = 2;

pub(super) struct LogWriter {
    shared: Arc<OwnerState>,
    client: PartitionClient,
    commands: mpsc::UnboundedSender<CommitCommand>,
    queries: Arc<StateQueries>,
    guard: &'static WriteGuard,
    term: Term,
    link: LogLink,
    reopen_delay: Duration,
}

/// What the database has of some keys.
type KnownKeys = HashMap<String, KeyReceipt>;

/// Whether this writer has a term in which it can write.
enum LogLink {
    Open,
    Closed { reason: String, retry_at: Instant },
}

/// Why the partition was not written or read.
#[derive(Debug, thiserror::Error)]
pub(super) enum LogError {
    #[error(transparent)]
    Broker(#[from] BrokerFailure),
    #[error(
        "topic `{topic}`: record {expected} is missing, and record {found} follows (restore the topic, or use another one and \
         another `cluster.name`)",
        expected = .gap.expected, found = .gap.found
    )]
    Gap { topic: String, gap: LogGap },
    #[error(
        "topic `{topic}`: record {seq} is missing, and the database expects it (restore the topic, or use another one and \
         another `cluster.name`)"
    )]
    Lost { topic: String, seq: Seq },
    #[error(
        "topic `{topic}`: a member with the later term {fence} writes it (if no such member exists, and the topic is \
         of this cluster, set `epoch` in the table `delfin_leases` above that of the term; otherwise use another topic)"
    )]
    Superseded { topic: String, fence: Term },
    #[error("{0}")]
    State(String),
}

impl LogWriter {
    /// A writer whose term has still to begin.
    pub(super) fn new(
        shared: Arc<OwnerState>,
        client: PartitionClient,
        commands: mpsc::UnboundedSender<CommitCommand>,
        queries: Arc<StateQueries>,
        guard: &'static WriteGuard,
    ) -> Self {
        Self {
            shared,
            client,
            commands,
            queries,
            guard,
            term: Term::default(),
            link: LogLink::Open,
            reopen_delay: Duration::ZERO,
        }
    }

    /// Writes appends until no caller is left. After a failure it tries again by itself: a client that follows the readiness of
    /// the host sends nothing meanwhile.
    pub(super) async fn run(mut self, mut appends: AppendQueue) {
        loop {
            if let LogLink::Closed { reason, retry_at } = &self.link {
                let delay = sleep_until(*retry_at);
                if appends.refuse_during(reason, delay).await.is_none() {
                    return;
                }
                self.reopen(&mut appends).await;
            } else if let Some(group) = appends.next_group().await {
                self.serve(group, &mut appends).await;
            } else {
                return;
            }
        }
    }

    /// Begins the first term of this owner. Makes the topic if it is missing. The database knows of records up to `known_head`.
    pub(super) async fn open(
        &mut self,
        term: Term,
        known_head: Seq,
        replicas: i16,
    ) -> Result<(), LogError> {
        let is_new = self.shared.contents().is_unused();
        self.client
            .prepare_topic(is_new.then_some(replicas))
            .await?;
        let start = self.client.start_offset().await?;
        {
            let mut contents = self.shared.contents();
            if contents.is_unused() {
                contents.end.offset = contents.end.offset.max(start);
            }
            if contents.end.offset < start {
                return Err(self.lost(contents.index.next()));
            }
        }
        self.begin_term(term).await?;
        let head = self.shared.contents().index.head();
        if head < known_head {
            return Err(self.lost(head.next()));
        }
        self.shared.publish_head();
        Ok(())
    }

    fn lost(&self, seq: Seq) -> LogError {
        LogError::Lost {
            topic: self.client.topic().to_owned(),
            seq,
        }
    }

    /// Begins a term: writes its fence, and reads the partition up to it.
    pub(super) async fn begin_term(&mut self, term: Term) -> Result<(), LogError> {
        // What the old connection still has on the way is after the fence, or before it.
        self.client.disconnect();
        let fence = encode(vec![term.fence()], Compression::None).map_err(LogError::State)?;
        let offset = self.client.produce(fence).await?;
        self.catch_up(offset).await?;
        self.term = term;
        self.check_fence()
    }

    /// Reads the partition up to an offset.
    async fn catch_up(&mut self, last_offset: i64) -> Result<(), LogError> {
        loop {
            let next = self.shared.contents().end.offset;
            if next > last_offset {
                return Ok(());
            }
            let fetched = self.client.fetch(next, FETCH_BYTES).await?;
            let topic = self.client.topic();
            let end = fetched.end_offset.filter(|end| *end > next);
            let Some(end) = end else {
                let next = self.shared.contents().index.next();
                return Err(self.lost(next));
            };
            let mut contents = self.shared.contents();
            for record in fetched
                .records
                .iter()
                .filter(|record| record.offset >= next)
            {
                let added = contents.add(record.offset, LogEntry::read(record));
                added.map_err(|gap| LogError::Gap {
                    topic: topic.to_owned(),
                    gap,
                })?;
            }
            contents.end.offset = contents.end.offset.max(end);
        }
    }

    async fn serve(&mut self, appends: Vec<PendingAppend>, later: &mut AppendQueue) {
        let fail_all = |appends: Vec<PendingAppend>, reason: &str| {
            appends.into_iter().for_each(|append| append.fail(reason));
        };
        if !self.guard.is_open() {
            return fail_all(appends, LEASE_OVER);
        }
        let (appends, known) = match self.known_keys(&appends).await {
            Ok(known) => (appends, known),
            Err(reason) => {
                let asks = |append: &PendingAppend| self.asks_database(append);
                let (unknown, others) = appends.into_iter().partition(asks);
                fail_all(unknown, &reason);
                (others, KnownKeys::new())
            }
        };
        let mut group = AppendGroup::default();
        let mut may_make_room = true;
        for append in appends {
            if let Some(first) = self.first_receipt(&append, &known) {
                append.reply(Ok(first));
            } else if let Err(refused) = self.admit(&append, &group, &mut may_make_room).await {
                append.reply(Err(refused));
            } else {
                group.push(append);
            }
        }
        self.write(group, later).await;
    }

    /// The receipt of an earlier append of the same batch or window, or with the same key.
    fn first_receipt(&self, append: &PendingAppend, known: &KnownKeys) -> Option<Receipt> {
        let contents = self.shared.contents();
        let by_key = append.entry.key.as_ref().and_then(|key| {
            let new = contents.new_keys.get(key);
            new.or_else(|| known.get(key))
        });
        let is_remembered =
            |known: &&KeyReceipt| self.shared.clock.age(known.accepted_ms) < KEY_TTL;
        let by_key = by_key
            .filter(is_remembered)
            .map(|known| known.receipt.clone());
        let by_window = || contents.receipt_of_window(&append.entry);
        let by_batch = || contents.index.receipt(append.entry.header.batch_id);
        by_key.or_else(by_window).or_else(by_batch)
    }

    /// The keys of these appends that the database has.
    async fn known_keys(&self, appends: &[PendingAppend]) -> Result<KnownKeys, String> {
        let asked = appends.iter().filter(|append| self.asks_database(append));
        let keys: Vec<String> = asked
            .filter_map(|append| append.entry.key.clone())
            .collect();
        if keys.is_empty() {
            return Ok(KnownKeys::new());
        }
        let find = async |reader: &StateReader| reader.find_keys(&keys).await;
        let found = self.queries.run(find).await?;
        Ok(found
            .into_iter()
            .map(|known| (known.key.clone(), known))
            .collect())
    }

    /// Whether only the database tells if the journal has the key of an append.
    fn asks_database(&self, append: &PendingAppend) -> bool {
        let contents = self.shared.contents();
        let key = append.entry.key.as_ref();
        key.is_some_and(|key| !contents.new_keys.contains_key(key))
    }

    /// Whether an append fits. Records that no cursor needs are deleted for it.
    async fn admit(
        &self,
        append: &PendingAppend,
        group: &AppendGroup,
        may_make_room: &mut bool,
    ) -> Result<(), AppendError> {
        let bytes = append.entry.bytes;
        if bytes + RECORD_OVERHEAD > MAX_BATCH_BYTES as u64 {
            return Err(AppendError::Unfit {
                reason: format!("it has {bytes} bytes, and a record has at most {MAX_BATCH_BYTES}"),
            });
        }
        let max_bytes = self.shared.limits.max_bytes;
        let held = || self.shared.contents().held_bytes() + group.bytes;
        let missing = |held: u64| held.saturating_add(bytes).saturating_sub(max_bytes);
        if missing(held()) > 0 && *may_make_room {
            let bytes = missing(held());
            self.delete(DeleteReason::Room { bytes }).await;
            *may_make_room = missing(held()) == 0;
        }
        let held_bytes = held();
        if missing(held_bytes) == 0 {
            return Ok(());
        }
        self.shared.update_activity(|stats| stats.refused += 1);
        Err(AppendError::Full {
            held_bytes,
            max_bytes,
            required_by: None,
        })
    }

    /// Has records deleted, and waits for that. What the database says is not needed here.
    async fn delete(&self, reason: DeleteReason) {
        let (done, deleted) = oneshot::channel();
        let _ = self.commands.send(CommitCommand::Delete { reason, done });
        let _ = deleted.await;
    }

    /// Writes a group, and replies. `later` are the appends after it.
    async fn write(&mut self, group: AppendGroup, later: &mut AppendQueue) {
        if group.appends.is_empty() {
            return;
        }
        let started = Instant::now();
        let broker = self.broker_watch();
        let written = later
            .hold_during(broker, self.write_all(&group.appends))
            .await;
        let reason = written.err().map(|error| error.to_string());
        self.shared.update_activity(|stats| {
            stats.transactions += 1;
            stats.transaction_time += started.elapsed();
            stats.failed_transactions += u64::from(reason.is_some());
            if reason.is_none() {
                stats.fault = None;
            }
        });
        let replies = self.receipts(group);
        let receipts = replies.iter().filter_map(|(_, receipt)| receipt.as_ref());
        self.shared.observer.notify(receipts);
        self.shared.publish_head();
        match &reason {
            Some(reason) => self.close(reason.clone()),
            None if self.shared.limits.retention.is_zero() => self.delete(DeleteReason::Age).await,
            None => {}
        }
        // A member that is paused after its lease must not say that something is durable.
        let is_late = !self.guard.is_open();
        for (append, receipt) in replies {
            match receipt {
                _ if is_late => append.fail(LEASE_OVER),
                Some(receipt) => append.reply(Ok(receipt)),
                None => append.fail(reason.as_deref().unwrap_or_default()),
            }
        }
        self.shared.head.send_modify(|_| {});
    }

    /// The receipts of the appends that were written.
    fn receipts(&self, group: AppendGroup) -> Vec<(PendingAppend, Option<Receipt>)> {
        let contents = self.shared.contents();
        let receipt = |append: &PendingAppend| {
            let key = append.entry.key.as_ref();
            let by_key = key.and_then(|key| contents.new_keys.get(key));
            let by_key = by_key.map(|known| known.receipt.clone());
            let by_window = || contents.receipt_of_window(&append.entry);
            let by_batch = || contents.index.receipt(append.entry.header.batch_id);
            by_key.or_else(by_window).or_else(by_batch)
        };
        let appends = group.appends.into_iter().map(|append| {
            let receipt = contents.index.receipt(append.entry.header.batch_id);
            let receipt = receipt.map(|receipt| Receipt {
                repeated: false,
                ..receipt
            });
            (append, receipt)
        });
        let mut replies: Vec<_> = appends.collect();
        let written = replies.iter().filter(|(_, receipt)| receipt.is_some());
        let written = written.count() as u64;
        self.shared
            .update_activity(|stats| stats.appended += written);
        replies.extend(group.repeated.into_iter().map(|append| {
            let first = receipt(&append);
            (append, first)
        }));
        replies
    }

    /// Writes appends, again in a new term if the outcome is unknown.
    async fn write_all(&mut self, appends: &[PendingAppend]) -> Result<(), LogError> {
        let mut attempt = 1;
        loop {
            let open: Vec<&PendingAppend> = {
                let contents = self.shared.contents();
                let is_written = |append: &&PendingAppend| {
                    contents.index.find(append.entry.header.batch_id).is_some()
                };
                let open = appends.iter().filter(|append| !is_written(append));
                open.collect()
            };
            if open.is_empty() {
                return Ok(());
            }
            match self.write_once(&open).await {
                Err(LogError::Broker(failure)) if attempt < ATTEMPTS => {
                    attempt += 1;
                    log::warn!(
                        "cannot tell whether records were written, looking for them: {failure}"
                    );
                    self.next_term().await?;
                }
                written => return written,
            }
        }
    }

    async fn write_once(&mut self, appends: &[&PendingAppend]) -> Result<(), LogError> {
        let (first_seq, expected) = {
            let contents = self.shared.contents();
            (contents.index.next(), contents.end.offset)
        };
        let entries: Vec<_> = appends
            .iter()
            .zip(first_seq.0..)
            .map(|(append, seq)| {
                let mut entry = append.entry.clone();
                (entry.term, entry.seq) = (self.term, Seq(seq));
                entry
            })
            .collect();
        let records = entries.iter().zip(appends);
        let records = records.map(|(entry, append)| entry.to_log(append.payload.clone()));
        let payloads = appends.iter().map(|append| &append.payload);
        let batch = encode(records.collect(), compression(payloads)).map_err(LogError::State)?;
        let first = self.client.produce(batch).await?;
        let last = first + entries.len() as i64 - 1;
        if first != expected {
            // Another program has written, or another member: only the partition tells what counts.
            self.catch_up(last).await?;
            return self.check_fence();
        }
        let mut contents = self.shared.contents();
        for (offset, entry) in (first..).zip(entries) {
            let added = contents.add(offset, LogEntry::Batch(Box::new(entry)));
            added.map_err(|gap| LogError::Gap {
                topic: self.client.topic().to_owned(),
                gap,
            })?;
        }
        Ok(())
    }

    fn check_fence(&self) -> Result<(), LogError> {
        let fence = self.shared.contents().end.fence;
        if fence == self.term {
            return Ok(());
        }
        Err(LogError::Superseded {
            topic: self.client.topic().to_owned(),
            fence,
        })
    }

    /// Begins a new term of this owner.
    async fn next_term(&mut self) -> Result<(), LogError> {
        let (reply, term) = oneshot::channel();
        let _ = self.commands.send(CommitCommand::NextTerm { reply });
        let closed = || Err("the journal is closed".to_owned());
        let term = term.await.unwrap_or_else(|_| closed());
        self.begin_term(term.map_err(LogError::State)?).await
    }

    fn broker_watch(&self) -> BrokerWatch {
        BrokerWatch {
            shared: Arc::clone(&self.shared),
            topic: self.client.topic().to_owned(),
            silent: self.client.silent(),
        }
    }

    /// Begins a new term after a failure.
    async fn reopen(&mut self, appends: &mut AppendQueue) {
        let broker = self.broker_watch();
        match appends.hold_during(broker, self.next_term()).await {
            Ok(()) => {
                log::info!(topic = self.client.topic(); "journal can be written again");
                self.link = LogLink::Open;
                self.reopen_delay = reopen::MIN_DELAY;
                self.shared.update_activity(|stats| stats.fault = None);
                // Appends that failed may have been written after all.
                self.shared.publish_head();
                self.shared.head.send_modify(|_| {});
            }
            Err(error) => self.close(error.to_string()),
        }
    }

    fn close(&mut self, reason: String) {
        if matches!(self.link, LogLink::Open) {
            log::error!(topic = self.client.topic(); "journal cannot be written, trying again: {reason}");
        }
        self.shared.note_fault(&reason);
        self.link = LogLink::Closed {
            reason,
            retry_at: Instant::now() + self.reopen_delay,
        };
        self.reopen_delay = reopen::longer(self.reopen_delay);
    }
}

/// Small batches are streams that have their schema and labels in common. Large ones are compressed already.
fn compression<'a>(mut payloads: impl Iterator<Item = &'a Bytes>) -> Compression {
    if payloads.any(|payload| codec::is_stream(payload)) {
        Compression::Zstd
    } else {
        Compression::None
    }
}
