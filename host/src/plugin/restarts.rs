//! Why the instances of an exporter, or the processes of a driver, were replaced.

use serde::Serialize;
use utoipa::ToSchema;

use super::DeathCause;

/// How the instance before ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RestartReason {
    Exit,
    Signal,
    Deadline,
    Protocol,
    Panic,
    Unusable,
    Thread,
}

/// Instances that replaced another one, by how that one ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct Restarts {
    /// Its process exited by itself.
    pub exit: u64,
    /// A signal ended its process.
    pub signal: u64,
    /// A call was past its deadline.
    pub deadline: u64,
    /// Its process broke the protocol.
    pub protocol: u64,
    /// Its plugin panicked.
    pub panic: u64,
    /// Its plugin reported that it is unusable.
    pub unusable: u64,
    /// Its thread ended.
    pub thread: u64,
}

impl Restarts {
    pub fn count(&mut self, reason: RestartReason) {
        let count = match reason {
            RestartReason::Exit => &mut self.exit,
            RestartReason::Signal => &mut self.signal,
            RestartReason::Deadline => &mut self.deadline,
            RestartReason::Protocol => &mut self.protocol,
            RestartReason::Panic => &mut self.panic,
            RestartReason::Unusable => &mut self.unusable,
            RestartReason::Thread => &mut self.thread,
        };
        *count += 1;
    }

    /// Each reason and how often it was the reason.
    pub fn by_reason(&self) -> [(&'static str, u64); 7] {
        [
            ("exit", self.exit),
            ("signal", self.signal),
            ("deadline", self.deadline),
            ("protocol", self.protocol),
            ("panic", self.panic),
            ("unusable", self.unusable),
            ("thread", self.thread),
        ]
    }
}

impl From<&DeathCause> for RestartReason {
    fn from(cause: &DeathCause) -> Self {
        match cause {
            DeathCause::Exit(_) => Self::Exit,
            DeathCause::Signal(_) => Self::Signal,
            DeathCause::Deadline => Self::Deadline,
            DeathCause::Protocol(_) => Self::Protocol,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reason_has_the_same_name_in_json() {
        let json = serde_json::to_value(Restarts::default()).unwrap();
        let names = Restarts::default().by_reason().map(|(name, _)| name);
        assert!(names.iter().all(|name| json[name] == 0), "{json}");
        assert_eq!(json.as_object().unwrap().len(), names.len());
    }
}
