//! The high-water mark: how far a journal was acknowledged, in a small file of its own.
//!
//! SQLite ends its log at the first part that it cannot read, and a file can be removed or
//! replaced by an older one. Either way the journal that opens is sound, and records are
//! missing at its end. The mark tells: it is written after each sync of the journal and before
//! the callers get their replies.
//!
//! The mark is not synced with each write, because that would double the cost of a transaction.
//! It survives the end of the process as it is. After a power failure it may be older than the
//! last second: then a loss of that second is not noticed, and nothing is reported that was
//! not lost.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::super::lock::open_regular;
use crate::{platform::write_all_at, regular_file, write_guard::WRITE_GUARD};

/// How often the mark is made durable.
const SYNC_INTERVAL: Duration = Duration::from_secs(1);

/// Two slots are written in turn, so that a write that was cut off leaves the mark before it.
const SLOT_BYTES: usize = 64 << 10;

/// What the journal held when it was last written.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Mark {
    /// The sequence number of the newest record.
    pub(super) head: u64,
    /// Items that were ever appended.
    pub(super) items: u64,
    /// Items in the records that the journal has. `None` in a mark of an older host.
    #[serde(default)]
    pub(super) held: Option<u64>,
    /// Items in records that an exporter had not committed, by cursor. A cursor without an entry
    /// may have had all items pending.
    pub(super) pending: BTreeMap<String, u64>,
}

impl Mark {
    /// The mark after a transaction that only appended records. Counting what is pending costs
    /// a query for each exporter, which appends need not wait for.
    pub(super) fn after_appends(&self, head: u64, items: u64) -> Self {
        let mut mark = self.clone();
        let appended = items - mark.items;
        mark.head = head;
        mark.items = items;
        mark.held = mark.held.map(|held| held + appended);
        for pending in mark.pending.values_mut() {
            *pending += appended;
        }
        mark
    }

    /// Items that must not be lost: those that some exporter has not committed, or all that the
    /// journal has while no exporter has a cursor.
    pub(super) fn needed(&self) -> u64 {
        let exporters = self
            .pending
            .iter()
            .filter(|(name, _)| !name.starts_with(':'));
        let pending = exporters.map(|(_, items)| *items).max();
        pending.or(self.held).unwrap_or(0)
    }
}

/// A mark with the number of its write: the slot with the higher one counts.
#[derive(Serialize, Deserialize)]
struct Slot {
    write: u64,
    mark: Mark,
}

pub(super) struct MarkFile {
    path: PathBuf,
    file: Option<File>,
    last: Option<Mark>,
    writes: u64,
    unsynced: bool,
    synced: Instant,
    /// The last write failed, and that was logged.
    failed: bool,
}

impl MarkFile {
    /// The mark of the journal at a path: `alerts.mark` for `alerts.db`. A mark that cannot be
    /// read is logged, because the journal works without it.
    pub(super) fn open(journal: &Path) -> Self {
        let path = journal.with_extension("mark");
        let newest = read(&path).unwrap_or_else(|error| {
            log::warn!(mark:% = path.display(), error:%; "cannot read the high-water mark of the journal: records that are missing at its end are not noticed at this start");
            None
        });
        Self {
            path,
            file: None,
            writes: newest.as_ref().map_or(0, |slot| slot.write),
            last: newest.map(|slot| slot.mark),
            unsynced: false,
            synced: Instant::now(),
            failed: false,
        }
    }

    /// What was written last, by this process or by an earlier one.
    pub(super) const fn last(&self) -> Option<&Mark> {
        self.last.as_ref()
    }

    /// Writes the mark. A failure is logged once: the journal itself is durable.
    pub(super) fn write(&mut self, mark: Mark) {
        self.last = Some(mark.clone());
        let written = self.try_write(mark);
        if let Err(error) = &written
            && !self.failed
        {
            log::warn!(mark:% = self.path.display(), error:%; "cannot write the high-water mark of the journal");
        }
        self.failed = written.is_err();
    }

    /// Makes the last write durable, unless the last sync was within the interval.
    pub(super) fn sync_if_due(&mut self) {
        if self.synced.elapsed() >= SYNC_INTERVAL {
            self.sync();
        }
    }

    /// Makes the last write durable.
    pub(super) fn sync(&mut self) {
        self.synced = Instant::now();
        if let Some(file) = &self.file
            && std::mem::take(&mut self.unsynced)
            && let Err(error) = file.sync_data()
        {
            log::debug!(mark:% = self.path.display(), error:%; "cannot sync the high-water mark of the journal");
        }
    }

    fn try_write(&mut self, mark: Mark) -> io::Result<()> {
        let write = self.writes + 1;
        let mut slot = Slot { write, mark };
        let mut text = encode(&slot)?;
        if text.len() > SLOT_BYTES {
            // Several hundred exporters. Without their names, all items count as pending.
            slot.mark.pending.clear();
            text = encode(&slot)?;
        }
        let file = match self.file.take() {
            Some(file) => file,
            None => open_regular(&self.path)?,
        };
        WRITE_GUARD.check()?;
        if self.writes == 0 {
            // A mark that could not be read must not win over this one later.
            file.set_len(0)?;
        }
        write_all_at(&file, &text, write % 2 * SLOT_BYTES as u64)?;
        self.file = Some(file);
        self.writes = write;
        self.unsynced = true;
        Ok(())
    }
}

/// The newest slot; `None` without a file.
fn read(path: &Path) -> io::Result<Option<Slot>> {
    let content = match regular_file::read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        content => content?,
    };
    let whole = content.chunks(SLOT_BYTES).filter_map(decode);
    let newest = whole.max_by_key(|slot| slot.write);
    if newest.is_none() && !content.is_empty() {
        return Err(io::Error::other("it is damaged"));
    }
    Ok(newest)
}

/// A line: a checksum, and the slot as JSON.
fn encode(slot: &Slot) -> io::Result<Vec<u8>> {
    let json = serde_json::to_string(slot)?;
    Ok(format!("{:08x} {json}\n", checksum(&json)).into_bytes())
}

fn decode(bytes: &[u8]) -> Option<Slot> {
    let line = bytes.split(|byte| *byte == b'\n').next()?;
    let (sum, json) = std::str::from_utf8(line).ok()?.split_once(' ')?;
    let is_whole = u32::from_str_radix(sum, 16) == Ok(checksum(json));
    is_whole.then(|| serde_json::from_str(json).ok())?
}

fn checksum(text: &str) -> u32 {
    let mut sum = flate2::Crc::new();
    sum.update(text.as_bytes());
    sum.sum()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn mark(head: u64) -> Mark {
        Mark {
            head,
            items: head * 10,
            held: Some(head),
            pending: BTreeMap::from([("a".repeat(usize::try_from(head % 7).unwrap()), 3)]),
        }
    }

    #[test]
    fn the_newest_mark_is_read_and_a_write_that_was_cut_off_leaves_the_one_before() {
        let folder = tempfile::tempdir().unwrap();
        let journal = folder.path().join("alerts.db");
        let path = journal.with_extension("mark");
        let mut file = MarkFile::open(&journal);
        assert_eq!(file.last(), None);
        for head in 1..=20 {
            file.write(mark(head));
            file.sync();
            assert_eq!(MarkFile::open(&journal).last(), Some(&mark(head)));
            let whole = fs::read(&path).unwrap();
            let mut torn = whole.clone();
            torn[usize::try_from(head % 2).unwrap() * SLOT_BYTES + 20] ^= 1;
            fs::write(&path, torn).unwrap();
            let before = (head > 1).then(|| mark(head - 1));
            assert_eq!(MarkFile::open(&journal).last(), before.as_ref());
            // In place: the open descriptor stays that of this file.
            fs::write(&path, whole).unwrap();
        }
    }

    #[test]
    fn a_damaged_mark_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let journal = folder.path().join("alerts.db");
        fs::write(journal.with_extension("mark"), [b'x'; 3 * SLOT_BYTES]).unwrap();
        let mut file = MarkFile::open(&journal);
        assert_eq!(file.last(), None);
        file.write(mark(1));
        assert_eq!(MarkFile::open(&journal).last(), Some(&mark(1)));
    }
}
