//! Delivery: from a lane to one exporter.
//!
//! Each exporter has a task of its own that goes through the lane from where
//! its cursor stands, calls the instance, and moves the cursor when the outcome
//! is known. What fails is tried again, and only what must come after it waits
//! behind it. No exporter waits for another.

mod backoff;
mod breaker;
mod caller;
mod exporters;
mod held;
mod letters;
mod marker;
mod order;
mod resend;
mod selection;
mod settling;
mod shipment;
mod sizing;
mod status;
mod verdict;
mod window;
mod worker;

use std::{path::PathBuf, sync::Arc, time::Duration};

use delfin_plugin_api::Kind;
use tokio::sync::{Semaphore, mpsc, oneshot};

pub use breaker::Circuit;
pub use exporters::Exporters;
pub use order::Order;
pub use resend::Resend;
pub(crate) use settling::Settling;
pub use status::{CIRCUITS, CLASSES, Growth, LATENCY_BOUNDS, Latency, State, Status, StatusView};
pub use worker::LIMITS;

use crate::{
    config::ExporterConfig,
    journal::{Backlog, Counts, Cursor, CursorError, LetterCount, ReadError},
    lane::Lane,
    plugin::{InstanceHost, OfferedBy, PluginCounters},
};

/// Whether the host runs or is about to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// Batches come and go.
    Running,
    /// No batch comes any more: deliver what can be delivered at once, then stop.
    Draining,
    /// Finish the call that is under way, then stop.
    Leaving,
    /// The time for that is over: leave everything as it is.
    Stopping,
}

/// What a delivery is made of.
#[derive(Debug)]
pub struct Delivery {
    /// What the configuration says of the exporter.
    pub config: ExporterConfig,
    /// The plugin that offers it, or why there is none.
    pub plugin: Result<OfferedBy, String>,
    /// Where its batches are.
    pub lane: Arc<Lane>,
    /// What its instances are lent.
    pub host: InstanceHost,
    /// What it is sent again, and how often.
    pub resend: Option<Resend>,
    /// Where it goes on from.
    pub cursor: Cursor,
    /// Where the call that is under way is noted.
    pub marker: PathBuf,
    /// One of those is called at a time under whose calls the host has died.
    pub suspects: Arc<Semaphore>,
    /// How long anything waits for an exporter that is not required.
    pub journal_max_age: Duration,
    /// How many bytes its lane may hold.
    pub lane_max_bytes: u64,
}

/// An exporter whose delivery was started, for whoever asks how it fares.
#[derive(Clone, Debug)]
pub struct Exporter {
    /// Its name in the configuration.
    pub name: String,
    /// The plugin's name for it.
    pub plugin: String,
    /// The version of the plugin that offers it, if one does.
    pub plugin_version: Option<String>,
    /// What it receives.
    pub kind: Kind,
    /// Whether it is sent the active alerts again.
    pub resends: bool,
    /// How it fares.
    pub status: Arc<Status>,
    /// What its plugin counts.
    pub counters: PluginCounters,
    /// How many bytes may wait for it.
    pub max_bytes: u64,
    lane: Arc<Lane>,
    orders: mpsc::UnboundedSender<Order>,
}

impl Exporter {
    /// What became of its items. Blocks while the journal is read.
    ///
    /// # Errors
    ///
    /// The journal cannot be read now.
    pub fn counts(&self) -> Result<Counts, ReadError> {
        Ok(self.lane.journal().counts(&self.name)?.unwrap_or_default())
    }

    /// What waits for it. Blocks while the journal is read.
    ///
    /// # Errors
    ///
    /// The journal cannot be read now.
    pub fn backlog(&self) -> Result<Backlog, ReadError> {
        Ok(self.lane.journal().backlog(&self.name)?.unwrap_or_default())
    }

    /// The dead letters that are kept of it. Blocks while the journal is read.
    ///
    /// # Errors
    ///
    /// The journal cannot be read now.
    pub fn letters(&self) -> Result<LetterCount, ReadError> {
        self.lane.journal().letter_totals(&self.name)
    }

    /// Looks again at once, whatever it waits for.
    pub fn resume(&self) {
        // One that is stopping has nothing to resume.
        let _ = self.orders.send(Order::Resume);
    }

    /// Delivers once more what was accepted since a time, in milliseconds since
    /// the epoch; says how many items that is.
    ///
    /// # Errors
    ///
    /// The journal cannot be written now, or the exporter is stopping.
    pub async fn replay(&self, since_ms: i64) -> Result<u64, CursorError> {
        let (answer, answered) = oneshot::channel();
        let _ = self.orders.send(Order::Replay { since_ms, answer });
        answered.await.unwrap_or(Err(CursorError::Closed))
    }
}
