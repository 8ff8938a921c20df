//! A running exporter as the API and the metrics see it.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use delfin_plugin_api::Kind;
use tokio::{
    sync::{mpsc, oneshot},
    time::sleep,
};

use super::{Command, DeliveryParts, State, Status};
use crate::{
    batch_journal::BatchJournal,
    config::Isolation,
    journal::{Backlog, CursorError, DeadLetterCount, ItemCounts, ReadError},
    plugin::{CurrentProcess, PluginCounters},
    tap::TapPoint,
};

/// How often a starting exporter is looked at.
const START_POLL: Duration = Duration::from_millis(10);

/// Cheap to clone. Its reads block while the journal is read, and fail if the
/// journal cannot be read now.
#[derive(Clone, Debug)]
pub struct ExporterHandle {
    /// The exporter's name in the configuration.
    pub name: String,
    /// The plugin's name for the exporter.
    pub plugin: String,
    pub plugin_version: Option<String>,
    pub kind: Kind,
    /// Whether active alerts are resent to it.
    pub resends: bool,
    pub status: Arc<Status>,
    pub counters: PluginCounters,
    pub isolation: Isolation,
    /// Its process, if it has one.
    pub process: CurrentProcess,
    /// How many bytes may be pending for it.
    pub max_bytes: u64,
    /// Shows the rows that it sends.
    pub tap: Arc<TapPoint>,
    journal: Arc<BatchJournal>,
    commands: mpsc::UnboundedSender<Command>,
}

impl ExporterHandle {
    pub(super) fn new(
        parts: &DeliveryParts,
        status: Arc<Status>,
        tap: Arc<TapPoint>,
        commands: mpsc::UnboundedSender<Command>,
    ) -> Self {
        let config = &parts.config;
        let plugin = parts.plugin.as_ref().ok();
        Self {
            name: config.name.clone(),
            plugin: config.plugin.clone(),
            plugin_version: plugin.map(|plugin| plugin.version.clone()),
            kind: config.kind,
            resends: parts.resend.is_some(),
            max_bytes: config.queue.max_bytes.unwrap_or(parts.journal_max_bytes),
            status,
            tap,
            counters: parts.host.counters.clone(),
            isolation: config.isolation,
            process: parts.host.process.clone(),
            journal: Arc::clone(&parts.journal),
            commands,
        }
    }

    /// Its items by disposition.
    ///
    /// # Errors
    ///
    /// The journal cannot be read now.
    pub fn counts(&self) -> Result<ItemCounts, ReadError> {
        let counts = self.journal.backend().counts(&self.name)?;
        Ok(counts.unwrap_or_default())
    }

    /// What is pending for it.
    ///
    /// # Errors
    ///
    /// The journal cannot be read now.
    pub fn backlog(&self) -> Result<Backlog, ReadError> {
        let backlog = self.journal.backend().backlog(&self.name)?;
        Ok(backlog.unwrap_or_default())
    }

    /// Age of its oldest pending batch; zero if no item is pending.
    #[must_use]
    pub fn lag(&self, pending: u64) -> Duration {
        self.status.view().lag(pending, self.journal.clock())
    }

    /// Its dead letters.
    ///
    /// # Errors
    ///
    /// The journal cannot be read now.
    pub fn dead_letters(&self) -> Result<DeadLetterCount, ReadError> {
        self.journal.backend().dead_letter_totals(&self.name)
    }

    /// Ends every wait and tries again now, unless an operator pauses the exporter.
    pub async fn resume(&self) {
        self.tell(|answer| Command::Resume { answer }).await;
    }

    /// Makes no further call until [`Self::unpause`]. The call in progress is finished.
    pub async fn pause(&self) {
        self.tell(|answer| Command::Pause { answer }).await;
    }

    /// Ends a pause, and tries again now.
    pub async fn unpause(&self) {
        self.tell(|answer| Command::Unpause { answer }).await;
    }

    /// Drops everything pending. Returns the number of items.
    ///
    /// # Errors
    ///
    /// The journal cannot be written now, or the exporter is stopping.
    pub async fn skip(&self) -> Result<u64, CursorError> {
        self.ask(|answer| Command::Skip { answer }).await
    }

    /// Continues with the cursor of an exporter that does not run, with its counts and dead
    /// letters, in place of its own.
    ///
    /// # Errors
    ///
    /// The journal cannot be written now, or the exporter is stopping.
    pub async fn adopt(&self, from: String) -> Result<(), CursorError> {
        self.ask(|answer| Command::Adopt { from, answer }).await
    }

    /// Waits until an instance is created, or could not be.
    ///
    /// # Errors
    ///
    /// Why there is no instance yet.
    pub async fn wait_for_start(&self, patience: Duration) -> Result<(), String> {
        let deadline = Instant::now() + patience;
        loop {
            let view = self.status.view();
            match view.state {
                State::Starting if Instant::now() < deadline => {}
                State::Running | State::Paused | State::Stopped => return Ok(()),
                _ if view.has_started => return Ok(()),
                State::Starting
                | State::Retrying
                | State::Stuck
                | State::Failed
                | State::Quarantined => return Err(view.last_error.unwrap_or_default()),
            }
            sleep(START_POLL).await;
        }
    }

    /// Replays what was accepted since a time, in milliseconds since the Unix
    /// epoch. Returns the number of items.
    ///
    /// # Errors
    ///
    /// The journal cannot be written now, or the exporter is stopping.
    pub async fn replay(&self, since_ms: i64) -> Result<u64, CursorError> {
        self.ask(|answer| Command::Replay { since_ms, answer })
            .await
    }

    async fn ask<T>(
        &self,
        command: impl FnOnce(oneshot::Sender<Result<T, CursorError>>) -> Command,
    ) -> Result<T, CursorError> {
        let (answer, answered) = oneshot::channel();
        let _ = self.commands.send(command(answer));
        answered.await.unwrap_or(Err(CursorError::Closed))
    }

    async fn tell(&self, command: impl FnOnce(oneshot::Sender<()>) -> Command) {
        let (answer, answered) = oneshot::channel();
        // An exporter that is stopping has nothing to do.
        let _ = self.commands.send(command(answer));
        let _ = answered.await;
    }

    pub(super) fn leave_journal(&self) {
        self.journal.remove_consumer(&self.name);
    }
}
