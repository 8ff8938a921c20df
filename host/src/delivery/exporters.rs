//! The exporters that run: started, listed, stopped.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use delfin_plugin_api::Kind;
use tokio::{
    sync::{mpsc, watch},
    task::JoinHandle,
    time::timeout,
};

use super::{Delivery, Exporter, Phase, Status, worker::Worker};
use crate::config::OnOverflow;

/// How long tasks get to notice that nobody waits for them any more.
const LAST_MOMENT: Duration = Duration::from_secs(1);

/// The exporters of a host, in the order of the configuration. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Exporters(Arc<Mutex<Vec<Running>>>);

#[derive(Debug)]
struct Running {
    exporter: Exporter,
    phase: watch::Sender<Phase>,
    task: JoinHandle<()>,
    /// Its other end is gone once the task is over.
    over: watch::Receiver<()>,
}

impl Exporters {
    /// Starts delivering.
    pub fn start(&self, delivery: Delivery) {
        let config = &delivery.config;
        let status = Arc::new(Status::default());
        let (orders, received) = mpsc::unbounded_channel();
        let gives_way = config.queue.on_overflow != OnOverflow::Reject;
        delivery.lane.join(&config.name, gives_way, orders.clone());
        let offered = delivery.plugin.as_ref().ok();
        let exporter = Exporter {
            name: config.name.clone(),
            plugin: config.plugin.clone(),
            plugin_version: offered.map(|plugin| plugin.version.clone()),
            kind: config.kind,
            resends: delivery.resend.is_some(),
            max_bytes: config.queue.max_bytes.unwrap_or(delivery.lane_max_bytes),
            status: Arc::clone(&status),
            counters: delivery.host.counters.clone(),
            lane: Arc::clone(&delivery.lane),
            orders,
        };
        let (phase, watched) = watch::channel(Phase::Running);
        let (runs, over) = watch::channel(());
        let worker = Worker::new(delivery, status, watched, received);
        let task = tokio::spawn(async move {
            let _runs = runs;
            worker.run().await;
        });
        self.lock().push(Running {
            exporter,
            phase,
            task,
            over,
        });
    }

    /// Each exporter.
    #[must_use]
    pub fn list(&self) -> Vec<Exporter> {
        let running = self.lock();
        running
            .iter()
            .map(|running| running.exporter.clone())
            .collect()
    }

    /// The exporter of that name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<Exporter> {
        let running = self.lock();
        let found = running.iter().find(|running| running.exporter.name == name);
        found.map(|running| running.exporter.clone())
    }

    /// Puts them into the order of these names.
    pub fn sort(&self, names: &[&str]) {
        let place =
            |running: &Running| names.iter().position(|name| *name == running.exporter.name);
        self.lock()
            .sort_by_key(|running| place(running).unwrap_or(usize::MAX));
    }

    /// Stops one after the call that it is in, and takes it out. What waits for
    /// it stays in the journal.
    pub async fn stop(&self, name: &str, patience: Duration) {
        let stopped = {
            let mut running = self.lock();
            let at = running
                .iter()
                .position(|running| running.exporter.name == name);
            at.map(|at| running.remove(at))
        };
        let Some(Running {
            exporter,
            phase,
            task,
            mut over,
        }) = stopped
        else {
            return;
        };
        phase.send_replace(Phase::Leaving);
        if timeout(patience, over.changed()).await.is_err() {
            phase.send_replace(Phase::Stopping);
            if timeout(LAST_MOMENT, over.changed()).await.is_err() {
                task.abort();
            }
        }
        exporter.lane.leave(name);
    }

    /// Has those of a kind deliver what they can at once; over once they have.
    pub async fn drain(&self, kind: Kind) {
        ended(self.tell(Some(kind), Phase::Draining)).await;
    }

    /// Stops all of them, now.
    pub async fn stop_all(&self) {
        let tasks = self.tell(None, Phase::Stopping);
        if timeout(LAST_MOMENT, ended(tasks)).await.is_err() {
            log::debug!("an exporter does not stop; it is left behind");
        }
    }

    /// Tells exporters how far the host is; those that were told something
    /// further stay there.
    fn tell(&self, kind: Option<Kind>, phase: Phase) -> Vec<watch::Receiver<()>> {
        let running = self.lock();
        let of_kind = running
            .iter()
            .filter(|running| kind.is_none_or(|kind| running.exporter.kind == kind));
        let told = of_kind.map(|running| {
            running.phase.send_if_modified(|now| {
                let further = phase > *now;
                *now = phase.max(*now);
                further
            });
            running.over.clone()
        });
        told.collect()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Running>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn ended(tasks: Vec<watch::Receiver<()>>) {
    for mut over in tasks {
        // Nothing is ever sent: it fails once the task is over.
        let _ = over.changed().await;
    }
}
