//! Makes notifications durable: many in one batch, so that a storm needs few syncs of the disk.
//!
//! A storage whose driver reads traps has a task of its own, so that a slow driver delays no
//! other storage.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use delfin_plugin_api::{AlertBatch, AlertBatchBuilder, Batch};
use tokio::{sync::mpsc, task::JoinSet, time::timeout};
use uuid::Uuid;

use super::{
    acknowledgement::Answerer,
    alert::trap_alert,
    mapping::TrapMappings,
    opened::PendingTrap,
    stats::{AlertMaker, TrapStats},
};
use crate::{
    clock::now_ms,
    collect::{DriverCallError, DriverError},
    notification::{AlertAppender, AppendResult, DatagramSocket, MappingSet, StorageNames},
    storages::{StorageError, Storages},
};

/// The most notifications in one batch.
const MAX_ROWS: usize = 4_096;
/// How many notifications wait for the driver of one storage. Further ones are mapped without
/// it.
const MAX_FOR_DRIVER: usize = 1_024;
/// The longest wait for a driver, which may be in a call.
const DRIVER_TIMEOUT: Duration = Duration::from_secs(30);
/// How long a driver that has failed is not asked.
const DRIVER_PAUSE: Duration = Duration::from_secs(60);

/// Distributes notifications.
pub(super) struct TrapWriter {
    maker: Arc<AlertWriter>,
    /// The tasks of storages whose driver reads traps, or was not asked yet.
    drivers: HashMap<Uuid, mpsc::Sender<PendingTrap>>,
    tasks: JoinSet<()>,
}

/// Makes alerts of notifications, appends them, and answers informs.
pub(super) struct AlertWriter {
    pub(super) mappings: MappingSet<TrapMappings>,
    pub(super) storages: Arc<Storages>,
    pub(super) appender: AlertAppender,
    pub(super) stats: Arc<TrapStats>,
    pub(super) socket: Arc<DatagramSocket>,
    pub(super) answerer: Arc<Answerer>,
    /// The storages whose driver does not read traps, as of the number of changes of the drivers.
    pub(super) without_driver: Mutex<HashMap<Uuid, u64>>,
}

impl TrapWriter {
    pub(super) fn new(maker: AlertWriter) -> Self {
        Self {
            maker: Arc::new(maker),
            drivers: HashMap::new(),
            tasks: JoinSet::new(),
        }
    }

    /// Runs until the receiver has stopped, and everything is durable.
    pub(super) async fn run(mut self, mut received: mpsc::Receiver<PendingTrap>) {
        let mut next = Vec::new();
        while received.recv_many(&mut next, MAX_ROWS).await > 0 {
            let rows = std::mem::take(&mut next).into_iter();
            let rows: Vec<_> = rows.filter_map(|row| self.give_to_driver(row)).collect();
            if !rows.is_empty() {
                self.maker.append_mapped(rows).await;
            }
        }
        // Without a sender, the tasks end when nothing waits for them.
        self.drivers.clear();
        while self.tasks.join_next().await.is_some() {}
    }

    /// Gives a notification to the driver of its storage. Returns it if no driver reads it.
    fn give_to_driver(&mut self, received: PendingTrap) -> Option<PendingTrap> {
        let storage_id = received.opened.storage_id;
        if self.maker.has_no_driver(storage_id) {
            self.drivers.remove(&storage_id);
            return Some(received);
        }
        let driver = self.drivers.entry(storage_id).or_insert_with(|| {
            let (sender, waiting) = mpsc::channel(MAX_FOR_DRIVER);
            self.tasks
                .spawn(ask_driver(Arc::clone(&self.maker), waiting));
            sender
        });
        match driver.try_send(received) {
            Ok(()) => None,
            Err(mpsc::error::TrySendError::Full(received)) => Some(received),
            Err(mpsc::error::TrySendError::Closed(received)) => {
                self.drivers.remove(&storage_id);
                Some(received)
            }
        }
    }
}

/// Asks the driver of one storage about its traps.
async fn ask_driver(maker: Arc<AlertWriter>, mut waiting: mpsc::Receiver<PendingTrap>) {
    let mut paused_until = Instant::now();
    while let Some(received) = waiting.recv().await {
        if paused_until > Instant::now() {
            maker.append_mapped(vec![received]).await;
            continue;
        }
        let id = received.opened.storage_id;
        let changes = maker.storages.driver_changes();
        match maker.ask(&received).await {
            Ok(alerts) if alerts.items() > 0 => {
                let count = alerts.items();
                maker
                    .append(alerts, Some(id.to_string()), vec![received])
                    .await;
                maker.stats.count_alerts(AlertMaker::Driver, count);
                continue;
            }
            Ok(_) => {}
            Err(StorageError::Call(DriverCallError::Driver(DriverError::Unsupported {
                ..
            }))) => {
                maker.without_driver().insert(id, changes);
            }
            Err(error) => {
                log::warn!(storage:% = id, error:%; "the driver cannot read traps now, they are mapped without it");
                paused_until = Instant::now() + DRIVER_PAUSE;
            }
        }
        maker.append_mapped(vec![received]).await;
    }
}

impl AlertWriter {
    /// Whether the driver has said that it does not read traps. After a reload it is asked again.
    fn has_no_driver(&self, id: Uuid) -> bool {
        self.without_driver().get(&id) == Some(&self.storages.driver_changes())
    }

    fn without_driver(&self) -> std::sync::MutexGuard<'_, HashMap<Uuid, u64>> {
        self.without_driver
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    async fn ask(&self, received: &PendingTrap) -> Result<AlertBatch, StorageError> {
        let mut texts: BTreeMap<String, String> = received.opened.notification.texts();
        let address = received.from.ip().to_canonical().to_string();
        texts.insert("transport_address".to_owned(), address);
        let id = received.opened.storage_id.to_string();
        let asked = timeout(DRIVER_TIMEOUT, self.storages.parse_trap(&id, texts));
        asked.await.unwrap_or(Err(StorageError::Timeout))
    }

    async fn append_mapped(&self, rows: Vec<PendingTrap>) {
        let (mappings, now_ms) = (self.mappings.get(), now_ms());
        let mut storages = StorageNames::new(&self.storages);
        let mut batch = AlertBatchBuilder::new();
        let (mut mapped, mut raw) = (0, 0);
        for row in &rows {
            let id = row.opened.storage_id;
            if let Some(storage) = storages.of(id) {
                let alert = trap_alert(&row.opened.notification, &mappings, now_ms);
                alert.add_to(&mut batch, storage);
                match alert.rule {
                    Some(_) => mapped += 1,
                    None => raw += 1,
                }
            }
        }
        self.append(batch.build(), None, rows).await;
        self.stats.count_alerts(AlertMaker::Mapping, mapped);
        self.stats.count_alerts(AlertMaker::Raw, raw);
    }

    /// Appends alerts until the journal has them, and then answers the informs among the
    /// notifications.
    async fn append(&self, alerts: AlertBatch, storage_id: Option<String>, rows: Vec<PendingTrap>) {
        let count = rows.len() as u64;
        match self.appender.append(alerts, storage_id, count).await {
            AppendResult::Durable => {}
            AppendResult::Lost => return self.stats.count_done(count),
            AppendResult::Closed => return,
        }
        self.stats.count_done(count);
        for PendingTrap { opened, from } in rows {
            let answer = opened.acknowledgement;
            if let Some(answer) = answer.and_then(|answer| answer.encode(&self.answerer)) {
                self.socket.send(&answer, from);
                self.stats.count_acknowledged();
            }
        }
    }
}
