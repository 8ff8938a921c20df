//! To which standby the active member hands the lease over, and when.
//!
//! Promises: a standby gets the lease by its priority only if it has been ready, with a higher priority than the active member, for
//! a while. Of two members with the same priority, neither hands over to the other, so that the lease does not go to and fro.

use std::{cmp::Reverse, time::Duration};

use tokio::sync::watch;

use super::view::{MemberRole, MemberView};

/// A lease that is handed over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Handover {
    /// The member that gets it.
    pub to: String,
    pub(super) reason: String,
}

impl Handover {
    /// Makes this the handover that is under way, and logs it; one that is under way already stays. Returns that one.
    pub(super) fn begin(self, current: &watch::Sender<Option<Self>>) -> Self {
        let mut begun = self;
        current.send_if_modified(|current| match current {
            Some(earlier) => {
                begun.clone_from(earlier);
                false
            }
            None => {
                let Self { to, reason } = &begun;
                log::info!(to, reason; "handing the lease over to another member: this host stops, and starts again as a standby");
                *current = Some(begun.clone());
                true
            }
        });
        begun
    }
}

/// Why the lease is not handed over.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HandoverError {
    #[error("this host is not active (ask the active one, see `delfin-host members`)")]
    NotActive,
    #[error("no standby could take over (see `delfin-host members`)")]
    NoStandby,
    #[error("the cluster has no standby `{0}` (see `delfin-host members`)")]
    Unknown(String),
    #[error("member `{member}` could not take over: {reason}")]
    Obstacle { member: String, reason: String },
    #[error("member `{0}` was not checked lately (wait a moment, and see `delfin-host members`)")]
    Unready(String),
    #[error(
        "member `{member}` has priority {priority} and this host {own}, so that it would hand the lease back (stop this host, or \
         set `cluster.priority`)"
    )]
    LowerPriority {
        member: String,
        priority: u8,
        own: u8,
    },
}

/// Since when a standby has been better than the active member.
#[derive(Debug, Default)]
pub(super) struct Preference(Option<PreferredStandby>);

#[derive(Debug)]
struct PreferredStandby {
    name: String,
    /// When it started.
    since_ms: i64,
    /// When it was first seen like this.
    first_seen: Duration,
}

impl Preference {
    /// Returns to whom to hand over: to a standby that has been the best one for `patience`. `now` is the time of a clock that
    /// never jumps.
    pub(super) fn observe(
        &mut self,
        members: &[MemberView],
        own: u8,
        now: Duration,
        patience: Duration,
    ) -> Option<Handover> {
        let better = members.iter().filter(|member| !member.has_failed);
        let better = best(better).filter(|standby| standby.priority > Some(own));
        let Some(standby) = better else {
            self.0 = None;
            return None;
        };
        let same = self.0.take().filter(|preferred| {
            (&preferred.name, preferred.since_ms) == (&standby.name, standby.since_ms)
        });
        let preferred = self.0.insert(same.unwrap_or_else(|| PreferredStandby {
            name: standby.name.clone(),
            since_ms: standby.since_ms,
            first_seen: now,
        }));
        let is_steady = now.saturating_sub(preferred.first_seen) >= patience;
        is_steady.then(|| Handover {
            to: standby.name.clone(),
            reason: format!(
                "its priority is {}, and that of the active host was {own}",
                standby.priority.unwrap_or_default()
            ),
        })
    }
}

/// The standby that should get a free lease. One that could not become active lately gets it only if there is no other.
pub(super) fn best_standby(members: &[MemberView]) -> Option<&MemberView> {
    let working = members.iter().filter(|member| !member.has_failed);
    best(working).or_else(|| best(members.iter()))
}

/// The one with the highest priority, or the first one by name of several.
fn best<'a>(members: impl Iterator<Item = &'a MemberView>) -> Option<&'a MemberView> {
    let ready = members.filter(|member| member.is_ready);
    ready.max_by_key(|member| (member.priority, Reverse(&member.name)))
}

/// To whom an operator hands the lease over; `None`: to the best standby.
pub(super) fn requested(
    members: &[MemberView],
    own: u8,
    to: Option<&str>,
) -> Result<Handover, HandoverError> {
    let standby = match to {
        None => best_standby(members).ok_or(HandoverError::NoStandby)?,
        Some(name) => find_ready(members, name)?,
    };
    let member = standby.name.clone();
    let priority = standby.priority.unwrap_or_default();
    if priority < own {
        return Err(HandoverError::LowerPriority {
            member,
            priority,
            own,
        });
    }
    Ok(Handover {
        to: member,
        reason: "an operator asked for it".to_owned(),
    })
}

fn find_ready<'a>(members: &'a [MemberView], name: &str) -> Result<&'a MemberView, HandoverError> {
    let mut standbys = members
        .iter()
        .filter(|member| member.role == MemberRole::Standby);
    let standby = standbys.find(|member| member.name == name);
    let standby = standby.ok_or_else(|| HandoverError::Unknown(name.to_owned()))?;
    match &standby.obstacle {
        Some(reason) => Err(HandoverError::Obstacle {
            member: name.to_owned(),
            reason: reason.clone(),
        }),
        None if !standby.is_ready => Err(HandoverError::Unready(name.to_owned())),
        None => Ok(standby),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Duration = Duration::from_secs(20);

    fn standby(name: &str, priority: u8) -> MemberView {
        MemberView {
            name: name.to_owned(),
            address: String::new(),
            role: MemberRole::Standby,
            since_ms: 0,
            last_seen_ms: 0,
            epoch: None,
            reason: None,
            obstacle: None,
            priority: Some(priority),
            is_ready: true,
            has_failed: false,
        }
    }

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn a_standby_gets_the_lease_after_it_has_been_better_for_a_while() {
        let mut preference = Preference::default();
        let mut observe = |members: &[MemberView], second| {
            let handover = preference.observe(members, 50, seconds(second), PATIENCE);
            handover.map(|handover| handover.to)
        };
        let equal = [standby("b", 50), standby("c", 0)];
        assert_eq!(observe(&equal, 0), None);
        assert_eq!(observe(&equal, 100), None);
        let better = [standby("b", 51), standby("c", 60), standby("d", 60)];
        assert_eq!(observe(&better, 101), None);
        assert_eq!(observe(&better, 120), None);
        assert_eq!(observe(&better, 121).as_deref(), Some("c"));
        // It was started again.
        let restarted = [MemberView {
            since_ms: 1,
            ..standby("c", 60)
        }];
        assert_eq!(observe(&restarted, 122), None);
        // It was away meanwhile.
        assert_eq!(observe(&[], 130), None);
        assert_eq!(observe(&restarted, 143), None);
        assert_eq!(observe(&restarted, 163).as_deref(), Some("c"));
    }

    #[test]
    fn a_standby_that_could_not_become_active_gets_the_lease_only_without_another() {
        let failed = MemberView {
            has_failed: true,
            ..standby("b", 100)
        };
        let unready = MemberView {
            is_ready: false,
            ..standby("c", 90)
        };
        let members = [failed, unready, standby("d", 0)];
        let name = |members| best_standby(members).map(|member| member.name.as_str());
        assert_eq!(name(&members), Some("d"));
        assert_eq!(name(&members[..2]), Some("b"));
        assert_eq!(name(&members[1..2]), None);
        let mut preference = Preference::default();
        for second in [0, 100] {
            let handover = preference.observe(&members, 0, seconds(second), PATIENCE);
            assert_eq!(handover, None);
        }
    }

    #[test]
    fn an_operator_learns_why_the_lease_is_not_handed_over() {
        let active = MemberView {
            role: MemberRole::Active,
            is_ready: false,
            ..standby("a", 50)
        };
        let blocked = MemberView {
            obstacle: Some("no volume".to_owned()),
            is_ready: false,
            ..standby("b", 50)
        };
        let members = [active, blocked, standby("c", 50), standby("d", 0)];
        let to = |name| requested(&members, 50, name).map(|handover| handover.to);
        assert_eq!(to(None).as_deref(), Ok("c"));
        assert_eq!(to(Some("c")).as_deref(), Ok("c"));
        for (name, reason) in [
            ("a", "the cluster has no standby `a` ("),
            ("b", "member `b` could not take over: no volume"),
            ("d", "member `d` has priority 0 and this host 50, so that"),
        ] {
            let refused = to(Some(name)).unwrap_err().to_string();
            assert!(refused.starts_with(reason), "{refused}");
        }
        assert_eq!(
            requested(&[], 50, None).unwrap_err(),
            HandoverError::NoStandby
        );
    }
}
