//! Reads of the state, on a connection that is opened when it is needed.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::timeout;

use super::commit_writer::StateOwner;
use super::store::{KeyReceipt, StateReader, StateStore, StoreError};

/// The longest time that the database may take for an answer.
const QUERY_TIMEOUT: Duration = Duration::from_secs(10);

pub(super) struct StateQueries {
    owner: StateOwner,
    reader: Mutex<Option<Arc<StateReader>>>,
}

impl StateQueries {
    pub(super) fn new(owner: StateOwner) -> Self {
        Self {
            owner,
            reader: Mutex::default(),
        }
    }

    /// Runs a query. The error is the reason, with the remedy.
    pub(super) async fn run<T>(
        &self,
        query: impl AsyncFnOnce(&StateReader) -> Result<T, StoreError>,
    ) -> Result<T, String> {
        let queried = timeout(QUERY_TIMEOUT, async { query(&*self.reader().await?).await }).await;
        let database = &self.owner.database;
        match queried {
            Ok(Ok(found)) => Ok(found),
            Ok(Err(error)) => Err(error.into_reason(database)),
            Err(_) => {
                *self.reader.lock().await = None;
                Err(format!("`{database}`: does not answer in time"))
            }
        }
    }

    pub(super) async fn find_keys(&self, keys: &[String]) -> Result<Vec<KeyReceipt>, String> {
        self.run(async |reader| reader.find_keys(keys).await).await
    }

    async fn reader(&self) -> Result<Arc<StateReader>, StoreError> {
        let mut reader = self.reader.lock().await;
        if let Some(open) = &*reader
            && !open.is_closed()
        {
            return Ok(Arc::clone(open));
        }
        let client = StateStore::connect(&self.owner.connector).await?;
        let open = Arc::new(StateReader::new(client, &self.owner.journal));
        *reader = Some(Arc::clone(&open));
        Ok(open)
    }
}
