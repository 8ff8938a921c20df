//! What a record of the partition says: a batch, or the start of a term.
//!
//! The value of a batch is its payload, and its header is in the headers of the record. A term is the time in
//! which one owner writes over one connection. It begins with a fence. A record counts if its term is
//! the largest of the fences before it. So what a former owner, or a connection that is no longer used, still has on the way when the
//! next term begins changes nothing, and whether an earlier record was written is certain after the fence.
//!
//! `docs/src/operator/cluster.md` lists the headers.

use bytes::Bytes;
use delfin_plugin_api::Origin;
use uuid::Uuid;

use super::client::{NewPartitionRecord, PartitionRecord};
use crate::batch::{Header, Seq};
use crate::clock::now_ms;
use crate::journal::{NewRecord, Record};

const TERM: &str = "delfin-term";
const SEQ: &str = "delfin-seq";
const BATCH_ID: &str = "delfin-batch-id";
const ORIGIN: &str = "delfin-origin";
const STORAGE_ID: &str = "delfin-storage-id";
const COMPLETE: &str = "delfin-complete";
const ACCEPTED_MS: &str = "delfin-accepted-ms";
const ROWS: &str = "delfin-rows";
const ITEMS: &str = "delfin-items";
const COLLECTED_UNTIL_MS: &str = "delfin-collected-until-ms";
const KEY: &str = "delfin-idempotency-key";
const YES: &str = "true";

/// Who writes: a later term is larger.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Term {
    /// The epoch of the owner's lease.
    pub(super) epoch: i64,
    /// Counts the connections of one epoch.
    pub(super) session: i64,
}

/// A record of the partition.
#[derive(Debug)]
pub(super) enum LogEntry {
    Fence(Term),
    Batch(Box<BatchEntry>),
    /// Written by another program.
    Foreign,
}

/// A batch in the partition, without its payload.
#[derive(Clone, Debug)]
pub(super) struct BatchEntry {
    pub(super) term: Term,
    pub(super) seq: Seq,
    pub(super) header: Header,
    pub(super) rows: u64,
    /// As [`NewRecord::collected_until_ms`].
    pub(super) collected_until_ms: Option<i64>,
    pub(super) bytes: u64,
    pub(super) key: Option<String>,
}

impl BatchEntry {
    /// The entry of a record with so many bytes. Its term and its sequence number are set when it is written.
    pub(super) fn new(record: NewRecord, bytes: u64, key: Option<String>) -> Self {
        Self {
            term: Term::default(),
            seq: Seq::default(),
            header: record.header,
            rows: record.rows,
            collected_until_ms: record.collected_until_ms,
            bytes,
            key,
        }
    }

    pub(super) fn to_log(&self, payload: Bytes) -> NewPartitionRecord {
        let header = &self.header;
        let mut headers = vec![
            (TERM, self.term.to_string()),
            (SEQ, self.seq.to_string()),
            (BATCH_ID, header.batch_id.to_string()),
            (ORIGIN, header.origin.as_str().to_owned()),
            (ACCEPTED_MS, header.accepted_ms.to_string()),
            (ROWS, self.rows.to_string()),
            (ITEMS, header.items.to_string()),
        ];
        if header.complete {
            headers.push((COMPLETE, YES.to_owned()));
        }
        let storage_id = header.storage_id.clone();
        headers.extend(storage_id.clone().map(|id| (STORAGE_ID, id)));
        let until_ms = self.collected_until_ms;
        headers.extend(until_ms.map(|end| (COLLECTED_UNTIL_MS, end.to_string())));
        headers.extend(self.key.clone().map(|key| (KEY, key)));
        NewPartitionRecord {
            timestamp_ms: header.accepted_ms,
            key: storage_id,
            value: payload,
            headers,
        }
    }

    /// The storage and the end of the window that the batch was collected for.
    pub(super) fn window(&self) -> Option<(&str, i64)> {
        self.header
            .storage_id
            .as_deref()
            .zip(self.collected_until_ms)
    }

    pub(super) fn into_record(self, payload: &[u8]) -> Record {
        Record {
            seq: self.seq,
            header: self.header,
            rows: self.rows,
            payload: payload.to_vec().into(),
        }
    }
}

impl LogEntry {
    pub(super) fn read(record: &PartitionRecord) -> Self {
        let Some(term) = record.header(TERM).and_then(Term::parse) else {
            return Self::Foreign;
        };
        if record.header(BATCH_ID).is_none() {
            return Self::Fence(term);
        }
        read_batch(record, term).map_or(Self::Foreign, |batch| Self::Batch(Box::new(batch)))
    }
}

impl Term {
    pub(super) fn fence(self) -> NewPartitionRecord {
        NewPartitionRecord {
            timestamp_ms: now_ms(),
            headers: vec![(TERM, self.to_string())],
            ..NewPartitionRecord::default()
        }
    }

    fn parse(text: &str) -> Option<Self> {
        let (epoch, session) = text.split_once('.')?;
        Some(Self {
            epoch: epoch.parse().ok()?,
            session: session.parse().ok()?,
        })
    }
}

impl std::fmt::Display for Term {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}", self.epoch, self.session)
    }
}

fn read_batch(record: &PartitionRecord, term: Term) -> Option<BatchEntry> {
    let number = |name| record.header(name)?.parse::<u64>().ok();
    Some(BatchEntry {
        term,
        seq: Seq(number(SEQ)?),
        header: Header {
            batch_id: Uuid::parse_str(record.header(BATCH_ID)?).ok()?,
            origin: Origin::from_name(record.header(ORIGIN)?),
            storage_id: record.header(STORAGE_ID).map(str::to_owned),
            complete: record.header(COMPLETE) == Some(YES),
            accepted_ms: record.header(ACCEPTED_MS)?.parse().ok()?,
            items: number(ITEMS)?,
        },
        rows: number(ROWS)?,
        collected_until_ms: record
            .header(COLLECTED_UNTIL_MS)
            .and_then(|end| end.parse().ok()),
        bytes: record.value.len() as u64,
        key: record.header(KEY).map(str::to_owned),
    })
}
