//! Metrics of SNMP traps.

use std::{fmt, sync::Arc};

use prometheus_client::{collector::Collector, encoding::DescriptorEncoder};

use super::family::FamilyWriter;
use crate::{platform::DropCounter, traps::TrapStats};

#[derive(Debug)]
pub(super) struct TrapCollector {
    pub(super) stats: Arc<TrapStats>,
    pub(super) drops: DropCounter,
}

impl Collector for TrapCollector {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut page = FamilyWriter::new(encoder);
        let stats = &self.stats;
        let accepted = stats.accepted().into_iter();
        page.counter(
            "traps",
            "SNMP notifications of known senders, by type.",
            accepted.map(|(kind, count)| ([("type", kind)], count)),
        )?;
        page.counter(
            "traps_refused",
            "Datagrams that were not accepted as notifications, by reason.",
            stats
                .refused()
                .map(|(reason, count)| ([("reason", reason)], count)),
        )?;
        page.counter(
            "traps_alerts",
            "Alerts of SNMP notifications, by what has made them.",
            stats
                .alerts()
                .map(|(maker, count)| ([("by", maker)], count)),
        )?;
        page.single_counter(
            "traps_acknowledged",
            "Informs that were acknowledged after their alert was durable.",
            &stats.acknowledged(),
        )?;
        page.single_gauge(
            "traps_waiting",
            "Accepted notifications whose alerts are not durable yet.",
            &stats.waiting(),
        )?;
        match self.drops.dropped() {
            Some(dropped) => page.single_counter(
                "traps_kernel_dropped",
                "Datagrams that the kernel dropped because its receive buffer was full.",
                &dropped,
            ),
            None => Ok(()),
        }
    }
}
