//! Issues that are open, as far as the exporter knows.
//!
//! The search of Jira Cloud may not find an issue in the first seconds after it was created. What is
//! not known, after a restart for example, is searched.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

/// Bounds the memory. A forgotten issue is searched.
const MAX_ISSUES: usize = 10_000;

/// The open issue of each alert, by the key of the alert.
#[derive(Debug, Default)]
pub(crate) struct OpenIssues(Mutex<HashMap<String, String>>);

impl OpenIssues {
    pub(crate) fn get(&self, key: &str) -> Option<String> {
        self.lock().get(key).cloned()
    }

    pub(crate) fn add(&self, key: &str, issue: &str) {
        let mut issues = self.lock();
        if issues.len() >= MAX_ISSUES {
            issues.clear();
        }
        issues.insert(key.to_owned(), issue.to_owned());
    }

    pub(crate) fn remove(&self, key: &str) {
        self.lock().remove(key);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_bounded() {
        let issues = OpenIssues::default();
        for number in 0..=MAX_ISSUES {
            issues.add(&number.to_string(), "i");
        }
        assert_eq!(issues.get("0"), None);
        assert_eq!(issues.get(&MAX_ISSUES.to_string()).as_deref(), Some("i"));
        issues.remove(&MAX_ISSUES.to_string());
        assert_eq!(issues.get(&MAX_ISSUES.to_string()), None);
    }
}
