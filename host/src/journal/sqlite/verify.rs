//! Checks a journal file: its structure, every record, every counter.
//!
//! Reads in one transaction, so a host may write meanwhile. Changes nothing.

use std::path::Path;

use arrow_array::RecordBatch;
use delfin_plugin_api::{AlertBatch, Batch, Kind, PerformanceBatch};
use rusqlite::Connection;

use super::connection::JOURNAL;
use super::counts::{self, CountFault};
use super::groups::StoredGroup;
use super::mark::{Mark, MarkFile};
use super::numbering;
use super::windows;
use crate::batch::Seq;
use crate::batch::codec::{self, CodecError};
use crate::sqlite::{DatabaseError, FailureKind, integrity};

/// Faults that are listed; the rest is counted.
const MAX_FAULTS: usize = 20;

/// What a check found.
#[derive(Debug, Default)]
pub(crate) struct JournalCheck {
    pub(crate) records: u64,
    pub(crate) items: u64,
    pub(crate) dead_letters: u64,
    pub(crate) cursors: u64,
    /// The sequence number of the newest record.
    pub(crate) head: u64,
    pub(crate) faults: Vec<String>,
    /// Faults that are not listed.
    pub(crate) more_faults: u64,
}

impl JournalCheck {
    /// Checks a journal of batches of this kind. `progress` gets the bytes of the records so far.
    pub(crate) fn of(
        path: &Path,
        kind: Kind,
        progress: &dyn Fn(u64),
    ) -> Result<Self, DatabaseError> {
        // Before the transaction begins: the journal may only be ahead of it.
        let mark = MarkFile::open(path).last().cloned();
        let (connection, _) = JOURNAL.open_reader(path)?;
        let mut check = Self::default();
        match check.run(&connection, kind, mark.as_ref(), progress) {
            Err(error) if FailureKind::of(&error) == FailureKind::Damaged => {
                check.fault(error.to_string());
            }
            checked => checked.map_err(|error| JOURNAL.error(path, error))?,
        }
        Ok(check)
    }

    /// Whether the journal can continue a reader at `next`, whose cursor may have been ahead: no
    /// record from there on was deleted, and none before it is to come.
    pub(crate) fn has_records_from(
        path: &Path,
        cursor: &str,
        next: Seq,
    ) -> Result<bool, DatabaseError> {
        let (connection, _) = JOURNAL.open_reader(path)?;
        let has = || {
            let is_ahead = next.0 > numbering::head(&connection)? + 1;
            let (at, first): (Option<u64>, Option<u64>) = connection.query_row(
                "SELECT (SELECT next_seq FROM cursors WHERE exporter = ?1), (SELECT min(seq) FROM batches)",
                [cursor],
                |row| Ok((row.get(0)?, row.get(1)?)),
            )?;
            let is_deleted =
                at.is_some_and(|at| at > next.0) && first.is_none_or(|first| first > next.0);
            Ok(!is_ahead && !is_deleted)
        };
        has().map_err(|error| JOURNAL.error(path, error))
    }

    fn run(
        &mut self,
        connection: &Connection,
        kind: Kind,
        mark: Option<&Mark>,
        progress: &dyn Fn(u64),
    ) -> rusqlite::Result<()> {
        let transaction = connection.unchecked_transaction()?;
        for fault in integrity(&transaction)? {
            self.fault(fault);
        }
        self.head = numbering::head(&transaction)?;
        if let Some(mark) = mark
            && self.head < mark.head
        {
            let missing = mark.head - self.head;
            self.fault(format!(
                "{missing} acknowledged records are missing at its end"
            ));
        }
        self.check_records(&transaction, kind, progress)?;
        self.check_cursors(&transaction)?;
        self.check_windows(&transaction)?;
        self.check_dead_letters(&transaction, kind)
    }

    /// Each record can be decoded, has the rows and items that it counts, and the running totals
    /// continue from one to the next up to the totals of the journal.
    fn check_records(
        &mut self,
        connection: &Connection,
        kind: Kind,
        progress: &dyn Fn(u64),
    ) -> rusqlite::Result<()> {
        let mut records = connection.prepare(
            "SELECT seq, rows, items, items_before, bytes, bytes_before, payload
             FROM batches ORDER BY seq",
        )?;
        let mut rows = records.query([])?;
        let (mut totals, mut done) = (None, 0);
        let mut group = Vec::new();
        while let Some(row) = rows.next()? {
            let (seq, row_count, items): (u64, u64, u64) = (row.get(0)?, row.get(1)?, row.get(2)?);
            let (items_before, bytes): (u64, u64) = (row.get(3)?, row.get(4)?);
            let bytes_before: u64 = row.get(5)?;
            let payload = row.get_ref(6)?.as_bytes().unwrap_or_default();
            if totals.is_some_and(|totals| totals != (items_before, bytes_before)) {
                self.fault(format!("record {seq}: records before it are missing"));
            }
            totals = Some((items_before + items, bytes_before + bytes));
            if payload.len() as u64 != bytes {
                self.fault(format!("record {seq}: its size differs from its content"));
            }
            group.push((seq, (row_count, items)));
            if !payload.is_empty() {
                self.check_group(&std::mem::take(&mut group), payload, kind);
            }
            if seq > self.head {
                self.fault(format!("record {seq}: its number was not given out yet"));
            }
            self.records += 1;
            self.items += items;
            done += bytes;
            progress(done);
        }
        for (seq, _) in group {
            self.fault(format!("record {seq}: its content is missing"));
        }
        let sums = connection.query_row("SELECT items, bytes FROM totals", [], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })?;
        if totals.is_some_and(|totals| totals != sums) {
            self.fault("the newest records are missing".to_owned());
        }
        Ok(())
    }

    /// The records that are stored in a payload can be decoded, and have the rows and items that they
    /// count.
    fn check_group(&mut self, records: &[(u64, (u64, u64))], stored: &[u8], kind: Kind) {
        let last_seq = records.last().map_or(0, |(seq, _)| *seq);
        let mut group = StoredGroup::new(last_seq, stored).map_err(|error| error.to_string());
        for (seq, counts) in records {
            let payload = match &mut group {
                Ok(group) => Ok(group.take(*seq)),
                Err(reason) => Err(reason.clone()),
            };
            match payload.and_then(|payload| decoded(payload.decode(), kind)) {
                Ok(found) if found == *counts => {}
                Ok(_) => self.fault(format!("record {seq}: its counts differ from its content")),
                Err(reason) => self.fault(format!("record {seq}: {reason}")),
            }
        }
    }

    /// Each accepted item of each cursor has exactly one disposition, or is pending.
    fn check_cursors(&mut self, connection: &Connection) -> rusqlite::Result<()> {
        let mut cursors = connection.prepare("SELECT exporter, next_seq FROM cursors")?;
        let cursors = cursors.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
        for cursor in cursors.collect::<rusqlite::Result<Vec<(String, u64)>>>()? {
            let (exporter, next_seq) = cursor;
            self.cursors += 1;
            if next_seq > self.head + 1 {
                let head = self.head;
                self.fault(format!(
                    "cursor of `{exporter}`: it is at {next_seq}, and the newest record is {head}"
                ));
            }
        }
        for CountFault { exporter, reason } in counts::faults(connection)? {
            self.fault(format!("cursor of `{exporter}`: {reason}"));
        }
        Ok(())
    }

    fn check_windows(&mut self, connection: &Connection) -> rusqlite::Result<()> {
        for window in windows::all(connection)? {
            let (storage_id, seq) = (&window.storage_id, window.receipt.seq);
            if seq.0 > self.head {
                self.fault(format!(
                    "last window of storage `{storage_id}`: its record {seq} was not given out yet"
                ));
            }
        }
        Ok(())
    }

    fn check_dead_letters(&mut self, connection: &Connection, kind: Kind) -> rusqlite::Result<()> {
        let mut stored =
            connection.prepare("SELECT id, rows, items, payload FROM dead_letters ORDER BY id")?;
        let mut rows = stored.query([])?;
        while let Some(row) = rows.next()? {
            let (id, counted): (u64, (u64, u64)) = (row.get(0)?, (row.get(1)?, row.get(2)?));
            let stored = row.get_ref(3)?.as_bytes().unwrap_or_default();
            match decoded(codec::decode(stored), kind) {
                Ok(found) if found == counted => {}
                Ok(_) => {
                    self.fault(format!(
                        "dead letter {id}: its counts differ from its content"
                    ));
                }
                Err(reason) => self.fault(format!("dead letter {id}: {reason}")),
            }
            self.dead_letters += 1;
        }
        Ok(())
    }

    fn fault(&mut self, fault: String) {
        if self.faults.len() < MAX_FAULTS {
            self.faults.push(fault);
        } else {
            self.more_faults += 1;
        }
    }
}

/// Rows and items of a batch, or why it cannot be read. The checksum is part of it.
fn decoded(arrow: Result<RecordBatch, CodecError>, kind: Kind) -> Result<(u64, u64), String> {
    let arrow = arrow.map_err(|error| error.to_string())?;
    let rows = arrow.num_rows() as u64;
    let items = match kind {
        Kind::Performance => PerformanceBatch::try_from_arrow(arrow).map(|batch| batch.items()),
        Kind::Alert => AlertBatch::try_from_arrow(arrow).map(|batch| batch.items()),
    };
    Ok((rows, items.map_err(|error| error.to_string())?))
}
