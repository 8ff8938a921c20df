//! Reads of records and of the state, for callers that wait.

use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Mutex, mpsc};
use tokio::time::sleep;

use super::client::{BrokerFailure, PartitionClient};
use super::entry::LogEntry;
use super::index::{RecordIndex, RecordPlaces};
use super::queries::StateQueries;
use super::shared::OwnerState;
use crate::journal::Record;

/// Of one fetch, unless a single batch of records is larger.
const MAX_FETCH_BYTES: u64 = 32 << 20;
/// What the headers of a record have, at most about.
const RECORD_OVERHEAD: u64 = 512;
/// How often records are deleted from the partition.
const TRIM_INTERVAL: Duration = Duration::from_secs(1);
/// How often a read is tried: the broker may have closed a connection that was not used.
const ATTEMPTS: usize = 2;

/// A read, which sends its result to its caller.
pub(super) type ReadJob =
    Box<dyn FnOnce(Rc<JournalReads>) -> Pin<Box<dyn Future<Output = ()>>> + Send>;

pub(super) struct JournalReads {
    shared: Arc<OwnerState>,
    pub(super) queries: Arc<StateQueries>,
    partition: Mutex<PartitionClient>,
}

/// Runs reads next to each other, until no caller is left.
pub(super) async fn serve(reads: JournalReads, mut jobs: mpsc::UnboundedReceiver<ReadJob>) {
    let reads = Rc::new(reads);
    while let Some(job) = jobs.recv().await {
        tokio::task::spawn_local(job(Rc::clone(&reads)));
    }
}

/// Deletes what the journal no longer has from the partition.
pub(super) async fn delete_from_partition(mut partition: PartitionClient, shared: Arc<OwnerState>) {
    let mut deleted = None;
    loop {
        sleep(TRIM_INTERVAL).await;
        let start = shared.contents().index.start().offset;
        if deleted == Some(start) {
            continue;
        }
        match partition.delete_before(start).await {
            Ok(()) => deleted = Some(start),
            Err(failure) => {
                log::debug!(
                    "cannot delete records that are no longer needed, trying again: {failure}"
                );
            }
        }
    }
}

impl JournalReads {
    pub(super) fn new(
        shared: Arc<OwnerState>,
        queries: Arc<StateQueries>,
        partition: PartitionClient,
    ) -> Self {
        Self {
            shared,
            queries,
            partition: Mutex::new(partition),
        }
    }

    /// The records that are found in the index.
    pub(super) async fn records(
        &self,
        locate: impl Fn(&RecordIndex) -> Option<RecordPlaces>,
    ) -> Result<Vec<Record>, String> {
        let mut attempt = 1;
        loop {
            let places = locate(&self.shared.contents().index);
            let Some(places) = places else {
                return Ok(Vec::new());
            };
            match self.fetch(places).await {
                Ok(records) => return Ok(records),
                Err(_) if attempt < ATTEMPTS => attempt += 1,
                Err(failure) => return Err(failure.to_string()),
            }
        }
    }

    async fn fetch(&self, places: RecordPlaces) -> Result<Vec<Record>, BrokerFailure> {
        let bytes = places.bytes + places.records * RECORD_OVERHEAD;
        let max_bytes = usize::try_from(bytes.min(MAX_FETCH_BYTES)).unwrap_or(usize::MAX);
        let mut partition = self.partition.lock().await;
        let mut records = Vec::new();
        let mut next = places.first_offset;
        while next <= places.last_offset {
            let fetched = partition.fetch(next, max_bytes).await?;
            let wanted = next..=places.last_offset;
            let contents = self.shared.contents();
            for record in fetched.records {
                if wanted.contains(&record.offset)
                    && let LogEntry::Batch(entry) = LogEntry::read(&record)
                    && contents.index.is_at(entry.seq, record.offset)
                {
                    records.push(entry.into_record(&record.value));
                }
            }
            let Some(end) = fetched.end_offset.filter(|end| *end > next) else {
                return Err(partition.lacks_records());
            };
            next = end;
        }
        Ok(records)
    }

    /// Asks the broker for the partition.
    pub(super) async fn verify(&self) -> Result<(), String> {
        let start = self.partition.lock().await.start_offset().await;
        start.map(drop).map_err(|failure| failure.to_string())
    }
}
