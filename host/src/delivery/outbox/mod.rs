//! The outbox of one exporter: reads its journal, chooses the rows of each
//! request, and commits what became of them.
//!
//! Promises: every row that is read gets one disposition, committed once, and
//! each storage keeps its order as `ordering` says.
//!
//! Knows nothing of instances and of the receiver's state.

mod dead_letters;
mod filter;
mod in_flight;
mod ordering;
mod prepared;
mod rows;
mod selection;
mod window;

use std::{
    ops::Range,
    sync::Arc,
    time::{Duration, Instant},
};

use arrow_schema::ArrowError;
use delfin_plugin_abi::OutcomeCode;

use prepared::PreparedRequest;
pub(super) use rows::{RequestLimits, RequestSize, RowResult, SendGroup};
pub(super) use selection::RowSelection;
use window::{NextRows, RowCommit, Window};

use super::{
    DeliveryParts,
    report::{LOG, Reporter},
    status::State,
};
use crate::{
    batch::{Seq, StoredBatch},
    batch_journal::{JournalReader, ReadForm, ReadResult},
    clock::now_ms,
    config::{ExporterConfig, Isolation},
    journal::{
        Commit, CursorError, DeadLetter, DeadLetterCommit, DeadLetterDisposition, DeadLetterId,
        DroppedItems, Journal, Position, Record,
    },
    plugin::ExportRequest,
};

/// Names in `dropped{limit}` of rows that did not become a dead letter: encoding
/// failed, or dead letters are disabled.
pub(super) const DEAD_LETTER: &str = "dead_letter";
pub(super) const DEAD_LETTERS_DISABLED: &str = "dead_letter.enabled";

/// Name in `dropped{limit}` of rows that an operator dropped.
pub(super) const SKIP: &str = "skip";

/// Which rows of a batch are still wanted; `None`: all rows.
pub(super) type WantedRows<'a> = &'a (dyn Fn(&StoredBatch) -> Option<Vec<u32>> + Sync);

/// What the outbox has to send.
pub(super) enum NextRequest {
    Send(RowSelection, ExportRequest),
    WaitUntil(Instant),
    Empty,
}

pub(super) struct Outbox {
    config: ExporterConfig,
    plugin_version: String,
    reporter: Reporter,
    reader: JournalReader,
    form: ReadForm,
    window: Window,
    /// What is probably sent next.
    prepared: Option<PreparedRequest>,
    /// Whether dead letters were opened since this was asked last.
    opened_dead_letters: bool,
    /// Whether a commit became durable since this was asked last.
    has_progressed: bool,
}

impl Outbox {
    pub(super) fn new(parts: &DeliveryParts, reporter: Reporter) -> Self {
        let config = &parts.config;
        let plugin = parts.plugin.as_ref();
        let form = match config.isolation {
            Isolation::Thread => ReadForm::Rows,
            Isolation::Process => ReadForm::RowsAndPayload,
        };
        Self {
            config: config.clone(),
            plugin_version: plugin.map_or_else(|_| String::new(), |plugin| plugin.version.clone()),
            reporter,
            reader: JournalReader::new(&parts.journal, &config.name, config.start_from, form),
            form,
            window: Window::new(
                parts.cursor.clone(),
                parts.journal.clock().clone(),
                Arc::clone(parts.journal.memory()),
            ),
            prepared: None,
            opened_dead_letters: false,
            has_progressed: false,
        }
    }

    pub(super) fn backend(&self) -> &Arc<dyn Journal> {
        self.reader.journal().backend()
    }

    /// The first record with pending rows.
    pub(super) fn first(&self) -> Seq {
        self.window.first()
    }

    /// Whether rows were never sent, of records up to `head`.
    pub(super) fn has_unsent(&self, head: Seq) -> bool {
        self.window.next() <= head || self.window.unsent().items > 0
    }

    /// Whether nothing may be sent because the journal has not taken a commit.
    pub(super) fn is_blocked(&self) -> bool {
        self.reader.is_blocked()
    }

    /// Whether every commit is durable.
    pub(super) fn is_idle(&self) -> bool {
        self.reader.is_idle()
    }

    /// Whether rows wait for their backoff.
    pub(super) fn has_postponed(&self) -> bool {
        self.window.has_postponed(Instant::now())
    }

    pub(super) fn take_opened_dead_letters(&mut self) -> bool {
        std::mem::take(&mut self.opened_dead_letters)
    }

    pub(super) fn take_progress(&mut self) -> bool {
        std::mem::take(&mut self.has_progressed)
    }

    /// The next request. Reads records until the request is full or the journal ends. Rows that
    /// are no longer `wanted` are committed as filtered.
    pub(super) async fn next_request(
        &mut self,
        limits: RequestLimits,
        linger: Duration,
        wanted: WantedRows<'_>,
    ) -> NextRequest {
        if let Some(until) = self.reader.paused_until() {
            return NextRequest::WaitUntil(until);
        }
        loop {
            self.fill(limits).await;
            if let Some(superseded) = self.window.restrict(|batch| wanted(batch)) {
                self.commit(superseded).await;
                continue;
            }
            match self.window.next_rows(limits, self.config.ordering, linger) {
                NextRows::Send(selection) => match self.make_request(&selection).await {
                    Ok(request) => return NextRequest::Send(selection, request),
                    Err(error) => self.on_oversized(&selection, &error.to_string()).await,
                },
                NextRows::WaitUntil(until) => return NextRequest::WaitUntil(until),
                NextRows::Empty => return NextRequest::Empty,
            }
        }
    }

    /// Prepares the request after that of a group, and reads ahead, while a call runs.
    ///
    /// Each record must add rows: those that are filtered as a whole would be committed one by one,
    /// ahead of the cursor.
    pub(super) async fn prepare_after(&mut self, group: SendGroup, limits: RequestLimits) {
        let mut before = None;
        while before != Some(self.window.unsent()) && self.window.has_room(limits) {
            before = Some(self.window.unsent());
            if !self.read().await {
                break;
            }
        }
        let next = self.window.rows_after(group, limits, self.config.ordering);
        self.prepared = next.map(|selection| PreparedRequest::start(selection, self.form));
        self.reader.read_ahead(self.window.next());
    }

    /// Reads one record ahead, so that the age of the oldest pending batch is
    /// known while no instance can take it.
    pub(super) async fn look_ahead(&mut self) {
        if self.window.oldest().is_none() {
            self.read().await;
        }
        self.show_oldest();
    }

    /// Commits rows of a request by their results.
    pub(super) async fn commit_rows(
        &mut self,
        selection: &RowSelection,
        results: &[(Range<usize>, RowResult)],
    ) {
        let commit = self.window.commit(selection, results);
        self.commit(commit).await;
    }

    /// Commits all rows of a request as rejected.
    pub(super) async fn reject(&mut self, selection: &RowSelection, code: u32, reason: String) {
        let rejected = RowResult::Rejected { code, reason };
        self.commit_rows(selection, &[(0..selection.rows(), rejected)])
            .await;
    }

    /// Commits the result of a replayed dead letter, sent `attempts` times.
    pub(super) async fn commit_dead_letter(
        &mut self,
        id: DeadLetterId,
        attempts: u64,
        result: RowResult,
    ) {
        let disposition = match result {
            RowResult::Delivered => DeadLetterDisposition::Delivered,
            RowResult::Retry => return,
            RowResult::Rejected { code, reason } => DeadLetterDisposition::DeadLettered {
                code,
                reason: self.reporter.redacted(&reason),
                plugin_version: self.plugin_version.clone(),
                attempts,
                last_ms: now_ms(),
            },
        };
        self.add(Commit {
            through: self.window.position(),
            replayed: vec![DeadLetterCommit { id, disposition }],
            ..Commit::default()
        })
        .await;
    }

    /// Does not send the group of a request before then.
    pub(super) fn postpone(&mut self, group: SendGroup, until: Instant) {
        self.window.postpone(group, until);
    }

    /// Sends the rows of a request in two halves from now on.
    pub(super) fn split(&mut self, selection: &RowSelection) {
        self.window.split(selection);
    }

    /// Ends all backoffs.
    pub(super) fn retry_now(&mut self) {
        self.window.retry_now();
    }

    /// Drops everything pending before a record, because of a limit or an operator. Returns
    /// the number of items.
    pub(super) async fn drop_before(&mut self, end: Seq, limit: &str) -> Result<u64, CursorError> {
        if self.window.first() >= end {
            return Ok(0);
        }
        // The journal counts as dropped what is not committed: commits come first.
        self.reader.finish().await?;
        let backend = Arc::clone(self.backend());
        let exporter = self.reporter.exporter();
        let items = backend.drop_before(exporter, end, limit).await?;
        self.window.discard_before(end);
        if items > 0 {
            log::error!(target: LOG, exporter, items = items, limit; "dropped the oldest pending items");
        }
        Ok(items)
    }

    /// Turns everything pending before a record into dead letters, because of a
    /// limit.
    pub(super) async fn dead_letter_before(&mut self, end: Seq, limit: &str) {
        let reason = format!("the oldest pending rows at the limit `{limit}`");
        while self.window.first() < end && !self.is_blocked() {
            if self.window.oldest().is_none() && !self.read().await {
                return;
            }
            let code = OutcomeCode::REJECT.0;
            let commit = self.window.reject_before(end, code, &reason);
            self.commit(commit).await;
        }
    }

    /// Moves the cursor back to a time, in milliseconds since the Unix epoch.
    /// Returns the number of items to deliver again.
    pub(super) async fn replay(&mut self, since_ms: i64) -> Result<u64, CursorError> {
        self.reader.finish().await?;
        let backend = Arc::clone(self.backend());
        let items = backend.replay(self.reporter.exporter(), since_ms).await?;
        self.restart_at_cursor().await;
        Ok(items)
    }

    /// Continues with the cursor of another exporter, in place of its own.
    pub(super) async fn adopt(&mut self, from: &str) -> Result<(), CursorError> {
        self.reader.finish().await?;
        let backend = Arc::clone(self.backend());
        backend
            .rename_cursor(from, self.reporter.exporter())
            .await?;
        self.restart_at_cursor().await;
        Ok(())
    }

    /// Reads from the cursor on, which was moved.
    async fn restart_at_cursor(&mut self) {
        match self.reader.reopen().await {
            Ok(cursor) => self.window.reset(cursor),
            Err(error) => self.reporter.failed(State::Retrying, &error.to_string()),
        }
    }

    /// Starts the commits that wait for others to share a transaction with.
    pub(super) fn flush(&mut self) {
        self.reader.flush();
    }

    /// Waits for the commit in progress; never returns if none is. Safe to cancel.
    pub(super) async fn committed(&mut self) -> Result<(), CursorError> {
        self.reader.committed().await
    }

    /// Acts on the result of a commit.
    pub(super) async fn on_commit(&mut self, committed: Result<(), CursorError>) {
        let Err(error) = committed else {
            self.has_progressed = true;
            return;
        };
        self.reporter.failed(State::Retrying, &error.to_string());
        match self.reader.recover(&error).await {
            Ok(None) => {}
            Ok(Some(cursor)) => {
                log::warn!(target: LOG, exporter = self.reporter.exporter(); "the journal refused a commit, its rows are delivered again: {error}");
                self.window.reset(cursor);
            }
            Err(error) => self.reporter.failed(State::Retrying, &error.to_string()),
        }
    }

    /// Waits until every commit is durable.
    pub(super) async fn finish(&mut self) {
        if let Err(error) = self.reader.finish().await {
            log::warn!(target: LOG, exporter = self.reporter.exporter(); "delivered rows will be delivered again: {error}");
        }
    }

    /// The request for rows, which may be prepared.
    async fn make_request(
        &mut self,
        selection: &RowSelection,
    ) -> Result<ExportRequest, ArrowError> {
        let made = match self.prepared.take() {
            Some(prepared) => prepared.take(selection).await,
            None => None,
        };
        made.unwrap_or_else(|| selection.request())
    }

    /// Reads records until a request is full, or the journal ends.
    async fn fill(&mut self, limits: RequestLimits) {
        let exporter = self.reporter.exporter();
        self.reader.journal().advance(exporter, self.window.first());
        while self.window.has_room(limits) {
            if !self.read().await {
                break;
            }
        }
        self.show_oldest();
    }

    /// Reads the next record. Returns whether there was one.
    async fn read(&mut self) -> bool {
        match self.reader.read(self.window.next()).await {
            Ok(ReadResult::Batch(batch)) => {
                let sent = filter::sent_rows(&batch, self.config.kind, &self.config.filter);
                let is_all_filtered = sent.as_ref().is_some_and(Vec::is_empty);
                self.window.push(batch, sent);
                if is_all_filtered {
                    let commit = self.window.commit_filtered();
                    self.commit(commit).await;
                }
                true
            }
            Ok(ReadResult::Damaged(record, reason)) => self.on_damaged(*record, &reason).await,
            Ok(ReadResult::EndOfJournal) => false,
            Err(error) => {
                self.reporter.failed(State::Retrying, &error.to_string());
                false
            }
        }
    }

    /// Turns a record that does not decode into a dead letter. Returns whether the
    /// record was passed.
    async fn on_damaged(&mut self, record: Record, reason: &str) -> bool {
        // The cursor can pass the record only when it is the first pending one.
        if self.window.oldest().is_some() {
            return false;
        }
        log::error!(target: LOG, exporter = self.reporter.exporter(), seq:% = record.seq; "a record of the journal cannot be decoded: {reason}");
        let seq = record.seq;
        let dead_letter = dead_letters::from_damaged(record, reason, &self.plugin_version);
        self.window.discard_before(seq.next());
        let mut commit = Commit {
            through: Position::after(seq),
            ..Commit::default()
        };
        self.open_dead_letter(&mut commit, dead_letter);
        self.add(commit).await;
        self.opened_dead_letters = true;
        true
    }

    /// Rows that do not fit into one Arrow batch are split. One row that cannot be
    /// handed over becomes a dead letter.
    async fn on_oversized(&mut self, selection: &RowSelection, error: &str) {
        if !self.window.split(selection) {
            let reason = format!("cannot be handed to the plugin: {error}");
            self.reject(selection, OutcomeCode::REJECT.0, reason).await;
        }
    }

    /// Commits rows, with a dead letter for each range that is rejected.
    async fn commit(&mut self, rows: RowCommit) {
        let RowCommit {
            mut commit, dead, ..
        } = rows;
        if dead.is_empty() {
            return self.add(commit).await;
        }
        let exporter = self.reporter.exporter();
        for dead in dead.iter().filter(|dead| dead.items > 0) {
            match dead_letters::from_rows(dead, &self.plugin_version) {
                Ok(dead_letter) => self.open_dead_letter(&mut commit, dead_letter),
                Err(error) => {
                    log::error!(target: LOG, exporter, items = dead.items; "rejected rows cannot be kept as a dead letter: {error}");
                    drop_items(&mut commit, DEAD_LETTER, dead.items);
                }
            }
        }
        let items: u64 = dead.iter().map(|dead| dead.items).sum();
        let reason = dead.first().map_or("", |dead| &dead.reason);
        self.reporter
            .rejected(items, commit.dead_lettered(), reason);
        self.opened_dead_letters = true;
        self.add(commit).await;
    }

    /// Adds a dead letter to a commit, or drops its items if dead letters are
    /// disabled.
    fn open_dead_letter(&self, commit: &mut Commit, mut dead_letter: DeadLetter) {
        dead_letter.reason = self.reporter.redacted(&dead_letter.reason);
        if self.config.dead_letter.enabled {
            commit.dead_letters.push(dead_letter);
        } else {
            drop_items(commit, DEAD_LETTERS_DISABLED, dead_letter.header.items);
        }
    }

    /// Commits soon. The next request does not wait for it; only the result of an
    /// earlier commit is looked at, if it is known.
    async fn add(&mut self, commit: Commit) {
        self.reader.commit(commit);
        if let Some(committed) = self.reader.poll_committed().await {
            self.on_commit(committed).await;
        }
    }

    fn show_oldest(&self) {
        let oldest = self.window.oldest();
        let accepted_ms = oldest.map(|batch| batch.header.accepted_ms);
        let status = self.reporter.status();
        status.update(|status| status.oldest_pending_ms = accepted_ms);
    }
}

#[cfg(test)]
mod tests;

fn drop_items(commit: &mut Commit, limit: &str, items: u64) {
    commit.dropped.push(DroppedItems {
        limit: limit.to_owned(),
        items,
    });
}
