//! What a commit group sees and changes while its transaction is open.
//!
//! Everything here is read from the file when the group starts: a group that
//! fails leaves nothing behind that would have to be undone.

use rusqlite::{Connection, OptionalExtension};

use super::super::JournalLimits;
use super::super::error::AppendError;
use super::prune::{self, Need};
use super::space::Space;
use super::stand::Stands;
use crate::clock::now_ms;

/// What a transaction has done.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Done {
    pub(super) head: u64,
    pub(super) appended: u64,
    pub(super) refused: u64,
    pub(super) pruned: u64,
    pub(super) committed: bool,
    pub(super) more_to_prune: bool,
    pub(super) shrunk: bool,
    /// It was told which exporters are configured.
    pub(super) configured: bool,
}

/// One open transaction.
pub(super) struct Work<'a> {
    pub(super) tx: &'a Connection,
    pub(super) limits: &'a JournalLimits,
    pub(super) now_ms: i64,
    /// The last number given.
    pub(super) head: u64,
    /// All items ever appended.
    pub(super) items: u64,
    /// All bytes ever appended.
    pub(super) bytes: u64,
    pub(super) done: Done,
    pub(super) stands: Stands,
    held_bytes: u64,
    space: &'a mut Space,
    may_make_room: bool,
}

impl<'a> Work<'a> {
    pub(super) fn start(
        tx: &'a Connection,
        limits: &'a JournalLimits,
        space: &'a mut Space,
    ) -> rusqlite::Result<Self> {
        let (items, bytes) = tx
            .prepare_cached("SELECT items, bytes FROM totals")?
            .query_row([], |row| Ok((row.get::<_, u64>(0)?, row.get::<_, u64>(1)?)))?;
        Ok(Self {
            tx,
            limits,
            now_ms: now_ms(),
            head: head(tx)?,
            items,
            bytes,
            done: Done::default(),
            stands: Stands::default(),
            held_bytes: held_bytes(tx, bytes)?,
            space,
            may_make_room: true,
        })
    }

    /// Whether a payload fits, once records that nobody needs have made room.
    pub(super) fn admit(&mut self, bytes: u64) -> rusqlite::Result<Result<(), AppendError>> {
        let admitted = self.make_room(bytes)?;
        self.done.refused += u64::from(admitted.is_err());
        Ok(admitted)
    }

    /// ItemCounts a record that was just inserted under a number.
    pub(super) fn count(&mut self, seq: u64, items: u64, bytes: u64) {
        self.head = seq;
        self.items += items;
        self.bytes += bytes;
        self.held_bytes += bytes;
        self.done.appended += 1;
        self.space.take(bytes);
    }

    /// Writes where cursors stand, so that a query sees them there.
    pub(super) fn write_stands(&mut self) -> rusqlite::Result<()> {
        self.stands.write(self.tx, self.now_ms)
    }

    /// Deletes what nobody needs any more, as far as the time has come for it.
    pub(super) fn tidy(&mut self) -> rusqlite::Result<()> {
        let need = if self.space.is_short() {
            Need::Space
        } else {
            Need::None
        };
        self.prune(need)?;
        prune::forget_keys(self.tx, self.now_ms)
    }

    /// Writes the totals, after which the transaction can be committed.
    pub(super) fn finish(mut self) -> rusqlite::Result<Done> {
        self.write_stands()?;
        if self.done.appended > 0 {
            self.tx
                .prepare_cached("UPDATE totals SET items = ?1, bytes = ?2")?
                .execute([self.items, self.bytes])?;
        }
        Ok(Done {
            head: self.head,
            ..self.done
        })
    }

    fn make_room(&mut self, bytes: u64) -> rusqlite::Result<Result<(), AppendError>> {
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
            self.prune(Need::Room {
                bytes: (self.held_bytes + bytes).saturating_sub(self.limits.max_bytes),
            })?;
            self.may_make_room = self.fits(bytes);
        }
        if self.fits(bytes) {
            return Ok(Ok(()));
        }
        Ok(Err(AppendError::Full {
            held_bytes: self.held_bytes,
            max_bytes: self.limits.max_bytes,
            required_by: None,
        }))
    }

    fn prune(&mut self, need: Need) -> rusqlite::Result<()> {
        self.write_stands()?;
        let pruned = prune::prune(self.tx, self.limits, self.now_ms, need)?;
        self.done.pruned += pruned.records;
        self.done.more_to_prune = pruned.more;
        self.done.shrunk |= pruned.shrunk && need == Need::Space;
        self.held_bytes = held_bytes(self.tx, self.bytes)?;
        Ok(())
    }

    const fn fits(&self, bytes: u64) -> bool {
        self.held_bytes.saturating_add(bytes) <= self.limits.max_bytes
    }
}

/// The last number given in a journal, 0 before the first.
pub(super) fn head(connection: &Connection) -> rusqlite::Result<u64> {
    let head = connection
        .prepare_cached("SELECT seq FROM sqlite_sequence WHERE name = 'batches'")?
        .query_row([], |row| row.get(0))
        .optional()?;
    Ok(head.unwrap_or(0))
}

/// Bytes of the records held: they are pruned from the front alone, so that the
/// first one tells.
fn held_bytes(connection: &Connection, appended_bytes: u64) -> rusqlite::Result<u64> {
    let before: Option<u64> = connection
        .prepare_cached("SELECT bytes_before FROM batches ORDER BY seq LIMIT 1")?
        .query_row([], |row| row.get(0))
        .optional()?;
    Ok(before.map_or(0, |before| appended_bytes.saturating_sub(before)))
}
