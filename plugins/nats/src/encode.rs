//! Where the messages of NATS go. The kit writes them.

use delfin_plugin_api::{AlertBatch, PerformanceBatch, message::MessageBatch};

/// A batch with a subject of its own.
pub(crate) trait NatsBatch: MessageBatch {
    /// The default of the setting `subject`.
    const SUBJECT: &'static str;
}

impl NatsBatch for PerformanceBatch {
    const SUBJECT: &'static str = "delfin.performance.{storage_id}";
}

impl NatsBatch for AlertBatch {
    const SUBJECT: &'static str = "delfin.alerts.{storage_id}";
}
