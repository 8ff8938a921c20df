//! Opens the journals of a host that has the lease, and waits for brokers and a database that are away.
//!
//! Promises: while only brokers of Kafka or the database are missing, this host tries again, each time with its configuration as it
//! is then, and keeps the lease as long as it can. To give the lease back would help only if another host reached them.

use std::{sync::Arc, time::Duration};

use tokio::time::sleep;

use super::StandbyError;
use crate::{
    api::StandbyState,
    cluster::ClusterMember,
    config::{Config, Loaded},
    journal::{self, ClusterJournals, JournalLimits, Journals, StateLock},
    panics::spawn_blocking,
    postgres::FencedDatabase,
    state,
    write_guard::WRITE_GUARD,
};

/// The wait after an attempt.
const RETRY_DELAY: Duration = Duration::from_secs(1);

/// What the attempts to open the journals share.
struct Opening {
    member: ClusterMember,
    lock: Arc<StateLock>,
    /// The state in the database, once it was taken.
    state: Option<Arc<FencedDatabase>>,
}

/// Opens the journals with the configuration that `read_config` returns.
///
/// # Errors
///
/// The journals cannot be opened, and to wait does not help.
pub(super) async fn open_journals(
    member: &ClusterMember,
    lock: StateLock,
    mut read_config: impl FnMut() -> Loaded,
    state: &StandbyState,
) -> Result<(Loaded, Journals), StandbyError> {
    let mut opening = Opening {
        member: member.clone(),
        lock: Arc::new(lock),
        state: None,
    };
    loop {
        let loaded = read_config();
        let config = loaded.config.clone();
        let attempt = spawn_blocking(move || {
            let opened = opening.attempt(&config);
            (opening, opened)
        });
        let (left, opened) = attempt.await.map_err(StandbyError::Opening)?;
        opening = left;
        let reason = match opened {
            Err(error) if may_pass(&error) => {
                let reason = error.to_string();
                loaded.config.redactor.redact(&reason).into_owned()
            }
            opened => return Ok((loaded, opened?)),
        };
        if state.note_opening(&reason) {
            log::error!(
                "this host has the lease and cannot become active yet, trying again: {reason}"
            );
        }
        sleep(RETRY_DELAY).await;
    }
}

/// Whether the same attempt may succeed later.
const fn may_pass(error: &StandbyError) -> bool {
    match error {
        StandbyError::ClusterState(failure) => failure.may_pass,
        StandbyError::Journal(error) => error.may_pass(),
        StandbyError::Listen(_)
        | StandbyError::Tls(_)
        | StandbyError::Tokens(_)
        | StandbyError::Join(_)
        | StandbyError::State(_)
        | StandbyError::Opening(_)
        | StandbyError::Cluster(_)
        | StandbyError::Temporary(_)
        | StandbyError::Address(_) => false,
    }
}

impl Opening {
    /// Blocks until the database and the brokers have answered.
    fn attempt(&mut self, config: &Config) -> Result<Journals, StandbyError> {
        let limits = JournalLimits::from(&config.journal);
        let cluster = self.cluster_journals(config)?;
        let lock = Arc::clone(&self.lock);
        let opened = journal::open_locked(&config.state_dir, lock, &limits, cluster);
        Ok(opened?)
    }

    /// Takes what a member has on Kafka and in the database; `None`: everything is in the state folder.
    fn cluster_journals(
        &mut self,
        config: &Config,
    ) -> Result<Option<ClusterJournals>, StandbyError> {
        let Some(cluster) = &config.cluster else {
            return Ok(None);
        };
        // A member that has just lost its lease ends. The database refuses an epoch that is over.
        let epoch = self.member.epoch().unwrap_or_default();
        let Some(kafka) = cluster.journals(epoch).map_err(StandbyError::Cluster)? else {
            return Ok(None);
        };
        state::refuse_left_over(&config.state_dir)?;
        let state = match &self.state {
            Some(state) => Arc::clone(state),
            None => {
                let database = kafka.database.clone();
                let taken = FencedDatabase::open(database, &cluster.name, epoch, &WRITE_GUARD);
                let taken = Arc::new(taken.map_err(StandbyError::ClusterState)?);
                Arc::clone(self.state.insert(taken))
            }
        };
        Ok(Some(ClusterJournals { kafka, state }))
    }
}
