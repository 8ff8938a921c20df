//! One call into a plugin: its request, its result, and the context that the plugin sees.

use std::{
    fmt,
    pin::Pin,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
    thread,
    time::{Duration, Instant},
};

use abi_stable::std_types::{ROption, RSlice, RStr};
use arrow_array::RecordBatch;
use delfin_plugin_abi::{self as abi, BatchPart};
use delfin_plugin_api::{Failure, Origin, Outcome};
use delfin_plugin_protocol::{FrameSocket, is_readable};
use serde_json::{Map, Value};
use tokio::sync::oneshot::{
    self,
    error::{RecvError, TryRecvError},
};

use super::death::ProcessDeath;
use crate::{
    batch::{BatchPayload, Header, ReadBatch},
    config::ExporterConfig,
};

/// Lent to a plugin for one call.
pub(super) struct CallContext<'a> {
    pub(super) deadline: Instant,
    pub(super) cancelled: CancelSource,
    pub(super) attempt: u32,
    pub(super) origin: abi::Origin,
    pub(super) parts: Vec<BatchPart<'a>>,
}

/// Where a call sees that the host gives it up.
pub(super) enum CancelSource {
    Flag(Arc<AtomicBool>),
    /// In a process: the host sends something, or closes the connection.
    Connection {
        socket: Arc<FrameSocket>,
        /// Whether it had sent something more with the call.
        is_followed: bool,
    },
}

/// How often a pending reply is checked by [`wait_for_result`].
const POLL_INTERVAL: Duration = Duration::from_micros(200);

#[derive(Clone, Debug)]
pub enum Call {
    /// Check whether the plugin accepts settings, without an instance.
    Check(InstanceSettings),
    /// Create the instance. The first call of those that follow.
    Create(InstanceSettings),
    /// A request, and its attempt, from 1.
    Export(Arc<ExportRequest>, u32),
    /// Check whether the receiver is available.
    Health,
    /// Send what is buffered.
    Flush,
    /// Do what must happen without a request.
    Tick,
    /// Release ports, files and connections.
    Close,
}

impl Call {
    /// How many rows an outcome of the call can name.
    pub(super) fn rows(&self) -> u64 {
        match self {
            Self::Export(request, _) => request.arrow.num_rows() as u64,
            Self::Check(_)
            | Self::Create(_)
            | Self::Health
            | Self::Flush
            | Self::Tick
            | Self::Close => 0,
        }
    }
}

/// Which of the plugin's exporters, with which settings.
///
/// The `Debug` form leaves out the settings: they hold passwords.
#[derive(Clone)]
pub struct InstanceSettings {
    pub exporter: String,
    pub config: Map<String, Value>,
}

#[derive(Debug)]
pub struct CallResult {
    pub outcome: Outcome,
    /// Whether a panic was caught inside the plugin.
    pub panicked: bool,
    /// The process of the instance has ended. Then `outcome` says how.
    pub death: Option<ProcessDeath>,
    /// The plugin does not know the call.
    pub is_unsupported: bool,
    /// From the request until its result was there for the caller, with the ways between threads
    /// and processes. Set by [`Reply`].
    pub took: Duration,
}

/// The result of a call; an error if the thread ended without a result.
#[derive(Debug)]
pub struct Reply {
    started: Instant,
    result: oneshot::Receiver<CallResult>,
}

/// The rows that one `export` call gets: of one batch, or of several.
#[derive(Debug, Clone)]
pub struct ExportRequest {
    pub arrow: RecordBatch,
    /// Points or alerts in these rows.
    pub items: u64,
    pub origin: Origin,
    /// Which batches the rows are of, in the order of the rows.
    pub parts: Vec<RequestPart>,
    /// Where the rows are in the journal, if they are.
    pub stored: Option<StoredRows>,
}

/// Rows of the journal.
#[derive(Debug, Clone)]
pub struct StoredRows {
    /// The batch, or the first one.
    pub batch: ReadBatch,
    /// The first row in the batch, if the rows are consecutive rows of it.
    pub first_row: Option<usize>,
    /// What was encoded ahead for this request alone.
    pub(super) payload: OnceLock<Arc<BatchPayload>>,
}

/// Consecutive rows of one batch in a request.
#[derive(Debug, Clone)]
pub struct RequestPart {
    /// The header of the batch; `complete` only if the part holds all its rows.
    pub header: Header,
    /// The first row, counted in the batch.
    pub first_row: u64,
    pub rows: u64,
}

impl ExportRequest {
    /// The one storage that all rows are of, if they are of one.
    #[must_use]
    pub fn storage_id(&self) -> Option<&str> {
        match &*self.parts {
            [part] => part.header.storage_id.as_deref(),
            _ => None,
        }
    }
}

impl StoredRows {
    #[must_use]
    pub fn new(batch: ReadBatch, first_row: Option<usize>) -> Self {
        Self {
            batch,
            first_row,
            payload: OnceLock::new(),
        }
    }
}

impl Reply {
    /// For a call that starts now.
    pub(super) fn channel() -> (oneshot::Sender<CallResult>, Self) {
        let (sender, result) = oneshot::channel();
        let started = Instant::now();
        (sender, Self { started, result })
    }

    fn timed(&self, result: CallResult) -> CallResult {
        CallResult {
            took: self.started.elapsed(),
            ..result
        }
    }
}

impl Future for Reply {
    type Output = Result<CallResult, RecvError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let result = Pin::new(&mut self.result).poll(context);
        result.map_ok(|result| self.timed(result))
    }
}

impl InstanceSettings {
    #[must_use]
    pub fn of(exporter: &ExporterConfig) -> Self {
        Self {
            exporter: exporter.plugin.clone(),
            config: exporter.config.clone(),
        }
    }
}

impl fmt::Debug for InstanceSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InstanceSettings")
            .field("exporter", &self.exporter)
            .finish_non_exhaustive()
    }
}

impl CallResult {
    pub(super) fn new(outcome: Outcome) -> Self {
        Self {
            outcome,
            panicked: false,
            death: None,
            is_unsupported: false,
            took: Duration::ZERO,
        }
    }

    pub(super) fn unsupported() -> Self {
        Self {
            is_unsupported: true,
            ..Self::new(Ok(()))
        }
    }
}

/// Blocks until a call returns; `None` if it does not return by the deadline.
pub fn wait_for_result(reply: &mut Reply, deadline: Instant) -> Option<CallResult> {
    loop {
        match reply.result.try_recv() {
            Ok(result) => return Some(reply.timed(result)),
            Err(TryRecvError::Closed) => {
                let failure = Failure::fatal("the thread of its instance ended");
                return Some(CallResult::new(Err(failure)));
            }
            Err(TryRecvError::Empty) if Instant::now() >= deadline => return None,
            Err(TryRecvError::Empty) => thread::sleep(POLL_INTERVAL),
        }
    }
}

impl ExportRequest {
    pub(super) fn parts(&self) -> Vec<BatchPart<'_>> {
        let parts = self.parts.iter().map(|part| BatchPart {
            batch_id: part.header.batch_id.into_bytes(),
            first_row: part.first_row,
            rows: part.rows,
            accepted_ms: part.header.accepted_ms,
            storage_id: RStr::from(part.header.storage_id.as_deref().unwrap_or_default()),
            complete: part.header.complete,
        });
        parts.collect()
    }
}

impl CancelSource {
    fn is_cancelled(&self) -> bool {
        match self {
            Self::Flag(cancelled) => cancelled.load(Ordering::Relaxed),
            Self::Connection {
                socket,
                is_followed,
            } => *is_followed || is_readable(socket),
        }
    }
}

impl abi::Context for CallContext<'_> {
    fn remaining_ns(&self) -> u64 {
        let left = self.deadline.saturating_duration_since(Instant::now());
        u64::try_from(left.as_nanos()).unwrap_or(u64::MAX)
    }

    fn cancelled(&self) -> bool {
        self.cancelled.is_cancelled()
    }

    fn attempt(&self) -> u32 {
        self.attempt
    }

    fn origin(&self) -> abi::Origin {
        self.origin
    }

    fn parts(&self) -> RSlice<'_, BatchPart<'_>> {
        RSlice::from_slice(&self.parts)
    }

    fn get_extension(&self, _id: RStr<'_>) -> ROption<abi::ExtensionBox> {
        ROption::RNone
    }
}
