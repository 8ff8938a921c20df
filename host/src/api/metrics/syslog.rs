//! Metrics of syslog messages.

use std::{fmt, sync::Arc};

use prometheus_client::{collector::Collector, encoding::DescriptorEncoder};

use super::family::FamilyWriter;
use crate::{platform::DropCounter, syslog::SyslogStats};

#[derive(Debug)]
pub(super) struct SyslogCollector {
    pub(super) stats: Arc<SyslogStats>,
    /// `None` if no datagrams are received.
    pub(super) drops: Option<DropCounter>,
}

impl Collector for SyslogCollector {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut page = FamilyWriter::new(encoder);
        let stats = &self.stats;
        page.counter(
            "syslog_messages",
            "Syslog messages of known senders, by transport.",
            stats
                .accepted()
                .map(|(transport, count)| ([("transport", transport)], count)),
        )?;
        page.counter(
            "syslog_refused",
            "Syslog messages and connections that were not accepted, by reason.",
            stats
                .refused()
                .map(|(reason, count)| ([("reason", reason)], count)),
        )?;
        page.counter(
            "syslog_alerts",
            "Alerts of syslog messages, by what has made them.",
            stats
                .alerts()
                .into_iter()
                .map(|(maker, count)| ([("by", maker)], count)),
        )?;
        page.single_counter(
            "syslog_below_severity",
            "Syslog messages without an alert, because no mapping knows them and they are less severe than the configured severity.",
            &stats.below_severity(),
        )?;
        page.single_counter(
            "syslog_cut_off",
            "Syslog messages that were longer than the limit; their end is missing.",
            &stats.cut_off(),
        )?;
        page.single_gauge(
            "syslog_connections",
            "Open syslog connections.",
            &stats.connections(),
        )?;
        page.single_gauge(
            "syslog_waiting",
            "Accepted syslog messages whose alerts are not durable yet.",
            &stats.waiting(),
        )?;
        match self.drops.and_then(DropCounter::dropped) {
            Some(dropped) => page.single_counter(
                "syslog_kernel_dropped",
                "Datagrams that the kernel dropped because its receive buffer was full.",
                &dropped,
            ),
            None => Ok(()),
        }
    }
}
