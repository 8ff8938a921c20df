//! A lane: the journal of one kind of batch, with batches in and batches out.
//!
//! A batch is encoded once, when it is accepted, and decoded at most once for
//! all exporters that keep step: the decoded ones are shared, bounded in bytes.

mod members;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use arrow_array::RecordBatch;
use delfin_plugin_api::{Kind, Origin};
use tokio::sync::mpsc;
use uuid::{Uuid, Version};

use members::Members;

use crate::{
    clock::now_ms,
    codec,
    delivery::Order,
    journal::{AppendError, Entry, Journal, ReadError, Receipt, Record, Seq},
    plugin::StoredBatch,
};

/// What the names of batches that follow from another are made with.
const FOLLOWS: &[u8] = b"follows";

/// The lane of each kind.
#[derive(Clone, Debug)]
pub struct Lanes {
    /// The lane of performance batches.
    pub performance: Arc<Lane>,
    /// The lane of alert batches.
    pub alerts: Arc<Lane>,
}

impl Lanes {
    /// The lane for batches of a kind.
    #[must_use]
    pub fn of(&self, kind: Kind) -> &Arc<Lane> {
        match kind {
            Kind::Performance => &self.performance,
            Kind::Alert => &self.alerts,
        }
    }
}

/// A batch on its way in.
#[derive(Debug, Clone)]
pub struct NewBatch {
    /// The rows.
    pub arrow: RecordBatch,
    /// How many points or alerts they are.
    pub items: u64,
    /// Where they came from.
    pub origin: Origin,
    /// The one storage that they speak of.
    pub storage_id: Option<String>,
    /// Whether they are all there is of that storage.
    pub complete: bool,
}

/// What comes next for an exporter.
#[derive(Debug, Clone)]
pub enum Next {
    /// A batch.
    Batch(Arc<StoredBatch>),
    /// A record that cannot be read as a batch any more, and why.
    Damaged(Box<Entry>, String),
    /// Nothing, until the head moves.
    Nothing,
}

/// The journal of one kind of batch.
pub struct Lane {
    kind: Kind,
    journal: Arc<dyn Journal>,
    decoded: Mutex<Decoded>,
    members: Members,
}

impl Lane {
    /// A lane over a journal, which keeps that many bytes of decoded batches.
    #[must_use]
    pub fn new(kind: Kind, journal: Arc<dyn Journal>, cache_bytes: u64) -> Self {
        let decoded = Decoded {
            batches: BTreeMap::new(),
            bytes: 0,
            max_bytes: cache_bytes,
        };
        Self {
            kind,
            journal,
            decoded: Mutex::new(decoded),
            members: Members::default(),
        }
    }

    /// What it holds.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Where it keeps it.
    #[must_use]
    pub fn journal(&self) -> &Arc<dyn Journal> {
        &self.journal
    }

    /// Takes a batch in. Once this returns, it is durable.
    ///
    /// # Errors
    ///
    /// The journal is full, out of disk or out of order; nothing is kept then.
    pub async fn accept(
        &self,
        batch: NewBatch,
        key: Option<String>,
    ) -> Result<Receipt, AppendError> {
        self.append(Uuid::now_v7(), batch, key).await
    }

    /// Takes a batch in that follows from another one: under a name made of that
    /// one's, so that it is there once, however often it is found to follow.
    ///
    /// # Errors
    ///
    /// As `accept`.
    pub async fn accept_once(
        &self,
        follows: Uuid,
        batch: NewBatch,
    ) -> Result<Receipt, AppendError> {
        self.append(Uuid::new_v5(&follows, FOLLOWS), batch, None)
            .await
    }

    /// Whether that is the name of a batch that followed from another.
    #[must_use]
    pub fn follows_from_another(batch_id: Uuid) -> bool {
        batch_id.get_version() == Some(Version::Sha1)
    }

    /// Adds an exporter, which gives way when the lane is full, or does not.
    pub fn join(&self, exporter: &str, gives_way: bool, orders: mpsc::UnboundedSender<Order>) {
        self.members.join(exporter, gives_way, orders);
    }

    /// Takes an exporter out again.
    pub fn leave(&self, exporter: &str) {
        self.members.leave(exporter);
    }

    /// Refuses batches on account of an exporter, or does so no longer.
    pub fn refuse_for(&self, exporter: &str, refuse: bool) {
        self.members.refuse_for(exporter, refuse);
    }

    async fn append(
        &self,
        batch_id: Uuid,
        batch: NewBatch,
        key: Option<String>,
    ) -> Result<Receipt, AppendError> {
        if let Some(exporter) = self.members.refuses() {
            let stats = self.journal.stats().unwrap_or_default();
            return Err(AppendError::Full {
                held_bytes: stats.bytes,
                max_bytes: stats.max_bytes,
                required_by: Some(exporter),
            });
        }
        let record = record_of(batch_id, &batch).await?;
        let (accepted_ms, bytes) = (record.accepted_ms, record.payload.len() as u64);
        let mut appended = self.journal.append(record, key.clone()).await;
        if let Err(AppendError::Full {
            held_bytes,
            max_bytes,
            ..
        }) = appended
        {
            self.make_room(held_bytes + bytes, max_bytes).await;
            // The first one went with the refusal; this is rare.
            let record = record_of(batch_id, &batch).await?;
            appended = self.journal.append(record, key).await;
        }
        let receipt = appended.map_err(|error| self.explained(error))?;
        if !receipt.repeated {
            self.decoded().put(Arc::new(StoredBatch {
                seq: receipt.seq,
                batch_id,
                origin: batch.origin,
                storage_id: batch.storage_id,
                complete: batch.complete,
                accepted_ms,
                items: batch.items,
                arrow: batch.arrow,
            }));
        }
        Ok(receipt)
    }

    /// Has exporters give way, a little more than is needed, so that the next
    /// batch need not ask again.
    async fn make_room(&self, wanted_bytes: u64, max_bytes: u64) {
        let bytes = wanted_bytes.saturating_sub(max_bytes - max_bytes / 16);
        let journal = Arc::clone(&self.journal);
        let end = tokio::task::spawn_blocking(move || journal.seq_after_bytes(bytes)).await;
        if let Ok(Ok(end)) = end {
            self.members.make_room(end).await;
            self.make_room_of_the_gone(end).await;
        }
    }

    /// Moves the cursors of exporters that are no longer configured.
    async fn make_room_of_the_gone(&self, end: Seq) {
        let cursors = self.journal.cursors().unwrap_or_default().into_iter();
        for cursor in cursors.filter(|cursor| cursor.next.seq < end) {
            let name = cursor.exporter;
            if self.members.has(&name) {
                continue;
            }
            if let Ok(items) = self
                .journal
                .drop_before(&name, end, "journal.max_bytes")
                .await
            {
                log::error!(exporter = name, items = items; "dropped: what waited for an exporter that is no longer configured, for `journal.max_bytes`");
            }
        }
    }

    /// A lane that is still full is so for those who do not give way.
    fn explained(&self, error: AppendError) -> AppendError {
        match error {
            AppendError::Full {
                held_bytes,
                max_bytes,
                ..
            } => AppendError::Full {
                held_bytes,
                max_bytes,
                required_by: self.furthest_behind(),
            },
            other => other,
        }
    }

    /// Of those who do not give way, the one for which the oldest record is kept.
    fn furthest_behind(&self) -> Option<String> {
        let steadfast = self.members.steadfast().into_iter();
        let behind = steadfast.filter_map(|name| {
            let backlog = self.journal.backlog(&name).ok()??;
            Some((backlog.oldest_accepted_ms?, name))
        });
        behind.min().map(|(_, name)| name)
    }

    /// What comes at or after a number.
    ///
    /// # Errors
    ///
    /// The journal cannot be read now.
    pub async fn next(self: &Arc<Self>, from: Seq) -> Result<Next, ReadError> {
        if let Some(batch) = self.decoded().get(from) {
            return Ok(Next::Batch(batch));
        }
        // To learn that there is nothing needs no thread that may block.
        if from > *self.journal.head().borrow() {
            return Ok(Next::Nothing);
        }
        let lane = Arc::clone(self);
        let read = tokio::task::spawn_blocking(move || lane.read(from)).await;
        read.unwrap_or_else(|error| {
            Err(ReadError::Unavailable {
                reason: error.to_string(),
            })
        })
    }

    fn read(&self, from: Seq) -> Result<Next, ReadError> {
        let Some(entry) = self.journal.read(from)? else {
            return Ok(Next::Nothing);
        };
        if let Some(batch) = self.decoded().get(entry.seq) {
            return Ok(Next::Batch(batch));
        }
        let arrow = match codec::decode(&entry.record.payload) {
            Ok(arrow) => arrow,
            Err(error) => return Ok(Next::Damaged(Box::new(entry), error.to_string())),
        };
        let Entry { seq, record } = entry;
        let batch = Arc::new(StoredBatch {
            seq,
            batch_id: record.batch_id,
            origin: record.origin,
            storage_id: record.storage_id,
            complete: record.complete,
            accepted_ms: record.accepted_ms,
            items: record.items,
            arrow,
        });
        self.decoded().put(Arc::clone(&batch));
        Ok(Next::Batch(batch))
    }

    fn decoded(&self) -> std::sync::MutexGuard<'_, Decoded> {
        self.decoded.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Lane {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Lane")
            .field("kind", &self.kind)
            .finish_non_exhaustive()
    }
}

/// A batch as the journal keeps it.
async fn record_of(batch_id: Uuid, batch: &NewBatch) -> Result<Record, AppendError> {
    let arrow = batch.arrow.clone();
    let encoded = tokio::task::spawn_blocking(move || codec::encode(&arrow)).await;
    let payload = match encoded {
        Ok(Ok(payload)) => payload,
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
    Ok(Record {
        batch_id,
        origin: batch.origin,
        storage_id: batch.storage_id.clone(),
        complete: batch.complete,
        accepted_ms: now_ms(),
        rows: batch.arrow.num_rows() as u64,
        items: batch.items,
        payload,
    })
}

/// Decoded batches by number. The oldest go first: an exporter that lags reads
/// from the journal and does not cost the others theirs.
struct Decoded {
    batches: BTreeMap<Seq, Arc<StoredBatch>>,
    bytes: u64,
    max_bytes: u64,
}

impl Decoded {
    fn get(&self, seq: Seq) -> Option<Arc<StoredBatch>> {
        self.batches.get(&seq).cloned()
    }

    fn put(&mut self, batch: Arc<StoredBatch>) {
        self.bytes += size(&batch);
        if let Some(replaced) = self.batches.insert(batch.seq, batch) {
            self.bytes -= size(&replaced);
        }
        while self.bytes > self.max_bytes {
            let Some((_, oldest)) = self.batches.pop_first() else {
                return;
            };
            self.bytes -= size(&oldest);
        }
    }
}

/// The bytes that its rows take. The buffers behind them may be larger, and
/// shared by several columns.
pub(crate) fn size(batch: &StoredBatch) -> u64 {
    let columns = batch.arrow.columns().iter();
    let sizes = columns.map(|column| column.to_data().get_slice_memory_size().unwrap_or_default());
    sizes.sum::<usize>() as u64
}
