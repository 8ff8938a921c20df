//! The log of alerts that webhooks lose: their senders ignore what the answer says.

use std::{sync::Arc, time::Instant};

use crate::{
    ingest::RejectedItems,
    logging::{Admission, LogLimiter},
};

/// Logs each reason once a minute.
#[derive(Clone, Debug, Default)]
pub(super) struct WebhookLog(Arc<LogLimiter>);

impl WebhookLog {
    /// Logs the alerts of a body that were refused, with the first reason.
    pub(super) fn rejected(&self, rejected: &RejectedItems) {
        let Some(first) = rejected.named().next() else {
            return;
        };
        let (alerts, index) = (rejected.total(), first.index);
        let name = first.name.as_deref().unwrap_or("-");
        let reason = first.error.to_string();
        if let Some(suppressed) = self.admit("rejected", &reason) {
            log::warn!(alerts, index, name, suppressed; "alerts of a webhook refused: {reason}");
        }
    }

    /// Logs that the sender left alerts out of a body.
    pub(super) fn truncated(&self, alerts: u64) {
        if alerts == 0 {
            return;
        }
        if let Some(suppressed) = self.admit("truncated", "") {
            log::warn!(alerts, suppressed; "Alertmanager left alerts out of a webhook (raise `max_alerts` of its `webhook_configs`)");
        }
    }

    /// The records that were not logged since the last one, if this one is logged.
    fn admit(&self, kind: &str, text: &str) -> Option<u64> {
        match self.0.admit(kind, text, Instant::now()) {
            Admission::Logged { suppressed } => Some(suppressed),
            Admission::FirstSuppressed { .. } | Admission::Suppressed => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reason_is_logged_once_a_minute() {
        let log = WebhookLog::default();
        assert_eq!(log.admit("rejected", "a"), Some(0));
        assert_eq!(log.admit("rejected", "a"), None);
        assert_eq!(log.admit("rejected", "b"), Some(1));
        assert_eq!(log.admit("truncated", ""), Some(0));
        assert_eq!(log.admit("truncated", ""), None);
    }
}
