//! Requests that Splunk has accepted and not acknowledged yet.
//!
//! A call may end before the acknowledgement comes. If the host then sends the same rows, they are
//! not sent again until Splunk had its time.

use std::{
    collections::HashMap,
    hash::{DefaultHasher, Hash, Hasher},
    time::{Duration, Instant},
};

/// A request by its content.
pub(crate) type RequestKey = u64;

/// The number that Splunk gives a request on a channel.
pub(crate) type AckId = u64;

pub(crate) struct PendingAcks {
    sent: HashMap<RequestKey, SentRequest>,
    timeout: Duration,
}

struct SentRequest {
    ack: AckId,
    at: Instant,
}

pub(crate) fn key_of_request(text: &[u8]) -> RequestKey {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    hasher.finish()
}

impl PendingAcks {
    pub(crate) fn new(timeout: Duration) -> Self {
        Self {
            sent: HashMap::new(),
            timeout,
        }
    }

    /// Forgets what was sent too long ago: Splunk may have restarted meanwhile, and then never
    /// acknowledges it.
    pub(crate) fn expire(&mut self, now: Instant) {
        let timeout = self.timeout;
        self.sent
            .retain(|_, request| now.duration_since(request.at) < timeout);
    }

    pub(crate) fn add(&mut self, key: RequestKey, ack: AckId, at: Instant) {
        self.sent.insert(key, SentRequest { ack, at });
    }

    pub(crate) fn ack_of(&self, key: RequestKey) -> Option<AckId> {
        self.sent.get(&key).map(|request| request.ack)
    }

    pub(crate) fn remove(&mut self, key: RequestKey) {
        self.sent.remove(&key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_pending_until_its_time_is_over() {
        let start = Instant::now();
        let mut pending = PendingAcks::new(Duration::from_secs(10));
        let key = key_of_request(b"a");
        pending.add(key, 7, start);
        pending.expire(start + Duration::from_secs(9));
        assert_eq!(pending.ack_of(key), Some(7));
        assert_eq!(pending.ack_of(key_of_request(b"b")), None);
        pending.expire(start + Duration::from_secs(10));
        assert_eq!(pending.ack_of(key), None);
    }
}
