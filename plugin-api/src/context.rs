//! What the host lends to an exporter: [`Context`] for one call, [`Host`] for
//! its life.

use std::{
    cell::RefCell,
    path::Path,
    sync::{Arc, Weak},
    time::Duration,
};

use abi_stable::std_types::RStr;
use delfin_plugin_abi as abi;
use uuid::Uuid;

use crate::kind::Origin;

/// One call.
pub struct Context<'a> {
    call: abi::ContextRef<'a>,
}

/// Consecutive rows that were accepted together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BatchPart<'a> {
    /// The receipt that whoever handed them in was given.
    pub batch_id: Uuid,
    /// The first of them, counted in the rows of the call.
    pub first_row: usize,
    /// The first of them, counted in the batch as it was accepted: with the batch
    /// and how many they are, a name that is the same at each try.
    pub batch_row: usize,
    /// How many they are.
    pub rows: usize,
    /// When they were accepted, in milliseconds since the epoch.
    pub accepted_ms: i64,
    /// The storage that they speak of, if it is one.
    pub storage_id: Option<&'a str>,
    /// Whether they are all there is of that storage: what is absent has ended.
    pub complete: bool,
}

impl<'a> Context<'a> {
    pub(crate) fn new(call: abi::ContextRef<'a>) -> Self {
        Self { call }
    }

    /// How long the call may still take. After that the host takes it for hung.
    #[must_use]
    pub fn remaining(&self) -> Duration {
        Duration::from_nanos(self.call.remaining_ns())
    }

    /// Whether the host is about to stop: finish or give up, soon.
    #[must_use]
    pub fn cancelled(&self) -> bool {
        self.call.cancelled()
    }

    /// 1 for the first try with these rows.
    #[must_use]
    pub fn attempt(&self) -> u32 {
        self.call.attempt()
    }

    /// Where the rows came from.
    #[must_use]
    pub fn origin(&self) -> Origin {
        self.call.origin().into()
    }

    /// What the rows were accepted as, in order.
    pub fn parts(&self) -> impl ExactSizeIterator<Item = BatchPart<'_>> {
        let mut next_row = 0;
        self.call
            .parts()
            .as_slice()
            .iter()
            .map(move |part| BatchPart {
                batch_id: Uuid::from_bytes(part.batch_id),
                first_row: {
                    let first_row = next_row;
                    next_row += part.rows as usize;
                    first_row
                },
                batch_row: part.first_row as usize,
                rows: part.rows as usize,
                accepted_ms: part.accepted_ms,
                storage_id: Some(part.storage_id.as_str()).filter(|id| !id.is_empty()),
                complete: part.complete,
            })
    }
}

/// The host, as one instance sees it. Cheap to clone, for threads of its own.
#[derive(Clone)]
pub struct Host {
    host: Arc<abi::HostBox>,
}

impl Host {
    pub(crate) fn new(host: abi::HostBox) -> Self {
        Self {
            host: Arc::new(host),
        }
    }

    /// The exporter's name in the configuration.
    #[must_use]
    pub fn exporter(&self) -> &str {
        self.host.exporter().as_str()
    }

    /// Which of several instances of the exporter this is, from 0.
    #[must_use]
    pub fn instance(&self) -> u32 {
        self.host.instance()
    }

    /// A folder for the exporter's own files. It exists, and outlives restarts.
    #[must_use]
    pub fn state_dir(&self) -> &Path {
        Path::new(self.host.state_dir().as_str())
    }

    /// Adds to a counter that the host shows in its metrics.
    pub fn count(&self, counter: &str, by: u64) {
        self.host.count(RStr::from_str(counter), by);
    }

    /// Runs `f` so that what it logs bears the exporter's name. Calls from the
    /// host run so; a thread of the plugin's own has to ask for it.
    pub fn scope<R>(&self, f: impl FnOnce() -> R) -> R {
        let _restore = Restore(CURRENT.replace(Some(self.clone())));
        f()
    }

    pub(crate) fn current() -> Option<Self> {
        CURRENT
            .try_with(|current| current.borrow().clone())
            .ok()
            .flatten()
    }

    pub(crate) fn downgrade(&self) -> Weak<abi::HostBox> {
        Arc::downgrade(&self.host)
    }

    pub(crate) fn raw(&self) -> &abi::HostBox {
        &self.host
    }
}

impl From<Arc<abi::HostBox>> for Host {
    fn from(host: Arc<abi::HostBox>) -> Self {
        Self { host }
    }
}

impl std::fmt::Debug for Host {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Host").field(&self.exporter()).finish()
    }
}

thread_local! {
    static CURRENT: RefCell<Option<Host>> = const { RefCell::new(None) };
}

struct Restore(Option<Host>);

impl Drop for Restore {
    fn drop(&mut self) {
        CURRENT.set(self.0.take());
    }
}
