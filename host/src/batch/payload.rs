//! Batches as the processes of exporters get them, encoded once for all of them.
//!
//! The record of a large batch is the same stream, compressed. So the journal keeps the stream of
//! such a batch that it encodes or decodes, if exporters have asked for those before. Else the first
//! exporter that sends rows of a batch encodes it, and others that need it wait for that. A
//! [`PayloadPool`] keeps what is encoded while the batch is in the cache of its journal, bounded in
//! bytes and in descriptors. The files of payloads that are not needed any more have the next ones.
//!
//! Knows nothing of processes and of requests.

use std::{
    collections::VecDeque,
    io::{self, Write},
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
};

use arrow_array::RecordBatch;
use arrow_buffer::Buffer;
use bytes::Bytes;
use delfin_plugin_protocol::{
    CAN_SHARE_FILES, FilePayload, FramePayload, PayloadBuffer, PayloadFiles, SharedForm,
    SharedPayload,
};

use super::{
    codec::{self, CodecError, RecordPayload, SmallBatch},
    memory::used_bytes,
};
use crate::memory::{BatchBytes, MemoryBudget};

/// Payloads up to this size are sent inline: a copy costs less than a file.
const MAX_INLINE: usize = 32 << 10;

/// Payloads up to this size are in files that are used again. A process keeps some of them mapped.
const MAX_IN_FILE: usize = 4 << 20;

/// How much memory of unused files a pool keeps at most, and no more than an eighth of all memory.
const MAX_FREE_BYTES: u64 = 16 << 20;

/// How many payloads with a descriptor a journal keeps.
const MAX_DESCRIPTORS: usize = 64;

/// How many new batches become one before an exporter asks for them: as many files as a
/// process keeps mapped. Those of a longer backlog are made when they are read.
const MAX_AHEAD: usize = 8;

/// Rows as an Arrow stream.
#[derive(Debug)]
pub enum BatchPayload {
    Inline(Buffer),
    /// In a file that does not change.
    Shared(SharedPayload),
    /// In a file that has another payload later.
    File {
        file: Arc<FilePayload>,
        /// A copy for processes that expect a file that does not change.
        sealed: OnceLock<SharedPayload>,
    },
}

/// Shares a file with the rows in it.
struct FileBytes(Arc<FilePayload>);

/// The payloads that a journal keeps.
#[derive(Debug)]
pub struct PayloadPool {
    budget: Arc<MemoryBudget>,
    files: PayloadFiles,
    /// Of the payloads that are kept, and are not the memory of their batches.
    bytes: AtomicU64,
    /// Of the payloads that are kept.
    descriptors: AtomicUsize,
    /// The oldest payload first.
    kept: Mutex<VecDeque<Weak<PayloadSlot>>>,
    /// Whether an exporter asked for the payload of a recent batch.
    is_wanted: AtomicBool,
    encoded_batches: AtomicU64,
    encoded_requests: AtomicU64,
}

/// What a pool has and has done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PayloadStats {
    /// Of the payloads that are kept.
    pub bytes: u64,
    /// Batches that were encoded for all exporters.
    pub encoded_batches: u64,
    /// Requests that were encoded for themselves.
    pub encoded_requests: u64,
}

/// The payload of one batch.
#[derive(Debug)]
pub struct PayloadSlot {
    pool: Arc<PayloadPool>,
    /// Whether other exporters will ask for the payload.
    is_shared: AtomicBool,
    /// Locked while the batch is encoded.
    payload: Mutex<Option<KeptPayload>>,
}

#[derive(Debug)]
struct KeptPayload {
    payload: Arc<BatchPayload>,
    /// What it needs in addition to that of its batch.
    memory: BatchBytes,
    pool: Arc<PayloadPool>,
    /// Whether an exporter has asked for it.
    is_used: bool,
}

impl BatchPayload {
    /// Encodes rows.
    ///
    /// # Errors
    ///
    /// No memory or no descriptor is left.
    pub fn encode(rows: &RecordBatch) -> io::Result<Self> {
        if used_bytes(rows) > MAX_INLINE && CAN_SHARE_FILES {
            return SharedPayload::create(|file| codec::write_plain(rows, file)).map(Self::Shared);
        }
        Self::encode_inline(rows)
    }

    /// Encodes rows for a process that cannot receive descriptors.
    ///
    /// # Errors
    ///
    /// The rows cannot be encoded.
    pub fn encode_inline(rows: &RecordBatch) -> io::Result<Self> {
        let mut inline = Vec::new();
        codec::write_plain(rows, &mut inline)?;
        Ok(Self::Inline(inline.into()))
    }

    #[must_use]
    pub fn size(&self) -> u64 {
        match self {
            Self::Inline(bytes) => bytes.len() as u64,
            Self::Shared(payload) => payload.size(),
            Self::File { file, .. } => file.size(),
        }
    }

    /// Makes the copy for processes that expect a file that does not change.
    ///
    /// # Errors
    ///
    /// No memory or no descriptor is left.
    pub fn seal(&self) -> io::Result<()> {
        if let Self::File { file, sealed } = self
            && sealed.get().is_none()
        {
            let copy = SharedPayload::create(|copy| copy.write_all((**file).as_ref()))?;
            // Otherwise another exporter has just made one.
            let _ = sealed.set(copy);
        }
        Ok(())
    }

    /// Whether [`Self::seal`] has nothing to do.
    #[must_use]
    pub fn is_sealed(&self) -> bool {
        match self {
            Self::Inline(_) | Self::Shared(_) => true,
            Self::File { sealed, .. } => sealed.get().is_some(),
        }
    }

    /// A process goes on to read the payload.
    pub fn retain(&self) {
        if let Self::File { file, .. } = self {
            file.retain();
        }
    }

    fn in_file(buffer: PayloadBuffer, len: usize) -> Self {
        Self::File {
            file: Arc::new(buffer.finish(len)),
            sealed: OnceLock::new(),
        }
    }

    fn descriptors(&self) -> usize {
        usize::from(!matches!(self, Self::Inline(_)))
    }

    /// The stream, in the memory of the payload.
    fn plain(&self) -> io::Result<Buffer> {
        match self {
            Self::Inline(bytes) => Ok(bytes.clone()),
            Self::Shared(payload) => {
                let mapping = payload.map().map_err(io::Error::other)?;
                Ok(Bytes::from_owner(mapping).into())
            }
            Self::File { file, .. } => Ok(Bytes::from_owner(FileBytes(Arc::clone(file))).into()),
        }
    }

    /// How it is sent, to a process that keeps files or to another one.
    #[must_use]
    pub fn as_frame(&self, keeps_files: bool) -> (Option<SharedForm>, FramePayload<'_>) {
        let shared = |len, file, descriptor| {
            let form = SharedForm { len, file };
            (Some(form), FramePayload::Shared(descriptor))
        };
        match self {
            Self::Inline(bytes) => (None, FramePayload::Inline(bytes)),
            Self::Shared(payload) => shared(payload.size(), None, payload.file()),
            Self::File { file, .. } if keeps_files => {
                shared(file.size(), Some(file.file_number()), file.file())
            }
            Self::File { file, sealed } => match sealed.get() {
                Some(sealed) => shared(sealed.size(), None, sealed.file()),
                None => (None, FramePayload::Inline((**file).as_ref())),
            },
        }
    }
}

impl AsRef<[u8]> for FileBytes {
    fn as_ref(&self) -> &[u8] {
        (*self.0).as_ref()
    }
}

impl PayloadPool {
    /// A pool that keeps up to half of the memory, or one payload.
    #[must_use]
    pub fn new(budget: &Arc<MemoryBudget>) -> Arc<Self> {
        Arc::new(Self {
            budget: Arc::clone(budget),
            files: PayloadFiles::new((budget.limit() / 8).min(MAX_FREE_BYTES) as usize),
            bytes: AtomicU64::new(0),
            descriptors: AtomicUsize::new(0),
            kept: Mutex::default(),
            is_wanted: AtomicBool::new(false),
            encoded_batches: AtomicU64::new(0),
            encoded_requests: AtomicU64::new(0),
        })
    }

    #[must_use]
    pub fn budget(&self) -> &Arc<MemoryBudget> {
        &self.budget
    }

    /// A place for the payload of a batch.
    #[must_use]
    pub fn slot(self: &Arc<Self>) -> Arc<PayloadSlot> {
        Arc::new(PayloadSlot {
            pool: Arc::clone(self),
            is_shared: AtomicBool::new(false),
            payload: Mutex::default(),
        })
    }

    /// The payload of a new record. If exporters have asked for the streams of large batches, that of this batch is kept
    /// in `slot`, and the rows that are returned are in its memory.
    ///
    /// # Errors
    ///
    /// As [`codec::encode`].
    pub fn encode_record(
        &self,
        rows: RecordBatch,
        slot: &Arc<PayloadSlot>,
    ) -> Result<(RecordPayload, RecordBatch), CodecError> {
        if let Some(small) = SmallBatch::new(&rows) {
            return Ok((RecordPayload::Rows(small), rows));
        }
        let Some((payload, plain)) = self.encode_ahead(&rows) else {
            return Ok((codec::encode(&rows)?.into(), rows));
        };
        self.encoded_batches.fetch_add(1, Relaxed);
        let record = codec::encode_plain(&plain)?.into();
        let (rows, bytes) = match payload {
            BatchPayload::Inline(_) => (rows, payload.size()),
            BatchPayload::Shared(_) | BatchPayload::File { .. } => (codec::read_plain(plain)?, 0),
        };
        slot.fill(payload, bytes, &mut slot.lock());
        self.keep(slot);
        Ok((record, rows))
    }

    /// Decodes a batch of the journal for an exporter in a process: the memory of its columns is
    /// its payload.
    ///
    /// # Errors
    ///
    /// As [`codec::decode`].
    pub fn decode_record(
        self: &Arc<Self>,
        record: &[u8],
    ) -> Result<(RecordBatch, Arc<PayloadSlot>), CodecError> {
        let slot = self.slot();
        let is_large = codec::plain_len(record).unwrap_or_default() > MAX_INLINE;
        if is_large && self.descriptors.load(Relaxed) >= MAX_DESCRIPTORS {
            return Ok((codec::decode(record)?, slot));
        }
        let payload = match self.decode_to_file(record)? {
            Some(payload) => payload,
            None => share(codec::decode_plain(record)?),
        };
        let Ok(plain) = payload.plain() else {
            return Ok((codec::decode(record)?, slot));
        };
        let rows = codec::read_plain(plain)?;
        slot.fill(payload, 0, &mut slot.lock()).is_used = true;
        self.keep(&slot);
        Ok((rows, slot))
    }

    /// The payload of a batch and its stream, if it is kept before an exporter asks for it.
    fn encode_ahead(&self, rows: &RecordBatch) -> Option<(BatchPayload, Buffer)> {
        if !self.has_place_ahead(used_bytes(rows)) {
            return None;
        }
        let payload = self.encode_rows(rows).ok()?;
        let plain = payload.plain().ok()?;
        Some((payload, plain))
    }

    /// Whether a payload of so many bytes is kept before an exporter asks for it.
    fn has_place_ahead(&self, bytes: usize) -> bool {
        self.is_wanted.load(Relaxed)
            && (bytes <= MAX_INLINE || self.descriptors.load(Relaxed) < MAX_AHEAD)
    }

    /// Encodes rows, in a file that is used again if they fit.
    fn encode_rows(&self, rows: &RecordBatch) -> io::Result<BatchPayload> {
        let bytes = used_bytes(rows);
        // The columns are padded, and the stream describes them.
        let capacity = bytes + bytes / 16 + MAX_INLINE;
        if bytes > MAX_INLINE
            && capacity <= MAX_IN_FILE
            && let Ok(mut buffer) = self.files.buffer(capacity)
        {
            let memory = buffer.bytes_mut();
            let all = memory.len();
            let mut rest = memory;
            if codec::write_plain(rows, &mut rest).is_ok() {
                let len = all - rest.len();
                return Ok(BatchPayload::in_file(buffer, len));
            }
        }
        BatchPayload::encode(rows)
    }

    /// The stream of a record in a file that is used again; `None` if it does not fit into one.
    fn decode_to_file(&self, record: &[u8]) -> Result<Option<BatchPayload>, CodecError> {
        let len = codec::plain_len(record).unwrap_or_default();
        if !(MAX_INLINE + 1..=MAX_IN_FILE).contains(&len) {
            return Ok(None);
        }
        let Ok(mut buffer) = self.files.buffer(len) else {
            return Ok(None);
        };
        let len = codec::decode_plain_to(record, &mut buffer.bytes_mut()[..len])?;
        Ok(Some(BatchPayload::in_file(buffer, len)))
    }

    #[must_use]
    pub fn stats(&self) -> PayloadStats {
        PayloadStats {
            bytes: self.bytes.load(Relaxed),
            encoded_batches: self.encoded_batches.load(Relaxed),
            encoded_requests: self.encoded_requests.load(Relaxed),
        }
    }

    /// Lists a payload as the newest one, and releases the oldest ones beyond the limits.
    fn keep(&self, slot: &Arc<PayloadSlot>) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.push_back(Arc::downgrade(slot));
        let is_full = || {
            self.bytes.load(Relaxed) > self.budget.limit() / 2
                || self.descriptors.load(Relaxed) > MAX_DESCRIPTORS
        };
        while kept.len() > 1 {
            let oldest = kept.front().and_then(Weak::upgrade);
            match oldest {
                Some(oldest) if is_full() => oldest.release(),
                Some(_) => break,
                None => {}
            }
            kept.pop_front();
        }
    }
}

/// The payload of a batch. Without a free descriptor, a large one is inline too.
fn share(plain: Buffer) -> BatchPayload {
    if plain.len() > MAX_INLINE
        && let Ok(payload) = SharedPayload::create(|file| file.write_all(&plain))
    {
        return BatchPayload::Shared(payload);
    }
    BatchPayload::Inline(plain)
}

impl PayloadSlot {
    /// The payload of all rows of the batch, for any request with some of them; `None` if no
    /// other exporter will ask for it.
    ///
    /// # Errors
    ///
    /// As for [`BatchPayload::encode`].
    pub fn of_batch(self: &Arc<Self>, rows: &RecordBatch) -> io::Result<Option<Arc<BatchPayload>>> {
        let mut slot = self.lock();
        if let Some(kept) = &mut *slot {
            kept.is_used = true;
            return Ok(Some(Arc::clone(&kept.payload)));
        }
        if !self.is_shared.load(Relaxed) {
            return Ok(None);
        }
        self.pool.is_wanted.store(true, Relaxed);
        let kept = self.encode(rows, &mut slot)?;
        kept.is_used = true;
        let payload = Arc::clone(&kept.payload);
        // The pool locks other slots.
        drop(slot);
        self.pool.keep(self);
        Ok(Some(payload))
    }

    /// As [`Self::of_batch`], if the batch is encoded already.
    #[must_use]
    pub fn encoded_before(&self) -> Option<Arc<BatchPayload>> {
        let mut slot = self.payload.try_lock().ok()?;
        let kept = slot.as_mut()?;
        kept.is_used = true;
        Some(Arc::clone(&kept.payload))
    }

    /// A payload with only the rows of one request, which is not kept.
    ///
    /// # Errors
    ///
    /// As for [`BatchPayload::encode`].
    pub fn of_request(&self, rows: &RecordBatch) -> io::Result<BatchPayload> {
        self.pool.encoded_requests.fetch_add(1, Relaxed);
        self.pool.encode_rows(rows)
    }

    /// The memory that the batch is a part of.
    #[must_use]
    pub fn budget(&self) -> &Arc<MemoryBudget> {
        &self.pool.budget
    }

    /// From now on, exporters share the payload.
    pub fn share(&self) {
        self.is_shared.store(true, Relaxed);
    }

    /// From now on, the payload is not shared any more. One that is being encoded now, or that is
    /// the memory of its batch, is released with the batch.
    pub fn unshare(&self) {
        self.is_shared.store(false, Relaxed);
        if let Ok(mut slot) = self.payload.try_lock() {
            slot.take_if(|kept| kept.memory.bytes() > 0);
        }
    }

    fn encode<'a>(
        &self,
        rows: &RecordBatch,
        slot: &'a mut Option<KeptPayload>,
    ) -> io::Result<&'a mut KeptPayload> {
        let payload = self.pool.encode_rows(rows)?;
        self.pool.encoded_batches.fetch_add(1, Relaxed);
        let bytes = payload.size();
        Ok(self.fill(payload, bytes, slot))
    }

    fn fill<'a>(
        &self,
        payload: BatchPayload,
        bytes: u64,
        slot: &'a mut Option<KeptPayload>,
    ) -> &'a mut KeptPayload {
        self.pool.bytes.fetch_add(bytes, Relaxed);
        let descriptors = payload.descriptors();
        self.pool.descriptors.fetch_add(descriptors, Relaxed);
        slot.insert(KeptPayload {
            payload: Arc::new(payload),
            memory: BatchBytes::new(&self.pool.budget, bytes),
            pool: Arc::clone(&self.pool),
            is_used: false,
        })
    }

    /// Closes the payload, which is encoded again if it is asked for again.
    fn release(&self) {
        *self.lock() = None;
    }

    fn lock(&self) -> MutexGuard<'_, Option<KeptPayload>> {
        self.payload.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for KeptPayload {
    fn drop(&mut self) {
        self.pool.bytes.fetch_sub(self.memory.bytes(), Relaxed);
        let descriptors = self.payload.descriptors();
        self.pool.descriptors.fetch_sub(descriptors, Relaxed);
        if !self.is_used {
            self.pool.is_wanted.store(false, Relaxed);
        }
    }
}

#[cfg(test)]
mod tests;
