//! Mirrors the cursors to committed offsets of consumer groups, so that the tools of Kafka show how far each exporter is behind.
//!
//! Promises: the host does not depend on the offsets, and reads none. If they cannot be set for a while, the log says so once.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::client::{BrokerFailure, GroupClient};
use super::shared::OwnerState;
use crate::write_guard::WriteGuard;

const INTERVAL: Duration = Duration::from_secs(1);

/// The wait after a failure that does not pass by itself.
const RETRY_INTERVAL: Duration = Duration::from_secs(30);

/// After which time a failure is logged that may pass, as while Kafka creates the topic of the offsets.
const REPORT_DELAY: Duration = Duration::from_secs(10);

/// How often offsets are set that have not changed: Kafka forgets those that are not set for
/// `offsets.retention.minutes`, a week by default.
const REFRESH_INTERVAL: Duration = Duration::from_hours(1);

pub(super) struct OffsetMirror {
    /// Before the name of an exporter, in the name of its group.
    prefix: String,
    groups: GroupClient,
    shared: Arc<OwnerState>,
    guard: &'static WriteGuard,
    /// The offset of each group, as it was set last.
    offsets: BTreeMap<String, i64>,
    refreshed: Instant,
    /// When the offsets were last set, or did not have to be.
    succeeded: Instant,
    is_reported: bool,
}

impl OffsetMirror {
    pub(super) fn new(
        cluster: &str,
        groups: GroupClient,
        shared: Arc<OwnerState>,
        guard: &'static WriteGuard,
    ) -> Self {
        Self {
            prefix: format!("{cluster}."),
            groups,
            shared,
            guard,
            offsets: BTreeMap::new(),
            refreshed: Instant::now(),
            succeeded: Instant::now(),
            is_reported: false,
        }
    }

    /// Runs until it is dropped.
    pub(super) async fn run(mut self) {
        let mut interval = INTERVAL;
        loop {
            sleep(interval).await;
            interval = INTERVAL;
            if !self.guard.is_open() {
                continue;
            }
            match self.mirror().await {
                Ok(()) => {
                    self.succeeded = Instant::now();
                    self.is_reported = false;
                }
                Err(failure) => {
                    let may_pass = failure.may_pass();
                    if !may_pass {
                        interval = RETRY_INTERVAL;
                    }
                    if !self.is_reported && (!may_pass || self.succeeded.elapsed() >= REPORT_DELAY)
                    {
                        self.is_reported = true;
                        log::warn!(
                            "cannot show the cursors of exporters as offsets of consumer groups, trying again: {failure}"
                        );
                    }
                }
            }
        }
    }

    /// Sets the offsets that have changed, and removes those that this owner has set for exporters that have no cursor any
    /// more. Returns the first failure. One that does not pass is of its group only.
    async fn mirror(&mut self) -> Result<(), BrokerFailure> {
        let wanted = self.wanted();
        let is_due = self.refreshed.elapsed() >= REFRESH_INTERVAL;
        let mut first = Ok(());
        for (group, offset) in &wanted {
            if is_due || self.offsets.get(group) != Some(offset) {
                match self.groups.commit(group, *offset).await {
                    Ok(()) => drop(self.offsets.insert(group.clone(), *offset)),
                    Err(failure) if failure.may_pass() => return Err(failure),
                    Err(failure) => first = first.and(Err(failure)),
                }
            }
        }
        if is_due {
            self.refreshed = Instant::now();
        }
        let is_removed = |group: &&String| !wanted.contains_key(*group);
        let removed: Vec<_> = self.offsets.keys().filter(is_removed).cloned().collect();
        for group in removed {
            match self.groups.remove(&group).await {
                Ok(()) => drop(self.offsets.remove(&group)),
                Err(failure) if failure.may_pass() => return Err(failure),
                Err(failure) => first = first.and(Err(failure)),
            }
        }
        first
    }

    /// The offset of the record where each cursor is, or of the next one to come.
    fn wanted(&self) -> BTreeMap<String, i64> {
        let contents = self.shared.contents();
        let states = contents.cursors.of_exporters();
        let offsets = states.map(|state| {
            let offset = contents.index.offset_of(state.cursor.next.seq);
            let group = format!("{}{}", self.prefix, state.cursor.exporter);
            (group, offset.unwrap_or(contents.end.offset))
        });
        offsets.collect()
    }
}
