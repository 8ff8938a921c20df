//! A journal of batches: encodes and decodes batches over a [`Journal`] of bytes.
//!
//! A batch is encoded once, when it is accepted, and decoded at most once for
//! all exporters that keep up: they share the decoded batches as long as there is memory.
//!
//! Knows nothing of plugins and of what exporters do with a batch.

mod cache;
mod consumers;
mod history;
mod read_ahead;
mod reader;

use std::{
    collections::VecDeque,
    sync::{Arc, Weak},
};

use arrow_array::RecordBatch;
use delfin_plugin_api::Kind;
use tokio::{sync::mpsc, task::JoinError};
use uuid::{Uuid, Version};

use crate::{
    batch::{
        NewBatch, PayloadSlot, PayloadStats, ReadBatch, Seq, SharedRows, StoredBatch,
        codec::{self, CodecError, RecordPayload},
        used_bytes, with_shared_schema,
    },
    clock::{HostClock, now_ms},
    journal::{
        AppendError, AppendObserver, Journal, NewRecord, ReadError, ReadLimit, Receipt, Record,
    },
    memory::MemoryBudget,
    panics,
    tap::{PassedRows, TapPoint},
};
use cache::{AnnouncedBatch, BatchCache};
use consumers::Consumers;
use read_ahead::BatchesRead;

pub use consumers::ReleaseRequest;
pub use history::StorageHistory;
pub use reader::JournalReader;

/// Salt of the ids of derived batches. A change would accept stored ones again.
const DERIVED: &[u8] = b"follows";

/// What is read in one query, and decoded at once for one exporter.
const READ_LIMIT: ReadLimit = ReadLimit {
    records: 256,
    bytes: 1 << 20,
};

/// The most memory of batches that are decoded at once for one exporter, or one batch.
const MAX_DECODED_BYTES: u64 = 4 << 20;

/// Batches up to this size are encoded at once: to hand one to another thread would take about as long.
const SMALL_BYTES: usize = 64 << 10;

/// The journal of each kind.
#[derive(Clone, Debug)]
pub struct BatchJournals {
    pub performance: Arc<BatchJournal>,
    pub alerts: Arc<BatchJournal>,
}

impl BatchJournals {
    #[must_use]
    pub fn of(&self, kind: Kind) -> &Arc<BatchJournal> {
        match kind {
            Kind::Performance => &self.performance,
            Kind::Alert => &self.alerts,
        }
    }
}

/// What a journal holds at or after a sequence number.
#[derive(Debug, Clone)]
pub enum ReadResult {
    Batch(ReadBatch),
    /// A record that does not decode, and why.
    Damaged(Box<Record>, String),
    /// No record is available yet.
    EndOfJournal,
}

impl ReadResult {
    /// The memory that it keeps, in bytes.
    fn held_bytes(&self) -> u64 {
        match self {
            Self::Batch(batch) => batch.held_bytes(),
            Self::Damaged(record, _) => record.payload.bytes(),
            Self::EndOfJournal => 0,
        }
    }
}

/// What a reader needs of a batch that is decoded for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadForm {
    Rows,
    /// Rows that are the memory of the payload for a process.
    RowsAndPayload,
}

/// By what a journal knows that it has a batch already.
struct BatchIdentity {
    batch_id: Uuid,
    idempotency_key: Option<String>,
    /// As [`NewRecord::collected_until_ms`].
    collected_until_ms: Option<i64>,
}

/// The journal of one kind of batch.
pub struct BatchJournal {
    kind: Kind,
    backend: Arc<dyn Journal>,
    cache: Arc<BatchCache>,
    consumers: Consumers,
    tap: TapPoint,
}

impl BatchJournal {
    /// A journal over `backend`, whose decoded batches are a part of `memory`.
    #[must_use]
    pub fn new(kind: Kind, backend: Arc<dyn Journal>, memory: &Arc<MemoryBudget>) -> Self {
        let cache = BatchCache::new(memory);
        let observer: Weak<dyn AppendObserver> = Arc::<BatchCache>::downgrade(&cache);
        backend.observe(observer);
        Self {
            kind,
            backend,
            cache,
            consumers: Consumers::default(),
            tap: TapPoint::default(),
        }
    }

    #[must_use]
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The journal of bytes: cursors, counts, dead letters and statistics.
    #[must_use]
    pub fn backend(&self) -> &Arc<dyn Journal> {
        &self.backend
    }

    /// Shows the rows that it accepts.
    #[must_use]
    pub fn tap(&self) -> &TapPoint {
        &self.tap
    }

    /// What is encoded for the processes of exporters.
    #[must_use]
    pub fn payload_stats(&self) -> PayloadStats {
        self.cache.payloads().stats()
    }

    /// The memory of decoded batches.
    #[must_use]
    pub fn memory(&self) -> &Arc<MemoryBudget> {
        self.cache.payloads().budget()
    }

    /// The clock that measures the age of batches.
    #[must_use]
    pub fn clock(&self) -> &HostClock {
        self.backend.clock()
    }

    /// Accepts a batch. It is durable when this returns.
    ///
    /// # Errors
    ///
    /// The journal is full, has no disk space or cannot be written. Then nothing
    /// is kept.
    pub async fn accept(
        &self,
        batch: NewBatch,
        idempotency_key: Option<String>,
    ) -> Result<Receipt, AppendError> {
        let identity = BatchIdentity {
            idempotency_key,
            ..BatchIdentity::from(Uuid::now_v7())
        };
        self.append(identity, batch).await
    }

    /// Accepts a batch of a storage, and with it the end of the window that it was collected for. A batch
    /// that is sent again, or another one of the same window, is accepted once.
    ///
    /// # Errors
    ///
    /// As `accept`.
    pub async fn accept_collected(
        &self,
        batch_id: Uuid,
        batch: NewBatch,
        collected_until_ms: Option<i64>,
    ) -> Result<Receipt, AppendError> {
        let identity = BatchIdentity {
            collected_until_ms,
            ..BatchIdentity::from(batch_id)
        };
        self.append(identity, batch).await
    }

    /// As [`Journal::collected_until`].
    ///
    /// # Errors
    ///
    /// The journal cannot be read.
    pub async fn collected_until(&self, storage_id: &str) -> Result<Option<i64>, ReadError> {
        let storage_id = storage_id.to_owned();
        self.query(move |journal| journal.collected_until(&storage_id))
            .await
    }

    /// Accepts a batch of another host, with the origin that it has there. Its id shows that this
    /// host has not collected it.
    ///
    /// # Errors
    ///
    /// As `accept`.
    pub async fn accept_forwarded(
        &self,
        batch: NewBatch,
        idempotency_key: Option<String>,
    ) -> Result<Receipt, AppendError> {
        let time_ordered = Uuid::now_v7().into_bytes();
        let batch_id = uuid::Builder::from_custom_bytes(time_ordered).into_uuid();
        let identity = BatchIdentity {
            idempotency_key,
            ..BatchIdentity::from(batch_id)
        };
        self.append(identity, batch).await
    }

    /// Whether the batch of this id was accepted by `accept_forwarded`.
    #[must_use]
    pub fn is_forwarded(batch_id: Uuid) -> bool {
        batch_id.get_version() == Some(Version::Custom)
    }

    /// Accepts a batch that is derived from another one. Its id is made from that
    /// batch's id, so that a batch derived twice is accepted once.
    ///
    /// # Errors
    ///
    /// As `accept`.
    pub async fn accept_derived(
        &self,
        source: Uuid,
        batch: NewBatch,
    ) -> Result<Receipt, AppendError> {
        let identity = BatchIdentity::from(Uuid::new_v5(&source, DERIVED));
        self.append(identity, batch).await
    }

    /// Whether the batch of this id was accepted by `accept_derived`.
    #[must_use]
    pub fn is_derived(batch_id: Uuid) -> bool {
        batch_id.get_version() == Some(Version::Sha1)
    }

    /// Adds an exporter. When the journal is full, `releases` tells a best-effort
    /// exporter which records to release; a required exporter keeps its records.
    pub fn add_consumer(
        &self,
        exporter: &str,
        required: bool,
        releases: mpsc::UnboundedSender<ReleaseRequest>,
    ) {
        self.consumers.add(exporter, required, releases);
    }

    pub fn remove_consumer(&self, exporter: &str) {
        self.consumers.remove(exporter);
    }

    /// An exporter needs no record before this one any more: batches that none of them needs leave
    /// the cache.
    pub fn advance(&self, exporter: &str, next: Seq) {
        if let Some(end) = self.consumers.advance(exporter, next) {
            self.cache.evict_before(end);
        }
    }

    /// Starts or ends refusing batches because an exporter's queue is full.
    pub fn set_refusing(&self, exporter: &str, refuses: bool) {
        self.consumers.set_refusing(exporter, refuses);
    }

    async fn append(
        &self,
        identity: BatchIdentity,
        batch: NewBatch,
    ) -> Result<Receipt, AppendError> {
        if let Some(exporter) = self.consumers.refusing() {
            return Err(AppendError::QueueFull { exporter });
        }
        let payload = self.cache.payloads().slot();
        let key = &identity.idempotency_key;
        let (record, arrow) = self.encode(&identity, &batch, &payload).await?;
        let header = record.header.clone();
        let announced = AnnouncedBatch { arrow, payload };
        // Without exporters, no batch would ever leave the cache again.
        let has_readers = !self.consumers.is_empty();
        let _announcement = has_readers.then(|| self.cache.announce(&header, announced.clone()));
        let bytes = record.payload.bytes();
        let mut appended = self.backend.append(record, key.clone()).await;
        if let Err(AppendError::Full {
            held_bytes,
            max_bytes,
            ..
        }) = appended
        {
            self.make_room(held_bytes + bytes, max_bytes).await;
            // The refusal consumed the first encoding. A full journal is rare
            // enough to encode again rather than to keep a copy of each record.
            let payload = &announced.payload;
            let (record, _) = self.encode(&identity, &batch, payload).await?;
            appended = self.backend.append(record, key.clone()).await;
        }
        let receipt = match appended {
            Ok(receipt) => receipt,
            Err(error) => return Err(self.name_cause(error).await),
        };
        if !receipt.repeated {
            self.tap.show(|| PassedRows {
                arrow: announced.arrow.clone(),
                storage_id: header.storage_id.clone(),
                outcome: None,
            });
        }
        Ok(receipt)
    }

    /// Makes room for a batch that did not fit.
    ///
    /// The journal itself deletes only records that every cursor has passed. So this
    /// finds the record before which enough bytes lie, and has the cursors of
    /// best-effort and of unconfigured exporters advance to it, dropping what is
    /// pending there. It frees a sixteenth of the journal more than needed, so that not
    /// every following batch has to do the same. A required exporter keeps its cursor,
    /// and the second attempt to append fails.
    async fn make_room(&self, wanted_bytes: u64, max_bytes: u64) {
        let bytes = wanted_bytes.saturating_sub(max_bytes - max_bytes / 16);
        let end = self.query(move |journal| journal.seq_after_bytes(bytes));
        if let Ok(end) = end.await {
            self.consumers.release_before(end).await;
            self.release_unconfigured(end).await;
        }
    }

    /// Advances the cursors of exporters that are no longer configured.
    async fn release_unconfigured(&self, end: Seq) {
        let cursors = self.query(|journal| journal.cursors()).await;
        let cursors = cursors.unwrap_or_default().into_iter();
        for cursor in cursors.filter(|cursor| cursor.next.seq < end) {
            let name = cursor.exporter;
            if self.consumers.contains(&name) {
                continue;
            }
            let dropped = self.backend.drop_before(&name, end, "journal.max_bytes");
            if let Ok(items) = dropped.await {
                log::error!(exporter = name, items = items; "dropped the oldest pending items of an exporter that is no longer configured: `journal.max_bytes` is reached");
            }
        }
    }

    /// Names the exporter whose records fill the journal.
    async fn name_cause(&self, error: AppendError) -> AppendError {
        match error {
            AppendError::Full {
                held_bytes,
                max_bytes,
                ..
            } => AppendError::Full {
                held_bytes,
                max_bytes,
                required_by: self.slowest_required().await,
            },
            other => other,
        }
    }

    /// The required exporter with the oldest pending record.
    async fn slowest_required(&self) -> Option<String> {
        let required = self.consumers.required();
        let slowest = self.query(move |journal| {
            let backlogs = required.into_iter().filter_map(|name| {
                let backlog = journal.backlog(&name).ok()??;
                Some((journal.clock().age(backlog.oldest_accepted_ms?), name))
            });
            Ok(backlogs.max().map(|(_, name)| name))
        });
        slowest.await.ok().flatten()
    }

    /// Reads the backend on a blocking thread: its reads wait for the disk.
    async fn query<T: Send + 'static>(
        &self,
        query: impl FnOnce(&dyn Journal) -> Result<T, ReadError> + Send + 'static,
    ) -> Result<T, ReadError> {
        let backend = Arc::clone(&self.backend);
        let result = panics::spawn_blocking(move || query(&*backend)).await;
        result.unwrap_or_else(|error| Err(task_failed(&error)))
    }

    /// Removes the cached batches: the journal may not have them any more.
    fn clear_cache(&self) {
        self.cache.clear();
    }

    /// Checks the file of the journal, which replaces a damaged one.
    async fn verify(&self) {
        let checked = self.query(|journal| journal.verify()).await;
        if let Err(error) = checked {
            log::warn!(journal:% = self.kind; "cannot check the journal: {error}");
        }
    }

    /// A batch that is decoded already.
    fn cached(&self, seq: Seq) -> Option<ReadBatch> {
        self.cache.get(seq)
    }

    /// Whether the journal ends before a record.
    fn ends_before(&self, seq: Seq) -> bool {
        seq > *self.backend.head().borrow()
    }

    /// The batches at or after a sequence number, at least one and at most as many as are read
    /// ahead. Blocks.
    fn read_many(&self, from: Seq, form: ReadForm) -> BatchesRead {
        let mut found = VecDeque::new();
        let (mut bytes, mut shared) = (0, None);
        for record in self.backend.read_many(from, READ_LIMIT)? {
            let is_full = bytes >= MAX_DECODED_BYTES || !self.memory().has_room_for_exporter(bytes);
            if is_full && !found.is_empty() {
                break;
            }
            let seq = record.seq;
            let result = self.decode(record, form, &mut shared);
            bytes += result.held_bytes();
            found.push_back((seq, result));
        }
        Ok(found)
    }

    /// Keeps a batch for the exporters; without one, no batch would ever leave the cache again.
    fn share(&self, batch: StoredBatch) -> Arc<StoredBatch> {
        if self.consumers.is_empty() {
            return Arc::new(batch);
        }
        self.cache.insert(batch)
    }

    /// The batch of a record. `shared` is what the last small batch shares with others.
    fn decode(
        &self,
        record: Record,
        form: ReadForm,
        shared: &mut Option<SharedRows>,
    ) -> ReadResult {
        // Another exporter may have decoded it since `read` looked.
        if let Some(batch) = self.cache.get(record.seq) {
            return ReadResult::Batch(batch);
        }
        let batch = match self.cache.announced_batch(&record.header) {
            Some(announced) => announced.stored(record.seq, record.header),
            None => match self.decode_record(&record, form, shared) {
                Ok(decoded) => decoded,
                Err(error) => return ReadResult::Damaged(Box::new(record), error.to_string()),
            },
        };
        ReadResult::Batch(ReadBatch::new(self.share(batch)))
    }

    fn decode_record(
        &self,
        record: &Record,
        form: ReadForm,
        shared: &mut Option<SharedRows>,
    ) -> Result<StoredBatch, CodecError> {
        let payloads = self.cache.payloads();
        let (seq, header) = (record.seq, record.header.clone());
        let (arrow, payload) = match (&record.payload, form) {
            (RecordPayload::Rows(batch), _) => {
                let (rows, payload) = (batch.clone(), payloads.slot());
                let batch = StoredBatch::of_small(seq, header, rows, payload, shared.as_ref());
                shared.clone_from(&batch.shared);
                return Ok(batch);
            }
            (RecordPayload::Encoded(bytes), ReadForm::Rows) => {
                (codec::decode(bytes)?, payloads.slot())
            }
            (RecordPayload::Encoded(bytes), ReadForm::RowsAndPayload) => {
                payloads.decode_record(bytes)?
            }
        };
        let arrow = with_shared_schema(arrow);
        Ok(StoredBatch::new(seq, header, arrow, payload))
    }

    async fn encode(
        &self,
        identity: &BatchIdentity,
        batch: &NewBatch,
        slot: &Arc<PayloadSlot>,
    ) -> Result<(NewRecord, RecordBatch), AppendError> {
        let arrow = batch.rows.as_arrow().clone();
        let is_small = used_bytes(&arrow) <= SMALL_BYTES;
        let (payloads, slot) = (Arc::clone(self.cache.payloads()), Arc::clone(slot));
        let encode = move || payloads.encode_record(arrow, &slot);
        let encoded = if is_small {
            Ok(encode())
        } else {
            panics::spawn_blocking(encode).await
        };
        let (payload, arrow) = match encoded {
            Ok(Ok(encoded)) => encoded,
            Ok(Err(error)) => {
                return Err(AppendError::Unfit {
                    reason: error.to_string(),
                });
            }
            Err(error) => {
                return Err(AppendError::Unavailable {
                    reason: error.to_string(),
                });
            }
        };
        let record = NewRecord {
            header: batch.header(identity.batch_id, now_ms()),
            rows: batch.rows.row_count() as u64,
            collected_until_ms: identity.collected_until_ms,
            payload,
        };
        Ok((record, with_shared_schema(arrow)))
    }
}

impl From<Uuid> for BatchIdentity {
    fn from(batch_id: Uuid) -> Self {
        Self {
            batch_id,
            idempotency_key: None,
            collected_until_ms: None,
        }
    }
}

impl std::fmt::Debug for BatchJournal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BatchJournal")
            .field("kind", &self.kind)
            .finish_non_exhaustive()
    }
}

fn task_failed(error: &JoinError) -> ReadError {
    ReadError::Unavailable {
        reason: error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use delfin_plugin_api::{Origin, sample};

    use super::*;
    use crate::journal::{self, JournalLimits};

    #[tokio::test]
    async fn a_decoded_batch_is_kept_as_long_as_an_exporter_needs_it() {
        let folder = tempfile::tempdir().unwrap();
        let journals = journal::open(folder.path(), &JournalLimits::unlimited()).unwrap();
        let backend = Arc::clone(&journals.performance);
        let journal = BatchJournal::new(Kind::Performance, backend, &MemoryBudget::new(u64::MAX));
        let accept = async || {
            let batch = NewBatch {
                rows: sample::performance(1, 1).into(),
                origin: Origin::Ingest,
                storage_id: None,
                complete: false,
            };
            journal.accept(batch, None).await.unwrap().seq
        };
        let without_exporter = accept().await;
        assert!(journal.cached(without_exporter).is_none());
        let (releases, _receiver) = mpsc::unbounded_channel();
        journal.add_consumer("e", false, releases);
        let seq = accept().await;
        assert!(journal.cached(seq).is_some());
        journal.advance("e", seq.next());
        assert!(journal.cached(seq).is_none());
    }
}
