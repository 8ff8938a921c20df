//! Delivery: from a lane to one exporter.
//!
//! Each exporter has a task of its own that goes through the lane from where
//! its cursor stands, calls the instance, and moves the cursor when the outcome
//! is known. It keeps its place: what fails is tried again, the rest waits
//! behind it. No exporter waits for another.

mod backoff;
mod damaged;
mod resend;
mod settling;
mod status;
mod worker;

use std::sync::Arc;

use delfin_plugin_api::Kind;
use tokio::{sync::watch, task::JoinSet};

pub use resend::Resend;
pub(crate) use settling::Settling;
pub use status::{CLASSES, State, Status, StatusView};

use crate::{
    config::ExporterConfig,
    journal::{Counts, ReadError},
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
    lane: Arc<Lane>,
}

impl Delivery {
    /// Starts delivering. The task ends once the host has drained, unless a call
    /// is past its deadline: then it ends at once, and leaves the call behind.
    pub fn start(self, tasks: &mut JoinSet<()>, phase: watch::Receiver<Phase>) -> Exporter {
        let status = Arc::new(Status::default());
        let exporter = Exporter {
            name: self.config.name.clone(),
            plugin: self.config.plugin.clone(),
            plugin_version: self
                .plugin
                .as_ref()
                .ok()
                .map(|plugin| plugin.version.clone()),
            kind: self.config.kind,
            resends: self.resend.is_some(),
            status: Arc::clone(&status),
            counters: self.host.counters.clone(),
            lane: Arc::clone(&self.lane),
        };
        tasks.spawn(worker::Worker::new(self, status, phase).run());
        exporter
    }
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
}
