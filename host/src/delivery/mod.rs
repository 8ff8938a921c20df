//! Delivery: from a journal to one exporter.
//!
//! Each exporter has a task of its own. The task reads the journal from the
//! exporter's cursor on, calls the instance, and commits when the outcome is
//! known. Rows that fail are retried, and only rows that must follow them wait.
//! No exporter waits for another.

mod backoff;
mod circuit_breaker;
mod command;
mod fatal_rows;
mod fill_rate;
#[cfg(test)]
mod fixture;
mod handle;
mod instances;
mod limits;
mod outbox;
mod report;
mod resend;
mod sender;
mod status;
mod worker;

use std::{path::PathBuf, sync::Arc, time::Duration};

use tokio::{
    sync::{Semaphore, mpsc, watch},
    task::JoinHandle,
    time::timeout,
};

pub(crate) use backoff::paused_wait;
use command::Command;
pub use fill_rate::FillRate;
pub use handle::ExporterHandle;
pub use instances::{clear_suspicion, open_guarded};
pub use limits::LIMITS;
pub use resend::Resend;
pub use status::{
    CIRCUITS, CLASSES, LATENCY_BOUNDS, Latency, State, Status, StatusView, outcome_class,
};

#[cfg(test)]
use crate::plugin::{CurrentProcess, PluginCounters, PluginLevel, SharedRedactor};
use crate::{
    batch_journal::BatchJournal,
    config::{ExporterConfig, OnOverflow},
    journal::Cursor,
    lifecycle::{ABORT_TIMEOUT, Phase},
    plugin::{Candidate, ExporterFactory, InstanceHost},
    tap::TapPoint,
};
use worker::{Inbox, Worker};

/// What a delivery is made of.
#[derive(Debug)]
pub struct DeliveryParts {
    pub config: ExporterConfig,
    /// The exporter's plugin, or why it has none.
    pub plugin: Result<ExporterFactory, String>,
    pub journal: Arc<BatchJournal>,
    /// What the host lends to the exporter's instances.
    pub host: InstanceHost,
    pub resend: Option<Resend>,
    pub cursor: Cursor,
    /// Path of the crash guard's marker file.
    pub marker: PathBuf,
    /// One permit: of the exporters that the host may have crashed under, one is
    /// called at a time.
    pub suspects: Arc<Semaphore>,
    /// `journal.max_age`: how long records wait for a best-effort exporter.
    pub journal_max_age: Duration,
    /// The journal's share of `journal.max_bytes`.
    pub journal_max_bytes: u64,
    /// Whether an operator pauses the exporter.
    pub paused: bool,
}

/// The delivery of one exporter, running in a task.
#[derive(Debug)]
pub struct Delivery {
    handle: ExporterHandle,
    phase: watch::Sender<Phase>,
    task: JoinHandle<()>,
    /// Its sender is dropped when the task ends.
    ended: watch::Receiver<()>,
}

#[cfg(test)]
impl DeliveryParts {
    /// Of an exporter that no plugin offers.
    pub(crate) fn without_plugin(
        config: ExporterConfig,
        journal: &Arc<BatchJournal>,
        cursor: Cursor,
        folder: &std::path::Path,
    ) -> Self {
        Self {
            host: InstanceHost {
                key: "exporter",
                exporter: config.name.clone(),
                state_dir: String::new(),
                level: PluginLevel::Fixed(log::LevelFilter::Off),
                redactor: SharedRedactor::default(),
                counters: PluginCounters::default(),
                process: CurrentProcess::default(),
            },
            config,
            plugin: Err("no plugin offers it".to_owned()),
            journal: Arc::clone(journal),
            resend: None,
            cursor,
            marker: folder.join("call"),
            suspects: Arc::new(Semaphore::new(1)),
            journal_max_age: Duration::from_hours(72),
            journal_max_bytes: 1 << 30,
            paused: false,
        }
    }
}

impl Delivery {
    /// Starts to deliver, with what was tried before, if anything was.
    #[must_use]
    pub fn start(parts: &DeliveryParts, candidate: Option<Candidate>) -> Self {
        let config = &parts.config;
        let status = Arc::new(Status::default());
        let (commands, received) = mpsc::unbounded_channel();
        let (releases, release_requests) = mpsc::unbounded_channel();
        let required = config.queue.on_overflow == OnOverflow::Reject;
        parts.journal.add_consumer(&config.name, required, releases);
        let tap = Arc::new(TapPoint::default());
        let handle = ExporterHandle::new(parts, Arc::clone(&status), Arc::clone(&tap), commands);
        let (phase, watched) = watch::channel(Phase::Running);
        let (running, ended) = watch::channel(());
        let inbox = Inbox {
            phase: watched,
            commands: received,
            releases: release_requests,
        };
        let mut worker = Worker::new(parts, status, tap, inbox);
        if let Some(candidate) = candidate {
            worker.adopt(candidate);
        }
        let task = tokio::spawn(async move {
            let _running = running;
            worker.run().await;
        });
        Self {
            handle,
            phase,
            task,
            ended,
        }
    }

    #[must_use]
    pub fn handle(&self) -> &ExporterHandle {
        &self.handle
    }

    /// Moves on to a phase, unless the delivery has reached a later one. The
    /// sender of the returned channel is dropped when the task ends.
    pub fn advance(&self, phase: Phase) -> watch::Receiver<()> {
        self.phase.send_if_modified(|current| {
            let is_later = phase > *current;
            *current = phase.max(*current);
            is_later
        });
        self.ended.clone()
    }

    /// Stops after the call in progress, for which it waits at most `patience`.
    /// Pending items stay in the journal.
    pub async fn stop(mut self, patience: Duration) {
        self.phase.send_replace(Phase::Stopping);
        if timeout(patience, self.ended.changed()).await.is_err() {
            self.phase.send_replace(Phase::Aborting);
            if timeout(ABORT_TIMEOUT, self.ended.changed()).await.is_err() {
                self.task.abort();
            }
        }
        self.handle.leave_journal();
    }
}
