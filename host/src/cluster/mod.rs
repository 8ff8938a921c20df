//! A cluster of hosts with one state: one is active, the others are standby.
//!
//! The active member has a lease in PostgreSQL, and renews it. It may write for the time of the lease after
//! it sent the last renewal that succeeded, which [`crate::write_guard`] holds. A standby takes the lease when it was given back, or
//! when it has not changed for a tenth longer than the holder's time, by the standby's own clock. So no two members
//! may write at a time, as long as their clocks run at about the same speed.
//!
//! The lease names the state: the folder on a shared volume by its id, or the database. A member with another folder, because the
//! volume is not mounted, does not take it.
//!
//! Each change of the holder is a new epoch. A session lock of the database would add nothing: it ends with
//! a connection that breaks, while its holder may still write, and stays with a process that is paused, which may not.
//!
//! Knows nothing of journals and of the API.

mod folder;
mod handover;
mod keeper;
mod list;
mod store;
mod view;

use std::{path::PathBuf, sync::Arc, thread, time::Duration};

use delfin_plugin_api::Failure;
use tokio::sync::watch;

use crate::{
    config::ClusterConfig, platform::boot_id, postgres::ClusterDatabase, write_guard::WRITE_GUARD,
};

pub(crate) use self::list::{active_member, list_clusters};
pub use self::{
    folder::FOLDER_ID,
    handover::HandoverError,
    store::check,
    view::{ClusterMembers, ClusterView, MemberRole, MemberView},
};
use self::{
    handover::{Handover, Preference, requested},
    keeper::{LeaseKeeper, LeaseState},
    store::Identity,
    view::HostStatus,
};

/// Why a host cannot become a member.
#[derive(Debug, thiserror::Error)]
pub enum JoinError {
    #[error("`cluster`: {0}")]
    Config(Failure),
    #[error("cannot start the thread that keeps the lease of the cluster")]
    Thread(#[source] std::io::Error),
}

/// This host as a member of its cluster.
#[derive(Clone, Debug)]
pub struct ClusterMember {
    name: Arc<str>,
    database: ClusterDatabase,
    lease: Duration,
    priority: u8,
    view: watch::Receiver<ClusterView>,
    state: watch::Receiver<LeaseState>,
    leaving: watch::Sender<bool>,
    status: watch::Sender<HostStatus>,
    handover: watch::Sender<Option<Handover>>,
}

/// The process that had the lease before this one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PreviousHolder {
    /// Its number, if it was on this machine.
    local_pid: Option<i64>,
}

impl PreviousHolder {
    /// Whether it is a process of this machine with this number.
    #[must_use]
    pub fn is_local_process(&self, pid: &str) -> bool {
        self.local_pid.is_some_and(|local| local.to_string() == pid)
    }
}

impl ClusterMember {
    /// Becomes a standby. From now on this process may write only while it has the lease.
    ///
    /// `address` is where clients reach this host, `state_dir` is the folder that it would use; `None` if its state is in the
    /// database. `on_lost` is called on a thread of its own when the lease is lost, and must
    /// end the process.
    ///
    /// # Errors
    ///
    /// A file of a certificate cannot be used, or the system starts no thread.
    pub fn join(
        config: &ClusterConfig,
        address: String,
        state_dir: Option<PathBuf>,
        on_lost: impl FnOnce(&str) + Send + 'static,
    ) -> Result<Self, JoinError> {
        WRITE_GUARD.close();
        let database = config.database().map_err(JoinError::Config)?;
        let (view, seen) = watch::channel(ClusterView::default());
        let (state, known) = watch::channel(LeaseState::Waiting);
        let (leaving, left) = watch::channel(false);
        let (status, noted) = watch::channel(HostStatus::default());
        let handover = watch::Sender::new(None);
        let keeper = LeaseKeeper {
            who: Identity {
                lease: config.name.clone(),
                member: config.member.clone(),
                address,
                machine: boot_id().unwrap_or_default(),
                pid: std::process::id().into(),
                lease_ms: i64::try_from(config.lease.as_millis()).unwrap_or(i64::MAX),
            },
            database: database.clone(),
            lease: config.lease,
            priority: config.priority,
            store: None,
            view,
            is_noted: false,
            state,
            leaving: left,
            state_dir,
            asked_folder: None,
            status: noted,
            preference: Preference::default(),
            handover: handover.clone(),
        };
        // The lease is renewed also while the other threads are busy.
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(JoinError::Thread)?;
        let keep = move || {
            if let Err(reason) = runtime.block_on(keeper.run()) {
                on_lost(&reason);
            }
        };
        let thread = thread::Builder::new().name("lease".to_owned());
        thread.spawn(keep).map_err(JoinError::Thread)?;
        Ok(Self {
            name: config.name.as_str().into(),
            database,
            lease: config.lease,
            priority: config.priority,
            view: seen,
            state: known,
            leaving,
            status,
            handover,
        })
    }

    /// Waits until this member is active.
    pub async fn active(&self) -> PreviousHolder {
        let mut state = self.state.clone();
        let held = state
            .wait_for(|state| matches!(state, LeaseState::Held { .. }))
            .await;
        let previous = held.map(|held| held.previous());
        match previous {
            Ok(previous) => previous,
            // The lease was lost at once, so that the process ends.
            Err(_) => std::future::pending().await,
        }
    }

    /// Notes why this member could not take over, besides what its folder and the lease tell; `None`: nothing is known.
    pub fn note_obstacle(&self, obstacle: Option<String>) {
        self.status.send_modify(|status| {
            status.is_checked = true;
            status.obstacle = obstacle;
        });
    }

    /// Notes that this host accepts batches.
    pub fn note_running(&self) {
        self.status.send_modify(|status| status.is_running = true);
    }

    /// Hands the lease over to a member, or to the best standby. The host stops, see [`Self::handing_over`]. Returns the member.
    ///
    /// # Errors
    ///
    /// This host or that member cannot do so.
    pub fn hand_over(&self, to: Option<&str>) -> Result<String, HandoverError> {
        if self.epoch().is_none() || !self.status.borrow().is_running {
            return Err(HandoverError::NotActive);
        }
        let handover = requested(&self.view.borrow().members, self.priority, to)?;
        Ok(handover.begin(&self.handover).to)
    }

    /// Waits until the lease is to be handed over: the host stops, leaves the cluster, and starts again.
    pub async fn handing_over(&self) {
        // An error is impossible: this is a sender.
        let _ = self.handover.subscribe().wait_for(Option::is_some).await;
    }

    /// Whether the lease is to be handed over, or was.
    #[must_use]
    pub fn is_handing_over(&self) -> bool {
        self.handover.borrow().is_some()
    }

    /// Leaves the cluster: gives the lease back, if this member has it. It may not write any more.
    pub async fn leave(&self) {
        self.leaving.send_replace(true);
        // An error: the thread has ended already.
        let _ = self
            .state
            .clone()
            .wait_for(|state| *state == LeaseState::Left)
            .await;
    }

    /// The epoch of the lease; `None` if this member does not have it.
    #[must_use]
    pub fn epoch(&self) -> Option<i64> {
        match &*self.state.borrow() {
            LeaseState::Held { epoch, .. } => Some(*epoch),
            LeaseState::Waiting | LeaseState::Left => None,
        }
    }

    /// The name of the cluster.
    #[must_use]
    pub fn cluster(&self) -> &str {
        &self.name
    }

    /// The database of the cluster.
    #[must_use]
    pub fn database(&self) -> &ClusterDatabase {
        &self.database
    }

    /// The time of the lease.
    #[must_use]
    pub fn lease(&self) -> Duration {
        self.lease
    }

    /// The cluster as this member last saw it.
    #[must_use]
    pub fn view(&self) -> ClusterView {
        let mut view = self.view.borrow().clone();
        view.role = match &*self.state.borrow() {
            LeaseState::Held { .. } => MemberRole::Active,
            LeaseState::Waiting | LeaseState::Left => MemberRole::Standby,
        };
        view
    }
}
