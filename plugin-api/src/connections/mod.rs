//! Connections of a server whose clients are not trusted to be quick.
//!
//! A [`ConnectionTable`] limits their number. When it is full, the connection that has
//! waited longest for its client gives way: an idle one, one whose request does not
//! arrive, or one whose client does not read. A connection whose request is being worked
//! on never gives way. [`PacedStream`] cuts off a client that does not read, and
//! [`MinimumRate`] does the same for what a client sends.
//!
//! [`check_port`] says whether a server could listen.
//!
//! Knows nothing of requests: [`MeteredBody`] and the server tell whose turn it is.

mod body;
mod port;
mod rate;
mod stream;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use tokio::sync::Notify;

pub use body::MeteredBody;
pub use port::{PORTS_VARIABLE, check_port, own_ports};
pub use rate::MinimumRate;
pub use stream::PacedStream;

/// The least time between two notices.
const NOTICE_INTERVAL: Duration = Duration::from_secs(60);

/// The open connections of a server.
#[derive(Debug)]
pub struct ConnectionTable {
    max_open: usize,
    state: Mutex<TableState>,
    /// A connection ended or began to wait for its client.
    changed: Notify,
}

#[derive(Debug, Default)]
struct TableState {
    open: usize,
    accepted: u64,
    gave_way: u64,
    /// Numbers the connections in the order in which they began to wait.
    next_wait: u64,
    waiting: BTreeMap<u64, Arc<Notify>>,
    /// Connections that have to give way and still are open.
    leaving: usize,
    noticed: Option<Instant>,
    unnoticed: u64,
}

/// The place of a connection in the table, until it is dropped.
#[derive(Debug)]
pub struct ConnectionSlot {
    table: Arc<ConnectionTable>,
    turn: Mutex<Turn>,
    gave_way: Arc<Notify>,
}

/// For whom a connection waits.
#[derive(Debug, Default)]
struct Turn {
    in_request: bool,
    is_blocked: bool,
    wait: Option<u64>,
    gave_way: bool,
}

impl ConnectionTable {
    /// A table of at most `max_open` connections.
    #[must_use]
    pub fn new(max_open: usize) -> Arc<Self> {
        Arc::new(Self {
            max_open,
            state: Mutex::default(),
            changed: Notify::new(),
        })
    }

    /// A place for a connection that was accepted. If the table is full, the connection
    /// that has waited longest for its client gives way; if none waits for its client,
    /// this waits for the first that does or ends.
    pub async fn admit(self: &Arc<Self>) -> ConnectionSlot {
        while !self.try_admit() {
            self.changed.notified().await;
        }
        let slot = ConnectionSlot {
            table: Arc::clone(self),
            turn: Mutex::default(),
            gave_way: Arc::default(),
        };
        slot.update(|_| ());
        slot
    }

    /// The number of open connections.
    #[must_use]
    pub fn open(&self) -> usize {
        self.lock().open
    }

    /// The number of connections that were accepted.
    #[must_use]
    pub fn accepted(&self) -> u64 {
        self.lock().accepted
    }

    /// The number of connections that gave way.
    #[must_use]
    pub fn gave_way(&self) -> u64 {
        self.lock().gave_way
    }

    /// How many connections gave way since the last notice; `None` if none did, or if the
    /// last notice was less than a minute ago.
    #[must_use]
    pub fn notice(&self) -> Option<u64> {
        let mut state = self.lock();
        let is_recent = |noticed: Instant| noticed.elapsed() < NOTICE_INTERVAL;
        if state.unnoticed == 0 || state.noticed.is_some_and(is_recent) {
            return None;
        }
        state.noticed = Some(Instant::now());
        Some(std::mem::take(&mut state.unnoticed))
    }

    fn try_admit(&self) -> bool {
        let mut state = self.lock();
        if state.open < self.max_open {
            state.open += 1;
            state.accepted += 1;
            return true;
        }
        // Its place is free when its task has ended, which `changed` tells. Until then no
        // other one has to go.
        if state.leaving == 0
            && let Some((_, oldest)) = state.waiting.pop_first()
        {
            oldest.notify_one();
            state.leaving += 1;
            state.gave_way += 1;
            state.unnoticed += 1;
        }
        false
    }

    fn lock(&self) -> MutexGuard<'_, TableState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ConnectionSlot {
    /// A request has arrived, so that it is the server's turn.
    pub fn begin_request(&self) {
        self.update(|turn| turn.in_request = true);
    }

    /// The response is written, so that the next request is awaited.
    pub fn end_request(&self) {
        self.update(|turn| turn.in_request = false);
    }

    /// Whether the request cannot go on because of the client: a part of its body has not
    /// arrived, or the client does not read.
    pub fn set_blocked(&self, is_blocked: bool) {
        self.update(|turn| turn.is_blocked = is_blocked);
    }

    /// Returns when the connection has to be closed, because another one gets its place.
    pub async fn give_way(&self) {
        self.gave_way.notified().await;
    }

    fn update(&self, change: impl FnOnce(&mut Turn)) {
        let mut turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut turn);
        let waits = !turn.in_request || turn.is_blocked;
        if waits == turn.wait.is_some() || turn.gave_way {
            return;
        }
        let mut state = self.table.lock();
        match turn.wait.take() {
            // If it is not there any more, it has to give way.
            Some(wait) => turn.gave_way = state.waiting.remove(&wait).is_none(),
            None => {
                let wait = state.next_wait;
                state.next_wait += 1;
                state.waiting.insert(wait, Arc::clone(&self.gave_way));
                turn.wait = Some(wait);
                drop(state);
                self.table.changed.notify_one();
            }
        }
    }
}

impl Drop for ConnectionSlot {
    fn drop(&mut self) {
        let turn = self.turn.get_mut().unwrap_or_else(PoisonError::into_inner);
        let mut state = self.table.lock();
        let gives_way = |wait| state.waiting.remove(&wait).is_none();
        if turn.gave_way || turn.wait.is_some_and(gives_way) {
            state.leaving -= 1;
        }
        state.open -= 1;
        drop(state);
        self.table.changed.notify_one();
    }
}

#[cfg(test)]
mod tests;
