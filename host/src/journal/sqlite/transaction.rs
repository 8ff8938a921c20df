//! The open transaction of a group of commands.
//!
//! Its state is read from the file when the transaction starts. When a group fails,
//! SQLite rolls the file back, this state is dropped, and nothing remains to undo.

use rusqlite::{Connection, OptionalExtension, params};

use super::super::error::AppendError;
use super::cursor_update::CursorUpdates;
use super::disk_space::DiskSpace;
use super::numbering;
use super::prune::{self, PruneReason};
use super::rules::JournalRules;
use crate::batch::codec::{CodecError, RowGroup};
use crate::clock::now_ms;

/// What a transaction changed.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct TransactionSummary {
    /// The sequence number of the newest record.
    pub(super) head: u64,
    pub(super) appended: u64,
    /// Appends that did not fit.
    pub(super) refused: u64,
    pub(super) pruned: u64,
    /// A cursor changed.
    pub(super) committed: bool,
    pub(super) more_to_prune: bool,
    /// Pages were given back because the disk is short of space.
    pub(super) shrunk: bool,
    /// The configured exporters were set.
    pub(super) configured: bool,
}

pub(super) struct WriteTransaction<'a> {
    pub(super) connection: &'a Connection,
    pub(super) rules: JournalRules<'a>,
    pub(super) now_ms: i64,
    /// The sequence number of the newest record.
    pub(super) head: u64,
    /// Items that were ever appended.
    pub(super) appended_items: u64,
    /// Bytes that were ever appended.
    pub(super) appended_bytes: u64,
    pub(super) summary: TransactionSummary,
    pub(super) cursor_updates: CursorUpdates,
    /// The rows of the newest records, which are not in the file yet.
    pub(super) group: RowGroup,
    held_bytes: u64,
    space: &'a mut DiskSpace,
    may_make_room: bool,
}

impl<'a> WriteTransaction<'a> {
    pub(super) fn start(
        connection: &'a Connection,
        rules: JournalRules<'a>,
        space: &'a mut DiskSpace,
    ) -> rusqlite::Result<Self> {
        let (items, bytes) = connection
            .prepare_cached("SELECT items, bytes FROM totals")?
            .query_row([], |row| Ok((row.get::<_, u64>(0)?, row.get::<_, u64>(1)?)))?;
        Ok(Self {
            connection,
            rules,
            now_ms: now_ms(),
            head: numbering::head(connection)?,
            appended_items: items,
            appended_bytes: bytes,
            summary: TransactionSummary::default(),
            cursor_updates: CursorUpdates::default(),
            group: RowGroup::default(),
            held_bytes: held_bytes(connection, bytes)?,
            space,
            may_make_room: true,
        })
    }

    /// Whether a payload fits. Deletes records that no cursor needs to make room.
    pub(super) fn admit(&mut self, bytes: u64) -> rusqlite::Result<Result<(), AppendError>> {
        let admitted = self.check_room(bytes)?;
        self.summary.refused += u64::from(admitted.is_err());
        Ok(admitted)
    }

    /// Counts a record that was inserted.
    pub(super) fn count_appended(&mut self, seq: u64, items: u64, bytes: u64) {
        self.head = seq;
        self.appended_items += items;
        self.summary.appended += 1;
        self.count_bytes(bytes);
    }

    /// Writes the payload of the newest records, with the last of them: records are deleted from the
    /// front, and salvaged from the end, so each record that exists has its payload. The others of the
    /// group have an empty one.
    pub(super) fn write_group(&mut self) -> rusqlite::Result<()> {
        let group = std::mem::take(&mut self.group);
        if group.is_empty() {
            return Ok(());
        }
        let payload = group.encode().map_err(not_encoded)?;
        let bytes = payload.len() as u64;
        self.connection
            .prepare_cached("UPDATE batches SET bytes = ?2, payload = ?3 WHERE seq = ?1")?
            .execute(params![self.head, bytes, payload])?;
        self.count_bytes(bytes);
        Ok(())
    }

    /// Writes the changed cursors to the file. Call this before a statement that
    /// reads the table `cursors`.
    pub(super) fn write_cursors(&mut self) -> rusqlite::Result<()> {
        self.cursor_updates.write(self.connection, self.now_ms)
    }

    /// Deletes the records, idempotency keys and windows whose time is over.
    pub(super) fn clean_up(&mut self) -> rusqlite::Result<()> {
        let reason = if self.space.is_short() {
            PruneReason::DiskSpace
        } else {
            PruneReason::Age
        };
        self.prune(reason)?;
        prune::forget(self.connection, self.rules.clock)
    }

    /// Writes what the commands have left in memory. The transaction can be
    /// committed after this.
    pub(super) fn finish(mut self) -> rusqlite::Result<TransactionSummary> {
        self.write_cursors()?;
        self.write_group()?;
        if self.summary.appended > 0 {
            self.connection
                .prepare_cached("UPDATE totals SET items = ?1, bytes = ?2")?
                .execute([self.appended_items, self.appended_bytes])?;
        }
        Ok(TransactionSummary {
            head: self.head,
            ..self.summary
        })
    }

    /// An append has to fit twice. The disk is checked first, because pruning frees
    /// pages of the file and not space of the disk. Then the payloads must stay below
    /// `max_bytes`: records that every cursor has passed are kept for replays, and
    /// are deleted now if their room is needed. When not even that is enough, the
    /// rest of the group is checked without another search.
    fn check_room(&mut self, bytes: u64) -> rusqlite::Result<Result<(), AppendError>> {
        if let Some(free_bytes) = self.space.free_bytes() {
            let min_free_bytes = self.space.min_free_bytes();
            if free_bytes.saturating_sub(bytes) < min_free_bytes {
                return Ok(Err(AppendError::NoSpace {
                    free_bytes,
                    min_free_bytes,
                }));
            }
        }
        if !self.fits(bytes) && self.may_make_room {
            self.prune(PruneReason::Room {
                bytes: (self.held_bytes + bytes).saturating_sub(self.rules.limits.max_bytes),
            })?;
            self.may_make_room = self.fits(bytes);
        }
        if self.fits(bytes) {
            return Ok(Ok(()));
        }
        Ok(Err(AppendError::Full {
            held_bytes: self.held_bytes,
            max_bytes: self.rules.limits.max_bytes,
            required_by: None,
        }))
    }

    fn count_bytes(&mut self, bytes: u64) {
        self.appended_bytes += bytes;
        self.held_bytes += bytes;
        self.space.note_written(bytes);
    }

    fn prune(&mut self, reason: PruneReason) -> rusqlite::Result<()> {
        self.write_cursors()?;
        self.write_group()?;
        let pruned = prune::prune(self.connection, self.rules, reason)?;
        self.summary.pruned += pruned.records;
        self.summary.more_to_prune = pruned.more;
        self.summary.shrunk |= pruned.shrunk && reason == PruneReason::DiskSpace;
        self.held_bytes = held_bytes(self.connection, self.appended_bytes)?;
        Ok(())
    }

    /// Whether so many bytes fit now. What is not encoded yet counts as it is.
    pub(super) const fn fits(&self, bytes: u64) -> bool {
        let held = self.held_bytes + self.group.bytes();
        held.saturating_add(bytes) <= self.rules.limits.max_bytes
    }
}

/// Without memory for a frame, the transaction fails as without memory for a page.
pub(super) fn not_encoded(error: CodecError) -> rusqlite::Error {
    rusqlite::Error::ToSqlConversionFailure(Box::new(error))
}

/// Bytes of the records in the journal. Records are deleted from the front only, so
/// this is what was ever appended, less what was appended before the first record.
fn held_bytes(connection: &Connection, appended_bytes: u64) -> rusqlite::Result<u64> {
    let before: Option<u64> = connection
        .prepare_cached("SELECT bytes_before FROM batches ORDER BY seq LIMIT 1")?
        .query_row([], |row| row.get(0))
        .optional()?;
    Ok(before.map_or(0, |before| appended_bytes.saturating_sub(before)))
}
