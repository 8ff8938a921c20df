//! Waits for the lease, and renews it.
//!
//! Runs on a thread of its own. Every wait has an end, so that the loss of the lease is noticed within a
//! moment, also while the database does not answer.

use std::{
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use delfin_plugin_api::postgres::PostgresError;
use tokio::{
    sync::watch,
    task::JoinHandle,
    time::{sleep, timeout},
};

use super::{
    PreviousHolder, folder,
    handover::{Handover, Preference, best_standby},
    store::{Identity, LeaseStore, MemberNote, SeenLease},
    view::{ClusterView, HostStatus, MemberRole, MemberView},
};
use crate::{
    panics::spawn_blocking,
    platform::running_time,
    postgres::{ClusterDatabase, StoreError},
    write_guard::WRITE_GUARD,
};

/// How often the end of the lease is looked for: timers do not count the time that a machine is suspended.
const TICK: Duration = Duration::from_millis(100);

/// The longest time between two looks of a standby at the lease.
const MAX_POLL: Duration = Duration::from_secs(1);

/// The longest time between two renewals.
const MAX_RENEWAL: Duration = Duration::from_secs(2);

/// The longest time that leaving takes if the database does not answer.
const LEAVE_TIMEOUT: Duration = Duration::from_secs(2);

/// What a lease has in place of the id of a state folder if the state is in the database.
pub(super) const IN_DATABASE: &str = "database";

/// Whether this member has the lease.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum LeaseState {
    Waiting,
    Held {
        previous: PreviousHolder,
        epoch: i64,
    },
    /// Given back, or not waited for any more.
    Left,
}

impl LeaseState {
    pub(super) fn previous(&self) -> PreviousHolder {
        match self {
            Self::Held { previous, .. } => previous.clone(),
            Self::Waiting | Self::Left => PreviousHolder::default(),
        }
    }
}

pub(super) struct LeaseKeeper {
    pub(super) who: Identity,
    pub(super) database: ClusterDatabase,
    pub(super) lease: Duration,
    pub(super) priority: u8,
    /// `None` before the first call, and after a failure.
    pub(super) store: Option<LeaseStore>,
    pub(super) view: watch::Sender<ClusterView>,
    /// This process is in the list of members.
    pub(super) is_noted: bool,
    pub(super) state: watch::Sender<LeaseState>,
    pub(super) leaving: watch::Receiver<bool>,
    /// `None`: the state is in the database.
    pub(super) state_dir: Option<PathBuf>,
    /// What the state folder has not answered yet.
    pub(super) asked_folder: Option<JoinHandle<io::Result<Option<String>>>>,
    pub(super) status: watch::Receiver<HostStatus>,
    pub(super) preference: Preference,
    /// The handover that is under way.
    pub(super) handover: watch::Sender<Option<Handover>>,
}

impl LeaseKeeper {
    /// Waits for the lease and keeps it until this member leaves.
    ///
    /// # Errors
    ///
    /// Why the lease is lost.
    pub(super) async fn run(mut self) -> Result<(), String> {
        let held = match self.wait().await {
            Some(epoch) => {
                self.keep(epoch).await?;
                Some(epoch)
            }
            None => None,
        };
        WRITE_GUARD.close();
        let who = self.who.clone();
        let handover = self.successor();
        let left = async {
            let store = self.store().await?;
            if let Some(epoch) = held {
                store.release(&who, epoch, handover.as_ref()).await?;
            }
            Ok::<(), StoreError>(store.leave(&who).await?)
        };
        match timeout(LEAVE_TIMEOUT, left).await {
            Ok(Ok(())) => log::info!(member = who.member; "left the cluster"),
            Ok(Err(_)) | Err(_) if held.is_none() => {
                log::info!(member = who.member; "left the cluster without telling its database");
            }
            Ok(Err(_)) | Err(_) => {
                log::warn!(member = who.member; "left the cluster without telling its database: a standby takes over when the lease is over");
            }
        }
        self.state.send_replace(LeaseState::Left);
        Ok(())
    }

    /// Who gets the lease that this member gives back.
    fn successor(&self) -> Option<Handover> {
        let members = &self.view.borrow().members;
        let handover = self.handover.borrow().clone().filter(|handover| {
            let mut ready = members.iter().filter(|member| member.is_ready);
            ready.any(|member| member.name == handover.to)
        });
        handover.or_else(|| {
            best_standby(members).map(|standby| Handover {
                to: standby.name.clone(),
                reason: format!("`{}` was stopped", self.who.member),
            })
        })
    }

    /// Looks at the lease until this member can take it. Returns its epoch; `None`: the member leaves.
    async fn wait(&mut self) -> Option<i64> {
        let mut first_seen: Option<(Option<SeenLease>, Duration)> = None;
        self.look_around().await;
        loop {
            match self.call(async |store, who| store.see(who).await).await {
                Ok(seen) => {
                    let since = match &first_seen {
                        Some((same, since)) if *same == seen => *since,
                        Some(_) | None => running_time(),
                    };
                    // A holder may write for the time of its lease after it has sent a renewal. The lease has not changed
                    // since it was first seen like this, so that the last renewal was sent before.
                    let patience = self.longest_lease(seen.as_ref()) * 11 / 10 + self.courtesy();
                    let is_free = match &seen {
                        Some(seen) => seen.released && !self.is_for_another(seen),
                        // If its row was deleted, another member may still have it.
                        None => self.is_alone(),
                    };
                    let may_take = is_free || running_time().saturating_sub(since) >= patience;
                    let state = self.state_id(seen.as_ref(), may_take).await;
                    if may_take
                        && let Ok(Some(state)) = &state
                        && let Some(epoch) = self.take(seen.as_ref(), state).await
                    {
                        return Some(epoch);
                    }
                    self.note_obstacle(state.err());
                    first_seen = Some((seen, since));
                    self.look_around().await;
                }
                Err(reason) => self.note_fault(Some(reason)),
            }
            tokio::select! {
                () = sleep(self.poll()) => {}
                () = leaves(&mut self.leaving) => return None,
            }
        }
    }

    /// The time of the lease, of this member or of the holder.
    fn longest_lease(&self, seen: Option<&SeenLease>) -> Duration {
        let of_holder = seen.map_or(0, |seen| seen.lease_ms.max(0).cast_unsigned());
        self.lease.max(Duration::from_millis(of_holder))
    }

    /// The time between two looks of a standby at the lease.
    fn poll(&self) -> Duration {
        (self.lease / 10).min(MAX_POLL)
    }

    /// How long this member leaves a lease that is over to a standby with a higher priority.
    fn courtesy(&self) -> Duration {
        let best = best_standby(&self.view.borrow().members).and_then(|standby| standby.priority);
        match best > Some(self.priority) {
            true => self.poll() * 3,
            false => Duration::ZERO,
        }
    }

    /// The lease was given back to another member, which is there.
    fn is_for_another(&self, seen: &SeenLease) -> bool {
        let members = &self.view.borrow().members;
        let mut ready = members.iter().filter(|member| member.is_ready);
        seen.successor.as_ref().is_some_and(|successor| {
            *successor != self.who.member && ready.any(|member| member.name == *successor)
        })
    }

    /// No other member was seen lately.
    fn is_alone(&self) -> bool {
        let view = self.view.borrow();
        let mut others = view
            .members
            .iter()
            .filter(|member| member.name != self.who.member);
        others.all(|member| member.role == MemberRole::Gone)
    }

    /// The id of the state, which must be the one that the lease names. A folder without one gets one if there is no
    /// lease yet, and this member may take it; otherwise `None`.
    async fn state_id(
        &mut self,
        seen: Option<&SeenLease>,
        may_create: bool,
    ) -> Result<Option<String>, String> {
        let found = match self.state_dir.clone() {
            None => Some(IN_DATABASE.to_owned()),
            Some(state_dir) if seen.is_none() && may_create => {
                self.in_folder(state_dir, folder::read_or_create).await?
            }
            Some(state_dir) => self.in_folder(state_dir, folder::read).await?,
        };
        match seen {
            Some(seen) if found.as_ref() != Some(&seen.state) => {
                Err(self.foreign_state(found, &seen.state))
            }
            Some(_) | None => Ok(found),
        }
    }

    /// Why this member may not take a lease that names another state.
    fn foreign_state(&self, found: Option<String>, named: &str) -> String {
        let lease = &self.who.lease;
        let other =
            format!("stop all members and run `DELETE FROM delfin_leases WHERE name = '{lease}'`");
        let Some(state_dir) = &self.state_dir else {
            return format!(
                "the state of the cluster is in a folder, with the id `{named}`, and this member has it in the database (remove \
                 `cluster.kafka`; to use the database from now on, {other})"
            );
        };
        if named == IN_DATABASE {
            return format!(
                "the state of the cluster is in the database, and this member has it in a folder (set `cluster.kafka`; to use the \
                 folder from now on, {other})"
            );
        }
        let has = match found {
            Some(id) => format!("the id `{id}`"),
            None => "no id".to_owned(),
        };
        format!(
            "the state folder `{}` is not that of the cluster: it has {has}, and the lease names `{named}` (mount the volume; to \
             use this folder from now on, {other})",
            state_dir.display(),
        )
    }

    /// Asks for the id of the state folder. If its volume does not answer, the next call waits for the same answer, so that one
    /// thread at most is lost to it.
    async fn in_folder(
        &mut self,
        state_dir: PathBuf,
        id: fn(&Path) -> io::Result<Option<String>>,
    ) -> Result<Option<String>, String> {
        let shown = state_dir.display().to_string();
        let mut asked = match self.asked_folder.take() {
            Some(asked) => asked,
            None => spawn_blocking(move || id(&state_dir)),
        };
        let Ok(answer) = timeout(self.lease / 3, &mut asked).await else {
            self.asked_folder = Some(asked);
            return Err(format!(
                "the state folder `{shown}` does not answer (check its volume)"
            ));
        };
        let id = answer.map_err(|error| format!("the state folder `{shown}`: {error}"))?;
        id.map_err(|error| {
            format!(
                "cannot use the id of the state folder `{shown}`: {error} (correct the owner and mode of the folder and of \
                 `{}` in it)",
                folder::FOLDER_ID
            )
        })
    }

    /// `state` is the id of the state.
    async fn take(&mut self, seen: Option<&SeenLease>, state: &str) -> Option<i64> {
        let sent = running_time();
        let taken = self.call(async |store, who| store.take(who, seen, state).await);
        match taken.await {
            Ok(Some(epoch)) => {
                WRITE_GUARD.open_until(sent + self.lease);
                let machine = &self.who.machine;
                let local = seen.filter(|seen| !machine.is_empty() && seen.machine == *machine);
                let previous = PreviousHolder {
                    local_pid: local.map(|seen| seen.pid),
                };
                let member = &self.who.member;
                log::info!(member, epoch; "took the lease of the cluster, this host becomes active");
                self.view.send_modify(|view| view.obstacle = None);
                self.state
                    .send_replace(LeaseState::Held { previous, epoch });
                Some(epoch)
            }
            // Another member was quicker.
            Ok(None) => None,
            Err(reason) => {
                self.note_fault(Some(reason));
                None
            }
        }
    }

    /// Renews the lease until this member leaves.
    async fn keep(&mut self, epoch: i64) -> Result<(), String> {
        loop {
            let sent = running_time();
            let renewed = tokio::select! {
                biased;
                paused = lease_over() => return Err(self.loss(paused)),
                renewed = self.call(async |store, who| store.renew(who, epoch).await) => renewed,
            };
            let pause = match renewed {
                Ok(true) => {
                    WRITE_GUARD.open_until(sent + self.lease);
                    tokio::select! {
                        biased;
                        paused = lease_over() => return Err(self.loss(paused)),
                        () = self.look_around() => {}
                    }
                    self.prefer();
                    (self.lease / 5).min(MAX_RENEWAL)
                }
                Ok(false) => {
                    WRITE_GUARD.close();
                    return Err(format!(
                        "another member took it after epoch {epoch}, or its row in the database was deleted"
                    ));
                }
                Err(reason) => {
                    self.note_fault(Some(reason));
                    (self.lease / 20).min(MAX_RENEWAL)
                }
            };
            tokio::select! {
                biased;
                paused = lease_over() => return Err(self.loss(paused)),
                () = leaves(&mut self.leaving) => return Ok(()),
                // Others learn at once that this member runs.
                _ = self.status.changed() => {}
                () = sleep(pause) => {}
            }
        }
    }

    /// Hands the lease over if a standby has had a higher priority for twice its time.
    fn prefer(&mut self) {
        if !self.status.borrow().is_running || self.handover.borrow().is_some() {
            return;
        }
        let view = self.view.borrow();
        let (now, patience) = (running_time(), self.lease * 2);
        let better = self
            .preference
            .observe(&view.members, self.priority, now, patience);
        if let Some(handover) = better {
            handover.begin(&self.handover);
        }
    }

    fn loss(&self, paused: Duration) -> String {
        let lease = humantime::format_duration(self.lease);
        if paused >= self.lease / 2 {
            let paused = humantime::format_duration(Duration::from_secs(paused.as_secs()));
            return format!(
                "this process or its machine was paused for {paused}, and the lease is {lease}"
            );
        }
        match &self.view.borrow().fault {
            Some(fault) => format!("the database did not confirm it for {lease}: {fault}"),
            None => format!("the database did not confirm it for {lease}"),
        }
    }

    /// Shows that this member is there, and looks who else is.
    async fn look_around(&mut self) {
        let obstacle = self.view.borrow().obstacle.clone();
        let HostStatus {
            is_checked,
            is_running,
            ..
        } = *self.status.borrow();
        let priority = (is_checked || is_running).then_some(self.priority);
        let met = self.call(async |store, who| {
            let note = MemberNote {
                obstacle: obstacle.as_deref(),
                priority,
                is_running,
            };
            let has_namesake = store.note(who, note).await?;
            Ok((has_namesake, store.members(who).await?))
        });
        match met.await {
            Ok((has_namesake, members)) => {
                if has_namesake && self.is_noted {
                    log::error!(member = self.who.member; "another host has the name of this member: neither can be told from the other (set `cluster.member`)");
                }
                self.is_noted = true;
                self.note_members(members);
            }
            Err(reason) => self.note_fault(Some(reason)),
        }
    }

    /// Calls the database, for at most a third of the lease. Connects first if there is no connection.
    async fn call<T>(
        &mut self,
        work: impl AsyncFnOnce(&LeaseStore, &Identity) -> Result<T, PostgresError>,
    ) -> Result<T, String> {
        let limit = self.lease / 3;
        let who = self.who.clone();
        let called = timeout(limit, async { Ok(work(self.store().await?, &who).await?) }).await;
        let result = self.database.result(called);
        if result.is_err() {
            self.store = None;
        }
        result
    }

    async fn store(&mut self) -> Result<&LeaseStore, StoreError> {
        let store = match self.store.take() {
            Some(store) => store,
            None => LeaseStore::open(&self.database).await?,
        };
        Ok(self.store.insert(store))
    }

    fn note_members(&self, members: Vec<MemberView>) {
        self.view.send_modify(|view| view.members = members);
        self.note_fault(None);
    }

    /// Notes why this member could not take over, and logs when that changes. `of_folder` is what the state folder tells.
    fn note_obstacle(&self, of_folder: Option<String>) {
        let obstacle = of_folder.or_else(|| self.status.borrow().obstacle.clone());
        if obstacle == self.view.borrow().obstacle {
            return;
        }
        match &obstacle {
            Some(reason) => log::error!("this standby could not take over: {reason}"),
            None => log::info!("this standby could take over again"),
        }
        self.view.send_modify(|view| view.obstacle = obstacle);
    }

    /// Notes why the database cannot be asked, and logs when that changes.
    fn note_fault(&self, fault: Option<String>) {
        let had_fault = self.view.borrow().fault.is_some();
        match &fault {
            Some(reason) if !had_fault => {
                log::warn!("cannot ask the database of the cluster: {reason}");
            }
            None if had_fault => log::info!("the database of the cluster answers again"),
            Some(_) | None => {}
        }
        self.view.send_modify(|view| view.fault = fault);
    }
}

/// Completes when the process may not write any more. Returns how long it was paused meanwhile.
async fn lease_over() -> Duration {
    loop {
        let before = running_time();
        let remaining = WRITE_GUARD.remaining();
        if remaining.is_zero() {
            return Duration::ZERO;
        }
        sleep(remaining.min(TICK)).await;
        if WRITE_GUARD.remaining().is_zero() {
            return running_time().saturating_sub(before);
        }
    }
}

/// Completes when the member leaves, or nothing is left that could.
async fn leaves(leaving: &mut watch::Receiver<bool>) {
    let _ = leaving.wait_for(|leaving| *leaving).await;
}
