//! Batches as the processes of exporters get them, encoded once for all of them.
//!
//! A record of the journal is the same stream, compressed. So the journal keeps the stream of
//! a batch that it encodes or decodes, if exporters have asked for those before. Else the first
//! exporter that sends rows of a batch encodes it, and others that need it wait for that. A
//! [`PayloadPool`] keeps what is encoded while the batch is in the cache of its journal, bounded in
//! bytes and in descriptors.
//!
//! Knows nothing of processes and of requests.

use std::{
    collections::VecDeque,
    io::{self, Write},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
};

use arrow_array::RecordBatch;
use arrow_buffer::Buffer;
use bytes::Bytes;
use delfin_plugin_protocol::{FramePayload, SharedPayload};

use super::{
    codec::{self, CodecError},
    memory::used_bytes,
};

/// Payloads up to this size are sent inline: a copy costs less than a file.
const MAX_INLINE: usize = 32 << 10;

/// How many payloads with a descriptor a journal keeps.
const MAX_DESCRIPTORS: usize = 64;

/// Rows as an Arrow stream.
#[derive(Debug)]
pub enum BatchPayload {
    Inline(Buffer),
    Shared(SharedPayload),
}

/// The payloads that a journal keeps.
#[derive(Debug)]
pub struct PayloadPool {
    max_bytes: u64,
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
    /// The memory that it needs in addition to that of its batch.
    bytes: u64,
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
        if used_bytes(rows) > MAX_INLINE {
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
        }
    }

    fn descriptors(&self) -> usize {
        usize::from(matches!(self, Self::Shared(_)))
    }

    /// The stream, in the memory of the payload.
    fn plain(&self) -> io::Result<Buffer> {
        match self {
            Self::Inline(bytes) => Ok(bytes.clone()),
            Self::Shared(payload) => {
                let mapping = payload.map().map_err(io::Error::other)?;
                Ok(Bytes::from_owner(mapping).into())
            }
        }
    }

    #[must_use]
    pub fn as_frame(&self) -> FramePayload<'_> {
        match self {
            Self::Inline(bytes) => FramePayload::Inline(bytes),
            Self::Shared(payload) => FramePayload::Shared(payload),
        }
    }
}

impl PayloadPool {
    /// A pool that keeps up to `max_bytes`, or one payload.
    #[must_use]
    pub fn new(max_bytes: u64) -> Arc<Self> {
        Arc::new(Self {
            max_bytes,
            bytes: AtomicU64::new(0),
            descriptors: AtomicUsize::new(0),
            kept: Mutex::default(),
            is_wanted: AtomicBool::new(false),
            encoded_batches: AtomicU64::new(0),
            encoded_requests: AtomicU64::new(0),
        })
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

    /// Encodes a new batch for the journal. If exporters want its payload, that is kept in `slot`,
    /// and the rows that are returned are in the memory of a large one.
    ///
    /// # Errors
    ///
    /// As [`codec::encode`].
    pub fn encode_record(
        &self,
        rows: RecordBatch,
        slot: &Arc<PayloadSlot>,
    ) -> Result<(Vec<u8>, RecordBatch), CodecError> {
        if !self.is_wanted.load(Relaxed) {
            return Ok((codec::encode(&rows)?, rows));
        }
        let encoded = BatchPayload::encode(&rows).and_then(|payload| {
            let plain = payload.plain()?;
            Ok((payload, plain))
        });
        let Ok((payload, plain)) = encoded else {
            return Ok((codec::encode(&rows)?, rows));
        };
        self.encoded_batches.fetch_add(1, Relaxed);
        let record = codec::encode_plain(&plain)?;
        let (rows, bytes) = match payload {
            BatchPayload::Inline(_) => (rows, payload.size()),
            BatchPayload::Shared(_) => (codec::read_plain(plain)?, 0),
        };
        slot.fill(payload, bytes, &mut slot.lock());
        self.keep(slot);
        Ok((record, rows))
    }

    /// Decodes a batch of the journal. If exporters want its payload, that is the memory of its
    /// columns.
    ///
    /// # Errors
    ///
    /// As [`codec::decode`].
    pub fn decode_record(
        self: &Arc<Self>,
        record: &[u8],
    ) -> Result<(RecordBatch, Arc<PayloadSlot>), CodecError> {
        let slot = self.slot();
        let plain = codec::decode_plain(record)?;
        if !self.is_wanted.load(Relaxed) {
            return Ok((codec::read_plain(plain)?, slot));
        }
        let payload = share(plain.clone());
        let plain = payload.plain().unwrap_or(plain);
        let rows = codec::read_plain(plain)?;
        slot.fill(payload, 0, &mut slot.lock());
        self.keep(&slot);
        Ok((rows, slot))
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
            self.bytes.load(Relaxed) > self.max_bytes
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
        let payload = BatchPayload::encode(rows)?;
        self.pool.encoded_batches.fetch_add(1, Relaxed);
        let bytes = payload.size();
        let kept = self.fill(payload, bytes, &mut slot);
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
        BatchPayload::encode(rows)
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
            slot.take_if(|kept| kept.bytes > 0);
        }
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
            bytes,
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
        self.pool.bytes.fetch_sub(self.bytes, Relaxed);
        let descriptors = self.payload.descriptors();
        self.pool.descriptors.fetch_sub(descriptors, Relaxed);
        if !self.is_used {
            self.pool.is_wanted.store(false, Relaxed);
        }
    }
}

#[cfg(test)]
mod tests;
