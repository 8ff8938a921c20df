//! Makes the alerts of messages durable: many in one batch.

use std::sync::Arc;

use delfin_plugin_api::AlertBatchBuilder;
use tokio::sync::mpsc;

use super::{
    alert::syslog_alert,
    input::PendingMessage,
    mapping::SyslogMappings,
    stats::{SyslogResult, SyslogStats},
};
use crate::{
    clock::now_ms,
    config::SyslogSeverity,
    notification::{AlertAppender, AppendResult, MappingSet, StorageNames},
    storages::Storages,
};

/// The most messages in one batch.
const MAX_ROWS: usize = 4_096;

pub(super) struct SyslogWriter {
    pub(super) mappings: MappingSet<SyslogMappings>,
    pub(super) min_severity: Option<SyslogSeverity>,
    pub(super) storages: Arc<Storages>,
    pub(super) appender: AlertAppender,
    pub(super) stats: Arc<SyslogStats>,
}

impl SyslogWriter {
    /// Runs until the receivers have stopped, and everything is durable.
    pub(super) async fn run(self, mut received: mpsc::Receiver<PendingMessage>) {
        let mut next = Vec::new();
        while received.recv_many(&mut next, MAX_ROWS).await > 0 {
            self.append(std::mem::take(&mut next)).await;
        }
    }

    async fn append(&self, messages: Vec<PendingMessage>) {
        let (mappings, now_ms) = (self.mappings.get(), now_ms());
        let mut storages = StorageNames::new(&self.storages);
        let mut batch = AlertBatchBuilder::new();
        let (mut mapped, mut raw, mut below) = (0, 0, 0);
        for PendingMessage {
            storage_id,
            message,
        } in &messages
        {
            let Some(alert) = syslog_alert(message, &mappings, self.min_severity, now_ms) else {
                below += 1;
                continue;
            };
            if let Some(storage) = storages.of(*storage_id) {
                alert.add_to(&mut batch, storage);
                match alert.rule {
                    Some(_) => mapped += 1,
                    None => raw += 1,
                }
            }
        }
        let count = messages.len() as u64;
        let appended = self.appender.append(batch.build(), None, count).await;
        if appended != AppendResult::Closed {
            self.stats.count_done(count);
        }
        if appended == AppendResult::Durable {
            self.stats.count_results(SyslogResult::Mapped, mapped);
            self.stats.count_results(SyslogResult::Raw, raw);
            self.stats.count_results(SyslogResult::BelowSeverity, below);
        }
    }
}
