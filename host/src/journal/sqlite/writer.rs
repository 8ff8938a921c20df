//! The writer thread: the only one that changes the file of a journal.
//!
//! It runs a group of commands in one transaction, commits it with one sync, replies
//! to every caller and publishes the head. When the transaction fails, every caller of
//! the group gets the error, and the file is opened again.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rusqlite::{Connection, TransactionBehavior, config::DbConfig};
use tokio::sync::watch;

use super::super::error::{AppendError, OpenError};
use super::super::observer::ObserverSlot;
use super::super::{JournalLimits, JournalStats};
use super::channel::CommandReceiver;
use super::command::{WriterCommand, refuse_appends};
use super::connection::JOURNAL;
use super::cursors;
use super::disk_space::DiskSpace;
use super::file::{self, WriterFile};
use super::loss;
use super::mark::{Mark, MarkFile};
use super::queue::{CommandGroup, CommandQueue, QueueDelays};
use super::readers::ReaderPool;
use super::rules::JournalRules;
use super::transaction::{TransactionSummary, WriteTransaction};
use crate::batch::Seq;
use crate::clock::HostClock;
use crate::journal::reopen;
use crate::sqlite::FailureKind;
use crate::write_guard::{LEASE_OVER, WRITE_GUARD};

#[cfg(test)]
mod tests;

/// How often records are checked for their retention.
const CLEANUP_INTERVAL: Duration = Duration::from_secs(1);
const NO_SPACE_FOR_DEAD_LETTERS: &str = "the disk has no space for dead letters";
/// How long an append waits at most for another one.
const MAX_APPEND_DELAY: Duration = Duration::from_millis(1);

/// State that the writer publishes to callers.
#[derive(Clone)]
pub(super) struct WriterState {
    pub(super) readers: Arc<ReaderPool>,
    /// The sequence number of the newest record.
    pub(super) head: Arc<watch::Sender<Seq>>,
    /// Changes with each transaction that changed a cursor.
    pub(super) commits: Arc<watch::Sender<u64>>,
    /// Activity only; what the journal holds is in the file.
    pub(super) activity: Arc<Mutex<JournalStats>>,
    pub(super) clock: HostClock,
    pub(super) observer: ObserverSlot,
}

pub(super) struct JournalWriter {
    path: PathBuf,
    limits: JournalLimits,
    space: DiskSpace,
    shared: WriterState,
    file: FileState,
    mark: MarkFile,
    /// A path names another file than the open one, and that was logged.
    displaced: bool,
    /// The wait before the next reopening. Grows until a transaction succeeds.
    reopen_delay: Duration,
    last_transaction: Duration,
    /// When nothing was left to delete. `None`: there is more to delete.
    cleaned_up: Option<Instant>,
    /// The head was published, and its watchers were not notified yet.
    head_moved: bool,
    /// The configured exporters were set since the host started.
    knows_configured: bool,
}

/// What a transaction deletes in addition to its commands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cleanup {
    Nothing,
    Records,
    RecordsAndCursors,
}

enum FileState {
    Open(Connection),
    Closed { reason: String, retry_at: Instant },
}

impl JournalWriter {
    /// Opens the file, and creates a missing one.
    pub(super) fn open(
        path: PathBuf,
        limits: JournalLimits,
        mut space: DiskSpace,
        shared: WriterState,
    ) -> Result<Self, OpenError> {
        let mark = MarkFile::open(&path);
        let WriterFile {
            connection,
            files,
            lost,
        } = file::open(&path, 0, mark.last(), &mut space)?;
        record(&shared, |stats| stats.lost += lost);
        let current = loss::current(&connection).map_err(|error| JOURNAL.error(&path, error))?;
        shared.head.send_replace(Seq(current.head));
        shared.readers.reset(Some(files));
        let mut writer = Self {
            path,
            limits,
            space,
            shared,
            file: FileState::Open(connection),
            mark,
            displaced: false,
            reopen_delay: Duration::ZERO,
            last_transaction: Duration::ZERO,
            cleaned_up: None,
            head_moved: false,
            knows_configured: false,
        };
        writer.mark.write(current);
        Ok(writer)
    }

    /// Runs commands until it is closed, or until no caller is left.
    pub(super) fn run(mut self, commands: CommandReceiver) {
        let mut queue = CommandQueue::new(commands);
        self.space.create_reserve();
        loop {
            let group = queue.next_group(self.idle_timeout(), self.delays());
            let last = group.last;
            self.serve(group);
            if last {
                // SQLite removes its log when the last connection closes, unless that
                // one is read-only. So the readers close before the writer.
                self.shared.readers.reset(None);
                self.mark.sync();
                return;
            }
        }
    }

    /// How long to wait for commands before the next cleanup.
    fn idle_timeout(&self) -> Duration {
        match (&self.file, self.cleaned_up) {
            (FileState::Open(_), None) => Duration::ZERO,
            (FileState::Open(_), Some(_)) | (FileState::Closed { .. }, _) => CLEANUP_INTERVAL,
        }
    }

    /// How long to delay commands that can wait: four times the last transaction. So commits
    /// take at most a fifth of the disk's time, and a fast disk delays them hardly at all. Appends
    /// wait for one more of them while it costs less than the transaction that it saves.
    fn delays(&self) -> QueueDelays {
        let max = self.limits.max_commit_delay;
        QueueDelays {
            commit: (self.last_transaction * 4).min(max),
            append: self.last_transaction.min(MAX_APPEND_DELAY).min(max),
        }
    }

    /// Runs a group. An empty one only cleans up.
    fn serve(&mut self, group: CommandGroup) {
        let mut commands = group.commands;
        // Also what is done with the file apart from transactions.
        if !WRITE_GUARD.is_open() {
            return fail(commands, LEASE_OVER);
        }
        let is_damage =
            |command: &mut WriterCommand| matches!(command, WriterCommand::Damaged { .. });
        for report in commands.extract_if(.., is_damage) {
            self.handle_damage(report);
        }
        self.close_overwritten();
        if let Err(reason) = self.reopen() {
            fail(commands, &reason);
            return;
        }
        let mut commands = self.refuse_displaced(self.refuse_cut_off(commands));
        let mut result = self.transact(&mut commands);
        for retry in [Self::reopen_damaged, Self::replace_file] {
            if let Err(error) = &result
                && FailureKind::of(error) == FailureKind::Damaged
            {
                // The failed transaction is in no file, so the commands can run again.
                retry(self, error);
                if let Err(reason) = self.reopen() {
                    fail(commands, &reason);
                    return;
                }
                result = self.transact(&mut commands);
            }
        }
        match result {
            Ok(()) => self.reply(commands),
            Err(error) if FailureKind::of(&error) == FailureKind::Full => {
                self.serve_on_full_disk(commands);
            }
            Err(error) => {
                fail(commands, &error.to_string());
                self.recover(&error);
            }
        }
    }

    /// Runs a group again after the disk was full, with less in it each time: without
    /// appends, then without dead letters, then with the space of the reserve. What
    /// remains are commits, which make records deletable and so end the shortage.
    fn serve_on_full_disk(&mut self, commands: Vec<WriterCommand>) {
        self.space.invalidate();
        let no_space = AppendError::NoSpace {
            free_bytes: self.space.free_bytes().unwrap_or(0),
            min_free_bytes: self.space.min_free_bytes(),
        };
        let total = commands.len();
        let mut commands: Vec<WriterCommand> = commands
            .into_iter()
            .filter_map(|command| command.refuse_append(&no_space))
            .collect();
        record(&self.shared, |stats| {
            stats.refused += (total - commands.len()) as u64;
        });
        let mut result = self.transact(&mut commands);
        if is_full(&result) {
            // Dead letters would use up the reserve, and free nothing.
            let (dead_letters, others) = commands
                .into_iter()
                .partition(WriterCommand::adds_dead_letters);
            fail(dead_letters, NO_SPACE_FOR_DEAD_LETTERS);
            commands = others;
            result = self.transact(&mut commands);
        }
        if is_full(&result) && self.space.release_reserve() {
            result = self.transact(&mut commands);
            self.shrink_log();
        }
        match result {
            Ok(()) => self.reply(commands),
            Err(error) => {
                fail(commands, &error.to_string());
                self.recover(&error);
            }
        }
    }

    /// Runs commands in one transaction, and publishes what it changed. An error
    /// leaves the file as it was.
    fn transact(&mut self, commands: &mut [WriterCommand]) -> rusqlite::Result<()> {
        let FileState::Open(connection) = &mut self.file else {
            return Err(rusqlite::Error::InvalidQuery);
        };
        let started = Instant::now();
        let due = self.limits.retention.is_zero()
            || self
                .cleaned_up
                .is_none_or(|at| at.elapsed() >= CLEANUP_INTERVAL);
        let cleanup = match (due, self.knows_configured) {
            (false, _) => Cleanup::Nothing,
            (true, false) => Cleanup::Records,
            (true, true) => Cleanup::RecordsAndCursors,
        };
        let rules = JournalRules {
            limits: &self.limits,
            clock: &self.shared.clock,
        };
        let work = TransactionWork {
            commands: &mut *commands,
            cleanup,
            last_mark: self.mark.last(),
        };
        let result = transact(connection, rules, &mut self.space, work);
        self.shared.readers.note_written();
        let (summary, mark) = result.inspect_err(|_| {
            self.cleaned_up = Some(started);
            record(&self.shared, |stats| stats.failed_transactions += 1);
        })?;
        self.knows_configured |= summary.configured;
        if due {
            self.space.create_reserve();
            self.cleaned_up = (!summary.more_to_prune).then_some(started);
        }
        let written = !commands.is_empty() || summary.pruned > 0;
        if written {
            self.reopen_delay = Duration::ZERO;
            self.last_transaction = started.elapsed();
        }
        record(&self.shared, |stats| {
            if written {
                stats.transactions += 1;
                stats.transaction_time += self.last_transaction;
            }
            stats.appended += summary.appended;
            stats.refused += summary.refused;
            stats.pruned += summary.pruned;
        });
        if let Some(mark) = mark {
            self.mark.write(mark);
        }
        self.mark.sync_if_due();
        let receipts = commands.iter().filter_map(WriterCommand::receipt);
        self.shared.observer.notify(receipts);
        self.publish_head(summary.head);
        if summary.committed {
            self.publish_commits();
        }
        if summary.shrunk {
            self.shrink_log();
        }
        Ok(())
    }

    /// Moves the content of the log into the file and truncates both, so that pages
    /// that were given back become free space on the disk.
    fn shrink_log(&self) {
        if let FileState::Open(connection) = &self.file
            && let Err(error) = connection.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)")
        {
            log::debug!(journal:% = self.path.display(), error:% = error; "cannot checkpoint the log of the journal");
        }
        self.shared.readers.note_written();
    }

    fn recover(&mut self, error: &rusqlite::Error) {
        match FailureKind::of(error) {
            // SQLite has rolled the transaction back, and the file can be used.
            FailureKind::Full => {}
            FailureKind::Damaged => self.replace_file(error),
            FailureKind::Other => {
                log::error!(journal:% = self.path.display(), error:% = error; "journal cannot be written, opening it again");
                self.close_file(error.to_string());
            }
        }
    }

    /// Replaces the file, unless that happened since the reader found it damaged.
    fn handle_damage(&mut self, report: WriterCommand) {
        if let WriterCommand::Damaged { generation, error } = report
            && generation == self.shared.readers.generation()
        {
            self.replace_file(&error);
        }
    }

    /// Closes a file that seems damaged, so that the next attempt opens it again.
    fn reopen_damaged(&mut self, damage: &rusqlite::Error) {
        log::warn!(journal:% = self.path.display(), error:% = damage; "journal seems damaged, opening it again");
        self.reopen_delay = Duration::ZERO;
        self.close_file(damage.to_string());
    }

    fn replace_file(&mut self, damage: &rusqlite::Error) {
        let head = self.shared.head.borrow().0;
        self.close_file(damage.to_string());
        match file::replace(&self.path, head, self.mark.last(), damage) {
            Ok(file) => self.use_file(file),
            Err(error) => {
                log::error!(journal:% = self.path.display(), error:% = error; "damaged journal cannot be replaced, retrying");
                self.close_file(error.to_string());
            }
        }
    }

    /// Opens a closed file again, once the delay is over.
    fn reopen(&mut self) -> Result<(), String> {
        match &self.file {
            FileState::Open(_) => return Ok(()),
            FileState::Closed { reason, retry_at } if Instant::now() < *retry_at => {
                return Err(reason.clone());
            }
            FileState::Closed { .. } => {}
        }
        let head = self.shared.head.borrow().0;
        match file::open(&self.path, head, self.mark.last(), &mut self.space) {
            Ok(file) => {
                self.use_file(file);
                Ok(())
            }
            Err(error) => {
                let reason = error.to_string();
                log::error!(journal:% = self.path.display(), error:% = error; "journal cannot be opened again");
                self.close_file(reason.clone());
                Err(reason)
            }
        }
    }

    fn use_file(&mut self, file: WriterFile) {
        self.shared.readers.reset(Some(file.files));
        record(&self.shared, |stats| stats.lost += file.lost);
        // A transaction whose commit failed may be in the file after all.
        if let Ok(current) = loss::current(&file.connection) {
            self.publish_head(current.head);
            self.notify_head();
            self.mark.write(current);
        }
        self.publish_commits();
        self.file = FileState::Open(file.connection);
        self.set_fault(None);
    }

    fn close_file(&mut self, reason: String) {
        self.set_fault(Some(format!("it cannot be written: {reason}")));
        self.file = FileState::Closed {
            reason,
            retry_at: Instant::now() + self.reopen_delay,
        };
        self.reopen_delay = reopen::longer(self.reopen_delay);
        self.shared.readers.reset(None);
    }

    /// Refuses appends while a path does not name the open file: they would be lost with the
    /// file when the host ends. Commits are made, so that the exporters can deliver what the
    /// open file has.
    fn refuse_displaced(&mut self, commands: Vec<WriterCommand>) -> Vec<WriterCommand> {
        let displaced = self.shared.readers.displaced();
        if displaced.is_some() != self.displaced {
            self.displaced = displaced.is_some();
            self.on_displaced(displaced.as_deref());
        }
        let Some(path) = displaced else {
            return commands;
        };
        refuse_appends(commands, displacement(&path))
    }

    /// Refuses appends after another program has cut off a file: SQLite does not notice, and would
    /// write records that no reader finds.
    fn refuse_cut_off(&self, commands: Vec<WriterCommand>) -> Vec<WriterCommand> {
        let Some(path) = self.shared.readers.cut_off() else {
            return commands;
        };
        let reason = format!(
            "`{}` was cut off by another program while the host runs (restart the host after the \
             exporters have delivered what is pending)",
            path.display()
        );
        let mut known = None;
        record(&self.shared, |stats| {
            known = stats.fault.replace(reason.clone())
        });
        if known.as_ref() != Some(&reason) {
            log::error!(journal:% = self.path.display(); "no batches are accepted: {reason}");
        }
        refuse_appends(commands, reason)
    }

    /// Closes files that another program has written: SQLite does not notice. Opening them again
    /// reads the log from its start and compares the journal with its mark, so that what is lost
    /// is counted.
    fn close_overwritten(&mut self) {
        let readers = &self.shared.readers;
        let FileState::Open(connection) = &self.file else {
            return;
        };
        if readers.cut_off().is_some() || readers.displaced().is_some() {
            return;
        }
        let Some(path) = readers.overwritten() else {
            return;
        };
        // The log is not written into the file before its content is checked.
        let kept = connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true);
        let reason = format!(
            "`{}` was changed by another program while the host runs",
            path.display()
        );
        log::error!(journal:% = self.path.display(), keeps_log = kept.is_ok(); "journal is opened again: {reason}");
        // Reads that are running end meanwhile: they would keep what SQLite knows of the old log.
        self.reopen_delay = reopen::MIN_DELAY;
        self.close_file(reason);
    }

    fn on_displaced(&mut self, displaced: Option<&Path>) {
        let Some(path) = displaced else {
            log::info!(journal:% = self.path.display(); "journal file is in its place again");
            return self.set_fault(None);
        };
        let reason = displacement(path);
        log::error!(journal:% = self.path.display(); "no batches are accepted: {reason}");
        self.set_fault(Some(reason));
        // If only the log was removed, the file has everything after this.
        self.shrink_log();
    }

    fn set_fault(&self, fault: Option<String>) {
        record(&self.shared, |stats| stats.fault = fault);
    }

    /// Replies to every caller, and notifies those who watch the head.
    fn reply(&mut self, commands: Vec<WriterCommand>) {
        let commands = self.refuse_displaced(commands);
        commands.into_iter().for_each(WriterCommand::reply);
        self.notify_head();
    }

    /// Makes the head visible to those who look at it, without a notification.
    fn publish_head(&mut self, head: u64) {
        self.shared.head.send_if_modified(|published| {
            self.head_moved |= published.0 < head;
            published.0 = published.0.max(head);
            false
        });
    }

    fn publish_commits(&self) {
        self.shared.commits.send_modify(|commits| *commits += 1);
    }

    fn notify_head(&mut self) {
        if std::mem::take(&mut self.head_moved) {
            self.shared.head.send_modify(|_| {});
        }
    }
}

fn displacement(path: &Path) -> String {
    format!(
        "`{}` was removed or replaced while the host runs (put it back, or restart the host after \
         the exporters have delivered what is pending)",
        path.display()
    )
}

/// What a transaction does.
struct TransactionWork<'a> {
    commands: &'a mut [WriterCommand],
    cleanup: Cleanup,
    /// The mark before the transaction.
    last_mark: Option<&'a Mark>,
}

fn transact(
    connection: &mut Connection,
    rules: JournalRules<'_>,
    space: &mut DiskSpace,
    work: TransactionWork<'_>,
) -> rusqlite::Result<(TransactionSummary, Option<Mark>)> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let mut tx = WriteTransaction::start(&transaction, rules, space)?;
    let TransactionWork {
        commands,
        cleanup,
        last_mark,
    } = work;
    let last_mark =
        last_mark.filter(|last| (last.head, last.items) == (tx.head, tx.appended_items));
    for command in &mut *commands {
        command.run(&mut tx)?;
    }
    if cleanup == Cleanup::RecordsAndCursors {
        cursors::remove_orphans(&mut tx)?;
    }
    if cleanup != Cleanup::Nothing {
        tx.clean_up()?;
    }
    let items = tx.appended_items;
    let summary = tx.finish()?;
    let only_appends = summary.pruned == 0
        && cleanup == Cleanup::Nothing
        && commands.iter().all(WriterCommand::is_append);
    let mark = match last_mark {
        _ if commands.is_empty() => None,
        Some(last) if only_appends => {
            let mark = last.after_appends(summary.head, items);
            debug_assert!(!loss::current(&transaction).is_ok_and(|current| current != mark));
            Some(mark)
        }
        Some(_) | None => Some(loss::current(&transaction)?),
    };
    transaction.commit()?;
    Ok((summary, mark))
}

fn record(shared: &WriterState, change: impl FnOnce(&mut JournalStats)) {
    change(
        &mut shared
            .activity
            .lock()
            .unwrap_or_else(PoisonError::into_inner),
    );
}

fn is_full(result: &rusqlite::Result<()>) -> bool {
    result
        .as_ref()
        .is_err_and(|error| FailureKind::of(error) == FailureKind::Full)
}

fn fail(commands: Vec<WriterCommand>, reason: &str) {
    commands
        .into_iter()
        .for_each(|command| command.fail(reason));
}
