//! What the check of a commit reads from the file.

use rusqlite::{OptionalExtension, ffi, params};

use super::super::commit_check::{CommitLookup, CommittedSpans, RecordShape};
use super::super::cursor::{Position, RowSpan};
use super::super::dead_letters::DeadLetterId;
use super::dead_letters;
use super::transaction::WriteTransaction;

impl CommitLookup for WriteTransaction<'_> {
    type Error = rusqlite::Error;

    fn head(&self) -> u64 {
        self.head
    }

    fn appended_items(&self) -> u64 {
        self.appended_items
    }

    fn record_from(&self, seq: u64) -> rusqlite::Result<Option<RecordShape>> {
        self.connection
            .prepare_cached("SELECT seq, rows, items, items_before FROM batches WHERE seq >= ?1 ORDER BY seq LIMIT 1")?
            .query_row([seq], |row| {
                Ok(RecordShape {
                    seq: row.get(0)?,
                    rows: row.get(1)?,
                    items: row.get(2)?,
                    items_before: row.get(3)?,
                })
            })
            .optional()
    }

    fn committed_before(
        &self,
        exporter: &str,
        position: Position,
    ) -> rusqlite::Result<CommittedSpans> {
        self.connection
            .prepare_cached(
                "SELECT coalesce(sum(items), 0), coalesce(max(iif(seq = ?2, first_row + rows, 0)), 0) FROM ahead
                 WHERE exporter = ?1 AND (seq, first_row) < (?2, ?3)",
            )?
            .query_row(params![exporter, position.seq.0, position.row], |row| {
                Ok(CommittedSpans {
                    items: row.get(0)?,
                    end_row: row.get(1)?,
                })
            })
    }

    fn overlaps_committed(&self, exporter: &str, span: &RowSpan) -> rusqlite::Result<bool> {
        self.connection
            .prepare_cached(
                "SELECT 1 FROM ahead WHERE exporter = ?1 AND seq = ?2 AND first_row < ?4 AND first_row + rows > ?3",
            )?
            .exists(params![exporter, span.seq.0, span.first_row, span.end_row()])
    }

    fn items_in_replay(&self, exporter: &str, id: DeadLetterId) -> rusqlite::Result<Option<u64>> {
        dead_letters::items_in_replay(self.connection, exporter, id)
    }

    /// Fails if the running totals of the records from a position on have a gap: the writer then
    /// replaces the file instead of refusing the exporter's commits indefinitely.
    fn verify_counts(&self, from: Position) -> rusqlite::Result<()> {
        let gaps: u64 = self
            .connection
            .prepare_cached(
                "SELECT count(*) FROM (
                     SELECT items_before + items AS end, lead(items_before, 1, ?2) OVER (ORDER BY seq) AS next
                     FROM batches WHERE seq >= ?1)
                 WHERE end <> next",
            )?
            .query_row(params![from.seq.0, self.appended_items], |row| row.get(0))?;
        if gaps == 0 {
            return Ok(());
        }
        Err(rusqlite::Error::SqliteFailure(
            ffi::Error::new(ffi::SQLITE_CORRUPT),
            Some(format!("the item counts of {gaps} records are wrong")),
        ))
    }
}
