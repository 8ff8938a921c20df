//! Records whose payloads are stored together, with the last of them.
//!
//! The others have an empty payload. Records are deleted from the front of the journal and salvaged
//! from its end, so each record that exists has its payload, and their number is at most that of
//! the payloads.

use rusqlite::{Connection, OptionalExtension};

use super::super::record::Record;
use crate::batch::codec::{self, CodecError, RecordPayload, StoredPayloads};

/// What is stored with the last record of a group, or with a record by itself.
pub(super) struct StoredGroup {
    last_seq: u64,
    payloads: StoredPayloads,
}

impl StoredGroup {
    pub(super) fn new(last_seq: u64, stored: &[u8]) -> Result<Self, CodecError> {
        let payloads = match codec::split(stored)? {
            Some(payloads) => payloads,
            None => StoredPayloads::Encoded(vec![stored.to_vec().into()]),
        };
        Ok(Self { last_seq, payloads })
    }

    /// The payload of a record of the group, or an empty one.
    pub(super) fn take(&mut self, seq: u64) -> RecordPayload {
        let from_end = self.last_seq.checked_sub(seq);
        let index = from_end.and_then(|from_end| {
            let from_end = usize::try_from(from_end).ok()?;
            self.payloads.len().checked_sub(from_end + 1)
        });
        let payload = index.and_then(|index| self.payloads.take(index));
        payload.unwrap_or_default()
    }
}

/// Gives the payloads of a group to some of its records, up to one of them, with what is `stored` with that. If they
/// cannot be read, the last record has what is stored, and the others its format: neither can be decoded. A payload that
/// is missing stays empty.
pub(super) fn fill(
    connection: &Connection,
    records: &mut [Record],
    stored: Vec<u8>,
) -> rusqlite::Result<()> {
    let Some(last) = records.last_mut() else {
        return Ok(());
    };
    let found = if stored.is_empty() {
        // The group goes on.
        connection
            .prepare_cached(
                "SELECT seq, payload FROM batches WHERE seq > ?1 AND length(payload) > 0 ORDER BY seq LIMIT 1",
            )?
            .query_row([last.seq.0], |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()?
    } else {
        Some((last.seq.0, stored))
    };
    let Some((last_seq, stored)): Option<(u64, Vec<u8>)> = found else {
        return Ok(());
    };
    match codec::split(&stored) {
        // Large records, and most of older hosts: without a copy.
        Ok(None) if last_seq == last.seq.0 => last.payload = stored.into(),
        // The group ends with a record that is stored by itself: these have none.
        Ok(None) => {}
        Ok(Some(payloads)) => {
            let mut group = StoredGroup { last_seq, payloads };
            for record in records {
                record.payload = group.take(record.seq.0);
            }
        }
        Err(_) => {
            let format = stored.get(..1).unwrap_or_default().to_vec();
            for record in records.iter_mut() {
                record.payload = format.clone().into();
            }
            if let Some(last) = records.last_mut().filter(|last| last.seq.0 == last_seq) {
                last.payload = stored.into();
            }
        }
    }
    Ok(())
}
