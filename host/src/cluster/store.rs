//! The lease and the members in PostgreSQL.
//!
//! Promises: a lease is taken only as it was seen, so that of two members that see it unused one gets it, and
//! its epoch grows each time. No two clocks are compared: times in the tables are for people.

use std::{slice, time::Duration};

use delfin_plugin_api::postgres::{
    PostgresError,
    tokio_postgres::{Client, Row, types::ToSql},
};
use tokio::time::timeout;

use super::{
    handover::Handover,
    view::{MemberRole, MemberView},
};
use crate::{
    config::ClusterConfig,
    postgres::{ClusterDatabase, StoreError},
};

/// The longest time that a check may take.
const CHECK_TIMEOUT: Duration = Duration::from_secs(10);

/// A lease and a member that no configuration can name.
const PROBE: &str = ":check";

/// A connection to a database that has the tables.
pub(super) struct LeaseStore(Client);

/// Who is connected, and for which lease.
#[derive(Clone, Debug)]
pub(super) struct Identity {
    pub(super) lease: String,
    pub(super) member: String,
    pub(super) address: String,
    pub(super) machine: String,
    pub(super) pid: i64,
    pub(super) lease_ms: i64,
}

impl Identity {
    /// What names the lease of an epoch while this member has it.
    fn holder<'a>(&'a self, epoch: &'a i64) -> [&'a (dyn ToSql + Sync); 5] {
        [&self.lease, epoch, &self.member, &self.machine, &self.pid]
    }
}

/// The lease as it was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SeenLease {
    pub(super) epoch: i64,
    pub(super) renewals: i64,
    pub(super) machine: String,
    pub(super) pid: i64,
    pub(super) lease_ms: i64,
    /// Its holder gave it back.
    pub(super) released: bool,
    /// The id of the state folder of the cluster, or that its state is in the database.
    pub(super) state: String,
    /// The member to which its holder gave it back.
    pub(super) successor: Option<String>,
}

/// What a member says of itself.
pub(super) struct MemberNote<'a> {
    /// Why it could not take over.
    pub(super) obstacle: Option<&'a str>,
    /// `None` if it was not checked yet whether it could take over.
    pub(super) priority: Option<u8>,
    /// It has the lease, and accepts batches.
    pub(super) is_running: bool,
}

impl LeaseStore {
    /// Connects, and makes the tables if they are missing.
    pub(super) async fn open(database: &ClusterDatabase) -> Result<Self, StoreError> {
        Ok(Self(database.connect().await?))
    }

    /// The lease; `None` if it was never taken.
    pub(super) async fn see(&self, who: &Identity) -> Result<Option<SeenLease>, PostgresError> {
        const SEE: &str =
            "SELECT epoch, renewals, machine, pid, lease_ms, released, folder, successor
             FROM delfin_leases WHERE name = $1";
        let row = self.0.query_opt(SEE, &[&who.lease]).await?;
        Ok(row.map(|row| SeenLease {
            epoch: row.get(0),
            renewals: row.get(1),
            machine: row.get(2),
            pid: row.get(3),
            lease_ms: row.get(4),
            released: row.get(5),
            state: row.get(6),
            successor: row.get(7),
        }))
    }

    /// Takes the lease if it is still as it was seen. A new one is for this state. Returns its epoch, which is
    /// later than that of any state in the database, also if the row of the lease was deleted.
    pub(super) async fn take(
        &self,
        who: &Identity,
        seen: Option<&SeenLease>,
        state: &str,
    ) -> Result<Option<i64>, PostgresError> {
        const INSERT: &str =
            "INSERT INTO delfin_leases SELECT $1, coalesce(max(epoch), 0) + 1, 0, $2::text, $3::text, $4::text,
               $5::bigint, $6::bigint, now(), false, $7::text FROM delfin_states WHERE lease = $1
             ON CONFLICT DO NOTHING RETURNING epoch";
        const UPDATE: &str =
            "UPDATE delfin_leases SET epoch = epoch + 1, renewals = 0, member = $2, address = $3,
             machine = $4, pid = $5, lease_ms = $6, taken_at = now(), released = false,
             reason = CASE WHEN successor = $2 THEN reason END, successor = NULL
             WHERE name = $1 AND epoch = $7 AND renewals = $8 RETURNING epoch";
        let Identity {
            lease,
            member,
            address,
            machine,
            pid,
            lease_ms,
            ..
        } = who;
        let store = &self.0;
        let taken = match seen {
            None => {
                let values: [&(dyn ToSql + Sync); 7] =
                    [lease, member, address, machine, pid, lease_ms, &state];
                store.query_opt(INSERT, &values).await?
            }
            Some(SeenLease {
                epoch, renewals, ..
            }) => {
                let values: [&(dyn ToSql + Sync); 8] = [
                    lease, member, address, machine, pid, lease_ms, epoch, renewals,
                ];
                store.query_opt(UPDATE, &values).await?
            }
        };
        Ok(taken.map(|row| row.get(0)))
    }

    /// Proves that the lease is that of this member. False: another one has taken it, or it was deleted.
    pub(super) async fn renew(&self, who: &Identity, epoch: i64) -> Result<bool, PostgresError> {
        const RENEW: &str = "UPDATE delfin_leases SET renewals = renewals + 1
             WHERE name = $1 AND epoch = $2 AND member = $3 AND machine = $4 AND pid = $5 AND NOT released";
        let renewed = self.0.execute(RENEW, &who.holder(&epoch)).await?;
        Ok(renewed > 0)
    }

    /// Gives the lease back, so that another member need not wait: this one, if it is named.
    pub(super) async fn release(
        &self,
        who: &Identity,
        epoch: i64,
        handover: Option<&Handover>,
    ) -> Result<(), PostgresError> {
        const RELEASE: &str =
            "WITH released AS (
               UPDATE delfin_leases SET released = true, successor = $6, reason = $7
               WHERE name = $1 AND epoch = $2 AND member = $3 AND machine = $4 AND pid = $5 RETURNING name)
             UPDATE delfin_members SET offered_at = now()
             WHERE lease = $1 AND member = $6 AND EXISTS (SELECT FROM released)";
        let successor = handover.map(|handover| &handover.to);
        let reason = handover.map(|handover| &handover.reason);
        let holder = who.holder(&epoch);
        let values: Vec<&(dyn ToSql + Sync)> = holder
            .into_iter()
            .chain([&successor as _, &reason as _])
            .collect();
        self.0.execute(RELEASE, &values).await?;
        Ok(())
    }

    /// Notes that this member is there. Returns whether another process did so with its name.
    pub(super) async fn note(
        &self,
        who: &Identity,
        note: MemberNote<'_>,
    ) -> Result<bool, PostgresError> {
        const NOTE: &str =
            "WITH before AS (SELECT machine, pid FROM delfin_members WHERE lease = $1 AND member = $2)
             INSERT INTO delfin_members AS m VALUES ($1, $2, $3, $4, $5, now(), now(), $6, $7)
             ON CONFLICT (lease, member) DO UPDATE SET seen_at = now(), address = excluded.address,
               machine = excluded.machine, pid = excluded.pid, obstacle = excluded.obstacle,
               priority = excluded.priority, offered_at = CASE WHEN $8 THEN NULL ELSE m.offered_at END,
               started_at = CASE WHEN (m.machine, m.pid) = (excluded.machine, excluded.pid)
                                 THEN m.started_at ELSE now() END
             RETURNING EXISTS (SELECT FROM before WHERE (machine, pid) <> ($4, $5))";
        let Identity {
            lease,
            member,
            address,
            machine,
            pid,
            ..
        } = who;
        let obstacle = note.obstacle.unwrap_or_default();
        let priority = note.priority.map(i32::from);
        let values: [&(dyn ToSql + Sync); 8] = [
            lease,
            member,
            address,
            machine,
            pid,
            &obstacle,
            &priority,
            &note.is_running,
        ];
        Ok(self.0.query_one(NOTE, &values).await?.get(0))
    }

    /// All members.
    pub(super) async fn members(&self, who: &Identity) -> Result<Vec<MemberView>, PostgresError> {
        let cluster = slice::from_ref(&who.lease);
        let members = members(&self.0, cluster, who.lease_ms).await?;
        Ok(members.into_iter().map(|(_, member)| member).collect())
    }

    /// Removes this member, unless it could not become active lately, and those that have not been seen for a day.
    pub(super) async fn leave(&self, who: &Identity) -> Result<(), PostgresError> {
        const LEAVE: &str = "DELETE FROM delfin_members
             WHERE lease = $1 AND (member = $2 AND offered_at IS NULL OR seen_at < now() - interval '1 day')";
        self.0.execute(LEAVE, &[&who.lease, &who.member]).await?;
        Ok(())
    }
}

/// The members of clusters, with the cluster of each, by name. `lease_ms` is the time of the lease where the database has none.
pub(super) async fn members(
    client: &Client,
    clusters: &[String],
    lease_ms: i64,
) -> Result<Vec<(String, MemberView)>, PostgresError> {
    const LIST: &str =
        "SELECT m.lease, m.member, m.address, (extract(epoch FROM m.seen_at) * 1000)::bigint,
           (extract(epoch FROM coalesce(h.taken_at, m.started_at)) * 1000)::bigint, h.epoch, m.obstacle, h.reason,
           m.priority, coalesce(m.offered_at > now() - interval '10 minutes', false),
           (extract(epoch FROM now() - m.seen_at) * 1000)::bigint, coalesce(l.lease_ms, $2::bigint)
         FROM delfin_members m LEFT JOIN delfin_leases l ON l.name = m.lease
           LEFT JOIN delfin_leases h ON (h.name, h.member, h.machine, h.pid) = (m.lease, m.member, m.machine, m.pid)
             AND NOT h.released
         WHERE m.lease = ANY($1) ORDER BY m.lease, m.member";
    let rows = client.query(LIST, &[&clusters, &lease_ms]).await?;
    Ok(rows.iter().map(|row| (row.get(0), view(row))).collect())
}

fn view(row: &Row) -> MemberView {
    let epoch: Option<i64> = row.get(5);
    let obstacle: String = row.get(6);
    let priority: Option<i32> = row.get(8);
    let mut member = MemberView {
        name: row.get(1),
        address: row.get(2),
        last_seen_ms: row.get(3),
        since_ms: row.get(4),
        role: match epoch {
            Some(_) => MemberRole::Active,
            None => MemberRole::Standby,
        },
        epoch,
        obstacle: Some(obstacle).filter(|obstacle| !obstacle.is_empty()),
        reason: row.get(7),
        priority: priority.and_then(|priority| priority.try_into().ok()),
        is_ready: false,
        has_failed: row.get(9),
    };
    member.note_silence(row.get(10), row.get(11));
    member
}

/// Checks that the database answers, that the tables are there or can be made, and that the role may use
/// them. Changes nothing.
///
/// # Errors
///
/// What is missing, with the remedy.
pub async fn check(config: &ClusterConfig) -> Result<(), String> {
    let database = config.database().map_err(|failure| failure.to_string())?;
    let checked = async {
        let store = LeaseStore(database.try_out().await?);
        let who = Identity {
            lease: PROBE.to_owned(),
            member: PROBE.to_owned(),
            address: String::new(),
            machine: String::new(),
            pid: 0,
            lease_ms: 0,
        };
        let epoch = store.take(&who, None, "").await?.unwrap_or_default();
        store.renew(&who, epoch).await?;
        let note = MemberNote {
            obstacle: None,
            priority: None,
            is_running: false,
        };
        store.note(&who, note).await?;
        store.members(&who).await?;
        store.release(&who, epoch, None).await?;
        store.leave(&who).await?;
        store.0.batch_execute("ROLLBACK").await?;
        Ok::<(), StoreError>(())
    };
    database.result(timeout(CHECK_TIMEOUT, checked).await)
}
