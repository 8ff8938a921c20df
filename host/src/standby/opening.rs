//! Opens the journals of a host that has the lease, and waits for brokers that are away.
//!
//! Promises: while only brokers of Kafka are missing, this host tries again, each time with its configuration as it is then, and
//! keeps the lease. To give the lease back would help only if another host reached the brokers.

use std::{sync::Arc, time::Duration};

use tokio::time::sleep;

use super::StandbyError;
use crate::{
    api::StandbyState,
    cluster::ClusterMember,
    config::{Config, Loaded},
    journal::{self, ClusterJournals, JournalLimits, Journals, OpenError, StateLock},
    panics::spawn_blocking,
    postgres::FencedDatabase,
    state,
    write_guard::WRITE_GUARD,
};

/// The wait after an attempt.
const RETRY_DELAY: Duration = Duration::from_secs(1);

/// Opens the journals with the configuration that `read_config` returns.
///
/// # Errors
///
/// The journals cannot be opened, and to wait does not help.
pub(super) async fn open_journals(
    member: &ClusterMember,
    lock: StateLock,
    read_config: impl Fn() -> Loaded,
    state: &StandbyState,
) -> Result<(Loaded, Journals), StandbyError> {
    let lock = Arc::new(lock);
    let mut reported = None;
    loop {
        let loaded = read_config();
        let (config, lock, member) = (loaded.config.clone(), Arc::clone(&lock), member.clone());
        let opening = spawn_blocking(move || {
            let limits = JournalLimits::from(&config.journal);
            let cluster = cluster_journals(&config, &member)?;
            let opened = journal::open_locked(&config.state_dir, lock, &limits, cluster);
            opened.map_err(StandbyError::from)
        });
        let reason = match opening.await.map_err(StandbyError::Opening)? {
            Err(StandbyError::Journal(error @ OpenError::Remote { may_pass: true, .. })) => {
                error.to_string()
            }
            opened => return Ok((loaded, opened?)),
        };
        if reported.as_ref() != Some(&reason) {
            log::error!(
                "this host has the lease and cannot become active yet, trying again: {reason}"
            );
            state.note_opening(&reason);
            reported = Some(reason);
        }
        sleep(RETRY_DELAY).await;
    }
}

/// Takes what a member has on Kafka and in the database; `None`: everything is in the state folder. Blocks until the database has
/// answered.
fn cluster_journals(
    config: &Config,
    member: &ClusterMember,
) -> Result<Option<ClusterJournals>, StandbyError> {
    let Some(cluster) = &config.cluster else {
        return Ok(None);
    };
    // A member that has just lost its lease ends. The database refuses an epoch that is over.
    let epoch = member.epoch().unwrap_or_default();
    let Some(kafka) = cluster.journals(epoch).map_err(StandbyError::Cluster)? else {
        return Ok(None);
    };
    state::refuse_left_over(&config.state_dir)?;
    let state = FencedDatabase::open(kafka.database.clone(), &cluster.name, epoch, &WRITE_GUARD);
    Ok(Some(ClusterJournals {
        kafka,
        state: Arc::new(state.map_err(StandbyError::ClusterState)?),
    }))
}
