//! Limits of concurrent driver calls: of all storages, and of those at one site.
//!
//! The limit of all bounds the memory of batches that are being collected. That of a site spares
//! its network and its arrays; without one, a site has no limit. A storage has one call at a time in
//! any case.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use super::permit_pool::{PermitPool, PoolPermit};

/// Maximum number of concurrent calls.
const MAX_CALLS: usize = 32;
/// How long a call keeps its permit while other calls wait: it does not punish other storages for a
/// slow one.
const MAX_HOLD: Duration = Duration::from_secs(5);
/// The same at one site, whose limit has to hold also for calls that are only slow.
const MAX_SITE_HOLD: Duration = Duration::from_secs(60);

/// Hands out permits for driver calls.
pub(super) struct CallLimiter {
    all: Arc<PermitPool>,
    per_site: Option<usize>,
    sites: Mutex<BTreeMap<String, Arc<PermitPool>>>,
}

/// The right to call a driver; released when dropped.
pub(super) struct CallPermit {
    _site: Option<PoolPermit>,
    all: PoolPermit,
}

impl CallPermit {
    /// The driver has answered. Its batch is in memory for as long as the permit lives, which is not revoked any more.
    pub(super) fn keep_for_batch(&self) {
        self.all.keep();
    }
}

impl CallLimiter {
    /// `per_site`: the limit of one site; `None`: no limit.
    pub(super) fn new(per_site: Option<usize>) -> Arc<Self> {
        Arc::new(Self {
            all: PermitPool::new(MAX_CALLS, MAX_HOLD),
            per_site,
            sites: Mutex::default(),
        })
    }

    /// Waits for a permit of a storage at a site.
    pub(super) async fn acquire(&self, site: Option<&str>) -> CallPermit {
        let pool = site.and_then(|site| self.pool(site));
        // First that of the site: a call that waits there keeps nothing from other sites.
        let site = match pool {
            Some(pool) => Some(pool.acquire().await),
            None => None,
        };
        CallPermit {
            _site: site,
            all: self.all.acquire().await,
        }
    }

    fn pool(&self, site: &str) -> Option<Arc<PermitPool>> {
        let limit = self.per_site?;
        let mut sites = self.sites.lock().unwrap_or_else(PoisonError::into_inner);
        let pool = sites.entry(site.to_owned());
        let pool = pool.or_insert_with(|| PermitPool::new(limit, MAX_SITE_HOLD));
        Some(Arc::clone(pool))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn is_free(limiter: &CallLimiter, site: Option<&str>) -> bool {
        let soon = Duration::from_millis(1);
        tokio::time::timeout(soon, limiter.acquire(site))
            .await
            .is_ok()
    }

    #[tokio::test(start_paused = true)]
    async fn a_site_at_its_limit_delays_no_other_site() {
        let limiter = CallLimiter::new(Some(1));
        let first = limiter.acquire(Some("hk")).await;
        assert!(!is_free(&limiter, Some("hk")).await);
        assert!(is_free(&limiter, Some("sz")).await);
        assert!(is_free(&limiter, None).await);
        drop(first);
        assert!(is_free(&limiter, Some("hk")).await);
        let without = CallLimiter::new(None);
        let _first = without.acquire(Some("hk")).await;
        assert!(is_free(&without, Some("hk")).await);
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_that_hangs_does_not_close_its_site() {
        let limiter = CallLimiter::new(Some(1));
        let _hung = limiter.acquire(Some("hk")).await;
        let begin = tokio::time::Instant::now();
        drop(limiter.acquire(Some("hk")).await);
        assert!(begin.elapsed() >= MAX_SITE_HOLD);
    }
}
