//! The host as an exporter sees it: [`Context`] for one call, [`Host`] for the
//! lifetime of an instance.

use std::{
    cell::RefCell,
    fmt::Write as _,
    marker::PhantomData,
    path::Path,
    sync::{Arc, Weak},
    time::Duration,
};

use abi_stable::std_types::RStr;
use delfin_plugin_abi as abi;
use uuid::Uuid;

use crate::kind::Origin;

/// The circumstances of one call.
pub struct Context<'a> {
    call: abi::ContextRef<'a>,
}

/// Consecutive rows of a call that belong to one accepted batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BatchPart<'a> {
    /// The id of the accepted batch, which the client of an ingest got as well.
    pub batch_id: Uuid,
    /// The number of the first row among the rows of the call, from 0.
    pub first_row: usize,
    /// The number of the first row in the accepted batch, from 0. `batch_id`,
    /// `batch_row` and `rows` together are the same in each attempt with the same
    /// rows: use them for an idempotency key.
    pub batch_row: usize,
    /// The number of rows.
    pub rows: usize,
    /// When the batch was accepted, in milliseconds since the Unix epoch.
    pub accepted_ms: i64,
    /// The storage of all rows; `None` if they are of several, or of no storage.
    pub storage_id: Option<&'a str>,
    /// Whether the batch holds every active alert of its storage: an absent alert has
    /// ended.
    pub complete: bool,
}

impl<'a> Context<'a> {
    pub(crate) fn new(call: abi::ContextRef<'a>) -> Self {
        Self { call }
    }

    /// The time that is left for the call. Past it the exporter is `stuck`.
    #[must_use]
    pub fn remaining(&self) -> Duration {
        Duration::from_nanos(self.call.remaining_ns())
    }

    /// Whether the host is about to stop. Return soon, with or without success.
    #[must_use]
    pub fn cancelled(&self) -> bool {
        self.call.cancelled()
    }

    /// The number of the attempt with these rows, from 1.
    #[must_use]
    pub fn attempt(&self) -> u32 {
        self.call.attempt()
    }

    /// Where the rows come from.
    #[must_use]
    pub fn origin(&self) -> Origin {
        self.call.origin().into()
    }

    /// The accepted batches to which the rows belong, in the order of the rows.
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

    /// A text that names the exporter, the accepted batches and their rows: the same if the same
    /// rows are sent again together. Rows that are sent with others have another one.
    #[must_use]
    pub fn idempotency_key(&self, exporter: &str) -> String {
        idempotency_key(exporter, self.parts())
    }
}

pub(crate) fn idempotency_key<'a>(
    exporter: &str,
    parts: impl Iterator<Item = BatchPart<'a>>,
) -> String {
    let mut key = exporter.to_owned();
    for part in parts {
        // Writing to a text does not fail.
        let _ = write!(key, "/{}:{}+{}", part.batch_id, part.batch_row, part.rows);
    }
    key
}

/// The host, as one instance sees it. A clone is cheap: give one to each thread that
/// the plugin starts.
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

    /// The number of the instance, from 0, among those of the same exporter.
    #[must_use]
    pub fn instance(&self) -> u32 {
        self.host.instance()
    }

    /// A folder for files of the exporter. It exists and survives restarts of the host.
    #[must_use]
    pub fn state_dir(&self) -> &Path {
        Path::new(self.host.state_dir().as_str())
    }

    /// Adds to a counter of the exporter, which the host shows in its metrics. Counters
    /// start at 0 with the host. It keeps up to 64 of an exporter, with names of up to
    /// 64 bytes, and ignores others.
    pub fn count(&self, counter: &str, by: u64) {
        self.host.count(RStr::from_str(counter), by);
    }

    /// Runs `f` so that its log records have the exporter's name. Calls of the host
    /// already run so; use it in threads that the plugin starts.
    pub fn scope<R>(&self, f: impl FnOnce() -> R) -> R {
        let _entered = self.enter();
        f()
    }

    /// Log records of this thread have the exporter's name until the guard is dropped. Use it
    /// where a closure does not fit: in callbacks for the start of a thread, and around an
    /// async runtime. Drop guards in the reverse order.
    #[must_use = "the name ends with the guard"]
    pub fn enter(&self) -> HostGuard {
        HostGuard {
            before: CURRENT.replace(Some(self.clone())),
            thread: PhantomData,
        }
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

/// Ends what [`Host::enter`] began. It stays on its thread.
pub struct HostGuard {
    before: Option<Host>,
    thread: PhantomData<*const ()>,
}

impl Drop for HostGuard {
    fn drop(&mut self) {
        // At the end of a thread its locals may be gone already.
        let _ = CURRENT.try_with(|current| current.replace(self.before.take()));
    }
}

#[cfg(all(test, feature = "testkit"))]
mod tests {
    use super::*;

    #[test]
    fn an_idempotency_key_names_the_exporter_and_the_rows() {
        let part = |batch: u128, batch_row| BatchPart {
            batch_id: Uuid::from_u128(batch),
            first_row: 0,
            batch_row,
            rows: 5,
            accepted_ms: 0,
            storage_id: None,
            complete: false,
        };
        let id = "00000000-0000-0000-0000-00000000000";
        let of = |parts: &[BatchPart<'static>]| idempotency_key("e", parts.iter().copied());
        assert_eq!(
            of(&[part(1, 0), part(2, 7)]),
            format!("e/{id}1:0+5/{id}2:7+5")
        );
        assert_ne!(of(&[part(1, 0)]), of(&[part(1, 5)]));
    }

    #[test]
    fn guards_inside_each_other_give_the_name_back() {
        let host = |name| crate::testkit::quiet_host(name, Path::new("/"));
        let current = || Host::current().map(|host| host.exporter().to_owned());
        let outer = host("outer").enter();
        host("inner").scope(|| assert_eq!(current().as_deref(), Some("inner")));
        assert_eq!(current().as_deref(), Some("outer"));
        drop(outer);
        assert_eq!(current(), None);
    }
}
