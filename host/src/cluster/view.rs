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
    /// Why it could not take over, if it is standby.
    pub obstacle: Option<String>,
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
