//! Batches as messages of Kafka. The kit writes the payloads.

use delfin_plugin_api::{AlertBatch, PerformanceBatch, message::MessageBatch};

/// A batch with a topic of its own.
pub trait KafkaBatch: MessageBatch {
    /// The default of the setting `topic`.
    const TOPIC: &'static str;
}

impl KafkaBatch for PerformanceBatch {
    const TOPIC: &'static str = "delfin-kafka";
}

impl KafkaBatch for AlertBatch {
    const TOPIC: &'static str = "delfin-alerts";
}
