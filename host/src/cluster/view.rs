//! What a member knows of its cluster.

/// Whether a member may write.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MemberRole {
    /// It has the lease.
    Active,
    /// It waits for the lease.
    #[default]
    Standby,
    /// It was not seen for twice the time of the lease.
    Gone,
}

impl MemberRole {
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Standby => "standby",
            Self::Gone => "gone",
        }
    }
}

/// A member. Times are by the clock of the database, in milliseconds since the Unix epoch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemberView {
    pub name: String,
    pub address: String,
    pub role: MemberRole,
    /// When it took the lease; when it started, if it is not active.
    pub since_ms: i64,
    pub last_seen_ms: i64,
    /// The epoch of the lease, if it has it.
    pub epoch: Option<i64>,
    /// Why it has the lease, if another member handed it over.
    pub reason: Option<String>,
    /// Why it could not take over, if it is standby.
    pub obstacle: Option<String>,
    /// From 0 to 100; `None` if it was not checked yet whether it could take over, or its release is older.
    pub priority: Option<u8>,
    /// Whether it is a standby that could take over now.
    pub is_ready: bool,
    /// It was handed the lease lately, and has not become active since.
    pub has_failed: bool,
}

impl MemberView {
    /// Notes how long it was not seen.
    pub(super) fn note_silence(&mut self, silent_ms: i64, lease_ms: i64) {
        if silent_ms > lease_ms.saturating_mul(2) {
            self.role = MemberRole::Gone;
        }
        self.is_ready = self.role == MemberRole::Standby
            && self.priority.is_some()
            && self.obstacle.is_none()
            && silent_ms <= lease_ms / 2;
    }
}

/// What a host tells its keeper of the lease.
#[derive(Clone, Debug, Default)]
pub(super) struct HostStatus {
    /// It was checked whether it could take over.
    pub(super) is_checked: bool,
    /// Why it could not take over, as others have found.
    pub(super) obstacle: Option<String>,
    /// It is active, and accepts batches.
    pub(super) is_running: bool,
}

/// A cluster of the database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClusterMembers {
    /// The name of the cluster.
    pub name: String,
    /// Its state is in the database, and not in a shared folder.
    pub has_state_in_database: bool,
    /// By name.
    pub members: Vec<MemberView>,
}

/// The members as they were last seen, and the role of this one.
#[derive(Clone, Debug, Default)]
pub struct ClusterView {
    pub role: MemberRole,
    pub members: Vec<MemberView>,
    /// Why the database cannot be asked.
    pub fault: Option<String>,
    /// Why this member could not take over.
    pub obstacle: Option<String>,
}

impl ClusterView {
    /// The member that has the lease, as far as is known.
    #[must_use]
    pub fn active(&self) -> Option<&MemberView> {
        self.members.iter().find(|member| member.epoch.is_some())
    }

    /// Who is active, for clients of a standby.
    #[must_use]
    pub fn active_text(&self) -> String {
        match (self.active(), &self.fault) {
            (Some(active), Some(_)) => format!(
                "this host is standby, and member `{}` at {} was active when the database of the cluster last answered",
                active.name, active.address
            ),
            (Some(active), None) => format!(
                "this host is standby, and member `{}` at {} is active",
                active.name, active.address
            ),
            (None, None) => "this host is standby, and no member is active yet".to_owned(),
            (None, Some(_)) => {
                "this host is standby, and cannot ask the database of the cluster which member is active"
                    .to_owned()
            }
        }
    }
}
