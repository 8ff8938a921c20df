//! Where the messages of MQTT go. The kit writes them.

use delfin_plugin_api::{AlertBatch, PerformanceBatch, message::MessageBatch};

/// A batch with a topic of its own.
pub(crate) trait MqttBatch: MessageBatch {
    /// The default of the setting `topic`.
    const TOPIC: &'static str;
}

impl MqttBatch for PerformanceBatch {
    const TOPIC: &'static str = "delfin/performance/{storage_id}";
}

impl MqttBatch for AlertBatch {
    const TOPIC: &'static str = "delfin/alerts/{storage_id}";
}
