//! Limits records of one kind that repeat.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use tokio::time::sleep_until;

/// Within this time, a text of a kind is logged once.
pub const LIMIT_INTERVAL: Duration = Duration::from_mins(1);

/// The most different texts of a kind that are logged within the interval.
const MAX_TEXTS: usize = 5;

/// Decides which records are logged. Kinds are names in the code, so there are few.
#[derive(Debug, Default)]
pub struct LogLimiter(Mutex<HashMap<String, LimitedKind>>);

/// What happens to a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// It is logged. So many records of the kind were not, since the last one that was.
    Logged {
        suppressed: u64,
    },
    /// It is not logged. It is the first one of its kind in this interval, which ends then.
    FirstSuppressed {
        end: Instant,
    },
    Suppressed,
}

#[derive(Debug)]
struct LimitedKind {
    begin: Instant,
    texts: Vec<String>,
    suppressed: u64,
}

impl LogLimiter {
    /// Decides about a record.
    pub fn admit(&self, kind: &str, text: &str, now: Instant) -> Admission {
        let mut kinds = self.lock();
        let limited = kinds.entry(kind.to_owned()).or_insert(LimitedKind {
            begin: now,
            texts: Vec::new(),
            suppressed: 0,
        });
        if now.duration_since(limited.begin) >= LIMIT_INTERVAL {
            limited.begin = now;
            limited.texts.clear();
        }
        if limited.texts.len() < MAX_TEXTS && !limited.texts.iter().any(|known| known == text) {
            limited.texts.push(text.to_owned());
            let suppressed = std::mem::take(&mut limited.suppressed);
            return Admission::Logged { suppressed };
        }
        limited.suppressed += 1;
        if limited.suppressed == 1 {
            let end = limited.begin + LIMIT_INTERVAL;
            return Admission::FirstSuppressed { end };
        }
        Admission::Suppressed
    }

    /// Whether a record is logged now. If further records of its kind are not, `report` gets their number at the end of the
    /// interval.
    pub fn admit_or_report(
        self: &Arc<Self>,
        kind: &'static str,
        text: &str,
        report: impl FnOnce(u64) + Send + 'static,
    ) -> bool {
        match self.admit(kind, text, Instant::now()) {
            Admission::Logged { .. } => return true,
            Admission::FirstSuppressed { end } => {
                let limiter = Arc::clone(self);
                tokio::spawn(async move {
                    sleep_until(end.into()).await;
                    let suppressed = limiter.take_suppressed(kind);
                    if suppressed > 0 {
                        report(suppressed);
                    }
                });
            }
            Admission::Suppressed => {}
        }
        false
    }

    /// The number of records that were not logged and not reported yet.
    fn take_suppressed(&self, kind: &str) -> u64 {
        let mut kinds = self.lock();
        let limited = kinds.get_mut(kind);
        limited.map_or(0, |limited| std::mem::take(&mut limited.suppressed))
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, LimitedKind>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOGGED: Admission = Admission::Logged { suppressed: 0 };

    #[test]
    fn a_text_is_logged_once_and_the_others_are_counted() {
        let limiter = LogLimiter::default();
        let begin = Instant::now();
        let end = begin + LIMIT_INTERVAL;
        assert_eq!(limiter.admit("full", "a", begin), LOGGED);
        let first = Admission::FirstSuppressed { end };
        assert_eq!(limiter.admit("full", "a", begin), first);
        assert_eq!(limiter.admit("full", "a", begin), Admission::Suppressed);
        assert_eq!(limiter.admit("slow", "a", begin), LOGGED);
        let suppressed = 2;
        assert_eq!(
            limiter.admit("full", "a", end),
            Admission::Logged { suppressed }
        );
        assert_eq!(limiter.admit("full", "a", end + LIMIT_INTERVAL), LOGGED);
    }

    #[test]
    fn a_kind_has_few_texts_in_an_interval() {
        let limiter = LogLimiter::default();
        let now = Instant::now();
        for text in 0..MAX_TEXTS {
            assert_eq!(limiter.admit("host", &text.to_string(), now), LOGGED);
        }
        assert_ne!(limiter.admit("host", "another", now), LOGGED);
        assert_eq!(limiter.take_suppressed("host"), 1);
        assert_eq!(limiter.take_suppressed("host"), 0);
    }
}
