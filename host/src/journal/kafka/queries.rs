//! Reads of the state, on a connection that is opened when it is needed.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::timeout;

use super::commit_writer::StateOwner;
use super::store::{StateReader, StoreError};

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
        if queried.is_err() {
            *self.reader.lock().await = None;
        }
        self.owner.database.result(queried)
    }

    async fn reader(&self) -> Result<Arc<StateReader>, StoreError> {
        let mut reader = self.reader.lock().await;
        if let Some(open) = &*reader
            && !open.is_closed()
        {
            return Ok(Arc::clone(open));
        }
        let client = self.owner.database.connect().await?;
        let open = Arc::new(StateReader::new(client, &self.owner.journal));
        *reader = Some(Arc::clone(&open));
        Ok(open)
    }
}
